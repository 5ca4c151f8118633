"""Contrast of one windowed slice of 8 bits.

The Preprocess page computes the same in the browser while a slider is dragged, and measures
contrast there (`core/ui/preprocess/tuner`); a test compares every pixel.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from core.config import EnhanceConfig

Grey = npt.NDArray[np.uint8]

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
