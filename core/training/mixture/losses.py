"""Losses for truth that is unknown in part, and doubted in part."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from core.training.losses import UNKNOWN, binary_crossentropy, soft_dice_loss

UNVERIFIED = -0.5
"""Truth of a pixel that should show nothing, where nobody has looked: taken for 0, unless the
network is sure of the contrary."""
_SURE = 0.8
_EPSILON = 1e-6


@keras.saving.register_keras_serializable(package="lunglens")
class MixtureLoss(keras.losses.Loss):
    """Binary cross-entropy + soft Dice over the batch, of known pixels, summed over channels;
    the mean over the heads of a network that has several."""

    def __init__(self, name: str = "mixture_loss", **keywords: Any) -> None:
        keywords.setdefault("reduction", None)
        super().__init__(name=name, **keywords)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        channels = y_true.shape[-1]
        heads = ops.split(y_pred, y_pred.shape[-1] // channels, axis=-1)
        total = 0.0
        for head in heads:
            settled = resolve_unverified(y_true, head)
            total += binary_crossentropy(settled, head) + soft_dice_loss(settled, head)
        return channels * total / len(heads)


def resolve_unverified(y_true: Any, y_pred: Any) -> Any:
    """Truth in which doubted pixels are 0, or unknown where the network is sure of more."""
    doubted = ops.equal(y_true, UNVERIFIED)
    sure = ops.stop_gradient(ops.cast(y_pred, "float32")) >= _SURE
    settled = ops.where(sure, UNKNOWN, 0.0)
    return ops.where(doubted, ops.cast(settled, y_true.dtype), y_true)


@keras.saving.register_keras_serializable(package="lunglens")
class PresenceLoss(keras.losses.Loss):
    """Mean binary cross-entropy of what is known: (n, channels) against (n, channels)."""

    def __init__(self, name: str = "presence_loss", **keywords: Any) -> None:
        keywords.setdefault("reduction", None)
        super().__init__(name=name, **keywords)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        y_pred = ops.clip(ops.cast(y_pred, "float32"), _EPSILON, 1.0 - _EPSILON)
        y_true = ops.cast(y_true, "float32")
        known = ops.cast(y_true >= 0.0, "float32")
        true = y_true * known
        losses = -(true * ops.log(y_pred) + (1.0 - true) * ops.log(1.0 - y_pred))
        return ops.sum(losses * known) / ops.maximum(ops.sum(known), 1.0)
