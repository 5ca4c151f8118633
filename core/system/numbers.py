"""Numbers as people read them, written one way everywhere: −1.5, 12.3 %, 512 × 512 × 300.

A minus sign is U+2212, a thin space (U+2009) stands before %, and × has a space on both sides.
Files for programs (CSV, JSON) take plain numbers instead.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

UNDEFINED_TEXT = "not defined"
"""Stands for what cannot be computed, such as the Dice of two empty masks."""
THIN_SPACE = "\u2009"
MINUS = "\u2212"


def number_text(value: float | None, *, digits: int = 3, undefined: str = UNDEFINED_TEXT) -> str:
    """A number with that many decimals.

    Args:
        undefined: stands for nan and none.
    """
    if value is None or math.isnan(value):
        return undefined
    return f"{value:.{digits}f}".replace("-", MINUS)


def short_text(value: float, *, digits: int = 6) -> str:
    """A number with at most that many digits and no zeros at its end, such as −500 or 0.25."""
    return f"{value:.{digits}g}".replace("-", MINUS)


def signed_text(value: float | None, *, digits: int = 3, undefined: str = UNDEFINED_TEXT) -> str:
    """A difference: with its sign, whichever it is."""
    if value is None or math.isnan(value):
        return undefined
    return f"{value:+.{digits}f}".replace("-", MINUS)


def percent_text(share: float | None, *, digits: int = 1, undefined: str = UNDEFINED_TEXT) -> str:
    """A share between 0 and 1 as percent."""
    if share is None or math.isnan(share):
        return undefined
    return f"{number_text(100.0 * share, digits=digits)}{THIN_SPACE}%"


def short_percent_text(share: float) -> str:
    """A share between 0 and 1 as percent with at most three digits, such as 1 % or 2.5 %."""
    return f"{short_text(100 * share, digits=3)}{THIN_SPACE}%"


def size_text(counts: Iterable[int | str]) -> str:
    """A grid or its spacing, such as 512 × 512 × 300."""
    return " × ".join(map(str, counts))


def plain_text(text: str) -> str:
    """The same in ASCII signs, for terminals that lack the others."""
    return text.replace(THIN_SPACE, " ").replace(MINUS, "-").replace("×", "x")
