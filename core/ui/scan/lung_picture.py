"""Both lungs as a small picture: how much of each zone is infected, at a glance."""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Mapping
from html import escape

import numpy as np

from core.system import percent_text

THIRDS = ("upper", "middle", "lower")
_WIDTH, _HEIGHT, _LUNG = 132.0, 96.0, 58.0
_AMBER = "#E69F00"
_FULL_FROM = 0.5
"""Share from which on a zone has the full colour: more is rare."""
_STEPS = 12
"""Points along each edge of a zone."""


def lungs_html(values: Mapping[str, object], *, ink: str) -> str:
    """`img` of the thirds of both lungs, the patient's right on the left as in the slices; empty
    where no zone is known. The deeper the amber, the larger the infected share; the number says
    it as well.

    Args:
        values: biomarkers by key, of which `infected_share_right_upper` and its like are drawn.
        ink: colour of numbers and outlines, "#rrggbb".
    """
    shares = {
        (side, third): _number(values.get(f"infected_share_{side}_{third}"))
        for side in ("right", "left")
        for third in THIRDS
    }
    if all(math.isnan(share) for share in shares.values()):
        return ""
    zones = "".join(_zone(side, number, share) for side, number, share in _numbered(shares))
    words = "; ".join(
        f"{side} {third} {percent_text(share, digits=0, undefined='not defined')}"
        for (side, third), share in shares.items()
    )
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" '
        f'width="{_WIDTH:g}" height="{_HEIGHT:g}" font-family="sans-serif" color="{ink}">'
        f"{zones}</svg>"
    )
    # As a file of its own, since Streamlit drops SVG written into a page.
    packed = b64encode(svg.encode()).decode()
    return (
        f'<img src="data:image/svg+xml;base64,{packed}" width="{_WIDTH:g}" height="{_HEIGHT:g}" '
        f'alt="Infected share by zone: {escape(words)}">'
    )


def _numbered(shares: Mapping[tuple[str, str], float]) -> list[tuple[str, int, float]]:
    return [(side, THIRDS.index(third), share) for (side, third), share in shares.items()]


def _zone(side: str, number: int, share: float) -> str:
    """One third of one lung: its outline, filled by its share, and the share as a number."""
    gap = 0.012
    heights = np.linspace(number / 3 + gap * (number > 0), (number + 1) / 3 - gap, _STEPS)
    outer, inner = _outer_edge(heights), _inner_edge(heights, side)
    points = [*zip(outer, heights, strict=True), *zip(inner[::-1], heights[::-1], strict=True)]
    mirrored = side == "left"
    path = " ".join(
        f"{_WIDTH - x if mirrored else x:.1f},{2 + y * (_HEIGHT - 4):.1f}" for x, y in points
    )
    middle = float((outer.mean() + inner.mean()) / 2)
    x = _WIDTH - middle if mirrored else middle
    y = 2 + float(heights.mean()) * (_HEIGHT - 4) + 3.5
    known = not math.isnan(share)
    strength = min(1.0, share / _FULL_FROM) ** 0.7 if known else 0.0
    text = percent_text(share, digits=0) if known else "–"
    return (
        f'<polygon points="{path}" fill="currentColor" fill-opacity="0.12"></polygon>'
        f'<polygon points="{path}" fill="{_AMBER}" fill-opacity="{strength:.2f}" '
        'stroke="currentColor" stroke-opacity="0.45" stroke-width="1"></polygon>'
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle" font-size="11" '
        f'fill="{"#101418" if strength > _DARK_TEXT_FROM else "currentColor"}">{text}</text>'
    )


_DARK_TEXT_FROM = 0.45


def _outer_edge(height: np.ndarray) -> np.ndarray:
    """x of the edge along the ribs: 0 apex to 1 base, widening quickly and then hardly."""
    return np.asarray(2 + _LUNG * 0.62 * (1 - np.clip(height * 1.1 + 0.02, 0, 1)) ** 2.6)


def _inner_edge(height: np.ndarray, side: str) -> np.ndarray:
    """x of the edge along the mediastinum; the heart takes from the left lung."""
    apex = 0.78 + 0.22 * np.clip(height * 3, 0, 1) ** 0.5
    heart = 0.22 * np.exp(-(((height - 0.78) / 0.2) ** 2)) if side == "left" else 0.0
    return np.asarray(2 + _LUNG * (apex - heart))


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else math.nan
