"""Training on all sets: resumable and recorded; nothing is chosen on the patients held out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras

from core.config import MixtureConfig, ScheduleConfig, from_json_dict, to_json_dict
from core.errors import Cancelled, DatasetError
from core.segmentation.models import PIXELS, PRESENCE, build_model, training_network
from core.system import OnProgress, ShouldCancel, ignore_progress, make_folder, never_cancel
from core.training.callbacks import Checkpoint, RunningMean
from core.training.fit import (
    LearningRateSchedule,
    build_in_precision,
    fit_epochs,
    load_network,
    start_encoder,
)
from core.training.mixture.batches import MixtureBatches
from core.training.mixture.folds import assign_folds
from core.training.mixture.losses import MixtureLoss, PresenceLoss
from core.training.mixture.sources import LabelledScan
from core.training.runs import RunPaths, check_or_write_record, epochs_done, read_record
from core.training.splits import split_off_fold

_TRIAL_STEPS = 40
_COLUMNS = ("epoch", "loss", "pixels_loss", "presence_loss", "learning_rate")


def split_scans(
    scans: Sequence[LabelledScan], config: MixtureConfig, *, hold_out: int | None
) -> tuple[tuple[LabelledScan, ...], tuple[LabelledScan, ...]]:
    """The scans to train on and those held out.

    Args:
        hold_out: number of the fold, from 1; none trains on all.
    """
    fold_of = assign_folds(scans, folds=config.folds, seed=config.seed)
    return split_off_fold(scans, hold_out, fold_of=lambda scan: fold_of[scan.scan_id])


def train_mixture(
    scans: Sequence[LabelledScan],
    folder: Path,
    config: MixtureConfig,
    *,
    hold_out: int | None,
    stop_after: int | None = None,
    on_progress: OnProgress = ignore_progress,
    should_cancel: ShouldCancel = never_cancel,
) -> RunPaths:
    """Trains, or resumes an interrupted run of the same config.

    Args:
        scans: of `load_labelled_scans`.
        folder: of the run; made if absent.
        hold_out: fold whose patients are not trained on; none trains on every scan.
        stop_after: epoch to stop after, at least 1; the schedule stays that of the whole run, and
            a later call with more resumes. None runs to the end.
        on_progress: called with "training" with finished and total epochs.
        should_cancel: asked after every batch; only the current epoch is then lost.

    Raises:
        DatasetError: the folder holds a run of another config, or a damaged one.
        SaveError: the folder cannot be written into.
        Cancelled: the person asked to stop.
    """
    paths = RunPaths(folder)
    make_folder(folder, option="--out folder")
    keras.utils.set_random_seed(config.seed)
    training_scans, held_out = split_scans(scans, config, hold_out=hold_out)
    wanted = {
        "config": to_json_dict(config),
        "split": {"train": _ids(training_scans), "held_out": _ids(held_out)},
    }
    check_or_write_record(paths, wanted, lambda record: _comparable(record, wanted))
    done = epochs_done(paths)
    if done:
        network = load_network(paths.last, for_training=True)
    else:
        network = build_training_network(config)
        paths.mean.unlink(missing_ok=True)
    last = min(config.epochs, stop_after or config.epochs)
    if done >= last:
        return paths
    mean = RunningMean(paths.mean, config.average_momentum)
    recorder = _Recorder(
        paths,
        _COLUMNS,
        mean,
        epochs=config.epochs,
        on_progress=on_progress,
        should_cancel=should_cancel,
    )
    batches = MixtureBatches(training_scans, config, epoch=done)
    fit_epochs(network, batches, [mean, recorder], first=done, last=last)
    if recorder.stopped:
        raise Cancelled("training")
    return paths


def epochs_that_fit(
    scans: Sequence[LabelledScan], config: MixtureConfig, *, hold_out: int | None, seconds: float
) -> int:
    """How many epochs a run may have to end in about so many seconds on this machine, found by
    training a network for some steps that is then thrown away.

    Args:
        scans, hold_out: of the run to come.
        seconds: for all epochs together, without start-up.
    """
    training, _ = split_scans(scans, config, hold_out=hold_out)
    trial = replace(config, steps_per_epoch=_TRIAL_STEPS)
    network = build_training_network(trial)
    batches = MixtureBatches(training, trial)
    network.fit(batches, epochs=1, shuffle=False, verbose=0)  # compiles
    started = time.perf_counter()
    network.fit(batches, epochs=2, initial_epoch=1, shuffle=False, verbose=0)
    spent = time.perf_counter() - started
    return max(1, int(seconds / spent * _TRIAL_STEPS / config.steps_per_epoch))


def build_training_network(config: MixtureConfig) -> keras.Model:
    """A new network with its training outputs, optimizer and losses."""
    model = build_in_precision(config)
    start_encoder(model, config)
    network = training_network(model)
    losses: dict[str, Any] = {PIXELS: MixtureLoss()}
    weights = {PIXELS: 1.0}
    if config.model.slice_head:
        losses[PRESENCE] = PresenceLoss()
        weights[PRESENCE] = config.presence_weight
    rate = LearningRateSchedule(
        to_json_dict(ScheduleConfig("cosine")),
        peak=config.learning_rate,
        warmup_steps=config.warmup_steps,
        total_steps=config.epochs * config.steps_per_epoch,
    )
    optimizer = keras.optimizers.AdamW(rate, weight_decay=config.weight_decay, global_clipnorm=1.0)
    network.compile(optimizer=optimizer, loss=losses, loss_weights=weights, jit_compile="auto")
    return network


def load_mixture_network(paths: RunPaths) -> tuple[keras.Model, MixtureConfig]:
    """The running mean of a run as the network that predicts, and its config.

    Raises:
        DatasetError: the run is not there or damaged.
    """
    config = from_json_dict(MixtureConfig, read_record(paths.config)["config"])
    if not epochs_done(paths):
        raise DatasetError(
            "The run has not finished an epoch", got="no history", expected="one epoch at least"
        )
    learned = load_network(paths.last, for_training=False)
    mean = RunningMean(paths.mean, config.average_momentum)
    mean.set_model(learned)
    mean.on_train_begin()
    mean.swap()
    model = build_model(
        config.model, rows=config.preprocess.rows, columns=config.preprocess.columns
    )
    arrays = {variable.path: variable.numpy() for variable in learned.weights}
    for variable in model.weights:
        variable.assign(arrays[variable.path])
    return model, config


class _Recorder(Checkpoint):
    def measure(self, logs: dict[str, Any]) -> dict[str, float]:
        # Keras names no loss by output where there is but one.
        return {"pixels_loss": logs.get("pixels_loss", logs["loss"])}


def _comparable(record: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    found = {name: record.get(name) for name in wanted}
    # What weights are published with does not affect training.
    found["config"] = {**record["config"], "postprocess": wanted["config"]["postprocess"]}
    return found


def _ids(scans: Sequence[LabelledScan]) -> dict[str, list[str]]:
    by_source: dict[str, list[str]] = {}
    for scan in scans:
        by_source.setdefault(scan.source, []).append(scan.scan_id)
    return {source: sorted(ids) for source, ids in sorted(by_source.items())}
