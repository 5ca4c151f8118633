"""Mounting the viewer on a page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from core.annotation import read_annotations
from core.errors import AnnotationError
from core.ui.components import BrowserComponent
from core.ui.streamlit_internals import BROWSER_SCRIPT
from core.ui.viewer.header import (
    Box,
    Comparison,
    Heat,
    Line,
    Marks,
    Notebook,
    Tools,
    ViewerScan,
    make_header,
)
from core.ui.viewer.place import Place
from core.ui.widget_state import widget_value

_HERE = Path(__file__).parent
_SCRIPTS = (
    "store",
    "edits",
    "planes",
    "paint",
    "contours",
    "brush",
    "heat",
    "lobes",
    "sources",
    "turning",
    "pane",
    "marks",
    "pointer",
    "strip",
    "controls",
    "menu",
    "correct_bar",
    "keys",
    "view",
    "annotations",
    "handles",
    "pair",
    "layout",
    "moving",
    "tools",
    "correcting",
    "picture",
    "figure",
    "present",
)
"""One module in the browser: plain JavaScript files, one concept each, joined in this order."""


VIEWER_SCRIPT = "\n".join(
    [BROWSER_SCRIPT, *((_HERE / f"{name}.js").read_text(encoding="utf-8") for name in _SCRIPTS)]
)
"""The viewer without what Streamlit calls, for components that hold one."""
VIEWER_STYLE = (_HERE / "viewer.css").read_text(encoding="utf-8")

_viewer = BrowserComponent(
    "lunglens_viewer",
    html='<div class="lunglens"></div>',
    css=VIEWER_STYLE,
    js=VIEWER_SCRIPT + (_HERE / "main.js").read_text(encoding="utf-8"),
)


def show_viewer(
    scan: ViewerScan,
    place: Place,
    *,
    key: str,
    comparison: Comparison | None = None,
    drawings: Sequence[Box | Line] = (),
    heat: Heat | None = None,
    tools: Tools = "all",
    tallest: float = 0.61,
    marks: Marks | None = None,
    on_place: Callable[[Place], None] | None = None,
    notebook: Notebook | None = None,
    headline: tuple[str, str] | None = None,
    on_solid: Callable[[], None] | None = None,
    on_correct: Callable[[], None] | None = None,
    correct: int = 0,
) -> None:
    """The scan in the browser: planes, slices, window, overlays, zoom, without a run of Python.

    On release of slider, key or pointer, `place` is brought up to date and the page (or the
    fragment around this call) runs again. Drawing the page again for any other reason neither
    sends slices again nor moves the view; `place.go_to` does move it.

    Args:
        place: where to begin; kept by the caller, one for each scan and session.
        key: distinguishes the viewers of one page; zoom and layout are remembered by it.
        drawings: boxes and lines over the picture.
        heat: maps over axial slices, below the outlines of masks.
        tools: "few" leaves out the toolbar, and takes the wheel only once clicked on.
        tallest: largest height, as a share of the browser window's.
        marks: how masks are drawn when this viewer first shows the scan; none leaves that as the
            person last chose it.
        headline: two lines to show in large type when the picture is presented to a room.
        on_solid: called when the person asks for the view in space; without it, none is offered.
        on_correct: the same for correcting masks that cannot be corrected in this viewer.
        correct: counts how often correcting was asked for on other pages; each new number begins
            it here.
        on_place: called with `place` after the browser has moved it, before the page runs.
        notebook: notes, arrows, distances and regions that people place, and where they go; none
            where they last as long as the tab.
    """
    header = make_header(
        scan,
        place,
        key=key,
        comparison=comparison,
        drawings=drawings,
        heat=heat,
        tools=tools,
        tallest=tallest,
        marks=marks,
        notebook=notebook,
    )
    if headline is not None:
        header["headline"] = {"first": headline[0], "second": headline[1]}
    header |= {"solid": on_solid is not None, "correctElsewhere": on_correct is not None}
    header["correct"] = correct
    asked = {"solid": on_solid, "correct": on_correct}
    _place_viewer(header, key, scan, place, on_place, notebook, asked)


def _place_viewer(
    header: dict[str, Any],
    key: str,
    scan: ViewerScan,
    place: Place,
    on_place: Callable[[Place], None] | None,
    notebook: Notebook | None,
    asked: Mapping[str, Callable[[], None] | None],
) -> None:
    """Puts the viewer onto the page, and takes what it reports."""
    token = header["scans"][0]["token"]

    def _reported(what: str) -> dict[str, Any] | None:
        # A session that has just begun anew holds nothing of the viewer before.
        found = widget_value(key, {}).get(what)
        # What was reported of the scan before may arrive only after this one was opened.
        return found if isinstance(found, dict) and found.get("token") == token else None

    def _moved() -> None:
        reported = _reported("place")
        if reported is not None:
            place.follow(reported, scan.volume.shape)
            if on_place is not None:
                on_place(place)

    def _edited() -> None:
        """The page runs again, with the masks as they are now."""

    def _annotated() -> None:
        reported = _reported("annotations")
        if notebook is not None and reported is not None:
            _take_over(notebook, reported, scan)

    def _asked_for(what: str) -> None:
        act = asked[what]
        if act is not None:
            act()

    _viewer(
        data=header,
        key=key,
        on_place_change=_moved,
        on_edited_change=_edited,
        on_annotations_change=_annotated,
        on_solid_change=partial(_asked_for, "solid"),
        on_correct_change=partial(_asked_for, "correct"),
    )


def _take_over(notebook: Notebook, reported: dict[str, Any], scan: ViewerScan) -> None:
    """What was placed in the browser, unless that was before the page changed something."""
    if reported.get("command") == notebook.command and not notebook.locked:
        # Anybody can send something else.
        with suppress(AnnotationError):
            notebook.take(read_annotations(reported.get("items"), scan.volume.shape))
