"""Results of a classifier on each set, against a baseline of grey levels alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from core.classification.data import SETS, LabelledFeatures
from core.classification.features import global_columns
from core.classification.fitting import (
    FitConfig,
    Logistic,
    Mixture,
    balanced_weights,
    fit_logistic,
)
from core.classification.metrics import (
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

PENALTIES = (0.003, 0.01, 0.03, 0.1, 0.3)


def measure(labels: npt.NDArray[np.int64], logits: Vector) -> dict[str, Any]:
    """AUC, accuracy and F1 at one half with 95 % intervals, JSON-ready."""
    probabilities = to_probability(logits)
    found: dict[str, Any] = {"slices": len(labels), "positive": int(labels.sum())}
    for name, metric in (("auc", area_under_curve), ("accuracy", accuracy), ("f1", f1_score)):
        found[name] = metric(labels, probabilities)
        found[f"{name}_interval"] = list(bootstrap_interval(labels, probabilities, metric))
    return found


def calibration_of(
    labels: npt.NDArray[np.int64], logits: Vector, temperature: float
) -> dict[str, Any]:
    """Calibration before and after a temperature, with the bins of the latter."""
    found: dict[str, Any] = {"temperature": temperature}
    for name, divisor in (("before", 1.0), ("after", temperature)):
        probabilities = to_probability(logits, temperature=divisor)
        found[name] = {
            "ece": expected_calibration_error(labels, probabilities),
            "brier": brier_score(labels, probabilities),
            "reliability": [
                [one.low, one.high, one.count, one.mean_probability, one.share_positive]
                for one in reliability(labels, probabilities)
            ],
        }
    return found


def fit_on(features: LabelledFeatures, fit: FitConfig, *, grey: bool = False) -> Logistic | Mixture:
    """A head, or the grey baseline, fitted on these pictures: a mixture where they are of both
    sets."""
    seen = replace(features, rows=features.grey) if grey else features
    heads = {}
    for source in SETS:
        part = seen.of(source, None)
        if len(part.labels):
            heads[source] = fit_logistic(
                part.rows,
                part.labels,
                penalty=fit.penalty(source),
                weights=balanced_weights(part.sources, part.labels, ucsd_share=1.0),
            )
    if len(heads) == 1:
        return next(iter(heads.values()))
    origin = fit_logistic(
        seen.rows,
        (seen.sources == "sars").astype(np.int64),
        penalty=fit.origin_penalty,
        weights=balanced_weights(seen.sources, seen.labels, ucsd_share=0.5),
    )
    return Mixture(heads["ucsd"], heads["sars"], origin, fit.origin_doubt)


def choose_penalties(
    features: LabelledFeatures, fit: FitConfig, *, grey: bool = False
) -> tuple[FitConfig, dict[str, dict[str, float]]]:
    """For each set the penalty whose own head has the best AUC on its validation pictures."""
    scores: dict[str, dict[str, float]] = {}
    for source in SETS:
        train, held_out = features.of(source, "train"), features.of(source, "validation")
        scores[source] = {}
        for penalty in PENALTIES:
            tried = fit.with_penalty(source, penalty)
            head = fit_on(train, tried, grey=grey)
            rows = held_out.grey if grey else held_out.rows
            scores[source][f"{penalty:g}"] = area_under_curve(held_out.labels, head.logits(rows))
        best = max(PENALTIES, key=lambda penalty: scores[source][f"{penalty:g}"])
        fit = fit.with_penalty(source, best)
    return fit, scores


def results_table(
    features: LabelledFeatures, fit: FitConfig, *, filters: Sequence[int] = ()
) -> dict[str, dict[str, Any]]:
    """Trained on one set or both, tested on the validation side of a training set and on all of a
    set that was not trained on; and the same for a random encoder, where there are its features,
    and for grey statistics. Each with its own best penalties.

    Args:
        filters: of each level, to test the features without those of masks too; none where there
            are no features of masks.
    """
    models = [("classifier", features, fit, False)]
    others = []
    if filters:
        others.append(("without masks", features.rows[:, global_columns(filters)]))
    if features.random.shape[1]:
        others.append(("random encoder", features.random))
        if filters:
            random_global = features.random[:, global_columns(filters)]
            others.append(("random encoder, without masks", random_global))
    for model, columns in others:
        seen = replace(features, rows=columns)
        models.append((model, seen, choose_penalties(seen, fit)[0], False))
    grey_fit, _ = choose_penalties(features, fit, grey=True)
    models.append(("grey statistics", features, grey_fit, True))
    rows: dict[str, dict[str, Any]] = {}
    for model, seen, own, is_grey in models:
        for trained in (None, "ucsd", "sars"):
            head = fit_on(seen.of(trained, "train"), own, grey=is_grey)
            for tested in SETS:
                part = seen.of(tested, "validation" if trained in (None, tested) else None)
                logits = head.logits(part.grey if is_grey else part.rows)
                rows[f"{model}, {trained or 'both'} → {tested}"] = measure(part.labels, logits)
    return rows
