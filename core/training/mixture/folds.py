"""Which fold holds out which patients.

Some sets share patients under other names: slices of one LUNA series stand in up to four of them.
Patients that nearly identical slices show to be one are listed in `weights/connected-patients.json`
and stay together.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from core.system import WEIGHTS_FOLDER
from core.training.mixture.sources import LabelledScan

CONNECTIONS = WEIGHTS_FOLDER / "connected-patients.json"
_THUMBNAIL = 48
_STRATA = (
    "coronacases",
    "radiopaedia",
    "whole_chest",
    "whole_unmarked",
    "pictures",
    "reviewed",
    "unreviewed",
    "lung_slices",
    "healthy",
)


def read_connections(path: Path = CONNECTIONS) -> tuple[tuple[str, str], ...]:
    """Pairs of patient ids that are one patient."""
    pairs = json.loads(path.read_text(encoding="utf-8"))["pairs"]
    return tuple((str(first), str(second)) for first, second in pairs)


def group_patients(
    patients: Iterable[str], connections: Iterable[tuple[str, str]]
) -> dict[str, str]:
    """For each patient id the one that stands for all it is connected with."""
    leader = {patient: patient for patient in patients}

    def find(patient: str) -> str:
        while leader[patient] != patient:
            patient = leader[patient]
        return patient

    for first, second in connections:
        if first in leader and second in leader:
            low, high = sorted((find(first), find(second)))
            leader[high] = low
    return {patient: find(patient) for patient in leader}


def assign_folds(
    scans: Sequence[LabelledScan],
    *,
    folds: int,
    seed: int,
    connections: Iterable[tuple[str, str]] | None = None,
) -> dict[str, int]:
    """The fold, from 1, that keeps each scan out, by scan id.

    Patients of each kind of scan are dealt out one by one, so that every kind is spread over the
    folds; connected patients go together.
    """
    known = read_connections() if connections is None else connections
    group = group_patients({scan.patient_id for scan in scans}, known)
    generator = np.random.default_rng(seed)
    fold_of: dict[str, int] = {}
    following = 0
    for stratum in _STRATA:
        groups = {group[scan.patient_id] for scan in scans if _stratum(scan) == stratum}
        waiting = sorted(groups - set(fold_of))
        for index in generator.permutation(len(waiting)):
            fold_of[waiting[index]] = following + 1
            following = (following + 1) % folds
    return {scan.scan_id: fold_of[group[scan.patient_id]] for scan in scans}


def _stratum(scan: LabelledScan) -> str:
    if scan.source in ("covid20", "second_team"):
        return "coronacases" if scan.patient_id.startswith("coronacases") else "radiopaedia"
    return scan.source


def find_near_duplicates(
    scans: Sequence[LabelledScan], *, least: float = 0.985
) -> tuple[tuple[str, str, float], ...]:
    """Pairs of patients of whom two slices look nearly the same, and their correlation; what
    `weights/connected-patients.json` was made from, together with the slice numbers in names."""
    owners: list[str] = []
    thumbnails: list[npt.NDArray[np.float32]] = []
    for scan in scans:
        for image in scan.images:
            small = cv2.resize(image, (_THUMBNAIL, _THUMBNAIL), interpolation=cv2.INTER_AREA)
            flat = small.astype(np.float32).ravel()
            flat -= flat.mean()
            thumbnails.append(flat / max(float(np.linalg.norm(flat)), 1e-6))
            owners.append(scan.patient_id)
    alike = np.stack(thumbnails) @ np.stack(thumbnails).T
    best: dict[tuple[str, str], float] = {}
    for first, second in np.argwhere(np.triu(alike, 1) > least):
        pair = tuple(sorted((owners[first], owners[second])))
        if pair[0] != pair[1]:
            key = (pair[0], pair[1])
            best[key] = max(best.get(key, 0.0), float(alike[first, second]))
    return tuple((*pair, value) for pair, value in sorted(best.items()))
