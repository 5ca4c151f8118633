"""Fitting how two opinions on a slice are combined, on pictures that neither has learned from."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from core.classification.combination import MOST_CERTAIN, Combination, Line
from core.classification.learning.fitting import balanced_weights, fit_logistic
from core.classification.metrics import Labels, Vector

_PENALTY = 1e-3
_FOLDS = 5


def fit_combination(
    labels: Labels, network: Vector, lesions: Vector, *, weights: Vector
) -> Combination:
    """Logistic regression on both logits, and on each alone.

    Args:
        weights: (n,) of each picture.
    """
    slopes, bias = _fit([network, lesions], labels, weights)
    (by_network, network_bias), (by_lesions, lesions_bias) = (
        _fit([one], labels, weights) for one in (network, lesions)
    )
    return Combination(
        network=slopes[0],
        lesions=slopes[1],
        bias=bias,
        network_alone=Line(by_network[0], network_bias),
        lesions_alone=Line(by_lesions[0], lesions_bias),
    )


def cross_fitted(
    labels: Labels,
    network: Vector,
    lesions: Vector,
    *,
    groups: npt.NDArray[np.str_],
    sources: npt.NDArray[np.str_],
    seed: int = 0,
) -> Vector:
    """Combined logits (n,), each by a combination fitted without the picture's own group."""
    names = np.unique(groups)
    fold_of = dict(
        zip(
            names.tolist(),
            np.random.default_rng(seed).permutation(len(names)) % _FOLDS,
            strict=True,
        )
    )
    folds = np.array([fold_of[group] for group in groups.tolist()])
    combined = np.zeros(len(labels))
    for fold in range(_FOLDS):
        others, own = folds != fold, folds == fold
        found = fit_combination(
            labels[others],
            network[others],
            lesions[others],
            weights=balanced_weights(sources[others], labels[others]),
        )
        combined[own] = found.logits(network[own], lesions[own])
    return combined


def _fit(columns: list[Vector], labels: Labels, weights: Vector) -> tuple[list[float], float]:
    """Slopes and bias on the bounded logits."""
    rows = np.clip(np.column_stack(columns), -MOST_CERTAIN, MOST_CERTAIN).astype(np.float32)
    line = fit_logistic(rows, labels, penalty=_PENALTY, weights=weights)
    slopes = line.weights / line.scale
    return [float(slope) for slope in slopes], line.bias - float(slopes @ line.mean)
