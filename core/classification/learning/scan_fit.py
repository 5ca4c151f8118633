"""Calibrating verdicts on scans, on scans that nothing has learned from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from core.classification.learning.fitting import fit_logistic
from core.classification.learning.scans import HeldOutScan
from core.classification.metrics import (
    Labels,
    Vector,
    area_under_curve,
    bootstrap_interval,
    expected_calibration_error,
    to_probability,
)
from core.classification.scan import ScanModel, log_share, suspicious_mean

_PENALTY = 0.1
"""Few scans: a strong one, so that few of them give no certainty."""


def fit_scans(
    scans: Sequence[HeldOutScan], slice_logits: Vector
) -> tuple[ScanModel, dict[str, Any]]:
    """The regression for scans, and its record with values from leaving each patient out.

    Args:
        slice_logits: calibrated logits of the network alone for all slices of all scans.
    """
    usual = ScanModel()
    counts = np.cumsum([len(scan.frames) for scan in scans])[:-1]
    slices = np.array([suspicious_mean(own, usual) for own in np.split(slice_logits, counts)])
    shares = np.array([log_share(scan.infected_share) for scan in scans])
    labels = np.array([scan.label for scan in scans], dtype=np.int64)
    patients = np.array([scan.patient for scan in scans])
    both = np.column_stack([shares, slices])
    slopes, bias = _fit(both, labels, patients)
    (by_share,), share_bias = _fit(both[:, :1], labels, patients)
    model = ScanModel(
        share=slopes[0],
        slices=slopes[1],
        bias=bias,
        lesions_alone=by_share,
        lesions_bias=share_bias,
    )
    left_out = {
        "both": _leave_patients_out(both, labels, patients),
        "infected share alone": _leave_patients_out(both[:, :1], labels, patients),
        "slices alone": _leave_patients_out(both[:, 1:], labels, patients),
    }
    return model, {
        "scans": len(scans),
        "patients": len(set(patients.tolist())),
        "with_covid": int(labels.sum()),
        "segmented_by": sorted({scan.segmented_by for scan in scans}),
        "results": {name: _measured(labels, logits) for name, logits in left_out.items()},
        "rows": [
            {
                "name": scan.name,
                "covid": bool(scan.label),
                "segmented_by": scan.segmented_by,
                "infected_share": scan.infected_share,
                "slices": float(own),
                "probability": float(to_probability(np.array([logit]))[0]),
            }
            for scan, own, logit in zip(scans, slices, left_out["both"], strict=True)
        ],
    }


def _fit(
    rows: npt.NDArray[np.float64], labels: Labels, patients: npt.NDArray[np.str_]
) -> tuple[list[float], float]:
    """Slopes and bias; every class and, within it, every patient has the same weight."""
    weights = np.zeros(len(labels))
    for label in (0, 1):
        names = set(patients[labels == label].tolist())
        for name in names:
            own = (labels == label) & (patients == name)
            weights[own] = 1 / (len(names) * own.sum())
    line = fit_logistic(rows.astype(np.float32), labels, penalty=_PENALTY, weights=weights)
    slopes = line.weights / line.scale
    return [float(slope) for slope in slopes], line.bias - float(slopes @ line.mean)


def _leave_patients_out(
    rows: npt.NDArray[np.float64], labels: Labels, patients: npt.NDArray[np.str_]
) -> Vector:
    logits = np.zeros(len(labels))
    for name in sorted(set(patients.tolist())):
        own = patients == name
        slopes, bias = _fit(rows[~own], labels[~own], patients[~own])
        logits[own] = rows[own] @ np.array(slopes) + bias
    return logits


def _measured(labels: Labels, logits: Vector) -> dict[str, Any]:
    probabilities = to_probability(logits)
    return {
        "auc": area_under_curve(labels, probabilities),
        "auc_interval": list(bootstrap_interval(labels, probabilities, area_under_curve)),
        "ece": expected_calibration_error(labels, probabilities, bins=5),
    }
