"""How quantities and names of others are written on a page; plain numbers: `core.system.numbers`.

A no-break space (\\u00a0) keeps numbers and their units on one line.
"""

from __future__ import annotations

import math
import re

from core.system import THIN_SPACE, UNDEFINED_TEXT, percent_text

_LINE_BREAKS_AND_BLANKS = re.compile(rf"[^\S{THIN_SPACE}\u00a0]+")
"""Whitespace but for the spaces inside numbers."""
_MARKDOWN_MARKS = re.compile(r"([!-/:-@\[-`{-~])")


def escape_markdown(text: object) -> str:
    """`text` as Markdown that shows exactly these characters, on one line.

    For anything that comes from a file: neither HTML, links, maths, icons nor colours of
    Markdown take effect.
    """
    one_line = _LINE_BREAKS_AND_BLANKS.sub(" ", str(text)).strip()
    return _MARKDOWN_MARKS.sub(r"\\\1", one_line)


def percent(share: float | None, *, missing: str = UNDEFINED_TEXT) -> str:
    """A share such as 12.3 %, small ones with a digit more; `missing` where it is undefined."""
    if share is None or not math.isfinite(share):
        return missing
    return percent_text(share, digits=2 if 0 < 100.0 * share < 1 else 1)


def volume_text(volume_ml: float | None) -> str:
    """A volume in ml, in litres from one litre on, or "not known"."""
    if volume_ml is None or not math.isfinite(volume_ml):
        return "not known"
    if volume_ml >= 999.5:
        return f"{volume_ml / 1000:.2f}\u00a0l"
    return f"{volume_ml:.1f}\u00a0ml" if volume_ml < 100 else f"{volume_ml:.0f}\u00a0ml"


def area_text(area_mm2: float | None) -> str:
    """An area in cm², or "not known"."""
    if area_mm2 is None or not math.isfinite(area_mm2):
        return "not known"
    return f"{area_mm2 / 100:.1f}\u00a0cm²"


def seconds_text(seconds: float) -> str:
    """A duration such as "0.4 s" or "1 min 12 s"."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60} s"
