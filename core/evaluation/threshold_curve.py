"""Precision, recall and Dice at every threshold, from one look at the probabilities.

Thresholds are compared on the scan's own grid, where masks are made too, so a curve passes exactly
through the values of the masks at their own threshold. Voxels are counted once by probability;
each threshold is then a sum over the counts above it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.errors import GeometryError
from core.evaluation.metrics import ratios
from core.preprocessing import SpatialRecord, restore_slice
from core.segmentation import Probabilities, probability_level
from core.system import ShouldCancel, never_cancel, raise_if_cancelled
from core.volume import BoolArray

Counts = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]

_LEVELS = 256
THRESHOLDS: tuple[float, ...] = tuple(round(step / 100, 2) for step in range(1, 100))
"""Every hundredth from 0.01 to 0.99."""


@dataclass(frozen=True, eq=False)
class LevelCounts:
    """How many voxels of a scan have each probability.

    Attributes:
        true: (256,) those of the true mask, by probability times 255.
        every: (256,) all of them. Those known to have no probability at all need not be counted:
            no threshold reaches level 0.
        in_true: size of the true mask.
    """

    true: Counts
    every: Counts
    in_true: int


@dataclass(frozen=True, eq=False)
class ThresholdCurve:
    """What each threshold finds; every array is (thresholds,)."""

    thresholds: Values
    hit: Counts
    false: Counts
    missed: Counts

    @property
    def precision(self) -> Values:
        """hit / (hit + false); nan where nothing is predicted."""
        return ratios(self.hit, self.hit + self.false)

    @property
    def recall(self) -> Values:
        """hit / (hit + missed); nan where nothing is true."""
        return ratios(self.hit, self.hit + self.missed)

    @property
    def dice(self) -> Values:
        """2·hit / (2·hit + false + missed); nan where nothing is true or predicted."""
        return ratios(2 * self.hit, 2 * self.hit + self.false + self.missed)


def count_levels(
    probability: Probabilities,
    mask_true: BoolArray,
    record: SpatialRecord,
    *,
    inside: BoolArray | None = None,
    should_cancel: ShouldCancel = never_cancel,
) -> LevelCounts:
    """Counts voxels by probability, slice by slice, on the scan's grid.

    Args:
        probability: (n, rows, columns) uint8 on the network's grid.
        mask_true: (i, j, n) on the scan's grid.
        record: how slices were moved onto the network's grid.
        inside: (i, j, n) voxels that can be marked, such as the predicted lung; none for all.

    Raises:
        GeometryError: the mask has not the scan's shape.
        Cancelled: the person asked to stop.
    """
    rows, columns = record.slice_shape
    if mask_true.shape != (columns, rows, len(probability)):
        raise GeometryError(
            "Probabilities cannot be compared with the truth",
            got=f"a mask of shape {mask_true.shape}",
            expected=f"{(columns, rows, len(probability))}",
        )
    box = record.box
    true = np.zeros(_LEVELS, dtype=np.int64)
    every = np.zeros(_LEVELS, dtype=np.int64)
    for k, picture in enumerate(probability):
        raise_if_cancelled(should_cancel, "counting probabilities")
        if not picture.any():
            continue
        in_box = (slice(box.i_start, box.i_stop), slice(box.j_start, box.j_stop), k)
        restored = restore_slice(picture, record)
        if inside is not None:
            restored = np.where(inside[in_box].T, restored, 0).astype(np.uint8)
        every += np.bincount(restored.ravel(), minlength=_LEVELS)
        true += np.bincount(restored[mask_true[in_box].T], minlength=_LEVELS)
    return LevelCounts(true, every, int(np.count_nonzero(mask_true)))


def curve_of(counts: LevelCounts, thresholds: Iterable[float] = THRESHOLDS) -> ThresholdCurve:
    """Hit, false and missed at thresholds above 0 and below 1; a voxel counts from its threshold
    on."""
    asked = np.array(list(thresholds), dtype=np.float64)
    levels = np.array([probability_level(threshold) for threshold in asked], dtype=np.intp)
    hit = np.cumsum(counts.true[::-1])[::-1][levels]
    predicted = np.cumsum(counts.every[::-1])[::-1][levels]
    return ThresholdCurve(asked, hit, predicted - hit, counts.in_true - hit)


def mean_curves(curves: Mapping[str, Sequence[ThresholdCurve]]) -> dict[str, Values]:
    """Dice, precision and recall at each threshold: mean over patients, each the mean over their
    scans; undefined values are left out.

    Args:
        curves: by patient, all at the same thresholds.
    """
    return {
        name: _mean([_mean([getattr(one, name) for one in own]) for own in curves.values()])
        for name in ("dice", "precision", "recall")
    }


def _mean(rows: Sequence[Values]) -> Values:
    table = np.array(rows, dtype=np.float64)
    if not len(table):
        return np.full(0, np.nan)
    known = np.count_nonzero(~np.isnan(table), axis=0)
    return ratios(np.nansum(table, axis=0), known)
