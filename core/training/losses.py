"""Losses that ignore unknown truth.

A channel of a slice whose truth is unknown holds `UNKNOWN` in every pixel of `y_true` and takes
no part: data sets of infection alone must not train the lung channel.

All take `y_true` and `y_pred` (n, rows, columns, channels), truth 0, 1 or `UNKNOWN`, prediction
a probability, and give a scalar. Overlaps are taken over the batch and per channel, so that
slices without infection count as what they are, a part of the volume, and not each as a Dice of
their own.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from core.config import LossConfig
from core.errors import ConfigError

UNKNOWN = -1.0
_SMOOTH = 1.0
_EPSILON = 1e-6


@keras.saving.register_keras_serializable(package="lunglens")
class SegmentationLoss(keras.losses.Loss):
    """The loss that a `LossConfig` names.

    Of a network with several heads (n, rows, columns, heads × channels) it is the mean over the
    heads: deep supervision (Lee et al. 2015, arXiv:1409.5185).
    """

    def __init__(
        self,
        kind: str = "bce_dice",
        alpha: float = 0.3,
        gamma: float = 4.0 / 3.0,
        name: str = "segmentation_loss",
        **keywords: Any,
    ) -> None:
        # The sum over known pixels is normalised below; a further mean would only rescale it.
        keywords.setdefault("reduction", None)
        super().__init__(name=name, **keywords)
        if kind not in _LOSSES:
            raise ConfigError("Unknown loss", got=repr(kind), expected=" or ".join(_LOSSES))
        self.kind = kind
        self.alpha = alpha
        self.gamma = gamma

    def call(self, y_true: Any, y_pred: Any) -> Any:
        channels = y_true.shape[-1]
        heads = ops.split(y_pred, y_pred.shape[-1] // channels, axis=-1)
        return sum(_LOSSES[self.kind](self, y_true, head) for head in heads) / len(heads)

    def get_config(self) -> dict[str, Any]:
        own = {"kind": self.kind, "alpha": self.alpha, "gamma": self.gamma}
        return {**super().get_config(), **own}


def build_loss(config: LossConfig) -> SegmentationLoss:
    """The loss of a config."""
    return SegmentationLoss(kind=config.kind, alpha=config.alpha, gamma=config.gamma)


def binary_crossentropy(y_true: Any, y_pred: Any) -> Any:
    """Mean over the known pixels of each channel, then over channels."""
    known, y_true, y_pred = _known_parts(y_true, y_pred)
    y_pred = ops.clip(y_pred, _EPSILON, 1.0 - _EPSILON)
    losses = -(y_true * ops.log(y_pred) + (1.0 - y_true) * ops.log(1.0 - y_pred))
    per_channel = _sum_pixels(losses * known) / (_sum_pixels(known) + _EPSILON)
    return ops.mean(per_channel)


def soft_dice_loss(y_true: Any, y_pred: Any) -> Any:
    """1 - soft Dice (Milletari et al. 2016, arXiv:1606.04797), mean over channels."""
    return ops.mean(1.0 - _tversky_index(y_true, y_pred, alpha=0.5))


def tversky_loss(y_true: Any, y_pred: Any, *, alpha: float) -> Any:
    """1 - Tversky index (Salehi et al. 2017, arXiv:1706.05721), mean over channels.

    `alpha` weights false positive pixels and 1 - alpha false negative ones; 0.5 is soft Dice, less
    favours recall.
    """
    return ops.mean(1.0 - _tversky_index(y_true, y_pred, alpha=alpha))


def focal_tversky_loss(y_true: Any, y_pred: Any, *, alpha: float, gamma: float) -> Any:
    """(1 - Tversky index)^(1/gamma) (Abraham and Khan 2019, arXiv:1810.07842), mean over channels.

    With `gamma` above 1 hard cases weigh more: a channel with little overlap keeps a larger
    gradient than one with much.
    """
    missing = 1.0 - _tversky_index(y_true, y_pred, alpha=alpha)
    # The slope of a root is infinite at 0, the value of a channel that is known nowhere.
    return ops.mean(ops.power(ops.maximum(missing, _EPSILON), 1.0 / gamma))


def _tversky_index(y_true: Any, y_pred: Any, *, alpha: float) -> Any:
    known, y_true, y_pred = _known_parts(y_true, y_pred)
    hit = _sum_pixels(y_true * y_pred * known)
    wrong = _sum_pixels((1.0 - y_true) * y_pred * known)
    missed = _sum_pixels(y_true * (1.0 - y_pred) * known)
    smooth = 0.5 * _SMOOTH
    return (hit + smooth) / (hit + alpha * wrong + (1.0 - alpha) * missed + smooth)


def _known_parts(y_true: Any, y_pred: Any) -> tuple[Any, Any, Any]:
    y_pred = ops.cast(y_pred, "float32")
    y_true = ops.cast(y_true, "float32")
    known = ops.cast(y_true >= 0.0, "float32")
    return known, y_true * known, y_pred


def _sum_pixels(values: Any) -> Any:
    return ops.sum(values, axis=(0, 1, 2))


_LOSSES: dict[str, Any] = {
    "bce": lambda loss, *y: binary_crossentropy(*y),
    "dice": lambda loss, *y: soft_dice_loss(*y),
    "bce_dice": lambda loss, *y: binary_crossentropy(*y) + soft_dice_loss(*y),
    "tversky": lambda loss, *y: tversky_loss(*y, alpha=loss.alpha),
    "focal_tversky": lambda loss, *y: focal_tversky_loss(*y, alpha=loss.alpha, gamma=loss.gamma),
}
