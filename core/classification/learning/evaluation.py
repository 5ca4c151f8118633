"""Results on each set, of every network that was trained and of the baselines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from core.classification.combination import Combination
from core.classification.learning.combining import cross_fitted, fit_combination
from core.classification.learning.data import SETS
from core.classification.learning.fitting import Logistic, balanced_weights, fit_logistic
from core.classification.learning.grey_baseline import grey_statistics
from core.classification.learning.pack import Pictures
from core.classification.learning.results import TrainedNetwork
from core.classification.lesions import LesionModel, lesion_rows
from core.classification.metrics import (
    Labels,
    Vector,
    accuracy,
    area_under_curve,
    bootstrap_interval,
    brier_score,
    expected_calibration_error,
    f1_score,
    reliability,
    to_probability,
)

LESION_PENALTY = 0.03
GREY_PENALTY = 0.03
LESIONS = "lesions alone"
BOTH = "both"
"""Trained on both sets."""
Table = dict[str, dict[str, Any]]


@dataclass(frozen=True, eq=False)
class Opinion:
    """Logits (n,) on all pictures by something trained on the training side of some sets."""

    method: str
    trained: str
    logits: Vector

    def scores(self, pictures: Pictures) -> Iterator[tuple[str, dict[str, Any]]]:
        """Its row for each set: the validation side of a set it was trained on, all of another."""
        for tested in SETS:
            own = pictures.sources == tested
            if self.trained in (BOTH, tested):
                own &= pictures.sides == "validation"
            name = f"{self.method}, {self.trained} → {tested}"
            yield name, measure(pictures.labels[own], self.logits[own])


def measure(labels: Labels, logits: Vector) -> dict[str, Any]:
    """AUC, accuracy and F1 at one half with 95 % intervals, JSON-ready."""
    probabilities = to_probability(logits)
    found: dict[str, Any] = {"slices": len(labels), "positive": int(labels.sum())}
    for name, metric in (("auc", area_under_curve), ("accuracy", accuracy), ("f1", f1_score)):
        found[name] = metric(labels, probabilities)
        found[f"{name}_interval"] = list(bootstrap_interval(labels, probabilities, metric))
    return found


def calibration_of(labels: Labels, before: Vector, after: Vector) -> dict[str, Any]:
    """Calibration of the network's own logits and of the combined ones."""
    found: dict[str, Any] = {}
    for name, logits in (("before", before), ("after", after)):
        probabilities = to_probability(logits)
        found[name] = {
            "ece": expected_calibration_error(labels, probabilities),
            "ece_interval": list(
                bootstrap_interval(labels, probabilities, expected_calibration_error)
            ),
            "brier": brier_score(labels, probabilities),
            "reliability": [
                [one.low, one.high, one.count, one.mean_probability, one.share_positive]
                for one in reliability(labels, probabilities)
            ],
        }
    return found


def sets_of(trained: str) -> tuple[str, ...]:
    """The sets that a word of the table stands for."""
    return SETS if trained == BOTH else (trained,)


def fit_rows(
    rows: npt.NDArray[np.float32], pictures: Pictures, trained: str, *, penalty: float
) -> Logistic:
    """A line on rows of all pictures, fitted on the training side of some sets."""
    own = np.isin(pictures.sources, sets_of(trained)) & (pictures.sides == "train")
    weights = balanced_weights(pictures.sources[own], pictures.labels[own])
    return fit_logistic(rows[own], pictures.labels[own], penalty=penalty, weights=weights)


def fit_lesions(pictures: Pictures, trained: str = BOTH) -> LesionModel:
    """The line on what is marked."""
    line = fit_rows(
        lesion_rows(pictures.frames).astype(np.float32), pictures, trained, penalty=LESION_PENALTY
    )
    return LesionModel(
        mean=tuple(float(value) for value in line.mean),
        scale=tuple(float(value) for value in line.scale),
        weights=tuple(float(value) for value in line.weights),
        bias=line.bias,
    )


def fit_together(
    network: Vector, lesions: Vector, pictures: Pictures, trained: str = BOTH
) -> Combination:
    """Network and lesions combined, fitted on the held-out side of the sets that both learned
    from."""
    own = np.isin(pictures.sources, sets_of(trained)) & (pictures.sides == "validation")
    return fit_combination(
        pictures.labels[own],
        network[own],
        lesions[own],
        weights=balanced_weights(pictures.sources[own], pictures.labels[own]),
    )


def together(network: Vector, lesions: Vector, pictures: Pictures, trained: str) -> Vector:
    """Combined logits, of held-out pictures by a combination that was fitted without their
    patients."""
    combined = fit_together(network, lesions, pictures, trained).logits(network, lesions)
    own = np.isin(pictures.sources, sets_of(trained)) & (pictures.sides == "validation")
    combined[own] = cross_fitted(
        pictures.labels[own],
        network[own],
        lesions[own],
        groups=pictures.groups[own],
        sources=pictures.sources[own],
    )
    return combined


def baselines(pictures: Pictures) -> Iterator[Opinion]:
    """What is marked alone, and grey levels alone."""
    lesions = lesion_rows(pictures.frames).astype(np.float32)
    grey = grey_statistics(pictures.frames[..., 0])
    for method, rows, penalty in (
        (LESIONS, lesions, LESION_PENALTY),
        ("grey statistics", grey, GREY_PENALTY),
    ):
        for trained in (BOTH, *SETS):
            line = fit_rows(rows, pictures, trained, penalty=penalty)
            yield Opinion(method, trained, line.logits(rows))


def results_table(pictures: Pictures, networks: list[TrainedNetwork], shipped: Opinion) -> Table:
    """Everything that was trained, on every set.

    Args:
        networks: what was trained, with its own predictions of all pictures.
        shipped: the averaged network of the chosen shape, trained on the training side.
    """
    base = list(baselines(pictures))
    lesions = {one.trained: one.logits for one in base if one.method == LESIONS}
    opinions = [shipped]
    opinions += [
        Opinion(one.method, one.trained, one.logits) for one in networks if not one.all_sides
    ]
    seen = {BOTH: shipped.logits}
    seen |= {one.trained: one.logits for one in networks if one.is_main}
    opinions[:0] = [
        Opinion(
            "network and lesions", trained, together(logits, lesions[trained], pictures, trained)
        )
        for trained, logits in seen.items()
    ]
    table: Table = {}
    for opinion in [*opinions, *base]:
        table.update(opinion.scores(pictures))
    return table
