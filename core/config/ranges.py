"""Ranges of settings, and the checks for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from core.errors import ConfigError


@dataclass(frozen=True)
class SettingRange:
    """What a number may be set to, both ends included, and how far a widget steps."""

    low: float
    high: float
    step: float


def check_choice(name: str, value: Any, allowed: tuple[Any, ...]) -> None:
    """Raises ConfigError unless `value` is one of `allowed`."""
    if value not in allowed:
        raise ConfigError(
            f"Setting {name} is not understood",
            got=repr(value),
            expected="one of " + ", ".join(map(repr, allowed)),
        )


def check_range(name: str, value: float, allowed: SettingRange, *, unit: str = "") -> None:
    """Raises ConfigError unless `value` lies in the range `allowed`, both ends included."""
    if not allowed.low <= value <= allowed.high:
        raise ConfigError(
            f"Setting {name} is out of range",
            got=f"{value}",
            expected=f"{allowed.low:g} to {allowed.high:g} {unit}".rstrip(),
        )
