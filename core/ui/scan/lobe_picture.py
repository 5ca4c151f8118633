"""The five lobes as a small picture: how much of each is infected, at a glance."""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Mapping
from html import escape

import numpy as np
import numpy.typing as npt

from core.config import FIRST_LEFT_LOBE, LOBE_LABELS, LOBES, LobeName
from core.system import percent_text

Floats = npt.NDArray[np.float64]

_WIDTH, _HEIGHT, _LUNG = 132.0, 96.0, 58.0
_AMBER = "#E69F00"
_FULL_FROM = 0.5
"""Share from which on a lobe has the full colour: more is rare."""
_DARK_TEXT_FROM = 0.45
_STEPS = 12
_HEIGHTS: dict[LobeName, tuple[tuple[float, float], tuple[float, float]]] = {
    "right_upper": ((0.0, 0.0), (0.46, 0.42)),
    "right_middle": ((0.46, 0.42), (0.68, 0.86)),
    "right_lower": ((0.68, 0.86), (1.0, 1.0)),
    "left_upper": ((0.0, 0.0), (0.58, 0.8)),
    "left_lower": ((0.58, 0.8), (1.0, 1.0)),
}
"""Where a lobe begins and ends, seen from the front: at the ribs and at the heart, 0 apex to
1 base. A lower lobe reaches higher at the back than a picture from the front can show."""


def lobes_html(values: Mapping[str, object], *, ink: str) -> str:
    """`img` of the lobes, the patient's right on the left as in the slices; empty where no share of
    a lobe is known. The deeper the amber, the larger the infected share; the number says it as
    well.

    Args:
        values: biomarkers by key, of which `right_upper_lobe_infected_share` and its like are
            drawn.
        ink: colour of numbers and outlines, "#rrggbb".
    """
    shares = {name: _number(values.get(f"{name}_lobe_infected_share")) for name in LOBES}
    if all(math.isnan(share) for share in shares.values()):
        return ""
    words = "; ".join(
        f"{LOBE_LABELS[name].lower()} {percent_text(share, digits=0, undefined='not defined')}"
        for name, share in shares.items()
    )
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" '
        f'width="{_WIDTH:g}" height="{_HEIGHT:g}" font-family="sans-serif" color="{ink}">'
        f"{''.join(_lobe(name, share) for name, share in shares.items())}</svg>"
    )
    # As a file of its own, since Streamlit drops SVG written into a page.
    packed = b64encode(svg.encode()).decode()
    return (
        f'<img src="data:image/svg+xml;base64,{packed}" width="{_WIDTH:g}" height="{_HEIGHT:g}" '
        f'alt="Infected share by lobe, estimated: {escape(words)}">'
    )


def _lobe(name: LobeName, share: float) -> str:
    """One lobe: its outline, filled by its share, and the share as a number."""
    is_left = LOBES.index(name) + 1 >= FIRST_LEFT_LOBE
    (top_out, top_in), (end_out, end_in) = _HEIGHTS[name]
    gap = 0.012
    outer = np.linspace(top_out + gap * (top_out > 0), end_out - gap, _STEPS)
    inner = np.linspace(top_in + gap * (top_in > 0), end_in - gap, _STEPS)
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
    return (
        f'<polygon points="{path}" fill="currentColor" fill-opacity="0.12"></polygon>'
        f'<polygon points="{path}" fill="{_AMBER}" fill-opacity="{strength:.2f}" '
        'stroke="currentColor" stroke-opacity="0.45" stroke-width="1"></polygon>'
        f'<text x="{x:.1f}" y="{y + 3.5:.1f}" text-anchor="middle" font-size="11" '
        f'fill="{"#101418" if strength > _DARK_TEXT_FROM else "currentColor"}">{text}</text>'
    )


def _outer_edge(height: Floats) -> Floats:
    """x of the edge along the ribs: widens quickly below the apex and then hardly."""
    return np.asarray(2 + _LUNG * 0.62 * (1 - np.clip(height * 1.1 + 0.02, 0, 1)) ** 2.6)


def _inner_edge(height: Floats, *, is_left: bool) -> Floats:
    """x of the edge along the mediastinum; the heart takes from the left lung."""
    apex = 0.78 + 0.22 * np.clip(height * 3, 0, 1) ** 0.5
    heart = 0.22 * np.exp(-(((height - 0.78) / 0.2) ** 2)) if is_left else 0.0
    return np.asarray(2 + _LUNG * (apex - heart))


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else math.nan
