"""How fast slices follow a person's input, measured in headless Chromium.

The generated scan lies in a server of its own; the browser's own clock times what happens
between an event and the finished picture, and how far apart frames come.
"""

from __future__ import annotations

import contextlib
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core.benchmark.headless import open_browser, run_server, wait_until
from core.benchmark.strokes import measure_strokes
from core.errors import ConfigError
from core.system import OnProgress, size_text

_PAGE = "core/benchmark/measured_page.py"
_SIZE_VARIABLE = "LUNGLENS_BENCHMARK_SIZE"
_READY = "The scan is ready"
EVENTS = 200
"""Of each kind, by default."""
_WIDGET_STEPS = 15

_VIEW = "const view = [...globalThis.lunglens.views][0], pane = view.panes[0];"

# One event a frame: milliseconds from event to drawn picture, and between frames.
_EVENTS = (
    "const done = arguments[arguments.length - 1], steps = arguments[0];"
    + _VIEW
    + """
const spent = [], frames = [];
let last = 0, n = 0, up = true;
const key = (name) => pane.canvas.dispatchEvent(
  new KeyboardEvent("keydown", {key: name, bubbles: true, composed: true}));
const pointer = (kind, x, y, button) => pane.canvas.dispatchEvent(new PointerEvent(kind, {
  clientX: x, clientY: y, button, pointerId: 1, bubbles: true}));
const act = (n) => { %s };
%s
function frame(now) {
  if (last) frames.push(now - last);
  last = now;
  if (n === steps) { done({spent, frames}); return; }
  const before = performance.now();
  act(n++);
  spent.push(performance.now() - before);
  requestAnimationFrame(frame);
}
requestAnimationFrame(frame);
"""
)
# A key that has another meaning by now would measure something else.
_CHOOSE = "key('%s'); if (view.panes[0].plane !== '%s') throw new Error('another plane');"
# Back and forth through the plane, so that every event has a slice to show.
_STEP = """
const at = view.sliceOf(pane.plane);
up = at === 0 || (up && at < view.grid.count - 1);
key(up ? "ArrowUp" : "ArrowDown");
"""

# From the slider's key to the new picture of a plain widget.
_WIDGET = """
const done = arguments[arguments.length - 1], steps = arguments[0], part = arguments[1];
const thumb = document.querySelector("[data-testid=stSlider] [role=slider]")
  ?? document.querySelector("[data-testid=stSlider] input");
const picture = () => {
  const found = document.querySelector(part);
  return found && (found.tagName !== "IMG" || found.complete)
    ? found.currentSrc ?? found.getAttribute("href") : null;
};
const spent = [];
function step() {
  const before = picture(), start = performance.now();
  if (thumb.tagName === "INPUT") {
    const set = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set;
    set.call(thumb, Number(thumb.value) + 1);
    thumb.dispatchEvent(new Event("input", {bubbles: true}));
    thumb.dispatchEvent(new Event("change", {bubbles: true}));
  }
  for (const kind of ["keydown", "keyup"]) {
    thumb.dispatchEvent(new KeyboardEvent(kind, {key: "ArrowRight", code: "ArrowRight",
      keyCode: 39, bubbles: true}));
  }
  const wait = () => {
    const now = picture();
    if ((!now || now === before) && performance.now() - start < 10000) {
      requestAnimationFrame(wait);
      return;
    }
    spent.push(performance.now() - start);
    if (spent.length === steps) done({spent});
    else setTimeout(step, 300);
  };
  wait();
}
step();
"""
WIDGETS = {
    "image": ("st.slider + st.image (PNG, grey only)", "[data-testid=stImage] img"),
    "plotly": ("st.slider + plotly heatmap (grey only)", ".heatmaplayer image"),
}


