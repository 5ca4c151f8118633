"""Callbacks of training: a running mean of the weights, validation, checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from core.config import CHANNELS, TrainConfig
from core.errors import DatasetError, shown_name
from core.segmentation import UNREADABLE_NPZ
from core.segmentation.models import averaged
from core.system import OnProgress, ShouldCancel, put_in_place
from core.training.run_samples import MOST_SLICES, SampleSlices, save_prediction, save_slices
from core.training.runs import (
    HISTORY_COLUMNS,
    RunPaths,
    append_history,
    read_history,
    score,
)
from core.training.scans import TrainingScan
from core.training.validation import predict_masks, validate


@keras.saving.register_keras_serializable(package="lunglens")
class TrainingOverlap(keras.metrics.Metric):
    """Dice, IoU, precision and recall of each channel over an epoch's training slices.

    Truth 0, 1 or `UNKNOWN` as for the losses; of several heads the last one counts. A measurement
    with nothing to compare is 0.
    """

    def __init__(self, name: str = "training_overlap", **keywords: Any) -> None:
        super().__init__(name=name, **keywords)
        shape = (len(CHANNELS),)
        self._hit = self.add_weight(shape=shape, initializer="zeros", name="hit")
        self._true = self.add_weight(shape=shape, initializer="zeros", name="true")
        self._predicted = self.add_weight(shape=shape, initializer="zeros", name="predicted")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        known = keras.ops.cast(y_true >= 0.0, "float32")
        true = keras.ops.cast(y_true > 0.5, "float32")
        predicted = keras.ops.cast(y_pred[..., -len(CHANNELS) :] >= 0.5, "float32") * known
        for total, part in (
            (self._hit, true * predicted),
            (self._true, true),
            (self._predicted, predicted),
        ):
            total.assign_add(keras.ops.sum(part, axis=(0, 1, 2)))

    def result(self) -> dict[str, Any]:
        hit, true, predicted = self._hit, self._true, self._predicted
        overlaps = {
            "dice": 2.0 * hit / keras.ops.maximum(true + predicted, 1.0),
            "iou": hit / keras.ops.maximum(true + predicted - hit, 1.0),
            "precision": hit / keras.ops.maximum(predicted, 1.0),
            "recall": hit / keras.ops.maximum(true, 1.0),
        }
        return {
            f"train_{channel}_{name}": values[number]
            for number, channel in enumerate(CHANNELS)
            for name, values in overlaps.items()
        }


class RunningMean(keras.callbacks.Callback):
    """A running mean of all weights (Polyak and Juditsky 1992), which does better on validation
    scans and varies less than the weights of the last step.

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
        # Short memory at first, so that the random start does not linger.
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
        put_in_place(part, self._path)


def save_network(model: keras.Model, path: Path) -> None:
    """Writes a network with its optimizer whole or not at all."""
    part = path.with_name("part_" + path.name)
    model.save(part)
    put_in_place(part, path)


class Checkpoint(keras.callbacks.Callback):
    """After every epoch: the state to resume from, then the history row that counts the epoch.

    Args:
        mean: kept with the state, where the run has one.

    Attributes:
        stopped: whether the person asked to stop; the epoch under way is then not recorded.
    """

    def __init__(
        self,
        paths: RunPaths,
        columns: Sequence[str],
        mean: RunningMean | None = None,
        *,
        epochs: int,
        on_progress: OnProgress,
        should_cancel: ShouldCancel,
    ) -> None:
        super().__init__()
        self.stopped = False
        self._paths = paths
        self._columns = columns
        self._running_mean = mean
        self._epochs = epochs
        self._on_progress = on_progress
        self._should_cancel = should_cancel

    def measure(self, logs: dict[str, Any]) -> dict[str, float]:
        """The columns of an epoch's row that are not in `logs`."""
        return {}

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self._should_cancel():
            self.stopped = self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self.stopped:
            return
        rate = keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)
        row = {
            **{name: float(value) for name, value in (logs or {}).items()},
            "epoch": epoch + 1,
            "learning_rate": float(rate),
        }
        row.update(self.measure(row))
        if self._running_mean is not None:
            self._running_mean.save()
        save_network(self.model, self._paths.last)
        append_history(self._paths.history, row, self._columns)
        self._on_progress("training", epoch + 1, self._epochs)


class EpochRecorder(Checkpoint):
    """A checkpoint after the running mean was validated and, where it is the best, kept."""

    def __init__(
        self,
        paths: RunPaths,
        validation: Sequence[TrainingScan],
        config: TrainConfig,
        mean: RunningMean,
        on_progress: OnProgress,
        should_cancel: ShouldCancel,
    ) -> None:
        super().__init__(
            paths,
            HISTORY_COLUMNS,
            mean,
            epochs=config.epochs,
            on_progress=on_progress,
            should_cancel=should_cancel,
        )
        self._validation = [scan.thinned(config.validation_slices) for scan in validation]
        self._mean = mean
        self._config = config
        self._best = max((score(row) for row in read_history(paths.history)), default=-np.inf)
        self._samples = choose_samples(validation)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        # The trained model may have several heads; validated and kept is the one that predicts.
        self._network = averaged(self.model)
        save_slices(self._paths.folder, self._samples)

    def measure(self, logs: dict[str, Any]) -> dict[str, float]:
        self._mean.swap()
        found = validate(self._network, self._validation, batch_size=self._config.batch_size)
        predicted = predict_masks(
            self._network,
            self._samples.images,
            batch_size=self._config.batch_size,
            infection_threshold=0.5,
        )
        epoch = int(logs["epoch"])
        save_prediction(self._paths.folder, epoch, np.stack(predicted, axis=-1))
        # As written, so that whoever reads the history finds the same best epoch.
        reached = score({name: float(f"{value:.6g}") for name, value in found.items()})
        if reached > self._best:
            self._best = reached
            save_network(self._network, self._paths.best)
        self._mean.swap()
        return found


def choose_samples(scans: Sequence[TrainingScan]) -> SampleSlices:
    """Sample slices to show during training: of each case the one with most infection, and where
    there are few cases further ones with much infection, well apart."""
    cases = [scan for scan in scans if scan.role == "case" and scan.lung is not None]
    chosen: list[tuple[TrainingScan, int]] = []
    for part in range(MOST_SLICES):
        for scan in cases:
            if len(chosen) == MOST_SLICES or part >= len(scan.images):
                continue
            taken = [k for other, k in chosen if other is scan]
            area = scan.infection.sum(axis=(1, 2), dtype=np.int64)
            for k in taken:
                near = len(area) // (2 * MOST_SLICES)
                area[max(0, k - near) : k + near + 1] = -1
            chosen.append((scan, int(area.argmax())))
    return SampleSlices(
        names=tuple(f"{scan.scan_id}, slice {k + 1}" for scan, k in chosen),
        images=np.stack([scan.images[k] for scan, k in chosen]),
        truth=np.stack(
            [
                np.stack([scan.lung[k] > 0, scan.infection[k] > 0], axis=-1)
                for scan, k in chosen
                if scan.lung is not None
            ]
        ),
    )
