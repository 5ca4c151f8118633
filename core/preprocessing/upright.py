"""How upright a chest slice stands, measured by its grey levels and where lung was found.

Two signs are added. One is a rule: a network trained on upright slices is unsure of its lungs in
slices that lie on their side, but hardly less sure in slices upside down, since lungs look much
the same that way up. The spine does not; it is the brightest thing between the lungs, and it lies
behind them. The other is the likeness to upright slices: a score, linear in a coarse picture of
the slice and of its lungs, whose weights were fitted by `core.training.uprightness`.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

Slices = npt.NDArray[np.uint8]

WEIGHTS_FILE = Path(__file__).with_name("upright.npy")
"""(features,) float16 of `coarse_picture`."""
CELLS = 12
"""Rows and columns of the coarse picture."""
_GREY_WEIGHT = 0.3
"""Of grey levels beside the lungs' probabilities; grey levels differ more between sources."""
_RULE_WEIGHT = 5.0
"""Of the rule beside the likeness; both chosen on pictures of other patients."""
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
    likeness = np.mean(
        [coarse_picture(*pair) @ _weights() for pair in zip(frames, lung, strict=True)]
    )
    return float(likeness) + _RULE_WEIGHT * rule_of_uprightness(frames, lung)


@cache
def _weights() -> npt.NDArray[np.float64]:
    return np.asarray(np.load(WEIGHTS_FILE, allow_pickle=False), dtype=np.float64)


def coarse_picture(frame: Slices, lung: Slices) -> npt.NDArray[np.float32]:
    """(2 × CELLS²,) features: probability of lung and standardised grey level in each cell of the
    part of a frame that is not empty, stretched to a square."""
    rows, columns = np.flatnonzero(frame.any(axis=1)), np.flatnonzero(frame.any(axis=0))
    if not len(rows):
        return np.zeros(2 * CELLS * CELLS, dtype=np.float32)
    inner = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    lungs, greys = (
        cv2.resize(part[inner], (CELLS, CELLS), interpolation=cv2.INTER_AREA).astype(np.float32)
        for part in (lung, frame)
    )
    greys = (greys - greys.mean()) / (greys.std() + np.float32(0.25))
    return np.concatenate([lungs.ravel() / np.float32(255.0), greys.ravel() * _GREY_WEIGHT])


def rule_of_uprightness(frames: Slices, lung: Slices) -> float:
    """The rule alone; arguments as for `uprightness`."""
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