def run_browser_benchmark(
    size: tuple[int, int, int], on_progress: OnProgress, *, events: int = EVENTS
) -> dict[str, Any]:
    """Opens a generated scan in Chromium and steps through it.

    Returns:
        JSON-ready measurements: seconds until pictures are there, and milliseconds from an event
        to its picture.

    Raises:
        LungLensError: there is no Chromium with its driver, or no selenium.
    """
    if min(size) < 32 or size[0] * size[1] * size[2] > 512 * 512 * 600:
        raise ConfigError(
            "The benchmark's size is out of range",
            got=size_text(size),
            expected="at least 32 per side and at most 512 × 512 × 600 voxels",
        )
    if not 10 <= events <= 10_000:
        raise ConfigError(
            "The benchmark cannot measure so many events",
            got=str(events),
            expected="10 to 10000 of each kind",
        )
    with tempfile.TemporaryDirectory() as folder, _server(size, Path(folder)) as address:
        with open_browser(Path(folder)) as browser:
            on_progress("generating a scan", 0, 6)
            browser.get(address)
            shown = "return document.body.innerText"
            wait_until(lambda: _READY in browser.execute_script(shown), "the generated scan")
            values: dict[str, Any] = {"shape": list(size)}
            values.update(_measure_viewer(browser, address, on_progress, events))
        on_progress("correcting masks", 3, 6)
        with open_browser(Path(folder)) as browser:
            values["correcting"] = _measure_correcting(browser, address, events)
        # Each widget in a browser that knows nothing of the one before.
        values["widgets"] = {}
        for at, (kind, (_, part)) in enumerate(WIDGETS.items()):
            on_progress("measuring plain widgets", 4 + at, 6)
            with open_browser(Path(folder)) as browser:
                values["widgets"][kind] = _measure_widget(
                    browser,
                    f"{address}/?show={kind}",
                    part,
                    max(3, min(_WIDGET_STEPS, events // 5)),
                )
    return values


def _measure_viewer(
    browser: Any, address: str, on_progress: OnProgress, steps: int
) -> dict[str, Any]:
    on_progress("loading all slices", 1, 6)
    browser.get(f"{address}/?show=viewer")
    marks = "return performance.getEntriesByName('lunglens:{}').map((m) => m.startTime)[0]"
    wait_until(lambda: browser.execute_script(marks.format("all")), "all slices")
    flying = _VIEW + "return view.sources[0].scan.flights.size"
    wait_until(lambda: browser.execute_script(flying) == 0, "all masks")
    at = {name: browser.execute_script(marks.format(name)) for name in ("open", "first", "all")}
    sent = browser.execute_script(
        "return performance.getEntriesByType('resource')"
        ".filter((e) => e.name.includes('/lunglens/slices/'))"
        ".reduce((sum, e) => sum + e.encodedBodySize, 0)"
    )
    on_progress("stepping through slices", 2, 6)
    events = {
        plane: _events(browser, _STEP, _CHOOSE % (key, plane), steps)
        for plane, key in (("axial", "a"), ("coronal", "k"), ("sagittal", "s"))
    }
    events["linked"] = _events(browser, _STEP, "key('l');", steps)
    events["window drag"] = _events(
        browser,
        "pointer('pointermove', 300 + (n % 100), 300 + (n % 70), 2);",
        "key('a'); pointer('pointerdown', 300, 300, 2);",
        steps,
    )
    browser.execute_script(_VIEW + "view.busy = false;")
    events["plane change"] = _events(browser, "key('aks'[n % 3]);", "", max(10, steps // 3))
    return {
        "seconds_to_viewer": at["open"] / 1000,
        "seconds_to_first_picture": at["first"] / 1000,
        "seconds_from_viewer_to_first_picture": (at["first"] - at["open"]) / 1000,
        "seconds_from_viewer_to_all_slices": (at["all"] - at["open"]) / 1000,
        "sent_mb": sent / 1e6,
        "events": events,
    }


def _measure_correcting(browser: Any, address: str, events: int) -> dict[str, float]:
    browser.get(f"{address}/?show=correct")
    ready = "const view = [...(globalThis.lunglens?.views ?? [])].find((one) => one.canCorrect);"
    ready += "return Boolean(view && view.edits.ready && view.sources[0].scan.complete);"
    wait_until(lambda: browser.execute_script(ready), "the masks to correct")
    waiting = "return document.body.innerText.includes('being measured')"
    wait_until(lambda: not browser.execute_script(waiting), "the figures")
    return measure_strokes(browser, events=events)


def _events(browser: Any, act: str, before: str, steps: int) -> dict[str, float]:
    measured = browser.execute_async_script(_EVENTS % (act, before), steps)
    return {
        **_percentiles(measured["spent"]),
        "frame_p95_ms": _percentiles(measured["frames"])["p95_ms"],
    }


def _measure_widget(browser: Any, address: str, part: str, steps: int) -> dict[str, float]:
    browser.get(address)
    there = f"return Boolean(document.querySelector({part!r}))"
    wait_until(lambda: browser.execute_script(there), "the picture")
    time.sleep(2.0)
    return _percentiles(browser.execute_async_script(_WIDGET, steps, part)["spent"])


def _percentiles(milliseconds: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(milliseconds, n=20, method="inclusive")
    return {"p50_ms": round(cuts[9], 2), "p95_ms": round(cuts[18], 2)}


@contextlib.contextmanager
def _server(size: tuple[int, int, int], folder: Path) -> Iterator[str]:
    settings = {_SIZE_VARIABLE: "x".join(map(str, size))}
    with run_server(["streamlit"], _PAGE, folder, settings=settings) as (address, _, _):
        yield address
