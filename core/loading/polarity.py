"""Whether black and white of a CT look exchanged, by the picture itself."""

from __future__ import annotations

import cv2
import numpy as np

from core.volume import Array

_MOST_SLICES = 16
_SIDE = 128
_CORNERS_SIDE = 64
_STRONG = 25
"""Of 255 grey levels: vessels in lung differ from it by more, noise by less."""
_FEWEST_PIXELS = 50
_BORDER = 7
"""Pixels on a side of the square that tells what borders on padding."""
_WEIGHTS = (2.0, 5.0)
"""Of corners and vessels, fitted to the public sets of docs/accuracy.md; only their ratio and
the margin below matter."""
_MARGIN = 0.5


def looks_exchanged(
    array: Array, low: float, high: float, *, padding: float = float("nan")
) -> bool:
    """Whether an (a, b, c) array looks like the negative of a chest CT.

    Two things tell: the corners are darker than the rest where the picture shows air around the
    body, and the thin structures in the dark half of the picture (vessels in lung) outnumber those
    in its bright half. A cropped picture has bright corners, but its vessels are bright too.

    Args:
        low, high: values of black and white; what lies beyond is cut off.
        padding: value of voxels that show nothing, neither black nor white; nan for none.
    """
    count = array.shape[2]
    chosen = np.unique(np.linspace(0, count - 1, min(count, _MOST_SLICES) + 2)[1:-1].astype(int))
    scores = [_score(_grey(_without(array[:, :, k], padding), low, high)) for k in chosen]
    return float(np.mean(scores)) < -_MARGIN


def _without(picture: Array, padding: float) -> Array:
    """The picture with padding as grey as what borders on it: air, or a body cut off."""
    outside = picture == padding
    if not outside.any() or outside.all():
        return picture
    wider = cv2.dilate(outside.astype(np.uint8), np.ones((_BORDER, _BORDER), np.uint8)) > 0
    return np.where(outside, np.float32(np.median(picture[wider & ~outside])), picture)


def _grey(picture: Array, low: float, high: float) -> Array:
    span = np.clip(picture.astype(np.float32), low, high) - np.float32(low)
    return np.asarray(np.rint(span * np.float32(255 / (high - low))), dtype=np.uint8)


def _score(grey: Array) -> float:
    """Above 0 for a chest as it should be, below for its negative: the negative of a picture has
    the score of the picture with the other sign."""
    grey = _without_frame(grey)
    corners, vessels = _WEIGHTS
    return corners * _dark_corners(grey) + vessels * _bright_vessels(grey)


def _without_frame(grey: Array) -> Array:
    """The picture without the rows and columns around the body that hold one grey only."""
    corner = np.median(grey[[0, 0, -1, -1], [0, -1, 0, -1]].astype(np.int16))
    other = np.abs(grey.astype(np.int16) - corner) > _STRONG
    rows, columns = (np.flatnonzero(other.any(axis=axis)) for axis in (1, 0))
    if rows.size == 0:
        return grey
    return grey[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _dark_corners(grey: Array) -> float:
    """By how many standard deviations the corners are darker than the mean."""
    small = cv2.resize(grey, (_CORNERS_SIDE, _CORNERS_SIDE), interpolation=cv2.INTER_AREA)
    values = small.astype(np.float32)
    middle = (_CORNERS_SIDE - 1) / 2
    rows, columns = np.ogrid[:_CORNERS_SIDE, :_CORNERS_SIDE]
    outside = np.hypot(rows - middle, columns - middle) > _CORNERS_SIDE / 2
    return float((values.mean() - values[outside].mean()) / (values.std() + 1e-3))


def _bright_vessels(grey: Array) -> float:
    """−1 to 1: thin bright structures on dark ground against thin dark ones on bright ground."""
    scale = _SIDE / max(grey.shape)
    size = tuple(max(8, round(side * scale)) for side in grey.shape[::-1])
    small = cv2.resize(grey, (size[0], size[1]), interpolation=cv2.INTER_AREA)
    threshold, _ = cv2.threshold(small, 0, 255, cv2.THRESH_OTSU)
    bright = _thin_share(small, threshold)
    dark = _thin_share(255 - small, 255 - threshold)
    return (bright - dark) / (bright + dark + 1e-3)


def _thin_share(grey: Array, threshold: float) -> float:
    """Share of the ground below the threshold that thin brighter structures cover."""
    cross = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
    ground = cv2.morphologyEx(grey, cv2.MORPH_OPEN, cross)
    dark = ground < threshold
    thin = dark & (cv2.subtract(grey, ground) > _STRONG)
    pixels = max(int(np.count_nonzero(dark)), _FEWEST_PIXELS)
    return float(np.count_nonzero(thin)) / pixels
