"""Splits by patient: which scans a network is trained on, and which it is validated on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, TypeVar

import numpy as np

from core.errors import DatasetError
from core.training.scans import ROLES, TRAINING_ROLES, TrainingScan

_Labelled = TypeVar("_Labelled")
_ORIGINS = ("coronacases", "radiopaedia")
"""How the names of the 20-case set begin: scans in HU, scans in 8-bit grey."""


@dataclass(frozen=True, eq=False)
class Split:
    """Scans for training and scans for validation; no patient is on both sides."""

    train: tuple[TrainingScan, ...]
    validation: tuple[TrainingScan, ...]

    def to_json_dict(self) -> dict[str, Any]:
        """Ids of every scan by side and role, and the patients whose cases they are."""
        return {
            side: {
                "patients": sorted({s.patient_id for s in scans if s.role == "case"}),
                **{role: sorted(s.scan_id for s in scans if s.role == role) for role in ROLES},
            }
            for side, scans in (("train", self.train), ("validation", self.validation))
        }


def split_by_patient(
    scans: Sequence[TrainingScan], *, validation_fraction: float, seed: int
) -> Split:
    """Draws validation patients within each kind of scan, so that both sides hold every kind.

    Cases of the 20-case set are drawn separately by their origin (true HU or 8-bit). The healthy
    scan is always on the validation side.

    Raises:
        DatasetError: the cases are of too few patients for two sides.
    """
    generator = np.random.default_rng(seed)
    held_out: set[str] = set()
    for stratum, patients in _strata(scans).items():
        if stratum == "healthy":
            held_out.update(patients)
            continue
        count = min(len(patients) - 1, ceil(len(patients) * validation_fraction))
        chosen = generator.permutation(len(patients))[:count]
        held_out.update(patients[index] for index in chosen)
    return _split_at(scans, held_out)


def split_off_fold(
    scans: Sequence[_Labelled], hold_out: int | None, *, fold_of: Callable[[_Labelled], int]
) -> tuple[tuple[_Labelled, ...], tuple[_Labelled, ...]]:
    """The scans to train on and those held out.

    Args:
        hold_out: number of the fold, from 1; none trains on all.
        fold_of: the fold that keeps a scan out.
    """
    return (
        tuple(scan for scan in scans if fold_of(scan) != hold_out),
        tuple(scan for scan in scans if fold_of(scan) == hold_out),
    )


def split_folds(scans: Sequence[TrainingScan], *, folds: int, seed: int) -> tuple[Split, ...]:
    """Divides the patients of each kind of scan among folds; each fold is validated on its own
    patients and trained on all others. The healthy scan is for validation in every fold.

    Raises:
        DatasetError: a fold would be left without cases on one side.
    """
    generator = np.random.default_rng(seed)
    held_out: list[set[str]] = [set() for _ in range(folds)]
    next_fold = 0
    for stratum, patients in _strata(scans).items():
        if stratum == "healthy":
            for fold in held_out:
                fold.update(patients)
            continue
        # Continued where the last kind ended, so that folds stay of one size.
        for index in generator.permutation(len(patients)):
            held_out[next_fold].add(patients[index])
            next_fold = (next_fold + 1) % folds
    return tuple(_split_at(scans, fold) for fold in held_out)


def _strata(scans: Sequence[TrainingScan]) -> dict[str, list[str]]:
    """Patients by kind of scan, both sorted."""
    strata: dict[str, set[str]] = {}
    for scan in scans:
        origin = scan.scan_id.split("_")[0]
        known = scan.role == "case" and origin in _ORIGINS
        stratum = f"{scan.role} {origin}" if known else scan.role
        strata.setdefault(stratum, set()).add(scan.patient_id)
    return {stratum: sorted(strata[stratum]) for stratum in sorted(strata)}


def _split_at(scans: Sequence[TrainingScan], held_out: set[str]) -> Split:
    split = Split(
        train=tuple(scan for scan in scans if scan.patient_id not in held_out),
        validation=tuple(scan for scan in scans if scan.patient_id in held_out),
    )
    for side in (split.train, split.validation):
        if not any(scan.role == "case" for scan in side):
            raise DatasetError(
                "The cases cannot be split into training and validation",
                got=f"{len({scan.patient_id for scan in scans if scan.role == 'case'})} patients",
                expected="at least two patients of one origin",
                next_step="add cases of other patients",
            )
    return split


def split_as_recorded(scans: Sequence[TrainingScan], record: Mapping[str, Any]) -> Split:
    """The split recorded by a run or a manifest, so that another run is validated on the same
    patients.

    Args:
        record: `Split.to_json_dict` of the earlier run. Scans it does not name are left out.

    Raises:
        DatasetError: a patient would stand on both sides, or a side has no case.
    """
    sides: dict[str, set[str]] = {}
    for side, kinds in (("train", TRAINING_ROLES), ("validation", ROLES)):
        roles = record.get(side, {})
        sides[side] = {str(name) for role in kinds for name in roles.get(role, ())}
    split = Split(
        train=tuple(scan for scan in scans if scan.scan_id in sides["train"]),
        validation=tuple(scan for scan in scans if scan.scan_id in sides["validation"]),
    )
    shared = {scan.patient_id for scan in split.train} & {s.patient_id for s in split.validation}
    both_filled = all(
        any(scan.role == "case" for scan in side) for side in (split.train, split.validation)
    )
    if shared or not both_filled:
        raise DatasetError(
            "The recorded split does not fit the data",
            got=f"{len(split.train)} training scans, {len(split.validation)} validation scans, "
            f"{len(shared)} patients on both sides",
            expected="cases on both sides and no patient on both",
            next_step="check that --data and --split belong together",
        )
    return split
