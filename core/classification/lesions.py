"""What is marked as infected, in numbers: share, side, zone and texture.

This is what carries over between hospitals; a line on these numbers is one of the two opinions that
a verdict is made of.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from core.classification.frames import Frames

Vector = npt.NDArray[np.float64]

NAMES = (
    "share",
    "sure share",
    "smaller side's share",
    "back's share less the front's",
    "rim's share less the core's",
    "parts",
    "largest part of all",
    "density",
    "texture",
)
_LUNG, _MARKED, _SURE = 128, 64, 160
"""Probabilities times 255."""
_FEWEST_PIXELS = 20
_LEAST_SHARE = 0.002
_RIM = 0.12
"""Of the lung's width: nearer to the lung's border than this is its rim."""


@dataclass(frozen=True)
class LesionModel:
    """A line on the numbers of `lesion_row`, each standardised."""

    mean: tuple[float, ...] = (0.0,) * len(NAMES)
    scale: tuple[float, ...] = (1.0,) * len(NAMES)
    weights: tuple[float, ...] = (0.0,) * len(NAMES)
    bias: float = 0.0


def read_lesions(values: Mapping[str, Any]) -> LesionModel:
    """The line from plain JSON values.

    Raises:
        ValueError, TypeError, KeyError: they are not a line on these numbers.
    """
    columns = {
        name: tuple(float(value) for value in values[name]) for name in ("mean", "scale", "weights")
    }
    if any(len(column) != len(NAMES) for column in columns.values()) or 0.0 in columns["scale"]:
        raise ValueError("a line on other numbers")
    return LesionModel(**columns, bias=float(values["bias"]))


def lesion_logits(frames: Frames, model: LesionModel) -> Vector:
    """(n,) logits of frames (n, rows, columns, 3)."""
    rows = lesion_rows(frames)
    standard = (rows - np.array(model.mean)) / np.array(model.scale)
    logits: Vector = standard @ np.array(model.weights) + model.bias
    return logits


def lesion_rows(frames: Frames) -> Vector:
    """(n, columns) of `NAMES`."""
    return np.array([lesion_row(frame) for frame in frames]).reshape(len(frames), len(NAMES))


def lesion_row(frame: npt.NDArray[np.uint8]) -> list[float]:
    """The numbers of one frame (rows, columns, 3), upright.

    Shares are logarithms to the base 10, of at least 0.2 % of the lung; density is the mean grey of
    what is marked, 0 for aerated lung and 1 for soft tissue, texture its standard deviation.
    """
    grey = frame[..., 0].astype(np.float32)
    lung = frame[..., 1] >= _LUNG
    marked = lung & (frame[..., 2] >= _MARKED)
    total, infected = int(lung.sum()), int(marked.sum())
    if total < _FEWEST_PIXELS or infected < _FEWEST_PIXELS:
        least = float(np.log10(_LEAST_SHARE))
        return [least, least, least, 0.0, 0.0, 0.0, 0.0, 0.3, 0.15]
    sure = lung & (frame[..., 2] >= _SURE)
    middle_column = _middle(lung, axis=0)
    middle_row = _middle(lung, axis=1)
    sides = (
        _share(marked[:, :middle_column], lung[:, :middle_column]),
        _share(marked[:, middle_column:], lung[:, middle_column:]),
    )
    front, back = (
        _share(marked[:middle_row], lung[:middle_row]),
        _share(marked[middle_row:], lung[middle_row:]),
    )
    distance = cv2.distanceTransform(lung.astype(np.uint8), cv2.DIST_L2, 3)
    rim = lung & (distance <= _RIM * np.sqrt(total / 2))
    count, _, facts, _ = cv2.connectedComponentsWithStats(marked.astype(np.uint8), connectivity=8)
    areas = facts[1:, cv2.CC_STAT_AREA]
    density = (grey[marked] - 32.0) / 176.0
    return [
        _log(infected / total),
        _log(int(sure.sum()) / total),
        _log(min(sides)),
        back - front,
        _share(marked, rim) - _share(marked & ~rim, lung & ~rim),
        float(np.log1p(count - 1)),
        float(areas.max() / infected),
        float(density.mean()),
        float(density.std()),
    ]


def _middle(lung: npt.NDArray[np.bool_], *, axis: int) -> int:
    held = np.flatnonzero(lung.any(axis=axis))
    return (int(held[0]) + int(held[-1]) + 1) // 2


def _share(marked: npt.NDArray[np.bool_], lung: npt.NDArray[np.bool_]) -> float:
    total = int(lung.sum())
    return int((marked & lung).sum()) / total if total else 0.0


def _log(share: float) -> float:
    return float(np.log10(max(share, _LEAST_SHARE)))
