"""U-Net++ (Zhou et al. 2018, arXiv:1807.10165) in backend-neutral Keras 3.

Node X(i, j) lies `i` halvings below the input and `j` steps to the right of the encoder; its input
is all nodes to its left on its level and the one below to the left. Every X(0, j) with j > 0 is a
whole U-Net of depth j and can be given a head of its own.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from core.config import ModelConfig
from core.errors import ConfigError
from core.segmentation.models.blocks import (
    check_network,
    double_convolution,
    level_filters,
    probability_head,
    upsample,
)

_HEAD = "head"


def build_unetpp(config: ModelConfig, *, rows: int, columns: int) -> keras.Model:
    """U-Net++ with `depth` halvings and `width` filters at the finest level.

    With `config.deep_supervision` there is a head on every X(0, j), and the output is their mean
    (the paper's accurate mode); without, on the last one alone. Differs from the paper as
    `build_unet` differs from its own.

    Returns:
        A model from (n, rows, columns, input_channels) in [0, 1] to
        (n, rows, columns, output_channels) float32 probabilities.

    Raises:
        ConfigError: the size cannot be halved `depth` times, or a number is not positive.
    """
    check_network(config, rows=rows, columns=columns)
    inputs = keras.Input((rows, columns, config.input_channels), name="slices")
    nodes: list[list[Any]] = []
    x = inputs
    for level in range(config.depth + 1):
        if level:
            x = layers.MaxPooling2D(name=f"x{level}_0_pool")(x)
        x = double_convolution(x, config, filters=level_filters(config, level), name=f"x{level}_0")
        nodes.append([x])
    for column in range(1, config.depth + 1):
        for level in range(config.depth + 1 - column):
            nodes[level].append(_node(nodes, config, level=level, column=column))
    columns_with_head = range(1, config.depth + 1) if config.deep_supervision else [config.depth]
    heads = [
        probability_head(nodes[0][column], config, name=f"{_HEAD}{column}")
        for column in columns_with_head
    ]
    mean = layers.Average(name="probabilities", dtype="float32")(heads) if heads[1:] else heads[0]
    return keras.Model(inputs, mean, name="unetpp")


def _node(nodes: list[list[Any]], config: ModelConfig, *, level: int, column: int) -> Any:
    filters = level_filters(config, level)
    name = f"x{level}_{column}"
    below = upsample(nodes[level + 1][column - 1], filters=filters, name=f"{name}_grow")
    joined = layers.Concatenate(name=f"{name}_join")([*nodes[level], below])
    return double_convolution(joined, config, filters=filters, name=name)


def head_levels(model: keras.Model) -> tuple[int, ...]:
    """Depths at which a network has a head; empty for one that is no U-Net++."""
    names = (layer.name for layer in model.layers)
    return tuple(int(name[len(_HEAD) :]) for name in names if name.startswith(_HEAD))


def supervised(model: keras.Model) -> keras.Model:
    """The same network, same weights, giving all its heads side by side for training:
    (n, rows, columns, heads × channels). A network with less than two heads is returned as is."""
    levels = head_levels(model)
    if len(levels) < 2:
        return model
    heads = [model.get_layer(f"{_HEAD}{level}").output for level in levels]
    stacked = layers.Concatenate(name="side_by_side", dtype="float32")(heads)
    return keras.Model(model.input, stacked, name=model.name)


def averaged(model: keras.Model) -> keras.Model:
    """The inverse of `supervised`: the network that gives the mean of its heads."""
    levels = head_levels(model)
    if len(levels) < 2:
        return model
    heads = [model.get_layer(f"{_HEAD}{level}").output for level in levels]
    mean = layers.Average(name="probabilities", dtype="float32")(heads)
    return keras.Model(model.input, mean, name=model.name)


def prune(model: keras.Model, *, level: int) -> keras.Model:
    """The part of a deeply supervised U-Net++ that its head at `level` needs: smaller, faster.

    Raises:
        ConfigError: there is no head at this level.
    """
    levels = head_levels(model)
    if level not in levels:
        raise ConfigError(
            "The network cannot be cut there",
            got=f"level {level}",
            expected=" or ".join(map(str, levels)) or "a U-Net++ trained with deep supervision",
        )
    return keras.Model(model.input, model.get_layer(f"{_HEAD}{level}").output, name=model.name)
