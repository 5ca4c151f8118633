"""Cross-validation by patient: every case is validated by a network not trained on its patient."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from core.config import TrainConfig
from core.evaluation import CaseResult
from core.measuring.quality import Exclusion
from core.segmentation import MANIFEST_NAME, read_manifest
from core.system import OnProgress, ShouldCancel, ignore_progress, never_cancel
from core.training.crossval_results import CrossValidation
from core.training.fit import train
from core.training.publishing import publish
from core.training.runs import RunPaths, read_history, read_record
from core.training.scans import TrainingScan, leave_out, load_training_scans
from core.training.splits import Split, split_as_recorded, split_folds

_WEIGHTS = "weights-{fold}"


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
    """Trains one network per fold and validates it through the whole pipeline on the fold's
    patients.

    Finished folds are read, an interrupted one is resumed.

    Args:
        data: see `core.training.dataset`.
        folder: gets `fold-1`, `weights-1`, `fold-2` and so on.
        config: of every fold's training; its settings for publishing are used for validation too.
        excluded: left out of training in all folds, whole cases also out of validation.
        initial: folder of an earlier cross-validation with as many folds; each fold starts from
            the best weights of the fold of the same number and holds out the same patients.
        stop_after: as for `core.training.fit.train`; folds with more epochs stay as they are.

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
        found.append(_validated(data, paths, folder / _WEIGHTS.format(fold=number), config))
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


def _validated(data: Path, paths: RunPaths, weights: Path, config: TrainConfig) -> dict[str, Any]:
    if (weights / MANIFEST_NAME).is_file():
        manifest = read_manifest(weights).manifest
        epochs = len(read_history(paths.history))
        if "validation" in manifest and manifest["training"]["epochs_done"] == epochs:
            known: dict[str, Any] = manifest["validation"]
            return known
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
