"""Whether a picture surely stands upright, by a glance: a line on a thumbnail, without the network.

It spares most pictures the network's look at all four positions. Weights lie in `upright.json`
beside this file; `python -m core train-classifier --upright` makes them again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

Thumbnail = npt.NDArray[np.float32]

WEIGHTS_PLACE = Path(__file__).with_name("upright.json")
SIDE = 16
"""Rows and columns of a thumbnail."""
_COARSE = 128
_DARK_SHARE, _EMPTY_SHARE = 0.25, 0.08
"""Darker than this share of the bright tissue is background; a row or column with less tissue than
this is border."""
_LEAST_LEVEL, _LEAST_EXTENT = 20.0, 20


@dataclass(frozen=True, eq=False)
class UprightLook:
    """Weights (SIDE²,) of a thumbnail's pixels, and the score from which it surely stands
    upright: one turned picture in a hundred scores as high."""

    weights: npt.NDArray[np.float64]
    bias: float
    surely_from: float

    def score(self, thumbnail: Thumbnail) -> float:
        """Higher for pictures that stand upright."""
        return float(thumbnail.ravel() @ self.weights) + self.bias


def surely_upright(slices: Iterable[npt.NDArray[np.uint8]]) -> bool:
    """Whether every one of some slices (rows, columns) surely stands upright as it is."""
    look = _read_look()
    return all(look.score(thumbnail_of(one)) >= look.surely_from for one in slices)


def thumbnail_of(grey: npt.NDArray[np.uint8]) -> Thumbnail:
    """What a picture (rows, columns) shows, without borders, small and standardised."""
    coarse = cv2.resize(grey, (_COARSE, _COARSE), interpolation=cv2.INTER_AREA)
    tissue = coarse > max(_LEAST_LEVEL, _DARK_SHARE * float(np.percentile(coarse, 95)))
    rows = np.flatnonzero(tissue.mean(axis=1) > _EMPTY_SHARE)
    columns = np.flatnonzero(tissue.mean(axis=0) > _EMPTY_SHARE)
    if min(len(rows), len(columns)) > _LEAST_EXTENT:
        coarse = coarse[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    small = cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    standard: Thumbnail = (small - small.mean()) / (small.std() + np.float32(1))
    return standard


@lru_cache(maxsize=1)
def _read_look() -> UprightLook:
    stored = json.loads(WEIGHTS_PLACE.read_text(encoding="utf-8"))
    return UprightLook(
        np.array(stored["weights"]), float(stored["bias"]), float(stored["surely_from"])
    )
