"""How well a predicted mask covers the true one.

Undefined stays undefined: where both masks are empty there is nothing to overlap and every
figure is nan; where only the prediction is empty precision is nan; where only the truth is
empty recall is nan. Distances need two surfaces, so they are nan where either mask is empty;
surface Dice is then 0, or nan where both are. Shown as "not defined".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.errors import GeometryError
from core.volume import BoolArray

_MANY_POINTS = 20_000
"""From so many on, threads save more than they cost."""


@dataclass(frozen=True)
class Overlap:
    """Overlap of two masks.

    dice = 2·hit / (2·hit + missed + false), iou = hit / (hit + missed + false),
    precision = hit / (hit + false), recall = hit / (hit + missed),
    specificity = left out by both / (left out by both + false), all in [0, 1] or nan.
    """

    dice: float
    iou: float
    precision: float
    recall: float
    specificity: float


def compute_overlap(mask_true: BoolArray, mask_pred: BoolArray) -> Overlap:
    """All figures of `Overlap` over the voxels of two masks of one shape."""
    _check_shapes(mask_true, mask_pred)
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
    _check_shapes(mask_true, mask_pred)
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


@dataclass(frozen=True)
class SurfaceAgreement:
    """How far the surfaces of two masks lie apart.

    Attributes:
        hd95_mm: Hausdorff distance without the outermost 5 %: of both directions the larger 95th
            percentile of distances from one surface to the other.
        surface_dice: share of both surfaces that lies within the tolerance of the other
            (Nikolov et al. 2021, doi:10.2196/26151).
    """

    hd95_mm: float
    surface_dice: float


def compute_surface_agreement(
    mask_true: BoolArray,
    mask_pred: BoolArray,
    *,
    spacing_mm: tuple[float, float, float],
    tolerance_mm: float,
) -> SurfaceAgreement:
    """Distances between the surfaces of two masks (i, j, k) of one shape.

    A surface is the voxels of a mask that have one outside it among their neighbours along the
    axes; beyond the array is outside. Every surface voxel counts alike, at its centre. A single
    slice is taken as the flat picture that it is.
    """
    _check_shapes(mask_true, mask_pred)
    box = _box_around(mask_true | mask_pred)
    true, pred = (_surface_points(mask[box], spacing_mm) for mask in (mask_true, mask_pred))
    if not (len(true) and len(pred)):
        return SurfaceAgreement(float("nan"), 0.0 if len(true) + len(pred) else float("nan"))
    # Imported here: few need it, and it takes a while.
    from scipy.spatial import cKDTree

    workers = -1 if len(true) + len(pred) > _MANY_POINTS else 1
    from_true = cKDTree(pred).query(true, workers=workers)[0]
    from_pred = cKDTree(true).query(pred, workers=workers)[0]
    # Centres of voxels on a common grid: a distance equal to the tolerance is within it, whatever
    # the last bits say.
    reach = tolerance_mm * (1 + 1e-9)
    close = np.count_nonzero(from_true <= reach) + np.count_nonzero(from_pred <= reach)
    return SurfaceAgreement(
        hd95_mm=float(max(np.percentile(from_true, 95), np.percentile(from_pred, 95))),
        surface_dice=close / (len(true) + len(pred)),
    )


def _box_around(mask: BoolArray) -> tuple[slice, ...]:
    """Ranges that hold all of `mask` and a voxel more on each side where there is one, so that
    the box has the same surfaces and no axis becomes flat that was not."""
    ranges = []
    for axis in range(mask.ndim):
        others = tuple(other for other in range(mask.ndim) if other != axis)
        held = np.flatnonzero(mask.any(axis=others))
        first, last = (int(held[0]), int(held[-1])) if held.size else (0, 0)
        ranges.append(slice(max(first - 1, 0), last + 2))
    return tuple(ranges)


def _surface_points(
    mask: BoolArray, spacing_mm: tuple[float, float, float]
) -> npt.NDArray[np.float64]:
    """Centres of surface voxels in mm from the first voxel, (n, 3)."""
    inside = mask.copy()
    for axis, length in enumerate(mask.shape):
        if length == 1:
            continue
        ahead, behind = np.moveaxis(inside, axis, 0), np.moveaxis(mask, axis, 0)
        ahead[1:] &= behind[:-1]
        ahead[:-1] &= behind[1:]
        ahead[[0, -1]] = False
    points: npt.NDArray[np.float64] = np.argwhere(mask & ~inside) * np.asarray(spacing_mm)
    return points


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


def _check_shapes(mask_true: BoolArray, mask_pred: BoolArray) -> None:
    if mask_true.shape != mask_pred.shape:
        raise GeometryError(
            "Two masks cannot be compared",
            got=f"shapes {mask_true.shape} and {mask_pred.shape}",
            expected="the same shape",
        )
