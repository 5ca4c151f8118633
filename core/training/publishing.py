"""From a finished run, or the folds of a cross-validation, to weights that others can load.

Both are written into a staging folder, validated there as stored, given a card, and put in place
at the end: see `core.segmentation.weights_store`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.config import PostprocessConfig, PreprocessConfig, TrainConfig, to_json_dict
from core.evaluation import FEW_SLICES, bootstrap_intervals, mean_values
from core.measuring.quality import Exclusion, exclusions_record
from core.segmentation import (
    CARD_NAME,
    STAGE_NAME,
    WeightsInfo,
    add_to_manifest,
    load_weights,
    marked_default,
    read_manifest,
    save_weights,
    stage_weights,
)
from core.segmentation.engines.inference import Segmenter
from core.segmentation.models import join_members
from core.system import OnProgress, ignore_progress, software_versions, without_nan, write_text
from core.training.cards import LICENCES, build_card, earlier_stages, network_title, origin_of
from core.training.crossval_results import CrossValidation
from core.training.fine_tuning import earlier_weights, with_slice_head
from core.training.fit import load_published_model
from core.training.runs import RunPaths, read_history, read_record, read_results, score
from core.training.scans import load_training_scans
from core.training.splits import split_as_recorded
from core.training.starting import joined_with_earlier, met_before
from core.training.weights_validation import healthy_share, validate_weights

if TYPE_CHECKING:
    import keras

_SEED = 0
"""Of the bootstrap."""


@dataclass(frozen=True)
class _Draft:
    """Weights that are about to be written.

    Attributes:
        record: facts for the manifest that are known before the weights are validated.
        members: networks whose mean they are.
    """

    model: keras.Model
    title: str
    config: TrainConfig
    record: dict[str, Any]
    initial: dict[str, Any] | None
    members: int = 1

    @property
    def preprocess(self) -> PreprocessConfig:
        return replace(self.config.preprocess, smooth_sigma=self.config.published.smooth_sigma)

    @property
    def postprocess(self) -> PostprocessConfig:
        earlier, published = earlier_weights(self.config), self.config.published
        return replace(
            PostprocessConfig() if earlier is None else earlier.postprocess,
            infection_threshold=published.infection_threshold,
            neighbour_share=published.neighbour_share,
        )

    def save(self, folder: Path, *, is_default: bool) -> WeightsInfo:
        known: dict[str, Any] = without_nan(self.record)
        return save_weights(
            self.model,
            folder,
            title=self.title,
            model_config=replace(self.config.model, members=self.members),
            preprocess=self.preprocess,
            postprocess=self.postprocess,
            record=known,
            is_default=is_default,
        )


def publish(
    data: Path,
    paths: RunPaths,
    folder: Path,
    config: TrainConfig,
    *,
    on_progress: OnProgress = ignore_progress,
) -> WeightsInfo:
    """Publishes the best epoch of a run, validated through the whole pipeline.

    The values in manifest and card are those of the stored float16 arrays on patients that the
    network was not trained on, on each scan's own grid, after post-processing.

    Raises:
        WeightsError, SaveError: see `core.segmentation.weights_store.stage_weights`.
        DatasetError, LoadError: see `core.training.dataset`.
    """
    with stage_weights(folder, check=load_staged) as staged:
        run = read_record(paths.config)
        preprocess = replace(config.preprocess, smooth_sigma=config.published.smooth_sigma)
        scans = load_training_scans(data, preprocess, on_progress=on_progress)
        split = split_as_recorded(scans, run["split"])
        draft = _draft_of_run(paths, config, run, split.to_json_dict())
        info = draft.save(staged, is_default=_becomes_default(folder))
        validation = validate_weights(data, Segmenter(info), split, config, on_progress)
        _finish(staged, {"validation": validation}, draft.initial)
    return read_manifest(folder)


def publish_ensemble(
    data: Path,
    folds_folder: Path,
    folder: Path,
    config: TrainConfig,
    found: CrossValidation,
    *,
    folds: int,
    excluded: Sequence[Exclusion] = (),
) -> WeightsInfo:
    """Publishes the mean of the best epochs of all folds as one set of weights.

    Every patient was used to train all members but one, so the ensemble can be validated on the
    healthy chest alone. Manifest and card therefore give the values of the members, each on the
    patients that it alone was not trained on, and say so.

    Args:
        data, folds_folder, config, folds, excluded: those that `cross_validate` was called with.
        folder: of the new weights.
        found: what `cross_validate` returned.

    Raises:
        WeightsError, SaveError: see `core.segmentation.weights_store.stage_weights`.
        DatasetError: a network of a fold is missing or damaged.
    """
    with stage_weights(folder, check=load_staged) as staged:
        draft = _draft_of_folds(folds_folder, config, found, folds=folds, excluded=excluded)
        info = draft.save(staged, is_default=_becomes_default(folder))
        share = healthy_share(data, Segmenter(info))
        validation = {} if share is None else {"validation": {"normal001_infected_share": share}}
        _finish(staged, validation, draft.initial)
    return read_manifest(folder)


def _draft_of_run(
    paths: RunPaths, config: TrainConfig, run: dict[str, Any], split: dict[str, Any]
) -> _Draft:
    history = read_history(paths.history)
    earlier = earlier_weights(config)
    fine_tuned: dict[str, Any] = {}
    if earlier is not None:
        patients = split["validation"]["patients"]
        split = joined_with_earlier(split, earlier)
        fine_tuned = {
            "met_before": met_before(patients, earlier),
            "fine_tuned_from": {"weights_id": earlier.weights_id, "sha256": earlier.sha256},
            "fine_tuning": read_results(paths.results),
        }
    record: dict[str, Any] = {
        "training": {
            **to_json_dict(config),
            "best_epoch": max(history, key=score)["epoch"],
            "epochs_done": len(history),
        },
        "initial": run["initial"],
        **fine_tuned,
        "split": split,
        **({"excluded": run["excluded"]} if "excluded" in run else {}),
        "versions": software_versions(),
        "licence": LICENCES[origin_of(split)] if earlier is None else _licence_after(earlier),
    }
    return _Draft(
        model=with_slice_head(
            load_published_model(paths, initial_share=config.published.initial_share), config
        ),
        title=f"{network_title(config.model.architecture)} for lung and infection"
        + ("" if earlier is None else f", fine-tuned from {earlier.weights_id}"),
        config=config,
        record=record,
        initial=run["initial"],
    )


def _licence_after(earlier: WeightsInfo) -> str:
    return f"{earlier.manifest.get('licence', '')} {LICENCES['own']}".strip()


def _draft_of_folds(
    folds_folder: Path,
    config: TrainConfig,
    found: CrossValidation,
    *,
    folds: int,
    excluded: Sequence[Exclusion],
) -> _Draft:
    runs = [RunPaths(folds_folder / f"fold-{number}") for number in range(1, folds + 1)]
    share = config.published.initial_share
    members = [load_published_model(run, initial_share=share) for run in runs]
    histories = [read_history(run.history) for run in runs]
    records = [read_record(run.config) for run in runs]
    record: dict[str, Any] = {
        "training": {
            **to_json_dict(config),
            "members": [
                {"best_epoch": max(history, key=score)["epoch"], "epochs_done": len(history)}
                for history in histories
            ],
        },
        "initial": records[0]["initial"],
        "split": _joined_split([record["split"] for record in records]),
        "cross_validation": _cross_validation_record(found, folds=folds),
        "versions": software_versions(),
        "licence": LICENCES["public"],
        **({"excluded": exclusions_record(excluded)} if excluded else {}),
    }
    return _Draft(
        model=join_members(config.model, members),
        title=f"Mean of {folds} {network_title(config.model.architecture)}s for lung and infection",
        config=config,
        record=record,
        initial=records[0]["initial"],
        members=folds,
    )


def _joined_split(splits: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The split of an ensemble: what some member was trained on, and what none was."""
    trained = {
        role: sorted({name for split in splits for name in split["train"][role]})
        for role in ("patients", "case", "picture", "negative")
    }
    healthy = sorted({name for split in splits for name in split["validation"]["healthy"]})
    return {
        "train": {**trained, "healthy": []},
        "validation": {**{role: [] for role in trained}, "healthy": healthy},
    }


