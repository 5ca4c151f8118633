"""Noise of a scan as the network sees it."""

from __future__ import annotations

import cv2
import numpy as np

from core.config import PreprocessConfig
from core.segmentation.postprocess import Probabilities
from core.volume import BoolArray, FloatArray

LIMIT_HU = 42.0
"""On the network's grid, where pixels are means of several; above it measurements are doubtful. Of
25 scans looked at 24 lie below, between 11 and 42 HU; one has 43."""
_SLICES = 16
_DETAIL_SIGMA = 1.6
_APART = 3
"""Pixels between the two that are compared: scanners' kernels and the way onto the network's grid
make neighbours alike, and noise would be measured too low on these."""
_SOFT_TISSUE_HU = (-130.0, 160.0)
"""Fat, muscle and organs, without the lungs and bone."""
_AROUND = np.ones((5, 5), dtype=np.uint8)
_FEWEST_PIXELS = 200
_MAD_TO_SIGMA = 1.4826
_OUTLIERS, _SIGMA_WITHOUT = 2.5, 0.9546
"""Differences beyond so many standard deviations are edges; what the standard deviation of normal
differences becomes without them."""


def measure_noise(frames: Probabilities, config: PreprocessConfig) -> float:
    """Standard deviation of noise in soft tissue, in HU, by the differences of pixels three apart;
    nan where there is too little. A little anatomy enters it.

    Args:
        frames: (n, rows, columns) uint8, the network's input for a scan in HU.
        config: with which they were made.
    """
    chosen = np.unique(np.linspace(0, len(frames) - 1, min(len(frames), _SLICES)).astype(int))
    low = config.window_center - config.window_width / 2
    greys_per_hu = 255.0 / config.window_width
    found = []
    for frame in frames[chosen].astype(np.float32):
        hu = cv2.GaussianBlur(frame, (0, 0), _DETAIL_SIGMA) / greys_per_hu + low
        tissue = ((hu > _SOFT_TISSUE_HU[0]) & (hu < _SOFT_TISSUE_HU[1])).astype(np.uint8)
        differences = _differences(frame, cv2.erode(tissue, _AROUND) > 0)
        if differences.size >= _FEWEST_PIXELS:
            found.append(_sigma(differences) / np.sqrt(2.0))
    return float(np.median(found)) / greys_per_hu if found else float("nan")


def _differences(frame: FloatArray, inside: BoolArray) -> FloatArray:
    """Of all pixels of a mask that lie `_APART` rows or columns from each other."""
    down = (frame[_APART:] - frame[:-_APART])[inside[_APART:] & inside[:-_APART]]
    across = frame[:, _APART:] - frame[:, :-_APART]
    return np.concatenate([down, across[inside[:, _APART:] & inside[:, :-_APART]]])


def _sigma(values: FloatArray) -> float:
    """Standard deviation about 0 without outliers; finer than the steps of grey, unlike a
    median."""
    sizes = np.abs(values)
    near = max(_MAD_TO_SIGMA * float(np.median(sizes)), 1.0)
    kept = values[sizes <= _OUTLIERS * near].astype(np.float64)
    return float(np.sqrt(np.mean(kept**2))) / _SIGMA_WITHOUT
