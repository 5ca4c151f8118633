"""Fitting how two opinions on a slice are combined, on pictures that neither has learned from."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from core.classification.combination import MOST_CERTAIN, Combination, Line
from core.classification.learning.fitting import balanced_weights, fit_logistic
from core.classification.metrics import Labels, Vector

LESION_WEIGHT = 0.8
"""Of the logit of what is marked, beside the network's; chosen on validation pictures and on sets
not learned from: more costs the former, less the latter."""
_PENALTY = 1e-3
_FOLDS = 5


def fit_combination(
    labels: Labels, network: Vector, lesions: Vector, *, weights: Vector
) -> Combination:
    """Calibration of the sum of both, in a fixed ratio, and of each alone.

    A ratio fitted on held-out pictures of the sets that were learned from would trust the network
    more than it deserves on other sets.

    Args:
        weights: (n,) of each picture.
    """
    bound = MOST_CERTAIN
    joined = np.clip(network, -bound, bound) + LESION_WEIGHT * np.clip(lesions, -bound, bound)
    (slope,), bias = _fit([joined], labels, weights)
    (by_network, network_bias), (by_lesions, lesions_bias) = (
        _fit([np.clip(one, -bound, bound)], labels, weights) for one in (network, lesions)
    )
    return Combination(
        network=slope,
        lesions=LESION_WEIGHT * slope,
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
    rows = np.column_stack(columns).astype(np.float32)
    line = fit_logistic(rows, labels, penalty=_PENALTY, weights=weights)
    slopes = line.weights / line.scale
    return [float(slope) for slope in slopes], line.bias - float(slopes @ line.mean)
