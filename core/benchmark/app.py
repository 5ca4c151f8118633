"""The app as people use it, in headless Chromium: start, pages, a large scan, contrast, memory."""

from __future__ import annotations

import contextlib
import json
import statistics
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.benchmark.headless import open_browser, run_server, wait_until
from core.benchmark.rows import Row
from core.benchmark.stages import write_generated_scan
from core.system import size_text

_SCRIPT = "streamlit_app.py"
_CASE = "generated"
# When the first picture was drawn, in seconds of the system's clock; null before.
_FIRST_PICTURE = (
    "const mark = performance.getEntriesByName('lunglens:first')[0];"
    "return mark ? (performance.timeOrigin + mark.startTime) / 1000 : null;"
)
_RESTING = (
    "const app = document.querySelector('[data-testid=stApp]');"
    "return app && app.dataset.testScriptState === 'notRunning';"
)
_LINKS = "[data-testid=stSidebarNavLink]"
_KEEP_SECONDS = 2
_SESSIONS = 10
_DRAG_STEPS = 40
# Moves the slider of the clip limit from frame to frame; the page measures each new picture itself.
_DRAG = """
const done = arguments[arguments.length - 1], steps = arguments[0];
const slider = [...document.querySelectorAll("*")].map((e) => e.shadowRoot)
  .map((s) => s && s.querySelector('input[type=range][aria-label^="Clip limit"]')).find(Boolean);
if (!slider) { done(null); return; }
performance.clearMeasures("lunglens:tune");
let n = 0;
function step() {
  if (n++ === steps) {
    done(performance.getEntriesByName("lunglens:tune").map((one) => one.duration));
    return;
  }
  const [low, high] = [Number(slider.min), Number(slider.max)];
  slider.value = low + (high - low) * ((n % 20) + 1) / 21;
  slider.dispatchEvent(new Event("input", { bubbles: true }));
  setTimeout(step, 50);
}
step();
"""


@dataclass(frozen=True)
class _App:
    """A running server.

    Attributes:
        log: where it writes how long each run of a page took.
    """

    address: str
    process: subprocess.Popen[bytes]
    log: Path

    def runs(self) -> list[float]:
        """Seconds of each run of a whole page."""
        if not self.log.is_file():
            return []
        lines = [json.loads(line) for line in self.log.read_text(encoding="utf-8").splitlines()]
        return [line["seconds"] for line in lines if not line["fragment"]]

    def resident_mb(self) -> float | None:
        """Memory of the server's process; none where the system does not say."""
        try:
            status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        except OSError:
            return None
        line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) / 1024.0


def measure_app(
    folder: Path, *, size: tuple[int, int, int], rounds: int = 3, sessions: int = _SESSIONS
) -> list[Row]:
    """Opens the demo study and a generated scan as a person does.

    Args:
        folder: to work in.
        rounds: how often each page is opened after the first time.
        sessions: how many visitors come and go for the memory that stays.

    Raises:
        LungLensError: there is no Chromium with its driver, or something does not appear.
    """
    _write_case(folder / "data", size)
    with open_browser(folder) as browser, _app(folder) as (app, begun):
        browser.get(f"{app.address}/view?case=demo")
        seconds = _first_picture(browser, "the demo study") - begun
        rows = [Row("app", "start of the server to first picture", seconds, "s", 3.0)]
        rows.append(_page_changes(browser, app, rounds))
        rows += _contrast(browser, app)
        rows.append(_large_scan(browser, app, size))
        rows += _memory(browser, app, sessions)
    return rows


def _page_changes(browser: Any, app: _App, rounds: int) -> Row:
    """Time of the server for whole pages, with the demo study open."""
    _rest(browser)
    count = len(browser.find_elements("css selector", _LINKS))
    first = 0
    for turn in range(rounds + 1):
        for number in range(count):
            known = len(app.runs())
            browser.find_elements("css selector", _LINKS)[number].click()
            _wait_for_run(app, known)
            _rest(browser)
        if turn == 0:
            # Libraries that a page loads, and what is measured once for each scan.
            first = len(app.runs())
    runs = app.runs()[first:]
    p95 = statistics.quantiles(runs, n=20, method="inclusive")[18]
    what = f"page change, server time, 95th percentile of {len(runs)}"
    return Row("app", what, 1000.0 * p95, "ms", 300.0)


def _wait_for_run(app: _App, known: int) -> None:
    wait_until(lambda: len(app.runs()) > known, "a page")


def _contrast(browser: Any, app: _App) -> list[Row]:
    browser.get(f"{app.address}/preprocess?part=enhance&case=demo&method=clahe")
    found: list[list[float]] = []

    def dragged() -> bool:
        spent = browser.execute_async_script(_DRAG, _DRAG_STEPS)
        if spent:
            found.append(spent)
        return bool(spent)

    wait_until(dragged, "the slider of the contrast")
    spent = found[-1]
    p95 = statistics.quantiles(spent, n=20, method="inclusive")[18]
    return [Row("app", "CLAHE drag, slider to picture, 95th percentile", p95, "ms", 33.0)]


def _large_scan(browser: Any, app: _App, size: tuple[int, int, int]) -> Row:
    browser.get("about:blank")
    begun = time.time()
    browser.get(f"{app.address}/view?case={_CASE}")
    seconds = _first_picture(browser, "the large scan") - begun
    what = f"opening {size_text(size)} (.nii.gz), page to first picture"
    return Row("app", what, seconds, "s", 2.5)


def _memory(browser: Any, app: _App, sessions: int) -> list[Row]:
    """What stays in the server's memory after visitors with a scan have left."""

    def visit() -> None:
        browser.get(f"{app.address}/view?case={_CASE}")
        _first_picture(browser, "the scan")
        _rest(browser)
        browser.get("about:blank")
        time.sleep(_KEEP_SECONDS + 2)

    visit()
    before = app.resident_mb()
    for _ in range(sessions):
        visit()
    after = app.resident_mb()
    if before is None or after is None:
        return []
    what = f"memory that stays after {sessions} sessions with the large scan"
    return [Row("app", what, after - before, "MB", 100.0)]


def _first_picture(browser: Any, what: str) -> float:
    """When it was drawn, in seconds of the system's clock."""
    wait_until(lambda: browser.execute_script(_FIRST_PICTURE), what)
    return float(browser.execute_script(_FIRST_PICTURE))


def _rest(browser: Any) -> None:
    quiet = 0

    def resting() -> bool:
        nonlocal quiet
        quiet = quiet + 1 if browser.execute_script(_RESTING) else 0
        return quiet >= 4

    wait_until(resting, "the page at rest")


def _write_case(folder: Path, size: tuple[int, int, int]) -> None:
    """A generated scan in the layout of the 20-case set, which a link can open."""
    scans = folder / "ct_scans"
    scans.mkdir(parents=True)
    write_generated_scan(scans / f"{_CASE}.nii.gz", size)


@contextlib.contextmanager
def _app(folder: Path) -> Iterator[tuple[_App, float]]:
    """The app on a free port, and when its process was started."""
    log = folder / "runs.jsonl"
    settings = {
        "LUNGLENS_DATA_FOLDER": str(folder / "data"),
        "LUNGLENS_PROJECTS_FOLDER": "off",
        "LUNGLENS_KEEP_SESSION_SECONDS": str(_KEEP_SECONDS),
    }
    timed = ["core.benchmark.timed_server", str(log)]
    with run_server(timed, _SCRIPT, folder, settings=settings) as (address, process, begun):
        yield _App(address, process, log), begun
