"""Making contrast visible: CLAHE as OpenCV does it."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from core.config import ClaheConfig


def apply_clahe(grey: npt.NDArray[np.uint8], config: ClaheConfig) -> npt.NDArray[np.uint8]:
    """CLAHE (Zuiderveld 1994) on one windowed slice.

    Args:
        grey: (rows, columns) uint8.
        config: clip limit and number of tiles along each side.
    """
    tiles = (config.tile_grid, config.tile_grid)
    clahe = cv2.createCLAHE(clipLimit=config.clip_limit, tileGridSize=tiles)
    return np.asarray(clahe.apply(np.ascontiguousarray(grey)), dtype=np.uint8)
