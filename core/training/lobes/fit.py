"""Training of the lobe network: resumable and recorded; nothing is chosen on patients held out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

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
)
from core.training.callbacks import Checkpoint, save_network
from core.training.fit import LearningRateSchedule, fit_epochs, on_gpu
from core.training.lobes.batches import LobeBatches
from core.training.lobes.losses import LobeLoss
from core.training.lobes.sources import LabelledLungs, assign_folds
from core.training.runs import RunPaths, check_or_write_record, epochs_done, read_record
from core.training.splits import split_off_fold

_COLUMNS = ("epoch", "loss", "learning_rate")


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
        on_progress: called with "training", finished and total epochs.
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
    fold_of = assign_folds(lungs, folds=config.folds, seed=config.seed)
    training, held_out = split_off_fold(lungs, hold_out, fold_of=lambda one: fold_of[one.case_id])
    split = {
        "train": sorted(one.case_id for one in training),
        "held_out": sorted(one.case_id for one in held_out),
    }
    wanted = {"config": to_json_dict(config), "split": split}
    check_or_write_record(paths, wanted, lambda record: {name: record[name] for name in wanted})
    done = epochs_done(paths)
    if paths.best.is_file():
        return paths
    if done:
        network = keras.models.load_model(paths.last, safe_mode=True)
    else:
        network = build_training_network(config)
    recorder = Checkpoint(
        paths,
        _COLUMNS,
        epochs=config.epochs,
        on_progress=on_progress,
        should_cancel=should_cancel,
    )
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
