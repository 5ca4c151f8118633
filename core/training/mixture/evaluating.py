"""How well a network does on patients held out: on each set by what is known of it, through the
whole pipeline and on each scan's own grid."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from core.evaluation import compute_overlap
from core.system import OnProgress, ignore_progress
from core.training.mixture.sources import (
    VOLUME_SOURCES,
    LabelledStudy,
    SourceName,
    read_studies,
)
from core.volume import BoolArray, MaskPair, Volume

FEW_SLICES = 10
"""Volumes of no more slices than this are left out of means."""


@dataclass(frozen=True)
class ScanEvaluation:
    """Measurements of one scan; nan where something is not known or not defined.

    Attributes:
        lung_dice, infection_dice: of the whole volume.
        lung_in_free_slices: lung marked in slices that hold none, as a share of the true lung.
        infected_share: infected part of the lung as marked.
        infected_in_free_slices: the same in slices that hold no infection.
    """

    scan_id: str
    patient_id: str
    source: SourceName
    slices: int
    lung_dice: float
    infection_dice: float
    lung_in_free_slices: float
    infected_share: float
    infected_in_free_slices: float


_MEANS = (
    "lung_dice",
    "infection_dice",
    "lung_in_free_slices",
    "infected_share",
    "infected_in_free_slices",
)


def evaluate_scans(
    data: Path,
    predict: Callable[[Volume], MaskPair],
    scan_ids: Collection[str],
    *,
    on_progress: OnProgress = ignore_progress,
) -> tuple[ScanEvaluation, ...]:
    """Evaluates predictions for the named scans of a data folder.

    Args:
        predict: gives masks on the volume's canonical grid.
        scan_ids: those held out; others are left out.
        on_progress: called with "evaluating scans".
    """
    found = []
    for study in read_studies(data):
        if study.scan_id in scan_ids:
            found.append(evaluate_scan(study, predict(study.volume)))
            on_progress("evaluating scans", len(found), len(scan_ids))
    return tuple(found)


def evaluate_scan(study: LabelledStudy, predicted: MaskPair) -> ScanEvaluation:
    """One prediction against what is known of the scan."""
    lung, infection = _mask(predicted.lung, study), _mask(predicted.infection, study)
    infected = infection & lung
    true_lung, true_infection = study.truth.lung, study.truth.infection
    nan = float("nan")
    lung_dice = infection_dice = lung_free = infected_free = nan
    if true_lung is not None:
        lung_dice = compute_overlap(true_lung, lung).dice
        free = ~true_lung.any(axis=(0, 1))
        lung_free = _share(int(lung[:, :, free].sum()), int(true_lung.sum()))
    if true_infection is not None:
        if true_infection.any():
            infection_dice = compute_overlap(true_infection, infection).dice
        free = ~true_infection.any(axis=(0, 1))
        infected_free = _share(int(infected[:, :, free].sum()), int(lung[:, :, free].sum()))
    return ScanEvaluation(
        scan_id=study.scan_id,
        patient_id=study.patient_id,
        source=study.source,
        slices=study.volume.shape[2],
        lung_dice=lung_dice,
        infection_dice=infection_dice,
        lung_in_free_slices=lung_free,
        infected_share=_share(int(infected.sum()), int(lung.sum())),
        infected_in_free_slices=infected_free,
    )


def summarize(scans: Sequence[ScanEvaluation]) -> dict[str, dict[str, float]]:
    """By set: number of scans, means over patients, and the worst lung Dice. The volumes of few
    slices have no part in means."""
    summary: dict[str, dict[str, float]] = {}
    for source in dict.fromkeys(scan.source for scan in scans):
        own = [scan for scan in scans if scan.source == source]
        if source in VOLUME_SOURCES:
            own = [scan for scan in own if scan.slices > FEW_SLICES] or own
        known = [scan.lung_dice for scan in own if not np.isnan(scan.lung_dice)]
        summary[source] = {
            "scans": float(len(own)),
            **{name: _mean_over_patients(own, name) for name in _MEANS},
            "worst_lung_dice": min(known) if known else float("nan"),
        }
    return summary


def to_rows(scans: Sequence[ScanEvaluation]) -> list[dict[str, Any]]:
    """JSON-ready rows; nan is left for the writer to turn into null."""
    return [asdict(scan) for scan in scans]


def from_rows(rows: Sequence[Mapping[str, Any]]) -> list[ScanEvaluation]:
    """The inverse of `to_rows`, null being nan."""
    found = []
    for row in rows:
        values: dict[str, Any] = {part.name: row[part.name] for part in fields(ScanEvaluation)}
        values |= {name: float("nan") for name in _MEANS if values[name] is None}
        found.append(ScanEvaluation(**values))
    return found


def _mean_over_patients(scans: Sequence[ScanEvaluation], name: str) -> float:
    by_patient: dict[str, list[float]] = {}
    for scan in scans:
        value = float(getattr(scan, name))
        if not np.isnan(value):
            by_patient.setdefault(scan.patient_id, []).append(value)
    means = [float(np.mean(values)) for values in by_patient.values()]
    return float(np.mean(means)) if means else float("nan")


def _mask(mask: BoolArray | None, study: LabelledStudy) -> BoolArray:
    return np.zeros(study.volume.shape, dtype=np.bool_) if mask is None else mask


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
