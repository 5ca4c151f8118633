"""Separating tissue from air by a threshold: Otsu's (1979) or one of several (Liao et al. 2001).

Thresholds are found and applied on 256 levels of 5 HU from -1024 HU on, on which grey scans lie
at their assumed HU. `level_values` gives the scan's own value of a level.
"""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
import numpy.typing as npt
from skimage.filters import threshold_multiotsu

from core.config import RoiConfig
from core.volume import Volume

Levels = npt.NDArray[np.uint8]
Counts = npt.NDArray[np.int64]

COUNT = 256
_BOTTOM_HU = -1024.0
_STEP_HU = 5.0
_BETWEEN_AIR_AND_WATER_HU = -500.0
_COARSE_SIDE = 128


def coarse_levels(volume: Volume, slices: Iterable[int]) -> Levels:
    """Axial slices, shrunk to 128 pixels along their longer side: (n, rows, columns) levels."""
    width, height, _ = volume.shape
    scale = min(1.0, _COARSE_SIDE / max(width, height))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.stack([_shrunk(volume, k, size) for k in slices])


def _shrunk(volume: Volume, k: int, size: tuple[int, int]) -> Levels:
    hu = volume.hu(volume.array[:, :, k].T)
    return _to_levels(np.asarray(cv2.resize(hu, size, interpolation=cv2.INTER_AREA), np.float32))


def slice_levels(volume: Volume, slice_index: int) -> Levels:
    """One axial slice as it is: (rows, columns) levels."""
    return _to_levels(volume.hu(volume.array[:, :, slice_index].T))


def _to_levels(hu: npt.NDArray[np.float32]) -> Levels:
    grey: Levels = np.clip((hu - _BOTTOM_HU) / _STEP_HU, 0, COUNT - 1).astype(np.uint8)
    return grey


def level_values(volume: Volume, levels: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Levels as values of the scan: HU where they are known, else the file's own grey values."""
    hu = np.asarray(levels, dtype=np.float64) * _STEP_HU + _BOTTOM_HU
    intensity = volume.intensity
    return hu if volume.unit == "HU" else (hu - intensity.intercept) / intensity.slope


def count_levels(levels: Levels) -> Counts:
    """(256,) counts of each level."""
    return np.bincount(levels.ravel(), minlength=COUNT).astype(np.int64)


def find_thresholds(levels: Levels, config: RoiConfig) -> tuple[int, ...]:
    """The config's thresholds between the classes of `levels`, ascending.

    Otsu's gives one. Multi-Otsu gives one less than classes, or Otsu's one where there are fewer
    levels than classes. Tissue is what lies above `tissue_threshold` of them.
    """
    counts = count_levels(levels)
    if config.method == "multi-otsu" and np.count_nonzero(counts) >= config.classes:
        return tuple(int(t) for t in threshold_multiotsu(hist=counts, classes=config.classes))
    # As a column, because OpenCV takes no pictures of that many dimensions.
    found, _ = cv2.threshold(levels.reshape(-1, 1), 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    return (int(found),)


def tissue_threshold(thresholds: tuple[int, ...]) -> int:
    """Of several thresholds the one that separates air from tissue: nearest to -500 HU, half-way
    between air and water."""
    half_way = (_BETWEEN_AIR_AND_WATER_HU - _BOTTOM_HU) / _STEP_HU
    return min(thresholds, key=lambda threshold: abs(threshold - half_way))
