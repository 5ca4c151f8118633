"""Measures of what a scan shows: lungs at all, marks, slices twice, slices out of line."""

from __future__ import annotations

import cv2
import numpy as np

from core.measuring.biomarkers import FloatVector
from core.measuring.quality.view import SliceView, paired_share
from core.volume import BoolArray, FloatArray

_CROPPED = 0.45
"""From this share of the outline on the edge on, a picture is taken to be cropped to the chest."""
_CLEARLY_LUNG = 0.05
"""A share of enclosed air that is lung even in a cropped picture."""
_WHITE = 0.97
"""Of the slice's range: as bright as burnt-in text."""
_LETTER_SHARE = 0.05
"""Of the slice's longer side: the largest piece that may be a letter."""
_MIN_LETTER_SIDE = 3
"""In pixels; what is thinner may be a piece of the table."""
_NEIGHBOURS = 3


def lung_share(lungs: BoolArray, bodies: BoolArray, cut_off: FloatVector) -> FloatVector:
    """Share of each slice's body that may be lung; 0 where no body is found.

    nan where next to none is found in a picture cropped to the chest: its lungs may lie open to
    the edges, where no tissue encloses them.

    Args:
        lungs: (slices, rows, columns) candidates, from `core.preprocessing.roi.lungs.find_lungs`.
        bodies: the same shape.
        cut_off: (slices,) from `core.measuring.quality.geometry.outline_on_edge`.
    """
    areas = bodies.sum(axis=(1, 2))
    shares: FloatVector = (lungs & bodies).sum(axis=(1, 2)) / np.maximum(areas, 1)
    return np.where((cut_off > _CROPPED) & (shares < _CLEARLY_LUNG), np.nan, shares)


def chest_share(lungs: BoolArray, bodies: BoolArray, cut_off: FloatVector) -> float:
    """The largest share of a body that may be lung on that side which has less of it; 0 where no
    slice shows a body with air on both sides, as a chest does.

    nan where there is next to none and most slices are cropped to the chest, as above.
    """
    share = max(paired_share(lung & body, body) for lung, body in zip(lungs, bodies, strict=True))
    mostly_cropped = 2 * np.count_nonzero(cut_off > _CROPPED) > cut_off.size
    return float("nan") if mostly_cropped and share < _CLEARLY_LUNG else share


def mark_count(view: SliceView) -> float:
    """Small white pieces beside the body with black right next to them, as letters have.

    No scanner draws so sharp a step: blur puts greys between. Tables and their mounts are larger.
    nan where no body is found.
    """
    if not view.body.any():
        return float("nan")
    low, high = view.extremes
    white = (view.hu >= low + _WHITE * (high - low)) & view.surroundings
    if not white.any():
        return 0.0
    next_to_black = cv2.erode(view.hu, np.ones((3, 3), np.uint8)) < view.levels.threshold
    count, labels, stats, _ = cv2.connectedComponentsWithStats(white.astype(np.uint8))
    sharp = np.bincount(labels[next_to_black], minlength=count)
    sides = stats[:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]]
    longest = _LETTER_SHARE * max(view.hu.shape)
    letters = (sides.min(axis=1) >= _MIN_LETTER_SIDE) & (sides.max(axis=1) <= longest)
    letters &= sharp >= stats[:, cv2.CC_STAT_AREA] / 2
    return float(np.count_nonzero(letters[1:]))


def difference_to_previous(coarse: FloatArray) -> FloatVector:
    """Mean absolute difference to the slice below, over the usual one of the scan; (slices,).

    Args:
        coarse: (slices, rows, columns).

    Returns:
        0 where a slice repeats the one below it; nan for the first.
    """
    if len(coarse) < 2:
        return np.full(len(coarse), np.nan)
    differences = np.array(
        [np.abs(one - other).mean() for one, other in zip(coarse[1:], coarse[:-1], strict=True)]
    )
    # Not the median: where every slice comes twice, half of all differences are zero.
    usual = float(np.percentile(differences, 75))
    shares = differences / usual if usual > 0 else np.zeros_like(differences)
    return np.concatenate([[np.nan], shares])


def there_and_back(tissue: BoolArray) -> FloatVector:
    """How much more of the body changes from the slice below and to the slice above than
    between these two, as a share of the body; nan for the first and the last slice.

    A slice that moved differs from both its neighbours, which are alike.

    Args:
        tissue: (slices, rows, columns).
    """
    count = len(tissue)
    result = np.full(count, np.nan)
    if count < 3:
        return result
    step, leap = _changes(tissue, 1), _changes(tissue, 2)
    result[1:-1] = np.minimum(step[:-1], step[1:]) - leap
    return result


def jump(tissue: BoolArray) -> FloatVector:
    """How much more of the body changes from the slice below than twice what is usual there, as
    a share of the body; nan for the first slice and where there are too few to compare.

    Args:
        tissue: (slices, rows, columns).
    """
    count = len(tissue)
    result = np.full(count, np.nan)
    if count < 2 * _NEIGHBOURS:
        return result
    step = _changes(tissue, 1)
    for k in range(step.size):
        near = np.delete(step[max(0, k - _NEIGHBOURS) : k + _NEIGHBOURS + 1], min(k, _NEIGHBOURS))
        result[k + 1] = step[k] - 2.0 * np.median(near)
    return result


def _changes(tissue: BoolArray, apart: int) -> FloatVector:
    """Pixels that differ between slices `apart` slices from each other, over the larger body."""
    areas = tissue.sum(axis=(1, 2))
    changed = np.array(
        [
            np.count_nonzero(one != other)
            for one, other in zip(tissue[apart:], tissue[:-apart], strict=True)
        ]
    )
    shares: FloatVector = changed / np.maximum(np.maximum(areas[apart:], areas[:-apart]), 1)
    return shares
