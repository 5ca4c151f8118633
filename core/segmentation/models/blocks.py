"""Building blocks that the networks share, and the checks of their configs."""

from __future__ import annotations

from typing import Any

from keras import layers

from core.config import ModelConfig
from core.errors import ConfigError


def check_network(config: ModelConfig, *, rows: int, columns: int) -> None:
    """Refuses configs that do not fit inputs of this size.

    Raises:
        ConfigError: the size cannot be halved `depth` times, or a setting is out of range.
    """
    counts = (
        config.depth,
        config.width,
        config.input_channels,
        config.output_channels,
        config.members,
    )
    if min(counts) < 1:
        raise ConfigError(
            "A network needs levels, filters and channels",
            got=f"depth {config.depth}, width {config.width}, {config.input_channels} input and "
            f"{config.output_channels} output channels, {config.members} members",
            expected="all at least 1",
        )
    if config.normalization not in ("batch", "group", "none"):
        raise ConfigError(
            "Unknown normalisation",
            got=repr(config.normalization),
            expected="'batch', 'group' or 'none'",
        )
    if config.max_filters and (
        config.max_filters < config.width or config.max_filters % config.width
    ):
        raise ConfigError(
            "The bound on filters does not fit the network",
            got=f"{config.max_filters}",
            expected=f"0 for none, or a multiple of the width, {config.width}",
        )
    if not 0.0 <= config.dropout < 1.0:
        raise ConfigError(
            "Dropout is out of range", got=f"{config.dropout:g}", expected="a share from 0 to 1"
        )
    step = 2**config.depth
    if rows % step or columns % step:
        raise ConfigError(
            f"The input size cannot be halved {config.depth} times",
            got=f"{rows}×{columns}",
            expected=f"multiples of {step}",
        )


def level_filters(config: ModelConfig, level: int) -> int:
    """Filters after `level` halvings: twice as many at each, up to the bound."""
    filters = config.width * 2**level
    return min(filters, config.max_filters) if config.max_filters else filters


def double_convolution(x: Any, config: ModelConfig, *, filters: int, name: str) -> Any:
    """Two 3×3 convolutions of one size, each normalised and rectified, then dropout of channels."""
    for number in (1, 2):
        x = layers.Conv2D(
            filters,
            3,
            padding="same",
            use_bias=config.normalization == "none",
            kernel_initializer="he_normal",
            name=f"{name}_conv{number}",
        )(x)
        x = normalize(x, config, name=f"{name}_norm{number}")
        x = layers.Activation("relu", name=f"{name}_relu{number}")(x)
    if config.dropout > 0:
        x = layers.SpatialDropout2D(config.dropout, name=f"{name}_dropout")(x)
    return x


def upsample(x: Any, *, filters: int, name: str) -> Any:
    """Doubles rows and columns by a transposed convolution."""
    return layers.Conv2DTranspose(filters, 2, strides=2, name=name)(x)


def probability_head(x: Any, config: ModelConfig, *, name: str) -> Any:
    """One sigmoid per channel, in float32 whatever the precision policy: probabilities near 0 and 1
    need the bits."""
    return layers.Conv2D(
        config.output_channels, 1, activation="sigmoid", dtype="float32", name=name
    )(x)


def normalize(x: Any, config: ModelConfig, *, name: str) -> Any:
    """The config's normalisation, if any."""
    if config.normalization == "batch":
        return layers.BatchNormalization(name=name)(x)
    if config.normalization == "group":
        # Every level has a multiple of `width` filters, so one number of groups fits them all.
        groups = max(n for n in range(1, 9) if config.width % n == 0)
        return layers.GroupNormalization(groups=groups, name=name)(x)
    return x
