"""The table of a classifier: what it reaches where, against what grey levels alone reach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from core.classification.data import SETS, LabelledFeatures
from core.classification.features import global_columns
from core.classification.fitting import Logistic, balanced_weights, fit_logistic
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

PENALTIES = (0.01, 0.03, 0.1, 0.3, 1.0)


def figures_of(labels: npt.NDArray[np.int64], logits: Vector) -> dict[str, Any]:
    """AUC, accuracy and F1 at one half with 95 % intervals, JSON-ready."""
    probabilities = to_probability(logits)
    found: dict[str, Any] = {"slices": len(labels), "positive": int(labels.sum())}
    for name, figure in (("auc", area_under_curve), ("accuracy", accuracy), ("f1", f1_score)):
        found[name] = figure(labels, probabilities)
        found[f"{name}_interval"] = list(bootstrap_interval(labels, probabilities, figure))
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


def fit_on(
    features: LabelledFeatures, *, penalty: float, ucsd_share: float, grey: bool = False
) -> Logistic:
    """A head, or the grey baseline, on the pictures given."""
    return fit_logistic(
        features.grey if grey else features.rows,
        features.labels,
        penalty=penalty,
        weights=balanced_weights(features.sources, features.labels, ucsd_share=ucsd_share),
    )


def choose_penalty(
    features: LabelledFeatures, *, ucsd_share: float, grey: bool = False
) -> tuple[float, dict[str, float]]:
    """The penalty with the best mean AUC over the validation pictures of the sets present."""
    taught = features.of(None, "train")
    scores = {}
    for penalty in PENALTIES:
        head = fit_on(taught, penalty=penalty, ucsd_share=ucsd_share, grey=grey)
        judged = [judge(features.of(source, "validation"), head, grey=grey) for source in SETS]
        scores[f"{penalty:g}"] = float(np.nanmean(judged))
    best = max(PENALTIES, key=lambda penalty: scores[f"{penalty:g}"])
    return best, scores


def judge(features: LabelledFeatures, head: Logistic, *, grey: bool = False) -> float:
    """AUC of a head on the pictures given."""
    return area_under_curve(features.labels, head.logits(features.grey if grey else features.rows))


def table(
    features: LabelledFeatures, *, penalty: float, ucsd_share: float, filters: Sequence[int] = ()
) -> dict[str, dict[str, Any]]:
    """Trained on one set or both, judged on the validation side of a set learned from and on all
    of a set not learned from; and the same for grey statistics.

    Args:
        filters: of each level, to judge the same features without those of masks too; none where
            there are no features of masks.
    """
    models = [("classifier", features, penalty, False)]
    if filters:
        plain = replace(features, rows=features.rows[:, global_columns(filters)])
        own, _ = choose_penalty(plain, ucsd_share=ucsd_share)
        models.append(("without masks", plain, own, False))
    own, _ = choose_penalty(features, ucsd_share=ucsd_share, grey=True)
    models.append(("grey statistics", features, own, True))
    rows: dict[str, dict[str, Any]] = {}
    for model, seen, strength, is_grey in models:
        for taught in (None, "ucsd", "sars"):
            head = fit_on(
                seen.of(taught, "train"), penalty=strength, ucsd_share=ucsd_share, grey=is_grey
            )
            for judged in SETS:
                part = seen.of(judged, "validation" if taught in (None, judged) else None)
                logits = head.logits(part.grey if is_grey else part.rows)
                rows[f"{model}, {taught or 'both'} → {judged}"] = figures_of(part.labels, logits)
    return rows
