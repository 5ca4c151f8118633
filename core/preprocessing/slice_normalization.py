"""Slice normalization: which slices differ in grey from the rest of their scan, and by how much.

Scans that went through 8-bit pictures on their way were often stretched slice by slice: one bright
pixel, and everything else in the slice is darker than in its neighbours. This is impossible in
Hounsfield units; to a network such a slice looks like another organ. Tissue shows how far a slice
is off: its quantiles are much the same all through a chest, and stretching multiplies all of them
by one factor. Anatomy changes some of them, and less.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from core.volume import Volume

_FEWEST_SLICES = 5
"""Fewer are too few for a reference."""
_COARSE = 64
"""About so many pixels along the longer side suffice for quantiles."""
_RANGE_HU = (-1150.0, 1500.0)
"""Below is padding that scanners write outside of their field of view, above is metal."""
_BLACK = 0.01
"""Share of a slice's pixels that may be darker than its black."""
_QUANTILES = (0.5, 0.75, 0.9)
_TISSUE_HU = 250.0
"""At most so far from water is soft tissue, in which fat and muscle mix. What is further off is
lung alone, in scans cut to the lungs, or a scan that is stretched as a whole."""
_LEAST_TISSUE = 0.25
"""Share of the usual tissue pixels that a slice must have to be compared."""
_CLEARLY_OFF = 1.18
"""Factor from which on a slice is adjusted: more than lies between fat and muscle, counted from
air, so that no mixture of the two looks like it."""
_FARTHEST = 4.0
"""Beyond this factor it is not a stretched slice but one without a body."""
_AGREEMENT = 1.1
"""Ratio within which the factors of all quantiles lie where the slice was stretched."""


@dataclass(frozen=True)
class SliceStretch:
    """How the axial slices of one scan were stretched.

    Attributes:
        black: stored value that stretching left where it was.
        factors: one a slice; values counted from `black` are so many times what they should be,
            1 where the slice needs no adjustment.
    """

    black: float
    factors: tuple[float, ...]

    @property
    def slices_off(self) -> tuple[int, ...]:
        """Axial slices that need adjustment, ascending."""
        return tuple(k for k, factor in enumerate(self.factors) if factor != 1.0)

    def undo(self, values: npt.NDArray[Any], slice_index: int) -> npt.NDArray[Any]:
        """Values of an axial slice as they should be: float32, or the same array where the
        slice needs no adjustment."""
        factor = self.factors[slice_index]
        if factor == 1.0:
            return values
        right = values.astype(np.float32)
        right -= np.float32(self.black)
        right *= np.float32(1.0 / factor)
        right += np.float32(self.black)
        return right


def find_slice_stretch(volume: Volume) -> SliceStretch | None:
    """Slices that differ from the rest of the scan; none where none does or it is not certain.

    A slice so bright that its tissue reaches the scan's brightest value is left alone: what was
    cut off there does not come back.

    Args:
        volume: any scan in HU, or in grey levels that are taken to show HU; its axial slices are
            compared with each other.
    """
    count = volume.shape[2]
    if count < _FEWEST_SLICES:
        return None
    slope, intercept = volume.intensity.slope, volume.intensity.intercept
    step = max(1, max(volume.shape[:2]) // _COARSE)
    coarse = volume.array[::step, ::step].astype(np.float32)
    coarse *= np.float32(slope)
    coarse += np.float32(intercept)
    padding = coarse < _RANGE_HU[0]
    np.clip(coarse, *_RANGE_HU, out=coarse)
    blacks = [
        np.quantile(plane, _BLACK)
        for k in range(count)
        if (plane := coarse[:, :, k][~padding[:, :, k]]).size
    ]
    brightest = float(coarse.max())
    if not blacks or not (black := float(np.median(blacks))) < brightest:
        return None
    quantiles, pixels = _tissue(coarse, black)
    compared = pixels >= max(1.0, _LEAST_TISSUE * float(np.median(pixels)))
    if np.count_nonzero(compared) < _FEWEST_SLICES:
        return None
    usual = np.median(quantiles[compared], axis=0)
    if abs(usual[0]) > _TISSUE_HU:
        return None
    factors = np.ones_like(quantiles)
    factors[compared] = (quantiles[compared] - black) / (usual - black)
    least, most = factors.min(axis=1), factors.max(axis=1)
    off = (most <= _AGREEMENT * least) & ((least > _CLEARLY_OFF) | (most < 1.0 / _CLEARLY_OFF))
    off &= (least > 1.0 / _FARTHEST) & (most < _FARTHEST)
    off &= (least < 1.0) | (quantiles[:, -1] < black + 0.98 * (brightest - black))
    if not off.any():
        return None
    middle = np.where(off, np.median(factors, axis=1), 1.0)
    return SliceStretch((black - intercept) / slope, tuple(float(factor) for factor in middle))


def _tissue(
    coarse: npt.NDArray[np.float32], black: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Quantiles (n, 3) of what is brighter than each slice's own threshold by Otsu, and how many
    pixels that are (n,)."""
    count = coarse.shape[2]
    quantiles = np.full((count, len(_QUANTILES)), black)
    pixels = np.zeros(count)
    for k in range(count):
        plane = np.maximum(coarse[:, :, k], np.float32(black))
        # A slice's own range, for which metal does not count: dark slices keep their levels.
        top = float(np.quantile(plane, 0.995))
        if not top > black:
            continue
        scaled = (plane - np.float32(black)) * np.float32(255.0 / (top - black))
        grey = np.ascontiguousarray(np.minimum(scaled, 255.0)).astype(np.uint8)
        threshold, _ = cv2.threshold(grey, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
        tissue = plane[grey > threshold]
        pixels[k] = tissue.size
        if tissue.size:
            quantiles[k] = np.quantile(tissue, _QUANTILES)
    return quantiles, pixels
