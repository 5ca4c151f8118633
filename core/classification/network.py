"""The slice classifier in Keras: the encoder column of a U-Net++ and a linear head.

The head is a 1×1 convolution over the coarsest features, and the logit is the mean of the map
that it gives. As both are linear, that equals a dense layer on globally averaged features, and the
map is the class activation map of Zhou et al. 2016 (arXiv:1512.04150), which for such a network
is what Grad-CAM (Selvaraju et al. 2017) computes, before it cuts off what is negative.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import layers

from core.classification.config import ClassifierModelConfig
from core.config import ModelConfig
from core.errors import WeightsError
from core.models.blocks import double_convolution

_VARIABLES = (
    "conv1/kernel",
    "conv2/kernel",
    *(
        f"norm{number}/{variable}"
        for number in (1, 2)
        for variable in ("gamma", "beta", "moving_mean", "moving_variance")
    ),
)


def build_classifier(config: ClassifierModelConfig) -> keras.Model:
    """From (n, side, side, channels) in [0, 1] to (n, h, w, 1 + features): evidence for COVID-19,
    whose mean is the logit, then the first member's coarsest features as they are."""
    inputs = keras.Input((config.side, config.side, config.channels), name="slices")
    evidence, features = [], None
    for member in range(config.members):
        coarsest, joined = _encoder(inputs, config, prefix=f"m{member}_")
        features = coarsest if features is None else features
        evidence.append(_head(joined, prefix=f"m{member}_"))
    mean = (
        layers.Average(name="evidence", dtype="float32")(evidence) if evidence[1:] else evidence[0]
    )
    both = layers.Concatenate(name="evidence_and_features", dtype="float32")([mean, features])
    return keras.Model(inputs, both, name="slice_classifier")


def build_taught(config: ClassifierModelConfig, *, member: int) -> keras.Model:
    """One member as it learns: (n, side, side, channels) to (n, 1) logits."""
    inputs = keras.Input((config.side, config.side, config.channels), name="slices")
    prefix = f"m{member}_"
    _, joined = _encoder(inputs, config, prefix=prefix)
    evidence = _head(joined, prefix=prefix)
    logit = layers.GlobalAveragePooling2D(name="logit", dtype="float32")(evidence)
    return keras.Model(inputs, logit, name="taught_classifier")


def _encoder(inputs: Any, config: ClassifierModelConfig, *, prefix: str) -> tuple[Any, Any]:
    """The coarsest features, and those that the head reads, pooled onto their grid and joined."""
    blocks = ModelConfig(depth=config.depth, width=config.width)
    x, columns = inputs, []
    for level in range(config.depth + 1):
        if level:
            x = layers.MaxPooling2D(name=f"{prefix}x{level}_0_pool")(x)
        x = double_convolution(
            x, blocks, filters=config.width * 2**level, name=f"{prefix}x{level}_0"
        )
        columns.append(x)
    read = []
    for level in range(config.depth + 1 - config.head_levels, config.depth + 1):
        step = 2 ** (config.depth - level)
        own = columns[level]
        if step > 1:
            own = layers.AveragePooling2D(step, name=f"{prefix}x{level}_0_mean")(own)
        read.append(own)
    joined = layers.Concatenate(name=f"{prefix}features")(read) if read[1:] else read[0]
    if config.dropout > 0:
        joined = layers.SpatialDropout2D(config.dropout, name=f"{prefix}dropout")(joined)
    return x, joined


def _head(features: Any, *, prefix: str) -> Any:
    return layers.Conv2D(1, 1, dtype="float32", name=f"{prefix}evidence")(features)


def transfer_encoder(
    model: keras.Model,
    arrays: Mapping[str, Any],
    *,
    source: ModelConfig,
    config: ClassifierModelConfig,
    member: int,
) -> int:
    """Copies the encoder of segmentation weights into a member.

    The encoder of a U-Net and the encoder column X(i, 0) of a U-Net++ are the same layers under
    other names, so every array is copied as it is. Only the first kernel grows: its part for the
    slice is copied, its parts for the masks begin at zero.

    Args:
        arrays: of `core.weights.read_arrays`.
        source: architecture of the segmentation weights.

    Returns:
        How many arrays were set.

    Raises:
        WeightsError: depth, width or normalisation differ.
    """
    if (source.depth, source.width, source.normalization) != (config.depth, config.width, "batch"):
        raise WeightsError(
            "The classifier cannot start from these segmentation weights",
            got=f"depth {source.depth}, width {source.width}, {source.normalization} normalisation",
            expected=f"depth {config.depth}, width {config.width}, batch normalisation",
            next_step="set depth and width of the classifier to those of the weights",
        )
    variables = {variable.path: variable for variable in model.weights}
    copied = 0
    for level in range(config.depth + 1):
        if source.architecture == "unetpp":
            theirs = f"x{level}_0"
        else:
            theirs = f"down{level}" if level < config.depth else "bottom"
        for name in _VARIABLES:
            target = variables[f"m{member}_x{level}_0_{name}"]
            array = np.asarray(arrays[f"{theirs}_{name}"], dtype=np.float32)
            if array.shape != tuple(target.shape):  # the first kernel: masks join the slice
                grown = np.zeros(tuple(target.shape), dtype=np.float32)
                grown[:, :, : array.shape[2]] = array
                array = grown
            target.assign(array)
            copied += 1
    return copied


def assemble_members(config: ClassifierModelConfig, members: list[keras.Model]) -> keras.Model:
    """The network to be shipped, with the weights of members that learned apart."""
    model = build_classifier(config)
    learned = {variable.path: variable for member in members for variable in member.weights}
    for variable in model.weights:
        variable.assign(np.asarray(learned[variable.path]))
    return model


class KerasMaps:
    """The shipped network on Keras, where OpenVINO is not installed."""

    def __init__(
        self, config: ClassifierModelConfig, arrays: Mapping[str, Any], *, shown: str
    ) -> None:
        """Builds the network and sets its arrays.

        Raises:
            WeightsError: they do not fit the architecture.
        """
        self._model = build_classifier(config)
        wanted = {variable.path: tuple(variable.shape) for variable in self._model.weights}
        found = {name: array.shape for name, array in arrays.items()}
        if wanted != found:
            raise WeightsError(
                f"The weights file of {shown} does not fit its architecture",
                got=f"{len(set(wanted.items()) ^ set(found.items()))} differing arrays",
                expected=f"the {len(wanted)} arrays of the classifier",
                next_step="restore weights and manifest from the same version",
            )
        for variable in self._model.weights:
            variable.assign(np.asarray(arrays[variable.path], dtype=np.float32))

    def predict(self, frames: Any) -> Any:
        """(n, rows, columns, channels) uint8 to (n, height, width, maps) float32."""
        batch = frames.astype(np.float32) / np.float32(255)
        return np.asarray(self._model.predict_on_batch(batch), dtype=np.float32)
