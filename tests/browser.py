"""Chromium for the tests that use the app as a person does: a browser, servers, tabs.

All of them share one browser and one server of each kind in a process; every test has a tab of
its own, and with it a session of its own.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from core.segmentation.weights import list_weights
from tests.small_demo import FILE_VARIABLE
from tests.studies import demo_file

ROOT = Path(__file__).resolve().parent.parent
APP = "streamlit_app.py"
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
CHROMIUM_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
STAND_STILL = """
addEventListener('DOMContentLoaded', () => {
  const style = document.createElement('style');
  style.textContent = '*, *::before, *::after { animation: none !important; }';
  document.head.append(style);
});
"""
"""What turns and pulses while a page is being drawn is painted by the processor here."""
DEMO = "Synthetic demo study"
SETTINGS = (
    "LUNGLENS_DATA_FOLDER",
    "LUNGLENS_RUNS_FOLDER",
    "LUNGLENS_ALLOW_TRAINING",
    "LUNGLENS_KEEP_SESSION_SECONDS",
    "LUNGLENS_PROJECTS_FOLDER",
)
"""Environment variables that a server of the tests has only when a test sets them."""


def find_chromium() -> tuple[str, str]:
    """Browser and driver, or a skip (a failure where the tests are asked for)."""
    browser = next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
    driver = shutil.which("chromedriver")
    if browser and driver:
        return browser, driver
    reason = "no Chromium with chromedriver was found"
    if os.environ.get("LUNGLENS_BROWSER_TESTS") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


class Server:
    """A Streamlit server and what it has written."""

    def __init__(self, address: str, log: Path) -> None:
        self.address, self.log = address, log
        self.process: subprocess.Popen[bytes] | None = None
        self.is_fresh = True
        """No browser has asked it for anything yet."""

    def check(self) -> None:
        """Fails when the server has written a traceback, and forgets it."""
        written = self.log.read_text(encoding="utf-8")
        if "Traceback" in written:
            os.truncate(self.log, 0)
            pytest.fail(f"the server wrote a traceback:\n{written[-4000:]}")


def serve(script: str, log: Path, settings: Mapping[str, str] = {}) -> Iterator[Server]:
    """A script on a free port, until the generator is closed; the app with a small demo study."""
    find_chromium()
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    environment = {k: v for k, v in os.environ.items() if k not in SETTINGS}
    kept = {"PYTHONPATH": str(ROOT), "LUNGLENS_PROJECTS_FOLDER": "off"}
    environment |= {**kept, **settings}
    streamlit = "streamlit"
    if script == APP:
        streamlit, environment[FILE_VARIABLE] = "tests.small_demo", str(demo_file())
    command = [sys.executable, "-m", streamlit, "run", script]
    command += ["--server.port", str(port), "--server.headless", "true"]
    # Appending, so that what follows a truncation begins at the start of the file.
    with log.open("a") as out:
        app = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=out, stderr=out)
        server = Server(f"http://localhost:{port}", log)
        server.process = app
        try:
            wait_for(lambda: is_up(server.address), what="the server", seconds=60)
            yield server
        finally:
            app.terminate()
            app.wait(20)
    server.check()


def is_up(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/_stcore/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def wait_for(condition: Callable[[], Any], *, what: str, seconds: float = 240) -> Any:
    """The first true answer of `condition`, which is asked less and less often."""
    end, pause = time.monotonic() + seconds, 0.05
    while time.monotonic() < end:
        answer = condition()
        if answer:
            return answer
        time.sleep(pause)
        pause = min(0.5, pause * 1.2)
    raise AssertionError(f"waited {seconds:.0f} s for {what}")


class Chromium:
    """A browser whose first tab stays empty; tests open and close others, one at a time."""

    def __init__(self, profile: Path) -> None:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service

        browser, driver = find_chromium()
        options = webdriver.ChromeOptions()
        options.binary_location = browser
        for flag in (*CHROMIUM_FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        self.driver = webdriver.Chrome(options=options, service=Service(driver))
        self._empty_tab = self.driver.current_window_handle

    def open_tab(self, server: Server, downloads: Path) -> Page:
        """A new tab; what it saves goes to `downloads`."""
        downloads.mkdir(parents=True, exist_ok=True)
        self.driver.switch_to.new_window("tab")
        self.driver.execute_cdp_cmd(
            "Page.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(downloads)}
        )
        self.driver.execute_cdp_cmd(
            "Page.addScriptToEvaluateOnNewDocument", {"source": STAND_STILL}
        )
        return Page(self.driver, server, downloads)

    def close_tab(self, page: Page) -> None:
        """Closes the tab and forgets what its page has stored; fails on a server's traceback."""
        command = self.driver.execute_cdp_cmd
        command(
            "Storage.clearDataForOrigin",
            {"origin": page.address, "storageTypes": "cookies,local_storage,indexeddb"},
        )
        command("Network.clearBrowserCookies", {})
        self.driver.close()
        self.driver.switch_to.window(self._empty_tab)
        page.server.check()


