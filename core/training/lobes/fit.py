"""Training of the lobe network: resumable and recorded; nothing is chosen on patients held out."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from core.config import LobeTrainingConfig, ScheduleConfig, from_json_dict, to_json_dict
from core.errors import Cancelled, DatasetError
from core.segmentation.models.lobes import build_lobe_network
from core.system import (
    OnProgress,
    ShouldCancel,
    ignore_progress,
    make_folder,
    never_cancel,
    software_versions,
    write_text,
)
from core.training.callbacks import save_network
from core.training.fit import LearningRateSchedule, fit_epochs, on_gpu
from core.training.lobes.batches import LobeBatches
from core.training.lobes.losses import LobeLoss
from core.training.lobes.sources import LabelledLungs, assign_folds
from core.training.runs import RunPaths, read_record

_COLUMNS = ("epoch", "loss", "learning_rate")


def split_lungs(
    lungs: Sequence[LabelledLungs], config: LobeTrainingConfig, *, hold_out: int | None
) -> tuple[tuple[LabelledLungs, ...], tuple[LabelledLungs, ...]]:
    """The label maps to train on and those held out.

    Args:
        hold_out: number of the fold, from 1; none trains on all.
    """
    if hold_out is None:
        return tuple(lungs), ()
    fold_of = assign_folds(lungs, folds=config.folds, seed=config.seed)
    return (
        tuple(one for one in lungs if fold_of[one.case_id] != hold_out),
        tuple(one for one in lungs if fold_of[one.case_id] == hold_out),
    )


def train_lobes(
    lungs: Sequence[LabelledLungs],
    folder: Path,
    config: LobeTrainingConfig,
    *,
    hold_out: int | None,
    on_progress: OnProgress = ignore_progress,
    should_cancel: ShouldCancel = never_cancel,
) -> RunPaths:
    """Trains, or resumes an interrupted run of the same config.

    Args:
        folder: of the run; made if absent.
        hold_out: fold whose patients are not trained on; none trains on all.
        on_progress: told "training" with finished and total epochs.
        should_cancel: asked after every batch; only the current epoch is then lost.

    Raises:
        DatasetError: the folder holds a run of another config, or the fold is not there.
        SaveError: the folder cannot be written into.
        Cancelled: the person asked to stop.
    """
    if hold_out is not None and not 1 <= hold_out <= config.folds:
        raise DatasetError(
            "There is no such fold", got=f"{hold_out}", expected=f"1 to {config.folds}"
        )
    paths = RunPaths(folder)
    make_folder(folder, option="--out folder")
    keras.utils.set_random_seed(config.seed)
    training, held_out = split_lungs(lungs, config, hold_out=hold_out)
    _check_or_write_record(paths, config, training, held_out)
    done = epochs_done(paths)
    if paths.best.is_file():
        return paths
    if done:
        network = keras.models.load_model(paths.last, safe_mode=True)
    else:
        network = build_training_network(config)
    recorder = _Recorder(paths, config, on_progress, should_cancel)
    batches = LobeBatches(training, config, epoch=done)
    fit_epochs(network, batches, [recorder], first=done, last=config.epochs)
    if recorder.stopped:
        raise Cancelled("training")
    # Without its optimizer, and in float32 whatever it learned in.
    plain = build_lobe_network(config.network)
    plain.set_weights(network.get_weights())
    save_network(plain, paths.best)
    return paths


def build_training_network(config: LobeTrainingConfig) -> keras.Model:
    """A new network with optimizer and loss."""
    is_half = config.precision == "mixed_bfloat16" or (config.precision == "auto" and on_gpu())
    previous = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy("mixed_bfloat16" if is_half else "float32")
    try:
        network = build_lobe_network(config.network)
    finally:
        keras.mixed_precision.set_dtype_policy(previous)
    rate = LearningRateSchedule(
        to_json_dict(ScheduleConfig("cosine")),
        peak=config.learning_rate,
        warmup_steps=config.warmup_steps,
        total_steps=config.epochs * config.steps_per_epoch,
    )
    optimizer = keras.optimizers.AdamW(rate, weight_decay=config.weight_decay, global_clipnorm=1.0)
    network.compile(optimizer=optimizer, loss=LobeLoss(), jit_compile="auto")
    return network


def load_lobe_run(paths: RunPaths) -> tuple[keras.Model, LobeTrainingConfig]:
    """The network of a finished run, in float32, and its config.

    Raises:
        DatasetError: the run is not there, not finished, or damaged.
    """
    config = from_json_dict(LobeTrainingConfig, read_record(paths.config)["config"])
    if not paths.best.is_file():
        raise DatasetError(
            "The run is not finished",
            got=f"{epochs_done(paths)} epochs",
            expected=f"{config.epochs}",
            next_step="run the same command again",
        )
    return keras.models.load_model(paths.best, compile=False, safe_mode=True), config


class _Recorder(keras.callbacks.Callback):
    """After every epoch: the checkpoint, then the history row that counts it."""

    def __init__(
        self,
        paths: RunPaths,
        config: LobeTrainingConfig,
        on_progress: OnProgress,
        should_cancel: ShouldCancel,
    ) -> None:
        super().__init__()
        self._paths = paths
        self._config = config
        self._on_progress = on_progress
        self._should_cancel = should_cancel
        self.stopped = False

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self._should_cancel():
            self.stopped = self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self.stopped:
            return
        save_network(self.model, self._paths.last)
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        found = {"epoch": epoch + 1, "loss": (logs or {})["loss"], "learning_rate": rate}
        is_new = not self._paths.history.is_file()
        with self._paths.history.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, _COLUMNS)
            if is_new:
                writer.writeheader()
            writer.writerow({name: f"{found[name]:.6g}" for name in _COLUMNS})
        self._on_progress("training", epoch + 1, self._config.epochs)


def epochs_done(paths: RunPaths) -> int:
    """Finished epochs of a run."""
    if not paths.history.is_file():
        return 0
    with paths.history.open(newline="", encoding="utf-8") as file:
        return sum(1 for _ in csv.DictReader(file))


def _check_or_write_record(
    paths: RunPaths,
    config: LobeTrainingConfig,
    training: Sequence[LabelledLungs],
    held_out: Sequence[LabelledLungs],
) -> None:
    split = {
        "train": sorted(one.case_id for one in training),
        "held_out": sorted(one.case_id for one in held_out),
    }
    # As the file will give it back: JSON knows no tuples.
    wanted: dict[str, Any] = json.loads(
        json.dumps({"config": to_json_dict(config), "split": split})
    )
    if paths.config.is_file():
        record = read_record(paths.config)
        if {name: record.get(name) for name in wanted} != wanted:
            raise DatasetError(
                "The run folder holds another run",
                got="another config or split in run.json",
                expected="the same, to resume it",
                next_step="choose another --out folder",
            )
        return
    write_text(paths.config, json.dumps({**wanted, "versions": software_versions()}, indent=1))
