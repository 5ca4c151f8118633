"""Ranges of settings, and the checks for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.config.json_text import shown_value
from core.errors import ConfigError

RUN_LEAST = {
    "epochs": 1,
    "steps_per_epoch": 1,
    "batch_size": 1,
    "warmup_steps": 0,
    "folds": 2,
    "seed": 0,
}
"""Least values of the whole numbers that a training run of fixed steps has."""


@dataclass(frozen=True)
class SettingRange:
    """What a number may be set to, both ends included, and how far a widget steps."""

    low: float
    high: float
    step: float


def check_choice(name: str, value: Any, allowed: tuple[Any, ...]) -> None:
    """Raises ConfigError unless `value` is one of `allowed`."""
    if type(value) not in {type(one) for one in allowed} or value not in allowed:
        raise ConfigError(
            f"Setting {name} is not understood",
            got=shown_value(value),
            expected="one of " + ", ".join(map(repr, allowed)),
        )


def check_range(name: str, value: float, allowed: SettingRange, *, unit: str = "") -> None:
    """Raises ConfigError unless `value` lies in the range `allowed`, both ends included."""
    if not allowed.low <= value <= allowed.high:
        raise ConfigError(
            f"Setting {name} is out of range",
            got=shown_value(value),
            expected=f"{allowed.low:g} to {allowed.high:g} {unit}".rstrip(),
        )


def check_ranges(config: Any, allowed: Mapping[str, tuple[float, float]]) -> None:
    """Raises ConfigError unless each setting named lies in its range, both ends included."""
    for name, (low, high) in allowed.items():
        check_range(name, getattr(config, name), SettingRange(low, high, 0.0))


def check_least(config: Any, least: Mapping[str, int]) -> None:
    """Raises ConfigError unless each setting named is at least as large."""
    for name, low in least.items():
        if getattr(config, name) < low:
            raise ConfigError(
                f"Setting {name} is out of range",
                got=f"{getattr(config, name)}",
                expected=f"at least {low}",
            )