class Page:
    """A tab, and what a person does in it."""

    def __init__(self, browser: Any, server: Server, downloads: Path) -> None:
        self.browser, self.server, self.downloads = browser, server, downloads
        self.address = server.address
        self.shown = ""
        """The path that was opened, as long as the window has kept its size since."""
        self.resize(1440, 900)

    def resize(self, width: int, height: int) -> None:
        self.shown = ""
        self.browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
        )

    def open(self, path: str = "/") -> None:
        self.go(path)
        self.settle()

    def go(self, path: str) -> None:
        """As `open`, without waiting for the page to come to rest."""
        self.server.is_fresh = False
        self.shown = path
        self.browser.get(self.address + path)

    def js(self, script: str, *arguments: Any) -> Any:
        return self.browser.execute_script(script, *arguments)

    def settle(self, seconds: float = 180) -> None:
        """Waits until the script has run and nothing moves for a moment."""
        script = (
            "const app = document.querySelector('[data-testid=stApp]');"
            "return app && app.dataset.testScriptState === 'notRunning'"
            " && !document.querySelector('[data-testid=stSkeleton]');"
        )
        end, quiet_since = time.monotonic() + seconds, time.monotonic()
        while time.monotonic() < end:
            if not self.js(script):
                quiet_since = time.monotonic()
            elif time.monotonic() - quiet_since > 0.8:
                return
            time.sleep(0.05)
        raise AssertionError("the page does not come to rest")

    @property
    def text(self) -> str:
        return str(self.js("return document.body.innerText"))

    def wait_for_text(self, text: str, seconds: float = 240) -> None:
        wait_for(lambda: text in self.text, what=repr(text), seconds=seconds)

    def buttons(self, label: str) -> list[Any]:
        """Those that are shown with such a label, all found at one moment."""
        shown = (
            "return [...document.querySelectorAll('button')]"
            ".filter((one) => one.checkVisibility({ visibilityProperty: true }))"
            ".filter((one) => one.innerText.includes(arguments[0]));"
        )
        return list(self.js(shown, label))

    def click(self, label: str) -> None:
        wait_for(lambda: self._clicked(label), what=f"button {label!r}")

    def _clicked(self, label: str) -> bool:
        from selenium.common.exceptions import StaleElementReferenceException

        try:
            button = next(iter(self.buttons(label)), None)
            if button is None:
                return False
            self.js("arguments[0].scrollIntoView({block: 'center'})", button)
            button.click()
        except StaleElementReferenceException:  # drawn anew at this moment
            return False
        return True

    def go_to(self, name: str, part: str = "") -> None:
        """Another page by the sidebar, and one of its parts."""
        links = self.browser.find_elements("css selector", "[data-testid=stSidebarNavLink]")
        next(link for link in links if link.text == name).click()
        self.settle()
        if part:
            self.click(part)
            self.settle()

    def upload(self, path: Path) -> None:
        field = wait_for(
            lambda: self.browser.find_elements("css selector", "input[type=file]"),
            what="the upload",
        )[0]
        field.send_keys(str(path))

    # The picture lies in a shadow tree.

    def _part(self, selector: str) -> str:
        return (
            "const part = [...document.querySelectorAll('*')].map((e) => e.shadowRoot)"
            f".map((s) => s && s.querySelector('{selector}')).find(Boolean);"
        )

    def canvas(self) -> Any:
        return wait_for(
            lambda: self.js(self._part("canvas[data-slice]") + "return part;"), what="the picture"
        )

    def strip(self) -> Any:
        return self.js(self._part("canvas.strip") + "return part;")

    def view(self, expression: str) -> Any:
        """A value of the viewer's own, by the names `view`, `pane` and `scan`."""
        return self.js(
            self._part(".lunglens")
            + "const view = part.lunglens, pane = view.panes[0], scan = view.sources[0].scan;"
            + f"return {expression};"
        )

    def fetched(self) -> int:
        """How many chunks of slices were asked for since the page was loaded."""
        return int(
            self.js(
                "return performance.getEntriesByType('resource')"
                ".filter((e) => e.name.includes('/lunglens/slices/')).length"
            )
        )

    def picture(self) -> str:
        return str(self.js(self._part("canvas[data-slice]") + "return part.toDataURL();"))

    def picture_slice(self) -> int:
        return int(self.js(self._part("canvas[data-slice]") + "return part.dataset.slice;"))

    def picture_name(self) -> str:
        return str(
            self.js(self._part("canvas[data-slice]") + "return part.getAttribute('aria-label');")
        )

    def legend(self) -> str:
        return str(self.js(self._part(".legend") + "return part ? part.innerText : '';"))

    def value(self) -> str:
        return str(self.js(self._part(".value") + "return part.innerText;"))

    def downloaded(self, name: str) -> Path:
        path = self.downloads / name
        wait_for(path.is_file, what=name)
        return path


def click_in_viewer(page: Page, text: str) -> None:
    """A button of the viewer, which lies in a shadow tree."""
    found = "[...part.querySelectorAll('button')].find((b) => b.innerText === arguments[0])"
    script = page._part(".lunglens") + f"const button = part && {found}; button?.click();"
    wait_for(lambda: page.js(script + "return Boolean(button)", text), what=f"{text!r}")


