"""Several networks of one shape as one: their mean probability (Lakshminarayanan et al. 2017,
arXiv:1612.01474), with one input and one output, so that all that runs a network runs them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import keras
from keras import layers

from core.config import ModelConfig
from core.segmentation.models.encoded import build_encoded
from core.segmentation.models.unet import build_unet
from core.segmentation.models.unetpp import build_unetpp

BUILDERS = {"unet": build_unet, "unetpp": build_unetpp}


def build_member(config: ModelConfig, *, rows: int, columns: int) -> keras.Model:
    """The one network of a config of one member."""
    build = BUILDERS[config.architecture] if config.encoder == "plain" else build_encoded
    return build(config, rows=rows, columns=columns)


def build_ensemble(config: ModelConfig, *, rows: int, columns: int) -> keras.Model:
    """`config.members` networks of the config's architecture side by side, and their mean.

    Layers of member n, from 1, carry the prefix `member_prefix(n)` to their name.

    Returns:
        A model from (n, rows, columns, input_channels) in [0, 1] to
        (n, rows, columns, output_channels) float32 probabilities.
    """
    single = replace(config, members=1)
    inputs = keras.Input((rows, columns, config.input_channels), name="slices")
    member = build_member(single, rows=rows, columns=columns)
    outputs = []
    for number in range(1, config.members + 1):
        renamed = keras.models.clone_model(
            member, input_tensors=inputs, clone_function=_renaming(member_prefix(number))
        )
        outputs.append(renamed.outputs[0])
    mean = layers.Average(name="probabilities", dtype="float32")(outputs)
    return keras.Model(inputs, mean, name="ensemble")


def member_prefix(number: int) -> str:
    """What the names of a member's layers begin with."""
    return f"member{number}_"


def join_members(config: ModelConfig, members: Sequence[keras.Model]) -> keras.Model:
    """The ensemble of trained networks, all of the config's shape and input size.

    Raises:
        ConfigError: the config fits no network of that size.
    """
    _, rows, columns, _ = members[0].input_shape
    model = build_ensemble(replace(config, members=len(members)), rows=rows, columns=columns)
    arrays: dict[str, Any] = {}
    for number, member in enumerate(members, start=1):
        arrays.update(_prefixed(member, member_prefix(number)))
    for variable in model.weights:
        variable.assign(arrays[variable.path])
    return model


def _prefixed(member: keras.Model, prefix: str) -> Mapping[str, Any]:
    return {prefix + variable.path: variable.numpy() for variable in member.weights}


def _renaming(prefix: str) -> Any:
    def rename(layer: layers.Layer) -> layers.Layer:
        config = layer.get_config()
        return type(layer).from_config({**config, "name": prefix + config["name"]})

    return rename
