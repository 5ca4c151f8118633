"""Cross-validation by patient: every case is judged by a network that never met its patient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.config import TrainConfig
from core.evaluation import CaseResult
from core.measuring.quality import Exclusion
from core.segmentation import MANIFEST_NAME, read_manifest
from core.system import OnProgress, ShouldCancel, ignore_progress, never_cancel
from core.training.dataset import (
    Split,
    TrainingScan,
    leave_out,
    load_training_scans,
    split_as_recorded,
    split_folds,
)
from core.training.fit import train
from core.training.publishing import publish
from core.training.runs import RunPaths, read_history, read_record

_WEIGHTS = "weights-{fold}"


@dataclass(frozen=True)
class CrossValidation:
    """What all folds found together.

    Attributes:
        results: one a case, judged by the fold that kept its patient out.
        picture_infection_dice: mean over single pictures, each judged by the fold that kept it out.
        negative_shares, healthy_shares: falsely infected share of the lung, one a fold, in slices
            without infection and in the healthy chest; nan where there are none.
    """

    results: tuple[CaseResult, ...]
    picture_infection_dice: float
    negative_shares: tuple[float, ...]
    healthy_shares: tuple[float, ...]


def cross_validate(
    data: Path,
    folder: Path,
    config: TrainConfig,
    *,
    folds: int,
    excluded: Sequence[Exclusion] = (),
    initial: Path | None = None,
    stop_after: int | None = None,
    on_progress: OnProgress = ignore_progress,
    should_cancel: ShouldCancel = never_cancel,
) -> CrossValidation:
    """Trains one network a fold and judges it through the whole pipeline on the fold's patients.

    What was interrupted goes on: a fold that is finished is read, one under way is resumed.

    Args:
        data: see `core.training.dataset`.
        folder: gets `fold-1`, `weights-1`, `fold-2` and so on.
        config: of every fold's training; its settings for publishing are those judged with.
        excluded: what teaches in no fold; what is excluded whole does not judge either.
        initial: folder of an earlier cross-validation with as many folds; each fold starts from
            the best weights of its namesake and keeps out the same patients.
        stop_after: as for `core.training.fit.train`; folds that are further stay as
            they are.

    Raises:
        DatasetError: too few patients for so many folds, or the folder holds other runs.
        Cancelled: the person asked to stop.
    """
    scans = leave_out(
        load_training_scans(data, config.preprocess, on_progress=on_progress), excluded
    )
    splits = _splits(scans, folds=folds, seed=config.seed, initial=initial)
    found = []
    for number, split in enumerate(splits, start=1):
        paths = train(
            data,
            folder / f"fold-{number}",
            config,
            recorded_split=split.to_json_dict(),
            excluded=excluded,
            initial=None if initial is None else initial / f"fold-{number}",
            stop_after=stop_after,
            on_progress=lambda stage, done, total, number=number: on_progress(  # type: ignore[misc]
                f"fold {number} of {folds}: {stage}", done, total
            ),
            should_cancel=should_cancel,
        )
        found.append(_judged(data, paths, folder / _WEIGHTS.format(fold=number), config))
    return _summed(splits, found)


def _splits(
    scans: Sequence[TrainingScan], *, folds: int, seed: int, initial: Path | None
) -> tuple[Split, ...]:
    if initial is None:
        return split_folds(scans, folds=folds, seed=seed)
    records = (
        read_record(RunPaths(initial / f"fold-{number}").config) for number in range(1, folds + 1)
    )
    return tuple(split_as_recorded(scans, record["split"]) for record in records)


def _judged(data: Path, paths: RunPaths, weights: Path, config: TrainConfig) -> dict[str, Any]:
    if (weights / MANIFEST_NAME).is_file():
        manifest = read_manifest(weights).manifest
        epochs = len(read_history(paths.history))
        if "validation" in manifest and manifest["training"]["epochs_done"] == epochs:
            judged: dict[str, Any] = manifest["validation"]
            return judged
    validation: dict[str, Any] = publish(data, paths, weights, config).manifest["validation"]
    return validation


def _summed(splits: Sequence[Split], found: Sequence[dict[str, Any]]) -> CrossValidation:
    pictures = [sum(s.role == "picture" for s in split.validation) for split in splits]
    dice = [_number(fold["pictures_infection_dice"]) for fold in found]
    known = [(d, n) for d, n in zip(dice, pictures, strict=True) if n and not np.isnan(d)]
    return CrossValidation(
        results=tuple(CaseResult.from_row(row) for fold in found for row in fold["cases"]),
        picture_infection_dice=(
            float(np.average([d for d, _ in known], weights=[n for _, n in known]))
            if known
            else float("nan")
        ),
        negative_shares=tuple(_number(f["negative_slices_infected_share"]) for f in found),
        healthy_shares=tuple(_number(f.get("normal001_infected_share")) for f in found),
    )


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
