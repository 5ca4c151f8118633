"""A measurement with its definition and source, and its value as people read it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from core.system import MINUS, UNDEFINED_TEXT, number_text, percent_text, signed_text

_SPACE = "\u00a0"
"""Keeps a number and its unit on one line."""
SHARE = "share"
"""Unit of shares: 0 to 1 in code, shown in percent."""


@dataclass(frozen=True)
class Measurement:
    """One number or word, ready to be shown.

    Attributes:
        key: stable name in snake_case.
        label: what it is called on the screen.
        value: nan where undefined. Shares are 0 to 1.
        unit: "ml", "HU", "share", or nothing for counts, scores and words.
        definition: one plain sentence with the rule and its cut-offs.
        source: where the rule comes from.
        group: the heading it stands under.
        reason: why it is undefined; empty where it is not.
    """

    key: str
    label: str
    value: float | int | str
    unit: str
    definition: str
    source: str
    group: str
    reason: str = ""

    @property
    def defined(self) -> bool:
        """Whether there is a value."""
        return not (isinstance(self.value, float) and not math.isfinite(self.value))

    @property
    def text(self) -> str:
        """Value and unit as people read them, or "not defined"."""
        return measurement_text(self.value, self.unit)


def measurement_text(value: float | int | str, unit: str, *, signed: bool = False) -> str:
    """A value with its unit, such as "12.3 %", "1.23 l" or "−612 HU".

    Args:
        signed: a difference: with its sign, and shares in percentage points.
    """
    if isinstance(value, str):
        return value
    if not math.isfinite(value):
        return UNDEFINED_TEXT
    number = signed_text if signed and value else number_text
    if unit == SHARE:
        shown = 100.0 * value
        digits = 2 if 0 < abs(shown) < 1 else 1
        if signed:
            return f"{number(shown, digits=digits)}{_SPACE}points"
        return percent_text(value, digits=digits)
    if unit == "ml":
        if abs(value) >= 999.5:
            return f"{number(value / 1000, digits=2)}{_SPACE}l"
        digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 1 or value == 0 else 2
        return f"{number(value, digits=digits)}{_SPACE}ml"
    if unit:
        return f"{number(value, digits=0)}{_SPACE}{unit}"
    if float(value).is_integer():
        return number(value, digits=0)
    plus = "+" if signed else ""
    return f"{value:{plus}g}".replace("-", MINUS)