def keep_screenshot(page: Page, name: str) -> None:
    """For a person to look at, where a folder is named for it."""
    folder = os.environ.get("LUNGLENS_SCREENSHOTS")
    if folder:
        page.browser.save_screenshot(str(Path(folder) / f"{name}.png"))


def need_weights() -> None:
    if not list_weights():
        pytest.skip("no trained weights are installed")


# ---------------------------------------------------------------- the viewer

Place = tuple[float, float]
"""Column and row of a picture, with fractions."""


def open_viewer(tab: Page, mode: str, *, with_masks: bool = True, with_scan: bool = True) -> None:
    """A page with the viewer alone, as new, once all that it fetches is there. Where it is open
    already, its session begins anew, which takes a tenth of the time of loading it."""
    address = f"/?mode={mode}"
    if tab.shown != address or not _begins_anew(tab):
        tab.open(address)
    tab.canvas()
    if with_scan:
        wait_for(lambda: tab.view("scan.complete"), what="all slices")
    if with_scan and with_masks:
        wait_for(lambda: tab.view("scan.counts !== null"), what="all masks")
    wait_for(lambda: tab.view("!view.dirty"), what="the picture")


def _begins_anew(tab: Page) -> bool:
    """Presses the button of `tests.viewer_page` and `tests.correct_page`, and forgets what the
    browser keeps from one viewer to the next. False where the press was lost, as it is while the
    page is being drawn."""
    token = tab._part(".lunglens") + "return part && part.lunglens && part.lunglens.token;"
    before = tab.js(token)
    tab.js(
        "Object.assign(globalThis.lunglens, { look: null, pen: null, lightFigure: false });"
        "[...document.querySelectorAll('button')]"
        ".find((one) => one.innerText.includes('Begin anew')).click();"
    )
    try:
        wait_for(lambda: tab.js(token) not in (None, before), what="a new viewer", seconds=10)
    except AssertionError:
        return False
    tab.settle()
    return True


def press(page: Page, *keys: str) -> None:
    page.canvas().send_keys(*keys)


def chord(page: Page, key: str, *, shift: bool = False) -> None:
    """A key with Ctrl, and with Shift if asked for."""
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    page.js("arguments[0].focus()", page.canvas())
    actions = ActionChains(page.browser).key_down(Keys.CONTROL)
    actions = actions.key_down(Keys.SHIFT) if shift else actions
    actions = actions.send_keys(key).key_up(Keys.SHIFT).key_up(Keys.CONTROL)
    actions.perform()


def on_screen(page: Page, place: Place) -> Place:
    """Where in the window a place of the picture lies, in whole pixels."""
    x, y = page.view(
        f"(() => {{ const at = pane.canvas.getBoundingClientRect();"
        f"const [x, y] = pane.toCanvas({place[0]}, {place[1]});"
        "return [at.left + x, at.top + y]; })()"
    )
    return round(x), round(y)


def in_picture(page: Page, point: Place) -> Place:
    """The inverse, for the pixel that the pointer was really at."""
    column, row = page.view(
        f"(() => {{ const at = pane.canvas.getBoundingClientRect();"
        f"return pane.toPicture({point[0]} - at.left, {point[1]} - at.top); }})()"
    )
    return column, row


def show_picture(page: Page) -> None:
    page.js("arguments[0].scrollIntoView({block: 'center'})", page.canvas())


def mouse(
    page: Page, places: Sequence[Place], *, pen: bool = False, alt: bool = False
) -> list[Place]:
    """Presses at the first place, moves through all and lets go; gives where the pointer was."""
    show_picture(page)
    points = [on_screen(page, place) for place in places]
    kind = {
        "button": "left",
        "pointerType": "pen" if pen else "mouse",
        "modifiers": 1 if alt else 0,
        "clickCount": 1,
    }

    def send(what: str, point: Place, buttons: int) -> None:
        page.browser.execute_cdp_cmd(
            "Input.dispatchMouseEvent",
            {"type": what, "x": point[0], "y": point[1], "buttons": buttons, **kind},
        )

    send("mouseMoved", points[0], 0)
    send("mousePressed", points[0], 1)
    for point in points[1:]:
        send("mouseMoved", point, 1)
    found = [in_picture(page, point) for point in points]
    send("mouseReleased", points[-1], 0)
    return found


def touch(page: Page, *moves: Sequence[Place]) -> None:
    """Fingers on the screen: where all of them are at each moment, then none."""
    for number, points in enumerate((*moves, ())):
        what = "touchEnd" if not points else "touchMove" if number else "touchStart"
        if number and points and len(points) != len(moves[number - 1]):
            what = "touchStart"
        page.browser.execute_cdp_cmd(
            "Input.dispatchTouchEvent",
            {
                "type": what,
                "touchPoints": [{"x": x, "y": y, "id": n} for n, (x, y) in enumerate(points)],
            },
        )
