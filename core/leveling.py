"""Slices whose grey levels are out of step with the rest of their scan, and by how much.

Scans that went through 8-bit pictures on their way were often stretched slice by slice: one bright
pixel, and everything else in the slice is darker than in its neighbours. In Hounsfield units that
cannot be; to a network such a slice is another organ. Tissue tells how far a slice is off: its
quantiles are much the same all through a chest, and a stretched slice has moved all of them by
one factor. Anatomy moves some of them, and not so far.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from core.volume import Volume

_FEWEST_SLICES = 5
"""With fewer there is no rest to be out of step with."""
_COARSE = 128
"""About so many pixels along the longer side suffice for quantiles."""
_QUANTILES = (0.5, 0.75, 0.9)
_LEAST_TISSUE = 0.25
"""Share of the usual tissue pixels that a slice must have to be judged."""
_CLEARLY_OFF = 1.1
"""Factor from which on a slice is put right; contrast medium and age move less."""
_FARTHEST = 4.0
"""Beyond this factor it is no stretched slice but one without a body."""
_AGREEMENT = 1.1
"""Ratio within which the factors of all quantiles lie where the slice was stretched."""


@dataclass(frozen=True)
class SliceLevels:
    """How the axial slices of one scan were stretched.

    Attributes:
        darkest: stored value that stretching left where it was.
        factors: one a slice; values counted from `darkest` are so many times what they should
            be, 1 where the slice is in step.
    """

    darkest: float
    factors: tuple[float, ...]

    @property
    def slices_off(self) -> tuple[int, ...]:
        """Axial slices that are out of step, ascending."""
        return tuple(k for k, factor in enumerate(self.factors) if factor != 1.0)

    def put_right(
        self, values: npt.NDArray[np.generic], slice_index: int
    ) -> npt.NDArray[np.generic]:
        """Values of an axial slice as they should be: float32, or the very array where the slice
        is in step."""
        factor = self.factors[slice_index]
        if factor == 1.0:
            return values
        right = values.astype(np.float32)
        right -= np.float32(self.darkest)
        right *= np.float32(1.0 / factor)
        right += np.float32(self.darkest)
        return right


def find_slice_levels(volume: Volume, *, low: float, high: float) -> SliceLevels | None:
    """Slices that are out of step, or none where all are in step or it cannot be told.

    Args:
        volume: any scan; its axial slices are compared with each other.
        low, high: stored values between which grey levels matter; what lies outside is clipped.
    """
    count = volume.shape[2]
    if count < _FEWEST_SLICES or not low < high:
        return None
    step = max(1, max(volume.shape[:2]) // _COARSE)
    coarse = np.clip(volume.array[::step, ::step].astype(np.float32), low, high)
    darkest = float(coarse.min())
    span = float(coarse.max()) - darkest
    if not span > 0.0:
        return None
    quantiles = np.full((count, len(_QUANTILES)), np.nan)
    pixels = np.zeros(count)
    for k in range(count):
        plane = coarse[:, :, k] - np.float32(darkest)
        grey = np.ascontiguousarray(plane * np.float32(255.0 / span)).astype(np.uint8)
        threshold, _ = cv2.threshold(grey, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
        tissue = plane[grey > threshold]
        pixels[k] = tissue.size
        if tissue.size:
            quantiles[k] = np.quantile(tissue, _QUANTILES)
    usual_pixels = np.median(pixels)
    judged = (pixels >= max(1.0, _LEAST_TISSUE * usual_pixels)) & np.isfinite(quantiles).all(axis=1)
    if np.count_nonzero(judged) < _FEWEST_SLICES:
        return None
    usual = np.median(quantiles[judged], axis=0)
    if not (usual > 0.0).all():
        return None
    factors = np.where(judged[:, None], quantiles / usual, 1.0)
    middle = np.median(factors, axis=1)
    nearest, farthest = np.abs(np.log(factors)).min(axis=1), np.abs(np.log(middle))
    agree = factors.max(axis=1) <= _AGREEMENT * factors.min(axis=1)
    off = agree & (nearest > np.log(_CLEARLY_OFF)) & (farthest < np.log(_FARTHEST))
    if not off.any():
        return None
    return SliceLevels(
        darkest, tuple(float(f) if o else 1.0 for f, o in zip(middle, off, strict=True))
    )
