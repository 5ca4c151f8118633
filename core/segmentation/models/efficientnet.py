"""The encoder of EfficientNet-Lite (Tan and Le 2019, arXiv:1905.11946; "Lite" by its authors in
tensorflow/tpu): inverted bottlenecks (Sandler et al. 2018, arXiv:1801.04381) without squeeze and
excitation, rectified by ReLU6, so that arrays learned on ImageNet can be taken over.

Stages end at 2, 4, 8, 16 and 32 pixels a cell. The last 1×1 convolution of the original, its
pooling and its classes are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import Any

from keras import layers

from core.config import EncoderName

DEPTH = 5
"""How often the encoder halves its input."""
GREY_CENTRE, GREY_SCALE = 127.0, 128.0
"""Grey 0 to 255 is taken as (grey - 127) / 128, as ImageNet's pictures were."""
_STEM_FILTERS = 32
_EPSILON = 1e-3
_MOMENTUM = 0.97
_FILTER_STEP = 8


@dataclass(frozen=True)
class _Stage:
    repeats: int
    kernel: int
    stride: int
    growth: int
    filters: int


_STAGES = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)
_SCALES: dict[str, tuple[float, float]] = {
    "lite0": (1.0, 1.0),
    "lite1": (1.0, 1.1),
    "lite2": (1.1, 1.2),
}
"""Factors of width and depth."""
ENCODERS = tuple(_SCALES)


def centre_grey(x: Any) -> Any:
    """Slices in [0, 1] as the encoder wants them."""
    return layers.Rescaling(
        255.0 / GREY_SCALE, offset=-GREY_CENTRE / GREY_SCALE, name="centre_grey"
    )(x)


def encode(
    x: Any, name: EncoderName, *, change: Callable[[int, Any], Any] | None = None
) -> list[Any]:
    """Features of centred slices, finest first.

    Args:
        x: (n, rows, columns, channels), rows and columns multiples of 32.
        change: what is done with the features of a number before the next ones are computed from
            them; none leaves them as they are.

    Returns:
        Five tensors; number i has 1/2^(i + 1) of the rows and columns.
    """
    width, depth = _SCALES[name]
    x = layers.Conv2D(
        _STEM_FILTERS, 3, strides=2, padding="same", use_bias=False, name="stem_conv"
    )(x)
    x = _normalized(x, name="stem", activation="relu6")
    features: list[Any] = []
    filters, number = _STEM_FILTERS, 0
    for index, stage in enumerate(_STAGES):
        is_end = index in (0, len(_STAGES) - 1)
        repeats = stage.repeats if is_end else ceil(depth * stage.repeats)
        for repeat in range(repeats):
            stride = stage.stride if repeat == 0 else 1
            if stride == 2:
                x = x if change is None else change(len(features), x)
                features.append(x)
            x = _bottleneck(
                x,
                stage,
                stride=stride,
                filters_in=filters,
                filters=_scaled_filters(stage.filters, width),
                name=f"block{number}",
            )
            filters, number = _scaled_filters(stage.filters, width), number + 1
    return [*features, x]


def _bottleneck(
    x: Any, stage: _Stage, *, stride: int, filters_in: int, filters: int, name: str
) -> Any:
    y = x
    if stage.growth != 1:
        y = layers.Conv2D(filters_in * stage.growth, 1, use_bias=False, name=f"{name}_expand")(y)
        y = _normalized(y, name=f"{name}_expand", activation="relu6")
    y = layers.DepthwiseConv2D(
        stage.kernel, strides=stride, padding="same", use_bias=False, name=f"{name}_depthwise"
    )(y)
    y = _normalized(y, name=f"{name}_depthwise", activation="relu6")
    y = layers.Conv2D(filters, 1, use_bias=False, name=f"{name}_project")(y)
    y = _normalized(y, name=f"{name}_project", activation=None)
    if stride == 1 and filters_in == filters:
        y = layers.Add(name=f"{name}_add")([x, y])
    return y


def _normalized(x: Any, *, name: str, activation: str | None) -> Any:
    x = layers.BatchNormalization(epsilon=_EPSILON, momentum=_MOMENTUM, name=f"{name}_norm")(x)
    return (
        x if activation is None else layers.Activation(activation, name=f"{name}_{activation}")(x)
    )


def _scaled_filters(filters: int, width: float) -> int:
    """The nearest multiple of eight, but not less than 90 % of what was asked for."""
    if width == 1.0:
        return filters
    scaled = filters * width
    kept = max(_FILTER_STEP, int(scaled + _FILTER_STEP / 2) // _FILTER_STEP * _FILTER_STEP)
    return kept + _FILTER_STEP if kept < 0.9 * scaled else kept
