"""How fast a brush stroke is drawn, and how soon the figures of the page follow it."""

from __future__ import annotations

import statistics
from typing import Any

_STROKES = (2, 6)
"""At least and at most, each with as many events as are asked for."""
_PATIENCE_MS = 60_000

# A circle of the brush, one event a frame. From then on every change of the page's tables and of
# its whole text is noted, until nothing has changed for two seconds.
_STROKE = """
const done = arguments[arguments.length - 1], [steps, size, turn, patience] = arguments[0];
const view = [...globalThis.lunglens.views].find((one) => one.canCorrect);
const pane = view.panes[0], canvas = pane.canvas, box = canvas.getBoundingClientRect();
if (!view.correcting) view.toggleCorrecting();
view.setPen({ channel: "infection", tool: "brush", deep: false, only: false, free: true, size });
const reach = 0.1 + 0.25 * turn;
const place = (n) => [
  box.left + box.width / 2 + reach * box.height * Math.cos(n / 25),
  box.top + box.height / 2 + reach * box.height * Math.sin(n / 25)];
const send = (kind, n, buttons) => {
  const [clientX, clientY] = place(n);
  canvas.dispatchEvent(new PointerEvent(kind, {
    clientX, clientY, button: 0, buttons, pointerId: 1, pointerType: "mouse", bubbles: true }));
};
const text = (selector) =>
  [...document.querySelectorAll(selector)].map((one) => one.innerText).join();
const main = "[data-testid=stMain]";
const spent = [], frames = [];
let n = 0, last = 0;
function frame(now) {
  if (last) frames.push(now - last);
  last = now;
  const before = performance.now();
  if (n === steps) {
    const shown = [text(`${main} table`), text(main)];
    send("pointerup", n, 0);
    follow(before, shown);
    return;
  }
  n += 1;
  send("pointermove", n, 1);
  spent.push(performance.now() - before);
  requestAnimationFrame(frame);
}
function follow(released, shown) {
  let figures = null, all = null, quiet = performance.now();
  const look = () => {
    const now = performance.now(), [tables, page] = [text(`${main} table`), text(main)];
    if (figures === null && tables !== shown[0]) figures = now - released;
    if (page !== shown[1]) {
      shown[1] = page;
      all = now - released;
      quiet = now;
    }
    const over = figures !== null && view.edits.quiet && now - quiet > 2000;
    if (over || now - released > patience) done({ spent, frames, figures, all });
    else setTimeout(look, 20);
  };
  look();
}
send("pointerdown", 0, 1);
requestAnimationFrame(frame);
"""


def measure_strokes(browser: Any, *, events: int) -> dict[str, float]:
    """Draws circles with the brush in a viewer that is ready to be corrected.

    Returns:
        JSON-ready: milliseconds from an event of a stroke to its picture, and seconds from the
        release to the page's tables, and to all of its text (biomarkers included). Seconds are nan
        where nothing followed within a minute.
    """
    fewest, most = _STROKES
    strokes = max(fewest, min(most, events // 10))
    found = [
        browser.execute_async_script(_STROKE, [events, 12.0, number / strokes, _PATIENCE_MS])
        for number in range(strokes)
    ]
    spent = statistics.quantiles(
        [one for stroke in found for one in stroke["spent"]], n=20, method="inclusive"
    )
    frames = statistics.quantiles(
        [one for stroke in found for one in stroke["frames"]], n=20, method="inclusive"
    )
    # The first stroke also waits for what is made once, such as the page's first corrected masks.
    figures, everything = (
        [float("nan") if one[name] is None else one[name] / 1000 for one in found]
        for name in ("figures", "all")
    )
    return {
        "p50_ms": round(spent[9], 2),
        "p95_ms": round(spent[18], 2),
        "frame_p95_ms": round(frames[18], 2),
        "first_figures_s": round(figures[0], 2),
        "figures_median_s": round(statistics.median(figures[1:]), 2),
        "figures_most_s": round(max(figures[1:]), 2),
        "everything_median_s": round(statistics.median(everything[1:]), 2),
    }
