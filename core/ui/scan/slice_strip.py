"""A strip along the scan: a row for each kind of finding, a cell for each axial slice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from core.ui.components import BrowserComponent
from core.ui.scan.browsing import place_of
from core.ui.session import OpenStudy
from core.ui.widget_state import widget_value

_strip = BrowserComponent(
    "lunglens_slice_strip",
    html='<div class="slice-strip"><canvas tabindex="0" role="slider" aria-label="Slice"></canvas>'
    "</div>",
    css=".slice-strip { width: 100%; } canvas { display: block; width: 100%; cursor: pointer; "
    "touch-action: pan-y; color: var(--st-text-color); } "
    "canvas:focus-visible { outline: 2px solid light-dark(#0b6d8a, #56b4e9); "
    "outline-offset: 2px; }",
    js=Path(__file__).with_name("slice_strip.js").read_text(encoding="utf-8"),
)


@dataclass(frozen=True)
class StripRow:
    """One kind of finding, and the axial slices (from 0) that have it."""

    label: str
    colour: str
    cells: Sequence[int]


def show_strip(
    current: OpenStudy,
    rows: Sequence[StripRow],
    *,
    shown: int,
    key: str,
    nothing: str = "nothing found",
) -> None:
    """The strip, from the feet on the left to the head on the right; a click moves the picture.

    Args:
        shown: the slice to mark.
        nothing: shown for a slice without a cell.
    """

    def go_to_asked() -> None:
        asked = widget_value(key).get("slice")
        if isinstance(asked, (int, float)):
            go_to(current, int(asked) - 1)

    data = {
        "slices": current.study.volume.shape[2],
        "current": shown,
        "rows": [{**asdict(row), "cells": list(row.cells)} for row in rows],
        "nothing": nothing,
    }
    _strip(data=data, key=key, on_slice_change=go_to_asked)


def go_to(current: OpenStudy, slice_index: int) -> None:
    """Moves the picture to an axial slice of the open scan."""
    place = place_of(current)
    i, j, _ = place.voxel
    last = current.study.volume.shape[2] - 1
    place.go_to(plane="axial", voxel=(i, j, min(max(slice_index, 0), last)))
