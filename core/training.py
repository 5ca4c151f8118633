"""Training runs: resumable, recorded, judged on patients the network never saw."""

from __future__ import annotations

import csv
import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from core import __version__
from core.config import ScheduleConfig, TrainConfig, from_json_dict, to_json_dict
from core.dataset import (
    SliceBatches,
    Split,
    TrainingScan,
    load_training_scans,
    split_as_recorded,
    split_by_patient,
)
from core.errors import Cancelled, DatasetError, SaveError, shown_name
from core.inference import has_fast_bfloat16
from core.losses import build_loss
from core.metrics import compute_overlap
from core.models import build_model
from core.progress import OnProgress, ShouldCancel, ignore_progress, never_cancel
from core.records import make_folder, write_text
from core.schedule import learning_rate_at
from core.weights import UNREADABLE_NPZ

HISTORY_COLUMNS = (
    "epoch",
    "loss",
    "lung_dice",
    "infection_dice",
    "picture_infection_dice",
    "negative_share",
    "healthy_share",
    "learning_rate",
)
_SCORE_COLUMNS = ("lung_dice", "infection_dice", "negative_share")


@dataclass(frozen=True)
class RunPaths:
    """Files of one run folder."""

    folder: Path

    @property
    def config(self) -> Path:
        """Config, split, seed and versions, as JSON."""
        return self.folder / "run.json"

    @property
    def history(self) -> Path:
        """One row an epoch."""
        return self.folder / "history.csv"

    @property
    def last(self) -> Path:
        """Model and optimizer after the last finished epoch."""
        return self.folder / "last.keras"

    @property
    def mean(self) -> Path:
        """Running mean of the weights after the last finished epoch."""
        return self.folder / "mean.npz"

    @property
    def best(self) -> Path:
        """Model of the epoch with the best validation score."""
        return self.folder / "best.keras"


def train(
    data: Path,
    folder: Path,
    config: TrainConfig,
    *,
    recorded_split: Mapping[str, Any] | None = None,
    initial: Path | None = None,
    on_progress: OnProgress = ignore_progress,
    should_cancel: ShouldCancel = never_cancel,
) -> RunPaths:
    """Trains, or goes on where an interrupted run of the same config stopped.

    Args:
        data: see `core.dataset`.
        folder: of the run; made if absent.
        recorded_split: of an earlier run, to be judged on its patients; none draws a split.
        initial: folder of an earlier run of the same architecture, whose best weights this one
            starts from; the earlier run must have kept out the same patients.
        on_progress: told "training" with finished and total epochs.
        should_cancel: asked after every batch; the epoch under way is then lost, no more.

    Raises:
        DatasetError: no data, or the folder holds a run of another config or a damaged one.
        SaveError: the folder cannot be made or written into.
        Cancelled: the person asked to stop; the same call goes on later.
    """
    paths = RunPaths(folder)
    make_folder(folder, option="--out folder")
    keras.utils.set_random_seed(config.seed)
    scans = load_training_scans(data, config.preprocess, on_progress=on_progress)
    if recorded_split is None:
        split = split_by_patient(
            scans, validation_fraction=config.validation_fraction, seed=config.seed
        )
    else:
        split = split_as_recorded(scans, recorded_split)
    _check_or_write_record(paths, config, split, _initial_record(initial, split))
    done = len(read_history(paths.history))
    batches = SliceBatches(split.train, config, epoch=done)
    model = _resume_model(paths) if done else _new_model(config, steps_per_epoch=len(batches))
    if not done:
        # What a run killed in its first epoch may have left behind.
        paths.mean.unlink(missing_ok=True)
        if initial is not None:
            _take_weights(model, initial)
    if done < config.epochs:
        mean = _RunningMean(paths.mean, config.average_momentum)
        recorder = _Recorder(paths, split.validation, config, mean, on_progress, should_cancel)
        try:
            model.fit(
                batches,
                epochs=config.epochs,
                initial_epoch=done,
                shuffle=False,
                verbose=0,
                callbacks=[mean, recorder],
            )
        except OSError as error:
            raise SaveError(
                "The run cannot be written on",
                got=error.strerror or "a write error",
                expected="a folder with room",
                next_step="make room and start the same command again",
            ) from error
        if recorder.stopped:
            raise Cancelled("training")
    return paths


