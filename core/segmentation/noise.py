"""Noise of a scan as the network sees it."""

from __future__ import annotations

import cv2
import numpy as np

from core.config import PreprocessConfig
from core.segmentation.postprocess import Probabilities
from core.volume import Array, FloatArray

LIMIT_HU = 38.0
"""On the network's grid, where pixels are means of several; above it measurements are doubtful. Of
23 scans in HU 22 lie below, between 6 and 36 HU; one has 65."""
ESTIMATED_LIMIT_HU = 50.0
"""The same for scans that are not in HU, where it is estimated: of 7 looked at 5 lie below."""
_SLICES = 16
_SQUARE = 16
"""Pixels: as long as noise of scanners and what smoothing leaves of it are correlated, and within
an organ."""
_DETAIL_SIGMA = 4.0
_SOFT_TISSUE_HU = (-30.0, 160.0)
"""Muscle and organs, without fat, lungs and bone."""
_AROUND = np.ones((5, 5), dtype=np.uint8)
_FEWEST_SQUARES = 6
_EVEN_SQUARES = 25.0
"""Percentile: the more even squares hold noise alone, the others edges of organs as well."""
_LUNG_AND_TISSUE_HU = (-850.0, 40.0)
"""Medians of the dark and of the bright half of a chest."""


def measure_noise(
    frames: Probabilities, config: PreprocessConfig, *, estimate_scale: bool = False
) -> float:
    """Standard deviation of noise in soft tissue, in HU; nan where there is too little tissue.

    It is that within squares of 16 pixels, of the more even ones, so that noise which is alike in
    neighbouring pixels counts as well. A little anatomy enters it. Whatever is smoother than the
    squares does not.

    Args:
        frames: (n, rows, columns) uint8, the network's input.
        config: with which they were made.
        estimate_scale: for a scan that is not in HU, whose scale is taken from the contrast of
            lung and tissue.
    """
    chosen = np.unique(np.linspace(0, len(frames) - 1, min(len(frames), _SLICES)).astype(int))
    found: list[FloatArray] = []
    for hu in _in_hu(frames[chosen], config, estimate_scale=estimate_scale):
        smooth = cv2.GaussianBlur(hu, (0, 0), _DETAIL_SIGMA)
        tissue = (smooth > _SOFT_TISSUE_HU[0]) & (smooth < _SOFT_TISSUE_HU[1])
        inside = cv2.erode(tissue.astype(np.uint8), _AROUND)
        found.append(_squares(hu)[_squares(inside).all(axis=1)].std(axis=1))
    every = np.concatenate(found)
    return float(np.percentile(every, _EVEN_SQUARES)) if every.size >= _FEWEST_SQUARES else np.nan


def _in_hu(frames: Probabilities, config: PreprocessConfig, *, estimate_scale: bool) -> FloatArray:
    """The frames in HU; what lies outside the window is cut off."""
    greys = frames.astype(np.float32)
    if not estimate_scale:
        low = config.window_center - config.window_width / 2
        return greys * np.float32(config.window_width / 255.0) + np.float32(low)
    inside = frames[frames > 0]
    if inside.size == 0:
        return np.full_like(greys, np.nan)
    threshold, _ = cv2.threshold(inside.reshape(-1, 1), 0, 255, cv2.THRESH_OTSU)
    dark, bright = inside[inside <= threshold], inside[inside > threshold]
    if bright.size == 0:
        return np.full_like(greys, np.nan)
    lung, tissue = np.median(dark), np.median(bright)
    low_hu, high_hu = _LUNG_AND_TISSUE_HU
    scale = np.float32((high_hu - low_hu) / (tissue - lung))
    return (np.float32(low_hu) + (greys - np.float32(lung)) * scale).astype(np.float32)


def _squares(picture: Array) -> Array:
    """(n, pixels) of the squares of a (rows, columns) picture, side by side."""
    rows, columns = (side // _SQUARE for side in picture.shape)
    whole = picture[: rows * _SQUARE, : columns * _SQUARE]
    split = whole.reshape(rows, _SQUARE, columns, _SQUARE).swapaxes(1, 2)
    return split.reshape(rows * columns, _SQUARE * _SQUARE)
