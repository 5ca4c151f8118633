"""Contrast of one windowed slice of 8 bits: enhanced, and measured."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from core.config import EnhanceConfig
from core.errors import GeometryError
from core.volume import BoolArray

Grey = npt.NDArray[np.uint8]
Counts = npt.NDArray[np.int64]

LEVELS = 256


def enhance(grey: Grey, config: EnhanceConfig) -> Grey:
    """One windowed slice with the config's method applied; a new array, or `grey` itself where
    the method is the plain window.

    Args:
        grey: (rows, columns) uint8, black to white; any strides.

    Returns:
        The same shape and type. Nothing is moved.
    """
    if config.method == "clahe":
        return _apply_clahe(grey, config)
    if config.method == "equalize":
        return np.asarray(cv2.equalizeHist(np.ascontiguousarray(grey)), dtype=np.uint8)
    if config.method == "gamma":
        return _gamma_table(config.gamma)[grey]
    if config.method == "unsharp":
        return _apply_unsharp(grey, config)
    return grey


def _apply_clahe(grey: Grey, config: EnhanceConfig) -> Grey:
    """Contrast-limited adaptive histogram equalisation (Zuiderveld 1994), as OpenCV does it."""
    clahe = cv2.createCLAHE(
        clipLimit=config.clip_limit, tileGridSize=(config.tile_grid, config.tile_grid)
    )
    return np.asarray(clahe.apply(np.ascontiguousarray(grey)), dtype=np.uint8)


def _gamma_table(gamma: float) -> Grey:
    """What each grey level becomes: its share of white to the power of gamma."""
    share = np.arange(LEVELS) / 255.0
    return np.rint(255.0 * share**gamma).astype(np.uint8)


def _apply_unsharp(grey: Grey, config: EnhanceConfig) -> Grey:
    """The slice plus `unsharp_amount` times its difference from a Gaussian blur of it, clipped."""
    exact = np.ascontiguousarray(grey).astype(np.float32)
    blurred = cv2.GaussianBlur(
        exact, (0, 0), config.unsharp_radius, borderType=cv2.BORDER_REFLECT_101
    )
    amount = config.unsharp_amount
    sharpened = cv2.addWeighted(exact, 1.0 + amount, blurred, -amount, 0.0)
    return np.rint(np.clip(sharpened, 0, 255)).astype(np.uint8)


def compute_histogram(grey: Grey, mask: BoolArray | None = None) -> Counts:
    """Pixels of each grey level.

    Args:
        grey: (rows, columns) uint8.
        mask: (rows, columns); only pixels in it are counted. None counts all.

    Returns:
        (256,) counts.

    Raises:
        GeometryError: the mask has not the shape of the picture.
    """
    if mask is not None and mask.shape != grey.shape:
        raise GeometryError(
            "A mask does not fit its picture", got=f"shape {mask.shape}", expected=f"{grey.shape}"
        )
    counted = grey.ravel() if mask is None else grey[mask]
    return np.bincount(counted, minlength=LEVELS).astype(np.int64)


@dataclass(frozen=True)
class Contrast:
    """Measures of contrast, of grey levels 0 to 255; all nan where nothing was counted.

    Attributes:
        mean: mean grey level.
        standard_deviation: of grey levels, about their mean, over all pixels (not a sample's).
        entropy_bits: Shannon's entropy of the histogram of 256 levels, 0 to 8 (Shannon 1948).
        rms_contrast: standard deviation of grey as a share of white, 0 to 0.5 (Peli 1990,
            doi:10.1364/JOSAA.7.002032).
        black_share: share of pixels at level 0, where darker ones can no longer be distinguished.
        white_share: share of pixels at level 255, likewise.
    """

    mean: float
    standard_deviation: float
    entropy_bits: float
    rms_contrast: float
    black_share: float
    white_share: float

    @property
    def saturated_share(self) -> float:
        """Share of pixels at either end of the scale."""
        return self.black_share + self.white_share


def compute_contrast(counts: Counts) -> Contrast:
    """Contrast of a picture, from its histogram of `compute_histogram`."""
    total = int(counts.sum())
    if total == 0:
        return Contrast(*(6 * [math.nan]))
    share = counts / total
    levels = np.arange(LEVELS)
    mean = float(share @ levels)
    deviation = math.sqrt(float(share @ (levels - mean) ** 2))
    there = share[share > 0]
    return Contrast(
        mean=mean,
        standard_deviation=deviation,
        # Adding 0.0 makes the -0.0 of a single level a plain zero.
        entropy_bits=float(-(there * np.log2(there)).sum()) + 0.0,
        rms_contrast=deviation / 255.0,
        black_share=float(share[0]),
        white_share=float(share[-1]),
    )