def read_history(path: Path) -> list[dict[str, float]]:
    """The finished epochs of a run, in order; empty where none is.

    Raises:
        DatasetError: the file is no such table, or a row of it is cut off or out of order.
    """
    if not path.exists():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            missing = {"epoch", *_SCORE_COLUMNS} - set(reader.fieldnames or ())
            if missing:
                raise ValueError(f"no column {min(missing)}")
            rows = [{name: float(cell) for name, cell in row.items()} for row in reader]
        if [row["epoch"] for row in rows] != list(range(1, len(rows) + 1)):
            raise ValueError("epochs out of order")
    except (OSError, ValueError, TypeError, csv.Error) as error:
        raise DatasetError(
            "The history of the run cannot be read",
            got=f"a damaged {shown_name(path)}",
            expected="a row an epoch, as training wrote it",
            next_step="restore the file or choose another run folder",
        ) from error
    return rows


def load_best_model(paths: RunPaths) -> keras.Model:
    """The network of a run's best epoch, for prediction.

    Raises:
        DatasetError: it is missing or cannot be read.
    """
    return _load_model(paths.best, for_training=False)


def _load_model(path: Path, *, for_training: bool) -> keras.Model:
    try:
        return keras.models.load_model(path, compile=for_training, safe_mode=True)
    except MemoryError:
        raise
    except Exception as error:  # Keras lets through whatever a broken file makes it meet
        raise DatasetError(
            "The network of the run cannot be read",
            got=f"a {'damaged' if path.is_file() else 'missing'} {shown_name(path)}",
            expected="the file that training wrote",
            next_step="restore it or choose another run folder",
        ) from error


@keras.saving.register_keras_serializable(package="lunglens")
class LearningRateSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """`core.schedule` for an optimizer; arguments as there."""

    def __init__(
        self, config: dict[str, Any], *, peak: float, warmup_steps: int, total_steps: int
    ) -> None:
        self._config = from_json_dict(ScheduleConfig, config)
        self._numbers = {"peak": peak, "warmup_steps": warmup_steps, "total_steps": total_steps}

    def __call__(self, step: Any) -> Any:
        step = keras.ops.cast(step, "float32")
        return learning_rate_at(step, self._config, ops=keras.ops, **self._numbers)

    def get_config(self) -> dict[str, Any]:
        return {"config": to_json_dict(self._config), **self._numbers}


