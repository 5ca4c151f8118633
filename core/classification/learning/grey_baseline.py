"""Grey levels alone: the baseline that shows how much of a result may be a shortcut.

Papers and hospitals export slices with windows and crops of their own. If statistics of grey
levels, which hold no position in the lung, separate the classes, then a network may do so for the
same reason.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_LEVELS = 16
_RIM = 0.03


def grey_statistics(slices: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Of (n, rows, columns): the root of each share of sixteen equal bins of grey, mean,
    deviation, skewness, and the mean of each edge: (n, 23)."""
    rows = []
    width = max(1, round(_RIM * slices.shape[1]))
    for one in slices:
        grey = one.astype(np.float32) / np.float32(255)
        histogram, _ = np.histogram(grey, bins=_LEVELS, range=(0.0, 1.0))
        mean, deviation = float(grey.mean()), float(grey.std())
        skewness = float(np.mean((grey - mean) ** 3)) / max(deviation, 1e-3) ** 3
        edges = (grey[:width], grey[-width:], grey[:, :width], grey[:, -width:])
        rows.append(
            [
                *np.sqrt(histogram / grey.size),
                mean,
                deviation,
                skewness,
                *(float(edge.mean()) for edge in edges),
            ]
        )
    return np.array(rows, dtype=np.float32)
