"""Where in the lungs voxels lie, counted slice by slice: thirds, halves, rim and core.

All counting is in one table: voxels by side, third, half, depth and infection. Density is counted
beside it as a histogram of whole HU. No array of the scan's size is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.measuring.biomarkers.config import BiomarkerConfig
from core.measuring.biomarkers.ribs import Ribs
from core.measuring.biomarkers.sides import LungSides
from core.system import (
    OnProgress,
    ShouldCancel,
    ignore_progress,
    in_parts,
    never_cancel,
    raise_if_cancelled,
)
from core.volume import Array, BoolArray, Volume

Counts = npt.NDArray[np.int64] | npt.NDArray[np.float64]

THIRDS = ("lower", "middle", "upper")
HALVES = ("ventral", "dorsal")
DEPTHS = ("central", "peripheral")

HU_LOW, HU_HIGH = -1500, 3100
"""HU beyond are counted at these ends."""
_SHAPE = (2, 3, 2, 2, 2)
_TOGETHER = 16
"""Slices that are counted in one go: a fixed number, so that sums of weighted voxels do not depend
on how many cores there are."""


@dataclass(frozen=True, eq=False)
class RegionCounts:
    """Voxels of the lungs by where they lie.

    Attributes:
        voxels: (2, 3, 2, 2, 2) by side (right, left), third, half, depth, infected (no, yes); the
            names in the order of `THIRDS`, `HALVES` and `DEPTHS`. Whole numbers, but where the
            slices of the scan are not alike: there each voxel counts as its slice is thick.
        hu: (2, 2, n) by side, infected, and whole HU from `HU_LOW` on; none without HU.
    """

    voxels: Counts
    hu: Counts | None

    def __add__(self, other: RegionCounts) -> RegionCounts:
        """Of other slices of the same scan."""
        unknown = self.hu is None or other.hu is None
        hu: Counts | None = None if unknown else np.add(self.hu, other.hu)  # type: ignore[arg-type]
        return RegionCounts(np.add(self.voxels, other.voxels), hu)


def count_regions(
    volume: Volume,
    sides: LungSides,
    infection: BoolArray | None,
    config: BiomarkerConfig,
    *,
    on_progress: OnProgress = ignore_progress,
    should_cancel: ShouldCancel = never_cancel,
) -> RegionCounts:
    """Counts every lung voxel once.

    Thirds: axial slices of each lung, from below, divided where its volume comes nearest to one and
    two thirds. Halves: coronal planes of each lung, divided where its volume comes nearest to one
    half. Depth: the distance in the axial slice from the convex outline around both lungs, which
    follows the ribs and passes the mediastinum; where a slice holds one lung only, its mirror
    image about the midline stands in for the other.

    Args:
        sides: of `split_lungs` on the same grid.
        infection: on the scan's grid; none counts all lung as not infected.

    Raises:
        Cancelled: the person asked to stop.
    """
    weights = volume.slice_weights
    if weights is not None:
        weights = weights[sides.box[2]]
    thirds = _parts(sides, weights, axis=2, parts=3)
    halves = _parts(sides, weights, axis=1, parts=2)
    asked = _Asked(volume, sides, infection, config, weights, thirds, halves)
    count = sides.labels.shape[2]

    def count_part(slices: Sequence[int]) -> RegionCounts:
        raise_if_cancelled(should_cancel, "measuring the lungs")
        return _count_slices(asked, slices)

    total: RegionCounts | None = None
    for number, part in enumerate(in_parts(count_part, range(count), _TOGETHER), start=1):
        total = part if total is None else total + part
        on_progress("measuring the lungs", min(number * _TOGETHER, count), count)
    assert total is not None
    return total


@dataclass(frozen=True, eq=False)
class _Asked:
    """What `count_regions` was asked, and what it found out for all slices.

    Attributes:
        weights: of the slices of the lungs' box; none where they are alike.
        thirds, halves: of `_parts`.
    """

    volume: Volume
    sides: LungSides
    infection: BoolArray | None
    config: BiomarkerConfig
    weights: npt.NDArray[np.float64] | None
    thirds: npt.NDArray[np.int64]
    halves: npt.NDArray[np.int64]


def _count_slices(asked: _Asked, slices: Sequence[int]) -> RegionCounts:
    """The counts of some slices of the lungs' box."""
    volume, sides, infection, weights = asked.volume, asked.sides, asked.infection, asked.weights
    voxels = _no_counts(int(np.prod(_SHAPE)), weights)
    bins = HU_HIGH - HU_LOW + 1
    hu = _no_counts(4 * bins, weights) if volume.unit == "HU" else None
    ribs = Ribs(volume, sides.midline - sides.box[0].start)
    for k in slices:
        # Columns first: slices lie like that in memory.
        labels = sides.labels[:, :, k].T
        lung = labels > 0
        j, i = np.nonzero(lung)
        if i.size == 0:
            continue
        side = labels[lung].astype(np.int64) - 1
        infected = np.zeros(i.size, dtype=np.int64)
        if infection is not None:
            infected += _plane(infection, sides, k)[lung]
        rim = ribs.find_rim(i, j, side, asked.config).astype(np.int64)
        code = ((side * 3 + asked.thirds[side, k]) * 2 + asked.halves[side, j]) * 2 + rim
        weight = 1 if weights is None else float(weights[k])
        voxels += np.bincount(code * 2 + infected, minlength=voxels.size) * weight
        if hu is not None:
            whole, known = _whole_hu(volume, _plane(volume.array, sides, k)[lung])
            group = (side * 2 + infected)[known]
            hu += np.bincount(group * bins + (whole - HU_LOW), minlength=hu.size) * weight
    return RegionCounts(voxels.reshape(_SHAPE), None if hu is None else hu.reshape(2, 2, bins))


