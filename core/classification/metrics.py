"""Metrics of probabilities against the truth: AUC, accuracy, F1, calibration, intervals.

All take `labels` (n,) of 0 and 1. What is not defined, such as the AUC of one class, is nan.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit
from scipy.stats import rankdata

Vector = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

_BINS = 10


def area_under_curve(labels: Labels, scores: Vector) -> float:
    """Area under the ROC curve: the chance that one positive scores above one negative, ties
    counting half (Hanley, McNeil 1982)."""
    positives = int(np.count_nonzero(labels))
    negatives = len(labels) - positives
    if not positives or not negatives:
        return float("nan")
    ranks = rankdata(scores)
    above = float(ranks[np.asarray(labels) > 0].sum()) - positives * (positives + 1) / 2
    return above / (positives * negatives)


def accuracy(labels: Labels, probabilities: Vector) -> float:
    """Share of slices classified correctly at one half."""
    return float(np.mean((probabilities >= 0.5) == (labels > 0))) if len(labels) else float("nan")


def f1_score(labels: Labels, probabilities: Vector) -> float:
    """Harmonic mean of precision and recall of class 1 at one half."""
    predicted, true = probabilities >= 0.5, labels > 0
    both = int(np.count_nonzero(predicted & true))
    total = int(np.count_nonzero(predicted)) + int(np.count_nonzero(true))
    return 2 * both / total if total else float("nan")


def brier_score(labels: Labels, probabilities: Vector) -> float:
    """Mean squared distance of probability and truth (Brier 1950)."""
    return float(np.mean((probabilities - labels) ** 2)) if len(labels) else float("nan")


@dataclass(frozen=True)
class ReliabilityBin:
    """Slices whose predicted probability of COVID-19 is in [low, high)."""

    low: float
    high: float
    count: int
    mean_probability: float
    share_positive: float


def wilson_interval(positive: int, count: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927); from 0 to 1 where nothing was counted."""
    if count <= 0:
        return 0.0, 1.0
    z = 1.96
    share = positive / count
    centre = share + z * z / (2 * count)
    half = z * np.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    whole = 1 + z * z / count
    return float(max(0.0, (centre - half) / whole)), float(min(1.0, (centre + half) / whole))


def reliability(
    labels: Labels, probabilities: Vector, *, bins: int = _BINS
) -> tuple[ReliabilityBin, ...]:
    """Equal bins of probability, predicted and observed; empty bins are left out."""
    edges = np.linspace(0.0, 1.0, bins + 1)
    place = np.clip(np.digitize(probabilities, edges[1:-1]), 0, bins - 1)
    return tuple(
        ReliabilityBin(
            low=float(edges[n]),
            high=float(edges[n + 1]),
            count=int(np.count_nonzero(place == n)),
            mean_probability=float(probabilities[place == n].mean()),
            share_positive=float(np.mean(labels[place == n])),
        )
        for n in range(bins)
        if (place == n).any()
    )


def expected_calibration_error(
    labels: Labels, probabilities: Vector, *, bins: int = _BINS
) -> float:
    """Mean distance of predicted and observed frequency over the bins, weighted by their slices
    (Naeini et al. 2015)."""
    if not len(labels):
        return float("nan")
    found = reliability(labels, probabilities, bins=bins)
    return sum(
        one.count / len(labels) * abs(one.mean_probability - one.share_positive) for one in found
    )


def to_probability(logits: Vector) -> Vector:
    """Logits through the logistic function."""
    probabilities: Vector = expit(np.asarray(logits, dtype=np.float64))
    return probabilities


def bootstrap_interval(
    labels: Labels,
    scores: Vector,
    metric: Callable[[Labels, Vector], float],
    *,
    draws: int = 400,
    seed: int = 0,
) -> tuple[float, float]:
    """95 % percentile interval of a metric over slices drawn with replacement within each class.

    Slices of one patient resemble each other, so the true interval is wider.
    """
    generator = np.random.default_rng(seed)
    groups = [np.flatnonzero(labels == value) for value in (0, 1)]
    values = []
    for _ in range(draws):
        chosen = np.concatenate([generator.choice(g, len(g)) for g in groups if len(g)])
        values.append(metric(labels[chosen], scores[chosen]))
    low, high = np.nanpercentile(values, (2.5, 97.5))
    return float(low), float(high)
