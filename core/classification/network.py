"""The encoder column of a U-Net++ in Keras, started from segmentation weights."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

import keras
import numpy as np
from keras import layers

from core.classification.config import ClassifierModelConfig, filter_counts, map_names
from core.classification.info import ClassifierInfo, read_classifier_arrays
from core.config import ModelConfig
from core.errors import WeightsError
from core.segmentation import WeightsInfo, read_arrays
from core.segmentation.models.blocks import double_convolution
from core.segmentation.models.ensemble import member_prefix

_VARIABLES = (
    "conv1/kernel",
    "conv2/kernel",
    *(
        f"norm{number}/{variable}"
        for number in (1, 2)
        for variable in ("gamma", "beta", "moving_mean", "moving_variance")
    ),
)


def build_encoder(config: ClassifierModelConfig) -> keras.Model:
    """From (n, side, side, 1) in [0, 1] to the coarsest features; layers are named as those of
    `core.segmentation.models.unetpp`, whose nodes X(i, 0) they are."""
    blocks = ModelConfig(depth=config.depth, width=config.width)
    inputs = keras.Input((config.side, config.side, 1), name="slices")
    x = inputs
    for level, filters in enumerate(filter_counts(config)):
        if level:
            x = layers.MaxPooling2D(name=f"x{level}_0_pool")(x)
        x = double_convolution(x, blocks, filters=filters, name=f"x{level}_0")
    return keras.Model(inputs, x, name="encoder")


def transfer_encoder(
    model: keras.Model,
    arrays: Mapping[str, Any],
    *,
    source: ModelConfig,
    config: ClassifierModelConfig,
) -> int:
    """Copies the encoder of segmentation weights.

    The encoder of a U-Net and the column X(i, 0) of a U-Net++ are the same layers under other
    names, so every array is copied as it is; of an ensemble, those of the first member.

    Args:
        arrays: of `core.segmentation.weights.read_arrays`.
        source: architecture of the segmentation weights.

    Returns:
        How many arrays were set.

    Raises:
        WeightsError: depth, width or normalisation differ.
    """
    if source.encoder != "plain":
        raise WeightsError(
            "The classifier cannot start from these segmentation weights",
            got=f"an encoder of the kind {source.encoder}",
            expected="a U-Net or U-Net++ with a contracting half of its own",
            next_step="pass --encoder to keep the encoder of a classifier",
        )
    found = (source.depth, source.width, source.max_filters, source.normalization)
    if found != (config.depth, config.width, config.max_filters, "batch"):
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
        if source.members > 1:
            theirs = member_prefix(1) + theirs
        for name in _VARIABLES:
            array = np.asarray(arrays[f"{theirs}_{name}"], dtype=np.float32)
            variables[f"x{level}_0_{name}"].assign(array)
            copied += 1
    return copied


class KerasMaps:
    """The encoder on Keras, where OpenVINO is not installed."""

    def __init__(
        self, config: ClassifierModelConfig, arrays: Mapping[str, Any], *, shown: str
    ) -> None:
        """Builds the network and sets its arrays.

        Raises:
            WeightsError: they do not fit the architecture.
        """
        encoder = _filled_encoder(config, arrays, shown=shown)
        outputs = [encoder.get_layer(name).output for name in map_names(config)]
        self._model = keras.Model(encoder.input, outputs)

    def maps(self, slices: Any) -> Generator[Any, None, None]:
        """For each of (n, rows, columns) uint8 its maps, (filters, height, width) float32 each."""
        for one in slices:
            batch = one[None, ..., None].astype(np.float32) / np.float32(255)
            found = self._model.predict_on_batch(batch)
            yield tuple(np.moveaxis(np.asarray(level)[0], -1, 0) for level in found)


def keep_encoder(info: ClassifierInfo) -> keras.Model:
    """The encoder of a classifier that exists.

    Raises:
        WeightsError: it is damaged.
    """
    arrays, _ = read_classifier_arrays(info)
    return _filled_encoder(info.model, arrays, shown=info.weights_id)


def _filled_encoder(
    config: ClassifierModelConfig, arrays: Mapping[str, Any], *, shown: str
) -> keras.Model:
    encoder = build_encoder(config)
    wanted = {variable.path: tuple(variable.shape) for variable in encoder.weights}
    found = {name: array.shape for name, array in arrays.items()}
    if wanted != found:
        raise WeightsError(
            f"The weights file of {shown} does not fit its architecture",
            got=f"{len(set(wanted.items()) ^ set(found.items()))} differing arrays",
            expected=f"the {len(wanted)} arrays of the encoder",
            next_step="restore weights and manifest from the same version",
        )
    for variable in encoder.weights:
        variable.assign(np.asarray(arrays[variable.path], dtype=np.float32))
    return encoder


def start_encoder(
    config: ClassifierModelConfig, segmentation: WeightsInfo | None, *, seed: int
) -> keras.Model:
    """The encoder with the arrays of segmentation weights, or random ones where there are none.

    Raises:
        WeightsError: they are damaged or do not fit.
    """
    keras.utils.set_random_seed(seed)
    encoder = build_encoder(config)
    if segmentation is not None:
        transfer_encoder(
            encoder, read_arrays(segmentation), source=segmentation.model, config=config
        )
    return encoder