def _cross_validation_record(found: CrossValidation, *, folds: int) -> dict[str, Any]:
    long_scans = [result for result in found.results if result.slices > FEW_SLICES]
    intervals = bootstrap_intervals(long_scans, seed=_SEED)
    return {
        "folds": folds,
        "cases": [result.to_row() for result in found.results],
        "mean_over_patients": mean_values(long_scans),
        "intervals": {name: list(interval) for name, interval in intervals.items()},
        "patients": len({result.patient_id for result in long_scans}),
        "pictures_infection_dice": found.picture_infection_dice,
        "negative_slices_infected_share": list(found.negative_shares),
        "normal001_infected_share": list(found.healthy_shares),
    }


def _becomes_default(folder: Path) -> bool:
    """Weights published beside others do not become the default in their place."""
    return marked_default(folder.parent) <= {folder.name}


def _finish(staged: Path, facts: dict[str, Any], initial: dict[str, Any] | None) -> None:
    """Adds what validation found, the card, and the configs of earlier stages."""
    known: dict[str, Any] = without_nan(facts)
    add_to_manifest(staged, known)
    write_text(staged / CARD_NAME, build_card(read_manifest(staged)))
    for number, stage in enumerate(earlier_stages(initial), start=1):
        written = json.dumps({**stage, "initial": None}, indent=1)
        write_text(staged / STAGE_NAME.format(number=number), written + "\n")


def load_staged(folder: Path) -> keras.Model:
    """The network in a folder of weights: the check before it is put in place."""
    return load_weights(read_manifest(folder))
