"""Every measure of agreement slice by slice: where in a scan a prediction fails."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.evaluation.metrics import compute_overlap_per_slice, ratios
from core.evaluation.surface_distance import compute_surface_agreement
from core.measuring.biomarkers import count_by_slice
from core.system import ShouldCancel, never_cancel, raise_if_cancelled
from core.volume import BoolArray

Counts = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]

SCORES = ("dice", "iou", "precision", "recall", "specificity", "hd95_mm", "surface_dice")


@dataclass(frozen=True, eq=False)
class SliceScores:
    """One channel of a scan; every array is (slices,), undefined values are nan.

    The rules for empty masks are those of `core.evaluation.metrics`, a slice standing for the scan.
    """

    hit: Counts
    missed: Counts
    false: Counts
    dice: Values
    iou: Values
    precision: Values
    recall: Values
    specificity: Values
    hd95_mm: Values
    surface_dice: Values

    def worst(self, count: int, *, by: str) -> list[int]:
        """Slices to look at first.

        Args:
            count: how many at most; slices without any error are left out.
            by: "dice", lowest first and among equals the largest error first; or "area", most
                missed and false pixels first.
        """
        error = self.missed + self.false
        order = np.lexsort((-error, self.dice)) if by == "dice" else np.argsort(-error)
        return [int(k) for k in order if error[k] > 0][:count]


def score_slices(
    mask_true: BoolArray,
    mask_pred: BoolArray,
    *,
    spacing_mm: tuple[float, float, float] | None,
    tolerance_mm: float,
    should_cancel: ShouldCancel = never_cancel,
) -> SliceScores:
    """Scores of every axial slice of two masks (i, j, slices).

    Args:
        spacing_mm: none where it is not known; distances are then undefined.
        tolerance_mm: of surface Dice.

    Raises:
        GeometryError: the masks differ in shape.
        Cancelled: the person asked to stop.
    """
    overlaps = compute_overlap_per_slice(mask_true, mask_pred)
    hit = count_by_slice(mask_true & mask_pred)
    missed = count_by_slice(mask_true) - hit
    false = count_by_slice(mask_pred) - hit
    outside = mask_true.shape[0] * mask_true.shape[1] - hit - missed
    distances = np.full((2, mask_true.shape[2]), np.nan)
    if spacing_mm is not None:
        for k in np.flatnonzero(hit + missed + false):
            raise_if_cancelled(should_cancel, "measuring slices")
            surfaces = compute_surface_agreement(
                mask_true[:, :, k : k + 1],
                mask_pred[:, :, k : k + 1],
                spacing_mm=spacing_mm,
                tolerance_mm=tolerance_mm,
            )
            distances[:, k] = surfaces.hd95_mm, surfaces.surface_dice
    return SliceScores(
        hit=hit,
        missed=missed,
        false=false,
        specificity=ratios(outside - false, outside),
        hd95_mm=distances[0],
        surface_dice=distances[1],
        **overlaps,
    )
