"""U-Net (Ronneberger, Fischer, Brox 2015, arXiv:1505.04597) in backend-neutral Keras 3."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from core.config import ModelConfig
from core.errors import ConfigError


def build_model(config: ModelConfig, *, rows: int, columns: int) -> keras.Model:
    """The network a config names, for inputs of a fixed size."""
    if config.architecture != "unet":
        raise ConfigError("Unknown architecture", got=config.architecture, expected="unet")
    return build_unet(config, rows=rows, columns=columns)


def build_unet(config: ModelConfig, *, rows: int, columns: int) -> keras.Model:
    """U-Net with `depth` halvings and `width` filters at the finest level.

    Differs from the paper in padding its convolutions, so that output and input have one size,
    and in normalising between convolution and activation.

    Returns:
        A model from (n, rows, columns, input_channels) in [0, 1] to
        (n, rows, columns, output_channels) float32 probabilities, one sigmoid a channel.

    Raises:
        ConfigError: the size cannot be halved `depth` times, or a number is not positive.
    """
    _check(config)
    step = 2**config.depth
    if rows % step or columns % step:
        raise ConfigError(
            f"The input size cannot be halved {config.depth} times",
            got=f"{rows}×{columns}",
            expected=f"multiples of {step}",
        )
    inputs = keras.Input((rows, columns, config.input_channels), name="slices")
    x = inputs
    skips = []
    for level in range(config.depth):
        x = _double_convolution(x, config, filters=config.width * 2**level, name=f"down{level}")
        skips.append(x)
        x = layers.MaxPooling2D(name=f"down{level}_pool")(x)
    x = _double_convolution(x, config, filters=config.width * step, name="bottom")
    for level in reversed(range(config.depth)):
        filters = config.width * 2**level
        x = layers.Conv2DTranspose(filters, 2, strides=2, name=f"up{level}_grow")(x)
        x = layers.Concatenate(name=f"up{level}_join")([skips[level], x])
        x = _double_convolution(x, config, filters=filters, name=f"up{level}")
    # float32 whatever the precision policy: probabilities near 0 and 1 need the bits.
    outputs = layers.Conv2D(
        config.output_channels, 1, activation="sigmoid", dtype="float32", name="probabilities"
    )(x)
    return keras.Model(inputs, outputs, name="unet")


def _check(config: ModelConfig) -> None:
    counts = (config.depth, config.width, config.input_channels, config.output_channels)
    if min(counts) < 1:
        raise ConfigError(
            "A U-Net needs levels, filters and channels",
            got=f"depth {config.depth}, width {config.width}, {config.input_channels} input and "
            f"{config.output_channels} output channels",
            expected="all at least 1",
        )
    if config.normalization not in ("batch", "group", "none"):
        raise ConfigError(
            "Unknown normalisation",
            got=repr(config.normalization),
            expected="'batch', 'group' or 'none'",
        )
    if not 0.0 <= config.dropout < 1.0:
        raise ConfigError(
            "Dropout is out of range", got=f"{config.dropout:g}", expected="a share from 0 to 1"
        )


def _double_convolution(x: Any, config: ModelConfig, *, filters: int, name: str) -> Any:
    for number in (1, 2):
        x = layers.Conv2D(
            filters,
            3,
            padding="same",
            use_bias=config.normalization == "none",
            kernel_initializer="he_normal",
            name=f"{name}_conv{number}",
        )(x)
        x = _normalize(x, config, name=f"{name}_norm{number}")
        x = layers.Activation("relu", name=f"{name}_relu{number}")(x)
    if config.dropout > 0:
        x = layers.SpatialDropout2D(config.dropout, name=f"{name}_dropout")(x)
    return x


def _normalize(x: Any, config: ModelConfig, *, name: str) -> Any:
    if config.normalization == "batch":
        return layers.BatchNormalization(name=name)(x)
    if config.normalization == "group":
        # Every level has a multiple of `width` filters, so one number of groups fits them all.
        groups = max(n for n in range(1, 9) if config.width % n == 0)
        return layers.GroupNormalization(groups=groups, name=name)(x)
    return x
