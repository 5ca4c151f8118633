"""Both lungs seen from the front, as a small picture made of parts that share their outline."""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Iterable
from html import escape

import numpy as np
import numpy.typing as npt

from core.system import percent_text

Floats = npt.NDArray[np.float64]
Level = tuple[float, float]
"""Height at the ribs and at the heart, 0 apex to 1 base."""

_WIDTH, _HEIGHT, _LUNG = 132.0, 96.0, 58.0
_AMBER = "#E69F00"
_FULL_FROM = 0.5
"""Share from which on a part has the full colour: more is rare."""
_DARK_TEXT_FROM = 0.52
"""Strength of the amber from which on black is read better than the ink of the dark theme; there
both have a contrast of 4 to 1, which is the least."""
_GAP = 0.012
_STEPS = 12
"""Points along each edge of a part."""


def lungs_img(parts: Iterable[str], *, alt: str, ink: str) -> str:
    """`img` of parts of `lung_part`.

    Args:
        alt: the same in words.
        ink: colour of numbers and outlines, "#rrggbb".
    """
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" '
        f'width="{_WIDTH:g}" height="{_HEIGHT:g}" font-family="sans-serif" color="{ink}">'
        f"{''.join(parts)}</svg>"
    )
    # As a file of its own, since Streamlit drops SVG written into a page.
    packed = b64encode(svg.encode()).decode()
    return (
        f'<img src="data:image/svg+xml;base64,{packed}" width="{_WIDTH:g}" height="{_HEIGHT:g}" '
        f'alt="{escape(alt)}">'
    )


def lung_part(top: Level, end: Level, share: float, *, is_left: bool) -> str:
    """SVG of one part: its outline, filled by its infected share, and the share as a number.

    Args:
        top, end: where it begins and ends.
        share: nan where it is not defined.
    """
    (top_out, top_in), (end_out, end_in) = top, end
    outer = np.linspace(top_out + _GAP * (top_out > 0), end_out - _GAP, _STEPS)
    inner = np.linspace(top_in + _GAP * (top_in > 0), end_in - _GAP, _STEPS)
    points = [
        *zip(_outer_edge(outer), outer, strict=True),
        *zip(_inner_edge(inner, is_left=is_left)[::-1], inner[::-1], strict=True),
    ]
    placed = [(_WIDTH - x if is_left else x, 2 + float(y) * (_HEIGHT - 4)) for x, y in points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
    x, y = np.mean(placed, axis=0)
    known = not math.isnan(share)
    strength = min(1.0, share / _FULL_FROM) ** 0.7 if known else 0.0
    text = percent_text(share, digits=0) if known else "–"
    colour = "#000000" if strength > _DARK_TEXT_FROM else "currentColor"
    return (
        f'<polygon points="{path}" fill="currentColor" fill-opacity="0.12"></polygon>'
        f'<polygon points="{path}" fill="{_AMBER}" fill-opacity="{strength:.2f}" '
        'stroke="currentColor" stroke-opacity="0.45" stroke-width="1"></polygon>'
        f'<text x="{x:.1f}" y="{y + 3.5:.1f}" text-anchor="middle" font-size="11" '
        f'font-weight="600" fill="{colour}">{text}</text>'
    )


def known_share(value: object) -> float:
    """A share as a number; nan where it is none."""
    return float(value) if isinstance(value, (int, float)) else math.nan


def _outer_edge(height: Floats) -> Floats:
    """x of the edge along the ribs: widens quickly below the apex and then hardly."""
    return np.asarray(2 + _LUNG * 0.62 * (1 - np.clip(height * 1.1 + 0.02, 0, 1)) ** 2.6)


def _inner_edge(height: Floats, *, is_left: bool) -> Floats:
    """x of the edge along the mediastinum; the heart takes from the left lung."""
    apex = 0.78 + 0.22 * np.clip(height * 3, 0, 1) ** 0.5
    heart = 0.22 * np.exp(-(((height - 0.78) / 0.2) ** 2)) if is_left else 0.0
    return np.asarray(2 + _LUNG * (apex - heart))
