"""The lobes of the lungs, by the fissures between them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from core.phantom.frame import Points

RIGHT_UPPER, RIGHT_MIDDLE, RIGHT_LOWER, LEFT_UPPER, LEFT_LOWER = range(5)


def fissure_heights(x: Any, y: Any) -> tuple[Any, Any]:
    """Heights of the oblique and (right only) horizontal fissure over x, y."""
    side = np.where(x > 0, 8.0, 0.0)
    oblique = 150.0 + side + 1.22 * y + 7.0 * np.sin(x / 24.0) + 4.0 * np.cos(y / 23.0)
    horizontal = (
        160.0 - 0.10 * (np.abs(x) - 60.0) + 0.12 * (y + 60) + 5.0 * np.sin(y / 19.0 + x / 25)
    )
    return oblique, horizontal


def lobe_of(points: Points) -> npt.NDArray[np.int64]:
    """The lobe of each (n, 3) point."""
    x, y, z = points.T
    oblique, horizontal = fissure_heights(x, y)
    right = np.select([z < oblique, z < horizontal], [RIGHT_LOWER, RIGHT_MIDDLE], RIGHT_UPPER)
    left = np.where(z < oblique, LEFT_LOWER, LEFT_UPPER)
    return np.where(x < 0, right, left)
