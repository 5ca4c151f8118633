"""U-Net (Ronneberger, Fischer, Brox 2015, arXiv:1505.04597) in backend-neutral Keras 3."""

from __future__ import annotations

import keras
from keras import layers

from core.config import ModelConfig
from core.segmentation.models.blocks import (
    check_network,
    double_convolution,
    level_filters,
    probability_head,
    upsample,
)


def build_unet(config: ModelConfig, *, rows: int, columns: int) -> keras.Model:
    """U-Net with `depth` halvings and `width` filters at the finest level.

    Differs from the paper in padding its convolutions, so that output and input have one size,
    and in normalising between convolution and activation.

    Returns:
        A model from (n, rows, columns, input_channels) in [0, 1] to
        (n, rows, columns, output_channels) float32 probabilities, one sigmoid per channel.

    Raises:
        ConfigError: the size cannot be halved `depth` times, or a number is not positive.
    """
    check_network(config, rows=rows, columns=columns)
    inputs = keras.Input((rows, columns, config.input_channels), name="slices")
    x = inputs
    skips = []
    for level in range(config.depth):
        x = double_convolution(x, config, filters=level_filters(config, level), name=f"down{level}")
        skips.append(x)
        x = layers.MaxPooling2D(name=f"down{level}_pool")(x)
    x = double_convolution(x, config, filters=level_filters(config, config.depth), name="bottom")
    for level in reversed(range(config.depth)):
        filters = level_filters(config, level)
        x = upsample(x, filters=filters, name=f"up{level}_grow")
        x = layers.Concatenate(name=f"up{level}_join")([skips[level], x])
        x = double_convolution(x, config, filters=filters, name=f"up{level}")
    return keras.Model(inputs, probability_head(x, config, name="probabilities"), name="unet")