def software_versions() -> dict[str, str]:
    """Versions of what a result depends on."""
    versions = {"lunglens": __version__, "python": platform.python_version()}
    for package in ("keras", "tensorflow", "jax", "torch", "numpy", "opencv-python-headless"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions


def _new_model(config: TrainConfig, *, steps_per_epoch: int) -> keras.Model:
    wants_bfloat16 = config.precision == "mixed_bfloat16" or (
        config.precision == "auto" and has_fast_bfloat16()
    )
    previous = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy("mixed_bfloat16" if wants_bfloat16 else "float32")
    try:
        model = build_model(
            config.model, rows=config.preprocess.rows, columns=config.preprocess.columns
        )
    finally:
        keras.mixed_precision.set_dtype_policy(previous)
    schedule = LearningRateSchedule(
        to_json_dict(config.schedule),
        peak=config.learning_rate,
        warmup_steps=config.warmup_epochs * steps_per_epoch,
        total_steps=config.epochs * steps_per_epoch,
    )
    optimizer = keras.optimizers.AdamW(
        schedule, weight_decay=config.weight_decay, global_clipnorm=1.0
    )
    model.compile(optimizer=optimizer, loss=build_loss(config.loss), jit_compile=False)
    return model


def _initial_record(initial: Path | None, split: Split) -> dict[str, Any] | None:
    """What the manifest will say of the run that this one starts from.

    Raises:
        DatasetError: it learned from a patient that this run is judged on.
    """
    if initial is None:
        return None
    earlier = RunPaths(initial)
    record = read_record(earlier.config)
    taught = set(record["split"]["train"]["patients"])
    judged = {scan.patient_id for scan in split.validation if scan.role == "case"}
    if taught & judged:
        raise DatasetError(
            "The earlier run has seen patients that this one is judged on",
            got=f"{len(taught & judged)} such patients",
            expected="none",
            next_step="pass its run.json with --split as well",
        )
    history = read_history(earlier.history)
    best = max(history, key=score)["epoch"] if history else 0
    return {
        "config": record["config"],
        "epochs_done": len(history),
        "best_epoch": best,
        "initial": record["initial"],
    }


def _take_weights(model: keras.Model, initial: Path) -> None:
    weights = load_best_model(RunPaths(initial)).get_weights()
    if [array.shape for array in weights] != [array.shape for array in model.get_weights()]:
        raise DatasetError(
            "The earlier run cannot be gone on from",
            got="a network of another shape",
            expected="the same depth, width and normalisation",
        )
    model.set_weights(weights)


def _resume_model(paths: RunPaths) -> keras.Model:
    return _load_model(paths.last, for_training=True)


def read_record(path: Path) -> dict[str, Any]:
    """What `run.json` says: config, split, versions, and the run it started from, if any.

    Raises:
        DatasetError: it cannot be read.
    """
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return {"initial": None, **{key: record[key] for key in ("config", "split")}, **record}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(
            "The record of the run cannot be read",
            got=f"{type(error).__name__} in {shown_name(path)}",
            expected="JSON with config and split",
            next_step="choose another run folder",
        ) from error


def _check_or_write_record(
    paths: RunPaths, config: TrainConfig, split: Split, initial: dict[str, Any] | None
) -> None:
    wanted = {"config": to_json_dict(config), "split": split.to_json_dict(), "initial": initial}
    if paths.config.is_file():
        record = read_record(paths.config)
        if {key: record[key] for key in wanted} != wanted:
            raise DatasetError(
                "The run folder holds another run",
                got="a different config, split or start in run.json",
                expected="the same, to go on with it",
                next_step="choose another --out folder",
            )
        return
    record = {**wanted, "versions": software_versions()}
    write_text(paths.config, json.dumps(record, indent=1))


def read_split(path: Path) -> dict[str, Any]:
    """The split written down in a run's `run.json` or in the manifest of weights.

    Raises:
        DatasetError: the file holds none.
    """
    try:
        split: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["split"]
        for side in ("train", "validation"):
            for names in split[side].values():
                if not isinstance(names, list):
                    raise TypeError(type(names).__name__)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DatasetError(
            "The split cannot be read",
            got=f"{type(error).__name__} in {shown_name(path)}",
            expected="run.json of a run or manifest.json of weights",
        ) from error
    return split


class _RunningMean(keras.callbacks.Callback):
    """A running mean of all weights (Polyak and Juditsky 1992), which judges more steadily than
    the weights of the last step do.

    `swap` puts it into the model and the model's own weights aside; called again, it puts them
    back.
    """

    def __init__(self, path: Path, momentum: float) -> None:
        super().__init__()
        self._path = path
        self._momentum = momentum
        self._mean: list[npt.NDArray[np.float32]] = []
        self._steps = 0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        if not self._path.is_file():
            self._mean = self.model.get_weights()
            return
        wanted = [weight.shape for weight in self.model.get_weights()]
        try:
            with np.load(self._path, allow_pickle=False) as stored:
                self._steps = int(stored["steps"])
                self._mean = [stored[f"w{n}"] for n in range(len(stored.files) - 1)]
            found = [array.shape for array in self._mean if array.dtype == np.float32]
            if found != wanted:
                raise ValueError("other arrays")
        except UNREADABLE_NPZ as error:
            raise DatasetError(
                "The running mean of the run cannot be read",
                got=f"a damaged {shown_name(self._path)}",
                expected="the file that training wrote",
                next_step="restore it or choose another run folder",
            ) from error

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._steps += 1
        # Short memory at first, or the random start would linger.
        momentum = min(self._momentum, self._steps / (10.0 + self._steps))
        for mean, weight in zip(self._mean, self.model.get_weights(), strict=True):
            mean += np.float32(1.0 - momentum) * (weight - mean)

    def swap(self) -> None:
        own = self.model.get_weights()
        self.model.set_weights(self._mean)
        self._mean = own

    def save(self) -> None:
        part = self._path.with_name("part_" + self._path.name)
        arrays: dict[str, Any] = {f"w{n}": array for n, array in enumerate(self._mean)}
        np.savez(part, steps=np.int64(self._steps), **arrays)
        os.replace(part, self._path)


class _Recorder(keras.callbacks.Callback):
    """After every epoch: judge, write the checkpoint, then the history row that counts it."""

    def __init__(
        self,
        paths: RunPaths,
        validation: Sequence[TrainingScan],
        config: TrainConfig,
        mean: _RunningMean,
        on_progress: OnProgress,
        should_cancel: ShouldCancel,
    ) -> None:
        super().__init__()
        self._mean = mean
        self._paths = paths
        self._validation = validation
        self._config = config
        self._on_progress = on_progress
        self._should_cancel = should_cancel
        self._best = max((score(row) for row in read_history(paths.history)), default=-np.inf)
        self.stopped = False

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self._should_cancel():
            self.stopped = self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self.stopped:
            return
        row: dict[str, float] = {"epoch": epoch + 1, "loss": float((logs or {})["loss"])}
        self._mean.swap()
        row.update(validate(self.model, self._validation, batch_size=self._config.batch_size))
        row["learning_rate"] = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        # As written down, so that whoever reads the history finds the same best epoch.
        row = {name: float(f"{row[name]:.6g}") for name in HISTORY_COLUMNS}
        if score(row) > self._best:
            self._best = score(row)
            self._save(self._paths.best)
        self._mean.swap()
        self._mean.save()
        self._save(self._paths.last)
        self._append(row)
        self._on_progress("training", epoch + 1, self._config.epochs)

    def _save(self, path: Path) -> None:
        part = path.with_name("part_" + path.name)
        self.model.save(part)
        os.replace(part, path)

    def _append(self, row: dict[str, float]) -> None:
        is_new = not self._paths.history.is_file()
        with self._paths.history.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, HISTORY_COLUMNS)
            if is_new:
                writer.writeheader()
            writer.writerow({name: f"{row[name]:.6g}" for name in HISTORY_COLUMNS})


