"""The slice classifier in Keras: EfficientNet-Lite0, then evidence for COVID-19 in each cell.

The logit of a slice is the mean of the evidence over its lung and the mean of a second one over
what is marked as infected. Nothing comes after these means, so the evidence of a cell times its
weight is exactly what the cell adds to the logit: the heat map needs no gradients, and heat cannot
lie outside of the lung.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import layers, ops

from core.classification.config import (
    ATTENTION_BOUND,
    CELL,
    EVIDENCE,
    FEATURES,
    LEAST_LESION_CELLS,
    LEAST_LUNG_CELLS,
    ClassifierModelConfig,
)
from core.errors import WeightsError
from core.segmentation.models.efficientnet import centre_grey, encode

_DROPOUT = 0.3
_STEM = "stem_conv/kernel"
_CUT = "block4_add"
"""Last layer taken over from segmentation as it is: features at an eighth of the size."""
_CUT_NUMBER, _CUT_SHRINK = 2, 8
_MASKS = "masks_pool"


def build_network(config: ClassifierModelConfig) -> keras.Model:
    """From (n, rows, columns, channels) in [0, 1] to the evidence of each cell of 16 × 16 pixels:
    (n, rows / 16, columns / 16, 2 or 3), for the lung, for what is marked, and attention."""
    inputs = keras.Input((config.rows, config.columns, config.channels), name="slices")

    def add_masks(number: int, features: Any) -> Any:
        if number != _CUT_NUMBER:
            return features
        small = layers.AveragePooling2D(_CUT_SHRINK, name=_MASKS)(inputs)
        seen = layers.Conv2D(
            features.shape[-1], 1, use_bias=False, kernel_initializer="zeros", name="masks_conv"
        )(small)
        return layers.Add(name="masks_add")([features, seen])

    features = encode(
        centre_grey(inputs), "lite0", change=add_masks if config.channels == 3 else None
    )
    deepest = layers.UpSampling2D(2, name="deepest_grow")(features[4])
    x = layers.Concatenate(name="joined")([features[3], deepest])
    x = layers.Conv2D(config.filters, 1, use_bias=False, name="features_conv")(x)
    x = layers.BatchNormalization(momentum=0.97, name="features_norm")(x)
    x = layers.Activation("relu", name=FEATURES)(x)
    x = layers.SpatialDropout2D(_DROPOUT, name="features_dropout")(x)
    x = layers.Conv2D(
        3 if config.attention else 2,
        1,
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.02),
        dtype="float32",
        name=EVIDENCE,
    )(x)
    return keras.Model(inputs, x, name="classifier")


def lower_maps() -> tuple[str, ...]:
    """Layers whose output `build_training_network` starts from."""
    return (_CUT,)


def build_training_network(network: keras.Model, config: ClassifierModelConfig) -> keras.Model:
    """From what the lower, unchanged stages give to the logit of each slice, on the layers of
    `network`; `core.classification.pooling` computes the same from maps of evidence.

    Its inputs: features of `lower_maps`; the frame (grey, lung, infection) shrunk to their size;
    and the weights of the cells, lung and infected lung.
    """
    rows, columns = config.rows, config.columns
    cut = network.get_layer(_CUT).output
    features = keras.Input(cut.shape[1:], name="lower")
    small = keras.Input((rows // _CUT_SHRINK, columns // _CUT_SHRINK, 3), name="small")
    cells = keras.Input((rows // CELL, columns // CELL, 2), name="cells")
    if config.channels == 3:
        pooled = network.get_layer(_MASKS).output
        evidence = keras.Model([cut, pooled], network.output)([features, small])
    else:
        evidence = keras.Model(cut, network.output)(features)
    lung, lesion = cells[..., :1], cells[..., 1:]
    if not config.pools_masks:
        lung, lesion = ops.ones_like(lung), ops.zeros_like(lesion)
    weights = lung
    if config.attention:
        bound = ATTENTION_BOUND
        weights = lung * ops.exp(bound * ops.tanh(evidence[..., 2:3] / bound))
    logit = _mean(evidence[..., :1], weights, LEAST_LUNG_CELLS)
    logit = logit + _mean(evidence[..., 1:2], lesion, LEAST_LESION_CELLS)
    return keras.Model([features, small, cells], logit, name="classifier_training")


def _mean(evidence: Any, weights: Any, least: float) -> Any:
    total = ops.sum(weights, axis=(1, 2))
    return ops.sum(evidence * weights, axis=(1, 2)) / (total + least)


def start_from(network: keras.Model, arrays: Mapping[str, npt.NDArray[Any]], *, shown: str) -> int:
    """Copies an encoder's arrays; those of the masks' channels start at zero.

    Args:
        arrays: of a segmentation network on the same encoder, or of one trained on ImageNet.

    Returns:
        How many arrays were set.

    Raises:
        WeightsError: they are of another encoder.
    """
    copied = 0
    for variable in network.weights:
        path = variable.path
        if not path.startswith(("stem_", "block")):
            continue
        array = np.asarray(arrays.get(path, np.zeros(0)), dtype=np.float32)
        if path == _STEM and array.ndim == 4:
            grey = array.sum(axis=2, keepdims=True) if array.shape[2] == 3 else array
            array = np.zeros(variable.shape, dtype=np.float32)
            array[:, :, :1] = grey
        if array.shape != tuple(variable.shape):
            raise WeightsError(
                "The classifier cannot start from these weights",
                got=f"{path} of shape {array.shape} in {shown}",
                expected="an EfficientNet-Lite0 encoder",
            )
        variable.assign(array)
        copied += 1
    return copied


class KerasMaps:
    """The network on Keras, where OpenVINO is not installed."""

    def __init__(
        self, config: ClassifierModelConfig, arrays: Mapping[str, Any], *, shown: str
    ) -> None:
        """Builds the network and sets its arrays.

        Raises:
            WeightsError: they do not fit the architecture.
        """
        network = fill_network(config, arrays, shown=shown)
        outputs = [network.get_layer(name).output for name in (FEATURES, EVIDENCE)]
        self._model = keras.Model(network.input, outputs)

    def maps(self, slices: Any) -> Generator[Any, None, None]:
        """For each of (n, rows, columns, channels) uint8 its maps, (filters, height, width)
        float32 each."""
        for one in slices:
            found = self._model.predict_on_batch(one[None].astype(np.float32) / np.float32(255))
            yield tuple(np.moveaxis(np.asarray(level)[0], -1, 0) for level in found)


def fill_network(
    config: ClassifierModelConfig, arrays: Mapping[str, Any], *, shown: str
) -> keras.Model:
    """The network with stored arrays.

    Raises:
        WeightsError: they do not fit the architecture.
    """
    network = build_network(config)
    wanted = {variable.path: tuple(variable.shape) for variable in network.weights}
    found = {name: array.shape for name, array in arrays.items()}
    if wanted != found:
        raise WeightsError(
            f"The weights file of {shown} does not fit its architecture",
            got=f"{len(set(wanted.items()) ^ set(found.items()))} differing arrays",
            expected=f"the {len(wanted)} arrays of the network",
            next_step="restore weights and manifest from the same version",
        )
    for variable in network.weights:
        variable.assign(np.asarray(arrays[variable.path], dtype=np.float32))
    return network
