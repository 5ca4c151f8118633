"""How a slice classifier learns: batches, steps, a running mean of weights, judgement."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from core.augmentation import augment, build_augmentation
from core.classification.config import ClassifierTrainConfig
from core.classification.metrics import area_under_curve
from core.classification.network import build_taught, transfer_encoder
from core.config import ModelConfig, ScheduleConfig
from core.progress import (
    OnProgress,
    ShouldCancel,
    ignore_progress,
    never_cancel,
    raise_if_cancelled,
)
from core.schedule import learning_rate_at

Frames = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]
_SHORT_MEMORY = 10.0


@dataclass(frozen=True, eq=False)
class Lesson:
    """Slices and what they are: frames (n, side, side, 3) uint8, labels (n,) 0 or 1, and how
    often each comes in an epoch on average (n,): 0.4 is a draw in two of five epochs."""

    frames: Frames
    labels: npt.NDArray[np.int64]
    repeats: npt.NDArray[np.float64]


class ClassifierBatches(keras.utils.PyDataset):
    """Batches of augmented slices in a new order every epoch, classes drawn as often as they are.

    Gives (n, side, side, channels) float32 in [0, 1] and soft labels (n, 1) float32.
    """

    def __init__(self, lesson: Lesson, config: ClassifierTrainConfig, *, member: int = 0) -> None:
        super().__init__(workers=1, use_multiprocessing=False, max_queue_size=4)
        self._lesson = lesson
        self._config = config
        self._seed = config.seed * 1009 + member
        self._start_epoch(0)

    def _start_epoch(self, epoch: int) -> None:
        self._epoch = epoch
        seed = self._seed * 100_003 + epoch
        self._generator = np.random.default_rng(seed)
        self._order = self._generator.permutation(self._draw())
        self._steps = build_augmentation(self._config.augment, seed=seed % (2**31 - 100))

    def _draw(self) -> npt.NDArray[np.int64]:
        """Slices of an epoch: each as often as the whole part of its repeats says, and of those
        with the same fraction a share drawn anew, so that every epoch is of one length."""
        repeats = self._lesson.repeats
        drawn = [np.repeat(np.arange(len(repeats)), repeats.astype(np.int64))]
        fractions = repeats % 1.0
        for fraction in np.unique(fractions[fractions > 0]):
            pool = np.flatnonzero(fractions == fraction)
            drawn.append(self._generator.choice(pool, round(fraction * len(pool)), replace=False))
        return np.concatenate(drawn)

    def __len__(self) -> int:
        return max(1, len(self._order) // self._config.batch_size)

    def on_epoch_end(self) -> None:
        self._start_epoch(self._epoch + 1)

    def __getitem__(self, index: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        size = self._config.batch_size
        chosen = self._order[index * size : (index + 1) * size]
        frames = self._lesson.frames[chosen].astype(np.float32) / np.float32(255)
        images, masks = augment(self._steps, frames[..., :1], frames[..., 1:])
        masks = masks * (
            self._generator.random((len(chosen), 1, 1, 1)) >= self._config.mask_dropout
        )
        batch = np.concatenate([images, masks], axis=-1).astype(np.float32)
        labels = self._lesson.labels[chosen].astype(np.float32)[:, None]
        labels += self._config.label_smoothing * (0.5 - labels)
        if self._config.mixup > 0:
            share = self._generator.beta(self._config.mixup, self._config.mixup, len(chosen))
            share = np.maximum(share, 1.0 - share).astype(np.float32)
            other = self._generator.permutation(len(chosen))
            batch = _mixed(batch, batch[other], share[:, None, None, None])
            labels = _mixed(labels, labels[other], share[:, None])
        return batch[..., : self._config.model.channels], labels


def _mixed(one: Any, other: Any, share: Any) -> Any:
    return share * one + (1.0 - share) * other


class _MeanOfWeights(keras.callbacks.Callback):
    """The running mean of all weights, kept beside those that learn."""

    def __init__(self, momentum: float) -> None:
        super().__init__()
        self._momentum = momentum
        self._steps = 0
        self.mean: list[Any] = []

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.mean = [np.array(array) for array in self.model.get_weights()]

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._steps += 1
        momentum = min(self._momentum, self._steps / (_SHORT_MEMORY + self._steps))
        for mean, weight in zip(self.mean, self.model.get_weights(), strict=True):
            mean += np.float32(1.0 - momentum) * (weight - mean)


class _Judge(keras.callbacks.Callback):
    """After every epoch: the validation figures of the mean of weights."""

    def __init__(
        self,
        mean: _MeanOfWeights,
        judged: dict[str, Lesson],
        config: ClassifierTrainConfig,
        on_epoch: Callable[[dict[str, float]], None],
        should_cancel: ShouldCancel,
    ) -> None:
        super().__init__()
        self._mean = mean
        self._judged = judged
        self._config = config
        self._on_epoch = on_epoch
        self._should_cancel = should_cancel

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        raise_if_cancelled(self._should_cancel, "training")

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        row = {"epoch": float(epoch + 1), "loss": float((logs or {})["loss"])}
        if self._judged:
            own = self.model.get_weights()
            self.model.set_weights(self._mean.mean)
            for name, lesson in self._judged.items():
                logits = predict_logits(self.model, lesson.frames, flip=False)
                row[f"{name}_auc"] = area_under_curve(lesson.labels, logits)
                row[f"{name}_accuracy"] = float(np.mean((logits > 0) == lesson.labels))
            self.model.set_weights(own)
        self._on_epoch(row)


def train_member(
    lesson: Lesson,
    judged: dict[str, Lesson],
    config: ClassifierTrainConfig,
    *,
    start: tuple[dict[str, Any], ModelConfig] | None,
    member: int = 0,
    on_epoch: Callable[[dict[str, float]], None] = lambda row: None,
    on_progress: OnProgress = ignore_progress,
    should_cancel: ShouldCancel = never_cancel,
) -> keras.Model:
    """Trains one member and gives it with the running mean of its weights.

    Args:
        judged: slices to judge on after every epoch, by name; they choose nothing here.
        start: arrays and architecture of segmentation weights; none starts from chance.
        on_epoch: told the figures of each epoch.

    Raises:
        WeightsError: the segmentation weights do not fit.
        Cancelled: the person asked to stop.
    """
    keras.utils.set_random_seed(config.seed * 1009 + member)
    batches = ClassifierBatches(lesson, config, member=member)
    previous = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy(config.precision)
    try:
        model = build_taught(config.model, member=member)
    finally:
        keras.mixed_precision.set_dtype_policy(previous)
    if start is not None:
        arrays, source = start
        transfer_encoder(model, arrays, source=source, config=config.model, member=member)
    model.compile(
        optimizer=keras.optimizers.AdamW(
            _Schedule(config, steps=config.epochs * len(batches)),
            weight_decay=config.weight_decay,
            global_clipnorm=1.0,
        ),
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
        jit_compile=False,
    )
    mean = _MeanOfWeights(config.average_momentum)
    epochs_told = _EpochProgress(config.epochs, on_progress)
    judge = _Judge(mean, judged, config, on_epoch, should_cancel)
    model.fit(
        batches,
        epochs=config.epochs,
        shuffle=False,
        verbose=0,
        callbacks=[mean, judge, epochs_told],
    )
    model.set_weights(mean.mean)
    return model


class _EpochProgress(keras.callbacks.Callback):
    def __init__(self, epochs: int, on_progress: OnProgress) -> None:
        super().__init__()
        self._epochs = epochs
        self._on_progress = on_progress

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._on_progress("training", epoch + 1, self._epochs)


class _Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """Warm-up, then cosine decay, by `core.schedule`."""

    def __init__(self, config: ClassifierTrainConfig, *, steps: int) -> None:
        self._config = config
        self._steps = steps

    def __call__(self, step: Any) -> Any:
        return learning_rate_at(
            keras.ops.cast(step, "float32"),
            ScheduleConfig(),
            peak=self._config.learning_rate,
            warmup_steps=max(1, round(self._config.warmup_share * self._steps)),
            total_steps=self._steps,
            ops=keras.ops,
        )


def predict_logits(model: keras.Model, frames: Frames, *, flip: bool = True) -> Floats:
    """Logits (n,) of slices, the mean of each with its mirror image where `flip`."""
    channels = int(model.input_shape[-1])
    logits = np.zeros(len(frames), dtype=np.float64)
    for start in range(0, len(frames), 64):
        batch = frames[start : start + 64, ..., :channels].astype(np.float32) / np.float32(255)
        found = np.asarray(model.predict_on_batch(batch))[:, 0]
        if flip:
            found = (found + np.asarray(model.predict_on_batch(batch[:, :, ::-1]))[:, 0]) / 2
        logits[start : start + 64] = found
    return logits
