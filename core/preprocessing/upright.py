"""How upright a chest slice stands, measured by its grey levels and where lung was found.

A network trained on upright slices is unsure of its lungs in slices that lie on their side, but
hardly less sure in slices upside down: lungs look much the same that way up. The spine does not;
it is the brightest thing between the lungs, and it lies behind them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Slices = npt.NDArray[np.uint8]

_SURE, _DOUBTFUL = 232, 24
"""Probabilities times 255: at least this is surely lung; between the two is doubt."""
_BRIGHT = 235
"""Grey level of bone and of little else under a lung window."""
_STRIP = 0.08
"""Half the width of the strip between the lungs, as a share of their width."""
_SPINE_WEIGHT = 0.1
"""Small beside what lying on the side costs, large beside what being upside down does."""
_FEWEST_LUNG_PIXELS, _FEWEST_BRIGHT_PIXELS = 100, 5


def uprightness(frames: Slices, lung: Slices) -> float:
    """A score that is highest in the upright position of the same slices.

    Args:
        frames: (n, rows, columns) grey levels under a lung window.
        lung: probabilities of being lung times 255, of the same shape.
    """
    sure = np.count_nonzero(lung >= _SURE)
    doubtful = np.count_nonzero((lung >= _DOUBTFUL) & (lung < _SURE))
    spine = np.mean([_spine_below(*pair) for pair in zip(frames, lung >= 128, strict=True)])
    return (sure - doubtful) / lung.size + _SPINE_WEIGHT * float(spine)


def _spine_below(frame: Slices, lung: npt.NDArray[np.bool_]) -> float:
    """Mean height of bright pixels between the lungs: 0.5 at their lower end, -0.5 at their upper
    one, 0 where there is too little to measure."""
    if np.count_nonzero(lung) < _FEWEST_LUNG_PIXELS:
        return 0.0
    rows, columns = np.flatnonzero(lung.any(axis=1)), np.flatnonzero(lung.any(axis=0))
    middle = (columns[0] + columns[-1]) // 2
    half = max(3, int((columns[-1] - columns[0]) * _STRIP))
    strip = np.s_[rows[0] : rows[-1] + 1, max(middle - half, 0) : middle + half]
    bright_rows = np.nonzero((frame[strip] >= _BRIGHT) & ~lung[strip])[0]
    if len(bright_rows) < _FEWEST_BRIGHT_PIXELS:
        return 0.0
    return float(bright_rows.mean() / (rows[-1] + 1 - rows[0]) - 0.5)
