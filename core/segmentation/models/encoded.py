"""A U-Net or U-Net++ whose contracting half is an EfficientNet-Lite encoder.

The expanding half is light: one 3×3 convolution a node, and rows and columns doubled by repeating
them. A slice head on the encoder's deepest features tells whether a slice shows lung and whether
it shows infection.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from core.config import ModelConfig
from core.errors import ConfigError
from core.segmentation.graph import PRESENCE
from core.segmentation.models.blocks import (
    check_network,
    level_filters,
    normalize,
    probability_head,
)
from core.segmentation.models.efficientnet import DEPTH, ENCODERS, centre_grey, encode

PIXELS = "pixels"
"""Name of the pixels' probabilities among the outputs of training."""
_HEAD = "head"
_PROBABILITIES = "probabilities"


def build_encoded(config: ModelConfig, *, rows: int, columns: int) -> keras.Model:
    """The network of a config whose `encoder` is not "plain".

    Returns:
        A model from (n, rows, columns, input_channels) in [0, 1] to
        (n, rows, columns, output_channels) float32 probabilities, one sigmoid a channel; with a
        slice head also to (n, output_channels), named `PRESENCE`.

    Raises:
        ConfigError: rows or columns are no multiple of 32, or the config asks for another depth.
    """
    if config.encoder not in ENCODERS or config.depth != DEPTH:
        raise ConfigError(
            "The encoder does not fit the network",
            got=f"encoder {config.encoder}, depth {config.depth}",
            expected=f"an EfficientNet-Lite, which halves its input {DEPTH} times",
        )
    check_network(config, rows=rows, columns=columns)
    inputs = keras.Input((rows, columns, config.input_channels), name="slices")
    centred = centre_grey(inputs)
    features = [centred, *encode(centred, config.encoder)]
    deepest = features[-1]
    features[-1] = _node([deepest], config, level=DEPTH, kernel=1, name="neck")
    pixels = (
        _nested(features, config) if config.architecture == "unetpp" else _plain(features, config)
    )
    outputs = [pixels, _presence(deepest, config)] if config.slice_head else pixels
    return keras.Model(inputs, outputs, name=f"{config.encoder}_{config.architecture}")


def _plain(features: list[Any], config: ModelConfig) -> Any:
    x = features[-1]
    for level in reversed(range(DEPTH)):
        x = _joined([features[level]], x, config, level=level, name=f"up{level}")
    return probability_head(x, config, name=_PROBABILITIES)


def _nested(features: list[Any], config: ModelConfig) -> Any:
    nodes = [[feature] for feature in features]
    for column in range(1, DEPTH + 1):
        for level in range(DEPTH + 1 - column):
            below = nodes[level + 1][column - 1]
            nodes[level].append(
                _joined(nodes[level], below, config, level=level, name=f"x{level}_{column}")
            )
    if not config.deep_supervision:
        return probability_head(nodes[0][-1], config, name=_PROBABILITIES)
    heads = [
        probability_head(nodes[0][column], config, name=f"{_HEAD}{column}")
        for column in range(1, DEPTH + 1)
    ]
    return layers.Average(name=_PROBABILITIES, dtype="float32")(heads)


def _joined(left: list[Any], below: Any, config: ModelConfig, *, level: int, name: str) -> Any:
    grown = layers.UpSampling2D(2, name=f"{name}_grow")(below)
    return _node([*left, grown], config, level=level, kernel=3, name=name)


def _node(inputs: list[Any], config: ModelConfig, *, level: int, kernel: int, name: str) -> Any:
    x = layers.Concatenate(name=f"{name}_join")(inputs) if inputs[1:] else inputs[0]
    x = layers.Conv2D(
        level_filters(config, level),
        kernel,
        padding="same",
        use_bias=config.normalization == "none",
        kernel_initializer="he_normal",
        name=f"{name}_conv",
    )(x)
    x = normalize(x, config, name=f"{name}_norm")
    x = layers.Activation("relu", name=f"{name}_relu")(x)
    if config.dropout > 0:
        x = layers.SpatialDropout2D(config.dropout, name=f"{name}_dropout")(x)
    return x


def _presence(deepest: Any, config: ModelConfig) -> Any:
    """Mean and maximum of every feature: large lungs and the tip of one alike."""
    pooled = layers.Concatenate(name="pooled")(
        [
            layers.GlobalAveragePooling2D(name="pooled_mean")(deepest),
            layers.GlobalMaxPooling2D(name="pooled_max")(deepest),
        ]
    )
    return layers.Dense(
        config.output_channels, activation="sigmoid", dtype="float32", name=PRESENCE
    )(pooled)


def training_network(model: keras.Model) -> keras.Model:
    """The same network, same weights, giving what training compares with truth: under `PIXELS`
    the probabilities of all heads side by side, and under `PRESENCE`, where there is a slice
    head, those of whole slices."""
    names = [layer.name for layer in model.layers]
    heads = [name for name in names if name.startswith(_HEAD) and name[len(_HEAD) :].isdigit()]
    if heads:
        outputs = [model.get_layer(name).output for name in heads]
        pixels = layers.Concatenate(name="side_by_side", dtype="float32")(outputs)
    else:
        pixels = model.get_layer(_PROBABILITIES).output
    compared = {PIXELS: pixels}
    if PRESENCE in names:
        compared[PRESENCE] = model.get_layer(PRESENCE).output
    return keras.Model(model.input, compared, name=model.name)
