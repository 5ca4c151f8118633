"""Losses that know of unknown truth.

A channel of a slice whose truth is unknown holds `UNKNOWN` in every pixel of `y_true` and takes
no part: infection-only data sets must not teach the lung channel.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

UNKNOWN = -1.0
_SMOOTH = 1.0
_EPSILON = 1e-6


@keras.saving.register_keras_serializable(package="lunglens")
class BinaryCrossentropyDice(keras.losses.Loss):
    """Binary cross-entropy plus soft Dice (Milletari et al. 2016, arXiv:1606.04797).

    Dice is taken over the batch and per channel, so that slices without infection count as what
    they are, a part of the volume, and not each as a Dice of their own.
    `y_true` and `y_pred` are (n, rows, columns, channels), truth 0, 1 or `UNKNOWN`.
    """

    def __init__(self, name: str = "bce_dice", **keywords: Any) -> None:
        # The sum over known pixels is normalised here; a further mean would only rescale it.
        keywords.setdefault("reduction", None)
        super().__init__(name=name, **keywords)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return binary_crossentropy(y_true, y_pred) + soft_dice_loss(y_true, y_pred)


def binary_crossentropy(y_true: Any, y_pred: Any) -> Any:
    """Mean over the known pixels of each channel, then over channels; a scalar."""
    known, y_true, y_pred = _known_parts(y_true, y_pred)
    y_pred = ops.clip(y_pred, _EPSILON, 1.0 - _EPSILON)
    losses = -(y_true * ops.log(y_pred) + (1.0 - y_true) * ops.log(1.0 - y_pred))
    per_channel = _sum_pixels(losses * known) / (_sum_pixels(known) + _EPSILON)
    return ops.mean(per_channel)


def soft_dice_loss(y_true: Any, y_pred: Any) -> Any:
    """1 - soft Dice over the known pixels of the batch, mean over channels; a scalar."""
    known, y_true, y_pred = _known_parts(y_true, y_pred)
    overlap = _sum_pixels(y_true * y_pred * known)
    total = _sum_pixels((y_true + y_pred) * known)
    return ops.mean(1.0 - (2.0 * overlap + _SMOOTH) / (total + _SMOOTH))


def _known_parts(y_true: Any, y_pred: Any) -> tuple[Any, Any, Any]:
    y_pred = ops.cast(y_pred, "float32")
    y_true = ops.cast(y_true, "float32")
    known = ops.cast(y_true >= 0.0, "float32")
    return known, y_true * known, y_pred


def _sum_pixels(values: Any) -> Any:
    return ops.sum(values, axis=(0, 1, 2))
