"""Learning-rate range test (Smith 2015, arXiv:1506.01186): at which rates training works.

The rate grows from batch to batch; the loss falls while the rate is useful and rises once it is
too large.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from core.config import RangeTestConfig, TrainConfig
from core.measuring.quality import Exclusion
from core.system import OnProgress, ShouldCancel, ignore_progress, never_cancel, raise_if_cancelled
from core.training.dataset import SliceBatches
from core.training.fit import build_compiled, load_split

_MEMORY = 0.9
"""Of the smoothed loss: share kept from one batch to the next."""
_DIVERGED = 3.0
"""The test ends where the smoothed loss is this many times its least."""
_LEAST_FALL = 0.05
"""Share by which the smoothed loss must have fallen for a rate to be suggested."""


@dataclass(frozen=True, eq=False)
class RangeTest:
    """What a range test found.

    Attributes:
        rates, losses, smoothed: (batches,) float64; `smoothed` is a running mean of the losses.
        suggestion: rate at which the smoothed loss falls most steeply; nan where it never does.
    """

    rates: npt.NDArray[np.float64]
    losses: npt.NDArray[np.float64]
    smoothed: npt.NDArray[np.float64]
    suggestion: float


def run_range_test(
    data: Path,
    config: TrainConfig,
    range_config: RangeTestConfig,
    *,
    recorded_split: Mapping[str, Any] | None = None,
    excluded: Sequence[Exclusion] = (),
    on_progress: OnProgress = ignore_progress,
    should_cancel: ShouldCancel = never_cancel,
) -> RangeTest:
    """Trains a new network for some batches while the rate grows; the network is not kept.

    Args:
        data: see `core.training.dataset`.
        config: of the run that a rate is wanted for; its own rate and schedule are not used.
        recorded_split, excluded: as in `train`; only training slices are used.
        on_progress: called with "trying learning rates" with batches done.

    Raises:
        Cancelled: the person asked to stop.
        DatasetError, LoadError: see `core.training.dataset`.
    """
    keras.utils.set_random_seed(config.seed)
    split = load_split(
        data, config, recorded_split=recorded_split, excluded=excluded, on_progress=on_progress
    )
    batches = SliceBatches(split.train, config, epoch=0)
    model = build_compiled(config, range_config.lowest)
    planned = np.geomspace(range_config.lowest, range_config.highest, range_config.batches)
    losses: list[float] = []
    for number, rate in zip(count(), planned, strict=False):
        raise_if_cancelled(should_cancel, "trying learning rates")
        on_progress("trying learning rates", number, len(planned))
        if number and number % len(batches) == 0:
            batches.on_epoch_end()
        model.optimizer.learning_rate = float(rate)
        # Otherwise Keras gives the mean over all batches so far.
        model.reset_metrics()
        images, truth = batches[number % len(batches)]
        losses.append(float(model.train_on_batch(images, truth, return_dict=True)["loss"]))
        if has_diverged(losses):
            break
    on_progress("trying learning rates", len(planned), len(planned))
    return suggest_rate(planned[: len(losses)], np.asarray(losses))


def range_csv(found: RangeTest) -> str:
    """One row per batch: rate, loss and smoothed loss; empty where it is not finite."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["learning_rate", "loss", "smoothed_loss"])
    for row in zip(found.rates, found.losses, found.smoothed, strict=True):
        writer.writerow([f"{value:.6g}" if math.isfinite(value) else "" for value in row])
    return text.getvalue()


def has_diverged(losses: list[float]) -> bool:
    """Whether the loss has grown so much that larger rates can only be worse."""
    if not math.isfinite(losses[-1]):
        return True
    smoothed = smooth(np.asarray(losses))
    return bool(smoothed[-1] > _DIVERGED * smoothed.min())


def suggest_rate(rates: npt.NDArray[np.float64], losses: npt.NDArray[np.float64]) -> RangeTest:
    """Smooths the losses and suggests a rate: where the smoothed loss falls most steeply over the
    logarithm of the rate, before its least."""
    finite = np.isfinite(losses)
    smoothed = np.full(len(losses), np.nan)
    smoothed[finite] = smooth(losses[finite])
    suggestion = float("nan")
    known = np.flatnonzero(finite)
    if len(known) > 2:
        least = int(np.nanargmin(smoothed))
        fallen = 1.0 - smoothed[least] / smoothed[known[0]]
        if least >= 2 and fallen >= _LEAST_FALL:
            slope = np.gradient(smoothed[: least + 1], np.log(rates[: least + 1]))
            suggestion = float(rates[int(np.argmin(slope))])
    return RangeTest(rates=rates, losses=losses, smoothed=smoothed, suggestion=suggestion)


def smooth(losses: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Exponential running mean with bias correction, as in Adam."""
    mean, smoothed = 0.0, np.empty(len(losses))
    for number, loss in enumerate(losses, start=1):
        mean = _MEMORY * mean + (1.0 - _MEMORY) * loss
        smoothed[number - 1] = mean / (1.0 - _MEMORY**number)
    return smoothed
