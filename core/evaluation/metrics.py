"""How well a predicted mask covers the true one.

Undefined stays undefined: where both masks are empty there is nothing to overlap and every
value is nan; where only the prediction is empty precision is nan; where only the truth is
empty recall is nan. Shown as "not defined".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.errors import GeometryError
from core.volume import BoolArray


@dataclass(frozen=True)
class Overlap:
    """Overlap of two masks.

    dice = 2·hit / (2·hit + missed + false), iou = hit / (hit + missed + false),
    precision = hit / (hit + false), recall = hit / (hit + missed),
    specificity = outside both / (outside both + false), all in [0, 1] or nan.
    """

    dice: float
    iou: float
    precision: float
    recall: float
    specificity: float


def compute_overlap(mask_true: BoolArray, mask_pred: BoolArray) -> Overlap:
    """All values of `Overlap` over the voxels of two masks of one shape."""
    check_shapes(mask_true, mask_pred)
    hit = int(np.count_nonzero(mask_true & mask_pred))
    in_true = int(np.count_nonzero(mask_true))
    in_pred = int(np.count_nonzero(mask_pred))
    return Overlap(
        dice=_ratio(2 * hit, in_true + in_pred),
        iou=_ratio(hit, in_true + in_pred - hit),
        precision=_ratio(hit, in_pred),
        recall=_ratio(hit, in_true),
        specificity=_ratio(mask_true.size - in_true - in_pred + hit, mask_true.size - in_true),
    )


def compute_overlap_per_slice(
    mask_true: BoolArray, mask_pred: BoolArray, *, axis: int = 2
) -> dict[str, npt.NDArray[np.float64]]:
    """Dice, IoU, precision and recall of every slice along `axis`: name → (slices,) float64, nan
    if undefined."""
    check_shapes(mask_true, mask_pred)
    others = tuple(n for n in range(mask_true.ndim) if n != axis % mask_true.ndim)
    hit = np.count_nonzero(mask_true & mask_pred, axis=others).astype(np.float64)
    in_true = np.count_nonzero(mask_true, axis=others).astype(np.float64)
    in_pred = np.count_nonzero(mask_pred, axis=others).astype(np.float64)
    return {
        "dice": ratios(2 * hit, in_true + in_pred),
        "iou": ratios(hit, in_true + in_pred - hit),
        "precision": ratios(hit, in_pred),
        "recall": ratios(hit, in_true),
    }


def ratios(part: npt.ArrayLike, whole: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """part / whole element by element, nan where `whole` is 0."""
    above, below = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    result: npt.NDArray[np.float64] = np.full(below.shape, np.nan)
    np.divide(above, below, out=result, where=below > 0)
    return result


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


def check_shapes(mask_true: BoolArray, mask_pred: BoolArray) -> None:
    """Refuses two masks of different shapes.

    Raises:
        GeometryError: the shapes differ.
    """
    if mask_true.shape != mask_pred.shape:
        raise GeometryError(
            "Two masks cannot be compared",
            got=f"shapes {mask_true.shape} and {mask_pred.shape}",
            expected="the same shape",
        )
