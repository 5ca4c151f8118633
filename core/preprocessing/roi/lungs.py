"""Lung candidates: air that the body holds, found without a network.

Where disease has filled a lung with fluid or tissue there is no air to find, so these are
candidates, not a lung mask for measurements.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy import ndimage

from core.preprocessing.roi.components import enclosed_air, extent_of, largest_component
from core.volume import BoolArray

_MIN_PIECE_FRACTION = 0.001
"""Enclosed air that covers less of a slice than this is ignored."""
_MIN_LUNG_SHARE = 0.01
"""A piece (3D) that holds less than this share of the largest one is no lung: gas, trachea."""
_COARSE_SIDE = 128
_COARSE_KERNEL = 3


@dataclass(frozen=True, eq=False)
class SliceTissue:
    """What a threshold makes of one axial slice; all (rows, columns).

    Attributes:
        body: the largest piece of tissue with all that it encloses.
        air: what of the body is below the threshold.
        lung: the pieces of that air large enough for lung, with their vessels.
    """

    body: BoolArray
    air: BoolArray
    lung: BoolArray


def part_slice(tissue: BoolArray, *, lungs: BoolArray | None = None) -> SliceTissue:
    """Body, air inside it and lung candidates of one slice.

    Args:
        tissue: (rows, columns), above the threshold.
        lungs: of the same shape, from `find_lungs` of the whole scan; pieces of air that it does
            not touch are no lung. None goes by size alone.
    """
    nothing = np.zeros_like(tissue)
    # About the length of the opening that the network's box is found with; odd, because an even
    # one would move the body by a pixel.
    kernel_side = 2 * max(1, round(_COARSE_KERNEL * max(tissue.shape) / _COARSE_SIDE / 2)) + 1
    core = largest_component(tissue, kernel_side=kernel_side)
    if core is None:
        return SliceTissue(nothing, nothing, nothing)
    held = enclosed_air(tissue, extent_of(core), min_fraction=_MIN_PIECE_FRACTION).mask
    # An opening takes thin walls and corners away: the tissue next to what is left comes back.
    near = _grown(core, kernel_side // 2) | _grown(held, kernel_side)
    body = _filled(core | held | (near & tissue))
    air = body & ~tissue
    return SliceTissue(body, air, _filled(_large_pieces(air, lungs)))


def find_lungs(tissues: BoolArray) -> BoolArray:
    """Lung candidates of a scan: (n, rows, columns), pieces of enclosed air that are
    connected through the slices and are not small beside the largest.

    Args:
        tissues: (n, rows, columns), above the threshold, coarse.
    """
    held = np.stack([_air_held(tissue) for tissue in tissues])
    labels, count = ndimage.label(held)
    if count == 0:
        return held
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    lungs: BoolArray = (sizes >= max(1, _MIN_LUNG_SHARE * sizes.max()))[labels] & held
    return lungs


def _air_held(tissue: BoolArray) -> BoolArray:
    body = largest_component(tissue, kernel_side=_COARSE_KERNEL)
    if body is None:
        return np.zeros_like(tissue)
    return enclosed_air(tissue, extent_of(body), min_fraction=_MIN_PIECE_FRACTION).mask


def _large_pieces(air: BoolArray, lungs: BoolArray | None) -> BoolArray:
    count, labels, stats, _ = cv2.connectedComponentsWithStats(air.astype(np.uint8), connectivity=4)
    kept = stats[:, cv2.CC_STAT_AREA] >= 5 * _MIN_PIECE_FRACTION * air.size
    if lungs is not None:
        kept = np.bincount(labels[lungs], minlength=count) > 0
    kept[0] = False
    pieces: BoolArray = kept[labels]
    return pieces


def _grown(mask: BoolArray, pixels: int) -> BoolArray:
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (2 * pixels + 1, 2 * pixels + 1))
    return cv2.dilate(mask.astype(np.uint8), kernel).astype(np.bool_)


def _filled(mask: BoolArray) -> BoolArray:
    """The mask with what it encloses."""
    outside = np.pad(mask, 1).astype(np.uint8)
    cv2.floodFill(outside, None, (0, 0), 2)
    filled: BoolArray = outside[1:-1, 1:-1] != 2
    return filled