def score(row: dict[str, float]) -> float:
    """What the best epoch is chosen by: mean of lung and infection Dice over validation cases,
    less the share falsely marked in infection-free slices. Undefined figures count as 0.

    The healthy chest has no part in it, so that its figure stays an independent check.
    """
    lung, infection, negative = (float(np.nan_to_num(row[name])) for name in _SCORE_COLUMNS)
    return (lung + infection) / 2.0 - negative


def validate(
    model: keras.Model,
    scans: Sequence[TrainingScan],
    *,
    batch_size: int,
    infection_threshold: float = 0.5,
) -> dict[str, float]:
    """Figures on the network's grid, without clean-up; lung at threshold 0.5.

    Dice of cases is of the volume, then the mean over scans. Shares are infected over lung
    pixels as predicted, over all slices of a kind.
    """
    lung_dice, infection_dice, picture_dice = [], [], []
    marked: dict[str, list[int]] = {"negative": [0, 0], "healthy": [0, 0]}
    for scan in scans:
        lung, infection = _predict_masks(
            model, scan.images, batch_size=batch_size, infection_threshold=infection_threshold
        )
        if scan.role == "case" and scan.lung is not None:
            lung_dice.append(compute_overlap(scan.lung > 0, lung).dice)
            infection_dice.append(compute_overlap(scan.infection > 0, infection).dice)
        elif scan.role == "picture":
            picture_dice.append(compute_overlap(scan.infection > 0, infection).dice)
        elif scan.role in marked:
            marked[scan.role][0] += int((infection & lung).sum())
            marked[scan.role][1] += int(lung.sum())
    return {
        "lung_dice": _mean(lung_dice),
        "infection_dice": _mean(infection_dice),
        "picture_infection_dice": _mean(picture_dice),
        "negative_share": _share(marked["negative"]),
        "healthy_share": _share(marked["healthy"]),
    }


def _predict_masks(
    model: keras.Model,
    images: npt.NDArray[np.uint8],
    *,
    batch_size: int,
    infection_threshold: float,
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    parts = []
    for start in range(0, len(images), batch_size):
        batch = images[start : start + batch_size]
        count = len(batch)
        if count < batch_size:  # one shape only, so that the network is traced once
            batch = np.concatenate([batch, np.zeros_like(images[:1]).repeat(batch_size - count, 0)])
        scaled = batch[..., None].astype(np.float32) / 255.0
        parts.append(np.asarray(model.predict_on_batch(scaled))[:count])
    probabilities = np.concatenate(parts)
    return probabilities[..., 0] >= 0.5, probabilities[..., 1] >= infection_threshold


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def _share(counts: Sequence[int]) -> float:
    return counts[0] / counts[1] if counts[1] else float("nan")
