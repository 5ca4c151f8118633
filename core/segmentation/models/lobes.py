"""A small 3D U-Net that estimates lobes from the shape of both lungs, in backend-neutral Keras 3.

The grid is halved by its first convolution, so that most of the work is done on an eighth of its
points; fissures are smooth, and a light last step brings them back to the whole grid.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from core.config import LobeNetworkConfig

LOBES = 5
CHANNELS_IN = 4
"""Lung, and where a point lies in the lungs' box: to the left, to the back and upwards."""
_MOMENTUM = 0.97


def build_lobe_network(config: LobeNetworkConfig) -> keras.Model:
    """The network that a config describes.

    Returns:
        A model from (n, *grid, 4) to (n, *grid, 5) float32 probabilities that sum to 1, in the
        order of `core.segmentation.lobes`.
    """
    inputs = keras.Input((*config.grid, CHANNELS_IN), name="lungs")
    x = _convolution(inputs, config.widths[0], name="stem", strides=2)
    skips = []
    for level, width in enumerate(config.widths):
        if level:
            skips.append(x)
            x = _convolution(x, width, name=f"down{level}", strides=2)
        x = _residual(x, width, name=f"down{level}")
    for level in reversed(range(len(config.widths) - 1)):
        width = config.widths[level]
        x = layers.Conv3DTranspose(width, 2, strides=2, name=f"up{level}_grow")(x)
        x = layers.Add(name=f"up{level}_join")([x, skips[level]])
        x = _residual(x, width, name=f"up{level}")
    x = layers.Conv3DTranspose(config.fine_width, 2, strides=2, name="fine_grow")(x)
    x = layers.Concatenate(name="fine_join")([x, inputs])
    x = _convolution(x, config.fine_width, name="fine")
    outputs = layers.Conv3D(LOBES, 1, activation="softmax", dtype="float32", name="lobes")(x)
    return keras.Model(inputs, outputs, name="lobes")


def _residual(x: Any, filters: int, *, name: str) -> Any:
    y = _convolution(x, filters, name=f"{name}_a")
    y = _convolution(y, filters, name=f"{name}_b")
    return layers.Add(name=f"{name}_add")([x, y])


def _convolution(x: Any, filters: int, *, name: str, strides: int = 1) -> Any:
    x = layers.Conv3D(
        filters,
        3,
        strides=strides,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=f"{name}_conv",
    )(x)
    x = layers.BatchNormalization(momentum=_MOMENTUM, name=f"{name}_norm")(x)
    return layers.Activation("relu", name=f"{name}_relu")(x)
