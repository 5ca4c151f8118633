"""Fits the glance that tells surely upright pictures: `core.segmentation.upright_look`."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from core.classification.learning.data import list_labelled
from core.classification.learning.fitting import Logistic, fit_logistic
from core.loading import pictures_in
from core.segmentation.upright_look import SIDE, Thumbnail, thumbnail_of
from core.system import json_text, write_text

_MORE = ("luna_slices", "luna_slices_more", "lung_slices/images")
_PENALTY = 0.003
_WRONG = 0.01
"""Share of turned pictures that may be taken as surely upright."""


def fit_upright(data: Path, place: Path) -> dict[str, dict[str, float]]:
    """Fits on the pictures of all sets, which stand upright but for a few, and their quarter
    turns, and writes the weights.

    Returns:
        For each set, by a line fitted on the other sets: the share of its upright pictures that
        surely are, and that of its turned ones that are taken for it. One turned picture in a
        hundred, of all of them, scores above the threshold.
    """
    thumbnails, sources = _load(data)
    scores = {
        source: _scores(_fit(thumbnails[sources != source]), thumbnails[sources == source])
        for source in sorted(set(sources.tolist()))
    }
    turned = np.concatenate([own[1:].ravel() for own in scores.values()])
    surely_from = float(np.quantile(turned, 1 - _WRONG))
    held_out = {
        source: {
            "pictures": own.shape[1],
            "surely upright": float(np.mean(own[0] >= surely_from)),
            "turned, taken for upright": float(np.mean(own[1:] >= surely_from)),
        }
        for source, own in scores.items()
    }
    line = _fit(thumbnails)
    weights = line.weights / line.scale
    record = {
        "weights": [round(float(value), 5) for value in weights],
        "bias": round(line.bias - float(weights @ line.mean), 5),
        "surely_from": round(surely_from, 4),
        "held_out": held_out,
    }
    write_text(place, json_text(record) + "\n")
    return held_out


def _load(data: Path) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.str_]]:
    found = [(one.path, one.source) for one in list_labelled(data)]
    for name in _MORE:
        if (data / name).is_dir():
            found += [(path, "other") for path in pictures_in(data / name)]
    thumbnails: list[Thumbnail] = []
    sources = []
    for path, source in found:
        grey = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        if grey is not None:
            thumbnails.append(thumbnail_of(np.asarray(grey, dtype=np.uint8)))
            sources.append(source)
    return np.stack(thumbnails), np.array(sources)


def _fit(thumbnails: npt.NDArray[np.float32]) -> Logistic:
    rows = _turned(thumbnails).reshape(-1, SIDE * SIDE)
    labels = np.repeat([1, 0, 0, 0], len(thumbnails))
    weights = np.repeat([3.0, 1.0, 1.0, 1.0], len(thumbnails))
    return fit_logistic(rows, labels, penalty=_PENALTY, weights=weights)


def _scores(line: Logistic, thumbnails: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """(4, n): of every picture as it stands and turned once, twice, three times."""
    return line.logits(_turned(thumbnails).reshape(-1, SIDE * SIDE)).reshape(4, -1)


def _turned(thumbnails: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return np.concatenate([np.rot90(thumbnails, turns, axes=(1, 2)) for turns in range(4)])
