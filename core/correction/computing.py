"""Edits that are computed from the mask: which voxels they mark and which they clear."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.correction.edits import CopySlice, Interpolate, TogglePart
from core.correction.runs import NO_NUMBERS, Numbers, joined, numbers_in_slice
from core.correction.shapes import hole_at, part_at, slices_between
from core.errors import CorrectionError
from core.volume import PLANE_AXIS, BoolArray, Volume


def toggled_part(
    mask: BoolArray, edit: TogglePart, volume: Volume, inside: BoolArray | None
) -> tuple[Numbers, Numbers]:
    """The part that was clicked on, to be cleared, or the hole, or what grows, to be marked.

    Args:
        inside: where it may grow; none for everywhere.

    Raises:
        CorrectionError: the place lies outside the scan or in no hole.
    """
    if not all(0 <= at < count for at, count in zip(edit.voxel, mask.shape, strict=True)):
        raise outside_of_scan()
    is_marked = bool(mask[edit.voxel])
    if edit.limits_hu is not None and not is_marked:
        return _grown(mask, edit, volume, inside), NO_NUMBERS
    if edit.whole:
        numbers = _part_of_scan(mask, edit.voxel, is_marked=is_marked)
    else:
        axis = PLANE_AXIS[edit.at.plane]
        place = tuple(at for other, at in enumerate(edit.voxel) if other != axis)
        find = part_at if is_marked else hole_at
        found = find(np.take(mask, edit.at.index, axis=axis), place)
        numbers = np.sort(numbers_in_slice(mask.shape, axis, edit.at.index)[found])
    return (NO_NUMBERS, numbers) if is_marked else (numbers, NO_NUMBERS)


def _grown(mask: BoolArray, edit: TogglePart, volume: Volume, inside: BoolArray | None) -> Numbers:
    """Voxels between the limits that are connected with the one clicked on."""
    assert edit.limits_hu is not None
    axis, index = PLANE_AXIS[edit.at.plane], edit.at.index
    box = [slice(None)] * 3
    if not edit.whole:
        box[axis] = slice(index, index + 1)
    region = tuple(box)
    intensity = volume.intensity
    # In the scan's own values, so that a large scan need not be turned into HU.
    low, high = sorted((limit - intensity.intercept) / intensity.slope for limit in edit.limits_hu)
    open_to = (volume.array[region] >= low) & (volume.array[region] <= high) & ~mask[region]
    if inside is not None:
        open_to &= inside[region]
    place = tuple(0 if at == axis and not edit.whole else edit.voxel[at] for at in range(3))
    if not open_to[place]:
        raise CorrectionError(
            "No region can be grown from here",
            got="a voxel outside the limits or the lung",
            expected="one between the two HU values",
            next_step="click on another voxel, or change the limits",
        )
    i, j, k = np.nonzero(part_at(open_to, place))
    offsets = [0 if part.start is None else int(part.start) for part in region]
    columns, rows, _ = mask.shape
    numbers: Numbers = np.sort(
        (i + offsets[0]) + columns * ((j + offsets[1]) + rows * (k + offsets[2]).astype(np.int64))
    )
    return numbers


def _part_of_scan(mask: BoolArray, voxel: tuple[int, int, int], *, is_marked: bool) -> Numbers:
    # Only what lies around marked voxels is looked at. A hole needs a margin, to be open to.
    box, corner = _box_around(mask, margin=0 if is_marked else 1)
    place = tuple(at - low for at, low in zip(voxel, corner, strict=True))
    inside = mask[box]
    if any(not 0 <= at < count for at, count in zip(place, inside.shape, strict=True)):
        hole_at(np.zeros((3, 3), dtype=bool), (1, 1))  # far away: open
    found = part_at(inside, place) if is_marked else hole_at(inside, place)
    i, j, k = (at + low for at, low in zip(np.nonzero(found), corner, strict=True))
    columns, rows, _ = mask.shape
    numbers: Numbers = np.sort(i + columns * (j + rows * k.astype(np.int64)))
    return numbers


def _box_around(mask: BoolArray, *, margin: int) -> tuple[tuple[slice, ...], tuple[int, ...]]:
    """The smallest box with all that is marked, and its first voxel."""
    box = []
    for axis, count in enumerate(mask.shape):
        others = tuple(other for other in range(3) if other != axis)
        marked = np.flatnonzero(mask.any(axis=others))
        low, high = (int(marked[0]), int(marked[-1]) + 1) if marked.size else (0, 0)
        box.append(slice(max(low - margin, 0), min(high + margin, count)))
    return tuple(box), tuple(part.start for part in box)


def interpolated(
    mask: BoolArray,
    edit: Interpolate,
    drawn: Sequence[int],
    *,
    spacing_mm: tuple[float, float, float],
) -> tuple[Numbers, Numbers, str]:
    """The slices between two drawn ones: what is marked, what is cleared, and where.

    Args:
        drawn: slices of the plane that were drawn on, the latest first.

    Raises:
        CorrectionError: there are no two such slices, or one of them is empty.
    """
    low, high = _drawn_pair(edit, drawn)
    axis = PLANE_AXIS[edit.at.plane]
    first, last = (np.take(mask, index, axis=axis) for index in (low, high))
    if not first.any() or not last.any():
        empty = low if not first.any() else high
        raise CorrectionError(
            "There is nothing to interpolate",
            got=f"slice {empty + 1}, which has nothing marked",
            expected="two drawn slices with something marked",
        )
    one, other = (spacing_mm[across] for across in range(3) if across != axis)
    shapes = slices_between(first, last, count=high - low - 1, spacing_mm=(one, other))
    marked, cleared = [], []
    for index, shape in enumerate(shapes, low + 1):
        numbers = numbers_in_slice(mask.shape, axis, index)
        marked.append(numbers[shape])
        cleared.append(numbers[~shape])
    where = f"slice {low + 2}" if high - low == 2 else f"slices {low + 2} to {high}"
    return joined(*marked), joined(*cleared), f"in {where}, interpolated"


def _drawn_pair(edit: Interpolate, drawn: Sequence[int]) -> tuple[int, int]:
    """The two drawn slices, in order."""
    here = edit.at.index
    if here in drawn:
        others = [index for index in drawn if index != here]
        pair = sorted((here, others[0])) if others else []
    else:
        below = max((index for index in drawn if index < here), default=None)
        above = min((index for index in drawn if index > here), default=None)
        pair = [] if below is None or above is None else [below, above]
    if not pair or pair[1] - pair[0] < 2:
        plural = "" if len(drawn) == 1 else "s"
        raise CorrectionError(
            "There is nothing to interpolate",
            got=f"{len(drawn)} drawn {edit.at.plane} slice{plural}",
            expected="two drawn slices of this plane with others between them",
            next_step="draw on one more slice, or go to a slice between two drawn ones",
        )
    return pair[0], pair[1]


def copied(mask: BoolArray, edit: CopySlice) -> tuple[Numbers, Numbers, str]:
    """A slice as its neighbour is: what is marked, what is cleared, and from where.

    Raises:
        CorrectionError: there is no such neighbour.
    """
    axis = PLANE_AXIS[edit.at.plane]
    source = edit.at.index + edit.step
    if not 0 <= source < mask.shape[axis]:
        end = "first" if edit.step < 0 else "last"
        raise CorrectionError("There is no slice to copy from", got=f"the {end} slice of the scan")
    shape = np.take(mask, source, axis=axis)
    numbers = numbers_in_slice(mask.shape, axis, edit.at.index)
    return np.sort(numbers[shape]), np.sort(numbers[~shape]), f"copied from slice {source + 1}"


def outside_of_scan() -> CorrectionError:
    """The error for a place that the scan does not have."""
    return CorrectionError("This place is outside the scan")