def _plane(array: Array, sides: LungSides, k: int) -> Array:
    """(columns, rows) of slice k of the box, as a view."""
    i, j, slices = sides.box
    view: Array = array[i, j, slices.start + k].T
    return view


def _no_counts(size: int, weights: npt.NDArray[np.float64] | None) -> Counts:
    """Whole numbers unless voxels are weighted."""
    return np.zeros(size, dtype=np.int64) if weights is None else np.zeros(size)


def _parts(
    sides: LungSides, weights: npt.NDArray[np.float64] | None, *, axis: int, parts: int
) -> npt.NDArray[np.int64]:
    """(2, planes) part of each plane along an axis, of the right and the left lung; the parts hold
    about the same volume. Thirds of axial slices count from below, halves of coronal planes from
    the front."""
    numbers = np.zeros((2, sides.labels.shape[axis]), dtype=np.int64)
    for at in range(2):
        table = np.count_nonzero(sides.labels == at + 1, axis=0).astype(np.float64)
        if weights is not None:
            table *= weights
        held = table.sum(axis=2 - axis)
        before = np.concatenate([[0], np.cumsum(held)])
        for part in range(1, parts):
            cut = int(np.argmin(np.abs(before - before[-1] * part / parts)))
            numbers[at, cut:] = part
    return numbers


def thickness(sides: LungSides) -> tuple[tuple[int, int], tuple[int, int]]:
    """(axial slices, coronal planes) that hold the right and the left lung."""
    right, left = (
        (
            int(np.count_nonzero((sides.labels == n).any(axis=(0, 1)))),
            int(np.count_nonzero((sides.labels == n).any(axis=(0, 2)))),
        )
        for n in (1, 2)
    )
    return right, left


def _whole_hu(volume: Volume, values: Array) -> tuple[npt.NDArray[np.int64], BoolArray]:
    """HU rounded to whole numbers, and which values are numbers at all."""
    if values.dtype.kind == "f":
        known = np.isfinite(values)
        values = np.rint(volume.hu(values[known]))
    else:
        known = np.ones(values.shape, dtype=np.bool_)
    return np.clip(values, HU_LOW, HU_HIGH).astype(np.int64), known
