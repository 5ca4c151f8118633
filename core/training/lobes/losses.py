"""Loss of the lobe network: cross-entropy and Dice, both weighted point by point."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from core.segmentation.models.lobes import LOBES

_SMOOTH = 1.0


@keras.saving.register_keras_serializable(package="lunglens")
class LobeLoss(keras.losses.Loss):
    """Mean of weighted cross-entropy and one minus the mean Dice over lobes.

    Truth: (n, *grid, 2), number of the lobe and weight; predicted: (n, *grid, 5) probabilities.
    """

    def call(self, y_true: Any, y_pred: Any) -> Any:
        true = ops.one_hot(ops.cast(y_true[..., 0], "int32"), LOBES, dtype="float32")
        weight = y_true[..., 1:]
        predicted = ops.clip(ops.cast(y_pred, "float32"), 1e-6, 1.0)
        grid = (1, 2, 3)
        entropy = -ops.sum(weight * true * ops.log(predicted), axis=(*grid, 4))
        entropy = entropy / ops.sum(weight, axis=(*grid, 4))
        hit = ops.sum(weight * true * predicted, axis=grid)
        size = ops.sum(weight * (true + predicted), axis=grid)
        dice = ops.mean((2.0 * hit + _SMOOTH) / (size + _SMOOTH), axis=-1)
        return entropy + (1.0 - dice)
