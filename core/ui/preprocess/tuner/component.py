"""Mounting the tuner on a page: what the browser gets, and what it says."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.ui.components import BrowserComponent
from core.ui.viewer import VIEWER_SCRIPT, VIEWER_STYLE, Line
from core.ui.widget_state import widget_value
from core.volume import PLANE_LABELS, Array, BoolArray, Intensity

_HERE = Path(__file__).parent
_SCRIPTS = ("grey", "charts", "panel", "tuner")
_KINDS = ("uint8", "int16", "float32")

_tuner = BrowserComponent(
    "lunglens_tuner",
    html='<div class="tuner"><div class="left"><div class="lunglens"></div></div>'
    '<div class="right"></div></div>',
    css=VIEWER_STYLE + (_HERE / "tuner.css").read_text(encoding="utf-8"),
    js="\n".join(
        [
            VIEWER_SCRIPT,
            *((_HERE / f"{name}.js").read_text(encoding="utf-8") for name in _SCRIPTS),
        ]
    ),
)


@dataclass(frozen=True, eq=False)
class TunedSlice:
    """The slice that is tuned.

    Attributes:
        values: (rows, columns) of the scan's own values inside the box, before any window.
        lung: (rows, columns) of the same.
        lung_source: where the lung is known from.
        index: of the axial slice; `count`: of all.
        pixel_mm: height and width of a pixel.
        name, stamp: as in `ViewerScan`.
        token: of the open study.
    """

    values: Array
    intensity: Intensity
    lung: BoolArray
    lung_source: str
    index: int
    count: int
    pixel_mm: tuple[float, float]
    name: str
    stamp: str
    token: str


@dataclass(frozen=True)
class Answer:
    """What the network makes of the settings that were reported last.

    Attributes:
        text: one line.
        lines: outlines over the picture.
        asks: whether a change of settings asks it again.
    """

    text: str
    lines: tuple[Line, ...] = ()
    asks: bool = False


@dataclass(frozen=True)
class Reported:
    """What the browser says on release.

    Attributes:
        seq: counts what was said; the browser ignores what comes back on older ones.
        slice_index: of the axial slice.
        values: settings by name, unchecked.
    """

    seq: int
    slice_index: int
    values: Mapping[str, Any]


def show_tuner(
    tuned: TunedSlice,
    *,
    settings: Mapping[str, Any],
    options: Mapping[str, Any],
    answer: Answer,
    seq: int,
    key: str,
    on_report: Callable[[Reported], None],
    tallest: float,
) -> None:
    """Picture, sliders, histograms and contrast of one slice.

    Args:
        settings: those that the browser changes, by name.
        options: what it offers: `presets`, `windows`, `defaults`, `methods`, `sliders`, `used`.
        seq: of the last report that is in `settings` and `answer`.
        on_report: called before the page (or the fragment around this call) runs again.
        tallest: largest height of the picture, as a share of the browser window's.
    """

    def said() -> None:
        reported = _read(widget_value(key).get("settings"), tuned)
        if reported is not None:
            on_report(reported)

    kind = tuned.values.dtype.name if tuned.values.dtype.name in _KINDS else "float32"
    rows, columns = tuned.values.shape
    header = {
        "key": key,
        "token": tuned.token,
        "seq": seq,
        "rows": rows,
        "columns": columns,
        "kind": kind,
        "slope": tuned.intensity.slope,
        "intercept": tuned.intensity.intercept,
        "slice": tuned.index + 1,
        "slices": tuned.count,
        "pixel": tuned.pixel_mm,
        "letters": PLANE_LABELS["axial"],
        "name": tuned.name,
        "stamp": tuned.stamp,
        "lung": tuned.lung_source,
        "settings": dict(settings),
        "answer": asdict(answer),
        "tallest": tallest,
        **options,
    }
    parts: Sequence[bytes] = (
        np.ascontiguousarray(tuned.values, dtype=np.dtype(kind).newbyteorder("<")).tobytes(),
        np.ascontiguousarray(tuned.lung, dtype=np.uint8).tobytes(),
    )
    text = json.dumps(header, ensure_ascii=False, allow_nan=False).encode()
    _tuner(
        data=b"".join([len(text).to_bytes(4, "little"), text, *parts]),
        key=key,
        on_settings_change=said,
    )


def _read(said: object, tuned: TunedSlice) -> Reported | None:
    """None for what is no report, or one about a scan that was open before."""
    if not isinstance(said, Mapping) or said.get("token") != tuned.token:
        return None
    seq, number, values = (said.get(name) for name in ("seq", "slice", "values"))
    if not isinstance(values, Mapping) or not all(
        isinstance(one, (int, float)) for one in (seq, number)
    ):
        return None
    assert isinstance(seq, (int, float))
    assert isinstance(number, (int, float))
    index = min(max(int(number) - 1, 0), tuned.count - 1)
    return Reported(int(seq), index, values)
