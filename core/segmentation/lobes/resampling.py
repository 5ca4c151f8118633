"""From a lung mask to the network's grid, and from its probabilities back to the mask's voxels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from scipy import ndimage

from core.measuring.biomarkers import bounding_box
from core.segmentation.lobes.grid import MARGIN
from core.system import side_by_side
from core.volume import BoolArray

Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.uint8]
Box = tuple[slice, slice, slice]

_COARSE_SIDE = 96
_STRAY_SHARE = 0.02
"""Of all lung: smaller pieces do not say where the lungs end."""
_PROBABILITY_MAX = 4095
_LABEL_BITS = 3
_LEAST_OF_LARGEST = 0.19
"""The largest of five probabilities is at least 0.2; 0.01 is left for rounding."""


def lungs_box(lung: BoolArray) -> Box | None:
    """The box around the pieces of a mask that are large enough to be lungs; none without any."""
    steps = [max(1, round(side / _COARSE_SIDE)) for side in lung.shape]
    coarse = lung[:: steps[0], :: steps[1], :: steps[2]]
    pieces, count = ndimage.label(coarse)
    if count == 0:
        return None
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    large = np.flatnonzero(sizes >= _STRAY_SHARE * sizes.sum())
    if large.size == 0:
        return None
    found = ndimage.find_objects(np.isin(pieces, large).view(np.uint8))[0]
    around = tuple(
        slice(max(0, (part.start - 1) * step + 1), min(side, part.stop * step))
        for part, step, side in zip(found, steps, lung.shape, strict=True)
    )
    inner = bounding_box(lung[around])
    if inner is None:
        return None
    return tuple(  # type: ignore[return-value]
        slice(part.start + own.start, part.start + own.stop)
        for part, own in zip(around, inner, strict=True)
    )


def shrink_mask(lung: BoolArray, box: Box, grid: tuple[int, int, int]) -> BoolArray:
    """(*grid) the part of a mask inside a box; a cell is lung if half of it is.

    Args:
        box: fills the grid but for `MARGIN` cells on each side.
    """
    inner = [side - 2 * int(MARGIN) for side in grid]
    part = lung[box]
    shrink = _plane_shrinker((part.shape[0], part.shape[1]), (inner[0], inner[1]))
    planes: Floats = np.empty((part.shape[2], inner[1], inner[0]), dtype=np.float32)

    def fill(k: int) -> None:
        planes[k] = shrink(np.ascontiguousarray(part[:, :, k].T).view(np.uint8))

    side_by_side(fill, range(len(planes)))
    upwards = _area_weights(len(planes), inner[2])
    shares = np.tensordot(upwards, planes, axes=1).transpose(2, 1, 0)
    found = np.zeros(grid, dtype=np.bool_)
    margin = int(MARGIN)
    found[margin:-margin, margin:-margin, margin:-margin] = shares >= 0.5
    return found


def _plane_shrinker(before: tuple[int, int], after: tuple[int, int]) -> Callable[[Labels], Floats]:
    """From a plane (rows, columns) of 0 and 1 to the share of 1 in each of fewer cells."""
    if before[0] >= after[0] and before[1] >= after[1]:
        # OpenCV keeps the type, so 1 becomes 255.
        return lambda plane: (
            np.asarray(
                cv2.resize(plane * np.uint8(255), after, interpolation=cv2.INTER_AREA),
                dtype=np.float32,
            )
            / np.float32(255)
        )
    across, down = _area_weights(before[0], after[0]), _area_weights(before[1], after[1])
    return lambda plane: np.asarray(down @ plane.astype(np.float32) @ across.T)


def _area_weights(count: int, cells: int) -> Floats:
    """(cells, count): how much of each cell lies in each of `count` voxels of the same length."""
    ends = np.linspace(0.0, count, cells + 1)
    low = np.maximum(ends[:-1, None], np.arange(count))
    high = np.minimum(ends[1:, None], np.arange(count) + 1.0)
    weights = np.maximum(high - low, 0.0) * cells / count
    return np.asarray(weights, dtype=np.float32)


def restore_labels(
    probabilities: Floats,
    lung: BoolArray,
    box: Box,
    *,
    finish: Callable[[Labels], None] | None = None,
) -> Labels:
    """(i, j, k) uint8: the most likely lobe, 1 to 5, of every voxel of the lung, 0 elsewhere.

    Probabilities are read linearly between the cells' centres, so that the fissures are surfaces
    and not steps.

    Args:
        probabilities: (*grid, 5).
        lung: (i, j, k).
        box: of `lungs_box`; lung outside of it goes with the nearest voxel inside.
        finish: changes labels in place, of the box around all lung.
    """
    margin = int(MARGIN)
    inner = probabilities[margin:-margin, margin:-margin, margin:-margin]
    # (lobe, up, back, left): planes as OpenCV wants them.
    planes = np.ascontiguousarray(inner.transpose(3, 2, 1, 0)) * np.float32(_PROBABILITY_MAX)
    across, back, up = box
    whole = bounding_box(lung) or box
    sides = (
        max(0, back.start - whole[1].start),
        max(0, whole[1].stop - back.stop),
        max(0, across.start - whole[0].start),
        max(0, whole[0].stop - across.stop),
    )
    size = (across.stop - across.start, back.stop - back.start)
    labels: Labels = np.zeros(lung.shape, dtype=np.uint8, order="F")

    def fill(k: int) -> None:
        own = lung[whole[0], whole[1], k].T
        if not own.any():
            return
        found = _plane_labels(_between(planes, up, k), size)
        if any(sides):
            found = np.asarray(
                cv2.copyMakeBorder(found, *sides, cv2.BORDER_REPLICATE), dtype=np.uint8
            )
            low = (max(0, whole[1].start - back.start), max(0, whole[0].start - across.start))
            found = found[low[0] : low[0] + own.shape[0], low[1] : low[1] + own.shape[1]]
        # As bytes: a product with booleans is ten times as slow.
        np.multiply(found, own.view(np.uint8), out=labels[whole[0], whole[1], k].T)

    side_by_side(fill, range(whole[2].start, whole[2].stop))
    if finish is not None:
        finish(labels[whole])
    return labels


def _between(planes: Floats, up: slice, k: int) -> Floats:
    """(lobe, back, left): the cells' values at the height of slice `k`."""
    count = planes.shape[1]
    at = (k - up.start + 0.5) * count / (up.stop - up.start) - 0.5
    at = min(max(at, 0.0), count - 1.0)
    low = min(int(at), count - 2)
    weight = np.float32(at - low)
    return np.asarray(planes[:, low] * (1 - weight) + planes[:, low + 1] * weight)


def _plane_labels(plane: Floats, size: tuple[int, int]) -> Labels:
    """(rows, columns) uint8: number of the largest of five values, read linearly.

    The number is carried in the lowest bits of each value, so that the larger value brings it.
    Reading linearly makes no value larger, so lobes that can nowhere be the largest are left out.
    """
    best: Any = None
    for number, values in enumerate(plane, start=1):
        if values.max() < _LEAST_OF_LARGEST * _PROBABILITY_MAX:
            continue
        grown: Any = cv2.resize(
            (values + np.float32(0.5)).astype(np.uint16), size, interpolation=cv2.INTER_LINEAR
        )
        # In place: a new array of this size is new memory of the system each time.
        grown <<= _LABEL_BITS
        grown |= np.uint16(number)
        best = grown if best is None else cv2.max(best, grown, best)
    best &= np.uint16((1 << _LABEL_BITS) - 1)
    return np.asarray(best, dtype=np.uint8)
