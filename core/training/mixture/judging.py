"""What the patients kept out say of a network: every set by what is known of it, through the whole
pipeline and on each scan's own grid."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.evaluation import compute_overlap
from core.system import OnProgress, ignore_progress
from core.training.mixture.sources import LabelledStudy, SourceName, read_studies
from core.volume import BoolArray, MaskPair, Volume

FEW_SLICES = 10
"""A volume of no more than these has no say in means."""
_VOLUMES: tuple[SourceName, ...] = ("covid20", "second_team", "whole_chest", "whole_unmarked")


@dataclass(frozen=True)
class JudgedScan:
    """One scan; nan where something is not known or not defined.

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


def judge_scans(
    data: Path,
    predict: Callable[[Volume], MaskPair],
    scan_ids: Collection[str],
    *,
    on_progress: OnProgress = ignore_progress,
) -> tuple[JudgedScan, ...]:
    """Judges the named scans of a data folder.

    Args:
        predict: gives masks on the volume's canonical grid.
        scan_ids: those kept out; others are not looked at.
    """
    judged = []
    for study in read_studies(data):
        if study.scan_id in scan_ids:
            judged.append(judge_scan(study, predict(study.volume)))
            on_progress("judging scans", len(judged), len(scan_ids))
    return tuple(judged)


def judge_scan(study: LabelledStudy, predicted: MaskPair) -> JudgedScan:
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
    return JudgedScan(
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


def summarize(judged: Sequence[JudgedScan]) -> dict[str, dict[str, float]]:
    """By set: how many scans, means over patients, the worst lung, and infected shares of single
    slices taken together, as one large scan."""
    summary: dict[str, dict[str, float]] = {}
    for source in dict.fromkeys(scan.source for scan in judged):
        scans = [scan for scan in judged if scan.source == source]
        if source in _VOLUMES:
            scans = [scan for scan in scans if scan.slices > FEW_SLICES] or scans
        figures: dict[str, float] = {"scans": float(len(scans))}
        for name in (
            "lung_dice",
            "infection_dice",
            "lung_in_free_slices",
            "infected_share",
            "infected_in_free_slices",
        ):
            figures[name] = _mean_over_patients(scans, name)
        known = [scan.lung_dice for scan in scans if not np.isnan(scan.lung_dice)]
        figures["worst_lung_dice"] = min(known) if known else float("nan")
        summary[source] = figures
    return summary


def to_rows(judged: Sequence[JudgedScan]) -> list[dict[str, Any]]:
    """JSON-ready rows; nan is left for the writer to turn into null."""
    return [asdict(scan) for scan in judged]


def _mean_over_patients(scans: Sequence[JudgedScan], name: str) -> float:
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
