"""The learning rate along a run, as formulas that numpy and Keras compute alike."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from core.config import ScheduleConfig

_WARMUP_START = 0.01
"""Share of the full rate that warm-up begins with."""


def learning_rate_at(
    step: Any,
    config: ScheduleConfig,
    *,
    peak: float,
    warmup_steps: int,
    total_steps: int,
    ops: Any = np,
) -> Any:
    """The learning rate of a step.

    It rises linearly through warm-up, then stays, falls exponentially, falls along half a cosine,
    or does so several times over (warm restarts, Loshchilov and Hutter 2017, arXiv:1608.03983).

    Args:
        step: number of the step from 0, or an array of such, of the kind that `ops` takes.
        peak: the rate after warm-up.
        ops: numpy, or `keras.ops` while training.
    """
    warmup = _WARMUP_START + (1.0 - _WARMUP_START) * step / max(warmup_steps, 1)
    progress = ops.minimum(
        ops.maximum((step - warmup_steps) / max(total_steps - warmup_steps, 1), 0.0), 1.0
    )
    share = ops.where(step < warmup_steps, warmup, _decayed_share(progress, config, ops))
    return peak * share


def _decayed_share(progress: Any, config: ScheduleConfig, ops: Any) -> Any:
    final = config.final_share
    if config.kind == "constant":
        return 1.0 + 0.0 * progress
    if config.kind == "exponential":
        return ops.exp(math.log(final) * progress)
    if config.kind == "cosine_restarts":
        progress = _progress_in_cycle(progress, config, ops)
    return final + (1.0 - final) * 0.5 * (1.0 + ops.cos(math.pi * progress))


def _progress_in_cycle(progress: Any, config: ScheduleConfig, ops: Any) -> Any:
    cycles, growth = config.cycles, config.cycle_growth
    # The very end belongs to the last cycle and does not start another.
    inside = ops.minimum(progress, 1.0 - 1e-6)
    if growth == 1.0:
        return inside * cycles - ops.floor(inside * cycles)
    whole = growth**cycles - 1.0  # in units of the first cycle's length times (growth - 1)
    number = ops.floor(ops.log(1.0 + inside * whole) / math.log(growth))
    length = ops.exp(math.log(growth) * number)
    return (inside * whole - (length - 1.0)) / (length * (growth - 1.0))


def learning_rates(
    config: ScheduleConfig, *, peak: float, warmup_epochs: int, epochs: int, points: int = 400
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Epochs (0 to `epochs`) and the rate there, for a drawing of the whole schedule."""
    per_epoch = 1000
    position = np.linspace(0.0, epochs, points)
    rates = learning_rate_at(
        position * per_epoch,
        config,
        peak=peak,
        warmup_steps=warmup_epochs * per_epoch,
        total_steps=epochs * per_epoch,
    )
    return position, np.asarray(rates, dtype=np.float64)
