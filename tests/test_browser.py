"""The whole app in headless Chromium, as a person meets it."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from core.evaluation.metrics import compute_overlap
from core.phantom import build_demo_study
from core.segmentation.weights import list_weights
from core.volume import Study, to_canonical
from tests.scans import chest_hu, nifti_bytes

ROOT = Path(__file__).resolve().parent.parent
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
DEMO = "Synthetic demo study"

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


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


def serve(script: str, log: Path, *, data_folder: Path | None = None) -> Iterator[str]:
    """A script on a free port, until the generator is closed; its address."""
    find_chromium()
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    environment = {k: v for k, v in os.environ.items() if k != "LUNGLENS_DATA_FOLDER"}
    environment["PYTHONPATH"] = str(ROOT)
    if data_folder is not None:
        environment["LUNGLENS_DATA_FOLDER"] = str(data_folder)
    command = [sys.executable, "-m", "streamlit", "run", script]
    command += ["--server.port", str(port), "--server.headless", "true"]
    with log.open("w") as out:
        app = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=out, stderr=out)
        address = f"http://localhost:{port}"
        try:
            wait_for(lambda: is_up(address), what="the server", seconds=60)
            yield address
        finally:
            app.terminate()
            app.wait(20)
    assert "Traceback" not in log.read_text(), log.read_text()[-4000:]


def is_up(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/_stcore/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def wait_for(condition: Callable[[], Any], *, what: str, seconds: float = 120) -> Any:
    """The first true answer of `condition`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        answer = condition()
        if answer:
            return answer
        time.sleep(0.1)
    raise AssertionError(f"waited {seconds:.0f} s for {what}")


class Page:
    """A tab, and what a person does in it."""

    def __init__(self, address: str, downloads: Path, profile: Path) -> None:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service

        browser, driver = find_chromium()
        options = webdriver.ChromeOptions()
        options.binary_location = browser
        for flag in (*CHROMIUM_FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
        self.address, self.downloads = address, downloads
        self.browser = webdriver.Chrome(options=options, service=Service(driver))
        self.resize(1440, 900)

    def resize(self, width: int, height: int) -> None:
        self.browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
        )

    def open(self, path: str = "/") -> None:
        self.browser.get(self.address + path)
        self.settle()

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

    def wait_for_text(self, text: str, seconds: float = 120) -> None:
        wait_for(lambda: text in self.text, what=repr(text), seconds=seconds)

    def buttons(self, label: str) -> list[Any]:
        found = self.browser.find_elements("css selector", "button")
        return [b for b in found if b.is_displayed() and label in b.text]

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

    def go_to(self, name: str) -> None:
        links = self.browser.find_elements("css selector", "[data-testid=stSidebarNavLink]")
        next(link for link in links if link.text == name).click()
        self.settle()

    def upload(self, path: Path) -> None:
        self.browser.find_element("css selector", "input[type=file]").send_keys(str(path))

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


def keep_screenshot(page: Page, name: str) -> None:
    """For a person to look at, where a folder is named for it."""
    folder = os.environ.get("LUNGLENS_SCREENSHOTS")
    if folder:
        page.browser.save_screenshot(str(Path(folder) / f"{name}.png"))


@pytest.fixture(scope="module")
def demo() -> Study:
    return build_demo_study()


def need_weights() -> None:
    if not list_weights():
        pytest.skip("no trained weights are installed")


def test_a_first_visit_by_a_link_to_a_slice_shows_that_slice(page: Page) -> None:
    # First on purpose: until the entry script has run once, Streamlit treats links differently.
    page.open("/browse?case=demo&plane=coronal&slice=200")
    assert page.picture_slice() == 200
    assert "coronal slice 200 of 512" in page.picture_name()
    links = page.browser.find_elements("css selector", "[data-testid=stSidebarNavLink]")
    assert [link.text for link in links] == [
        "Home",
        "Browse",
        "Quality",
        "Enhance",
        "Region of interest",
        "Segment",
        "Classify",
        "Follow-up",
        "Report",
        "Evaluate",
        "Cohort",
        "Augmentation",
        "Train",
    ]
    page.browser.refresh()
    page.settle()
    assert page.picture_slice() == 200


def test_home_shows_the_demo_study_and_asks_no_other_server(page: Page) -> None:
    page.open()
    assert DEMO in page.text
    assert "SYNTHETIC" in page.text
    assert "Research use only" in page.text
    assert "SYNTHETIC" in page.picture_name()
    asked = page.js("return performance.getEntriesByType('resource').map((e) => e.name)")
    icon = page.js("return document.querySelector('link[rel*=icon]').href")
    assert [url for url in [*asked, icon] if not url.startswith((page.address, "data:"))] == []


def test_moving_through_slices_changes_picture_and_address(page: Page) -> None:
    from selenium.webdriver.common.keys import Keys

    page.open("/browse?case=demo&plane=axial&slice=40")
    before = page.picture()
    page.strip().send_keys(Keys.ARROW_RIGHT)
    wait_for(lambda: page.picture_slice() == 41, what="slice 41")
    assert page.picture() != before
    wait_for(lambda: "slice=41" in page.browser.current_url, what="the address")
    page.canvas().send_keys(Keys.ARROW_UP, Keys.ARROW_UP, Keys.ARROW_UP)
    wait_for(lambda: page.picture_slice() == 44, what="slice 44")
    wait_for(lambda: "slice=44" in page.browser.current_url, what="the address")
    page.canvas().send_keys("i")
    wait_for(lambda: page.picture_slice() not in (0, 44), what="the most infected slice")


def test_pages_share_one_scan_one_place_and_one_zoom(page: Page) -> None:
    page.open("/browse?case=demo&plane=axial&slice=40")
    wait_for(lambda: page.view("scan.complete && scan.counts !== null"), what="all slices")
    fetched = page.fetched()
    page.canvas().send_keys("+++")
    enlarged = page.view("view.zoomOf('axial').factor")
    assert enlarged > 1.5
    page.go_to("Home")
    assert page.picture_slice() == 40
    page.go_to("Browse")
    assert page.picture_slice() == 40
    assert page.view("view.zoomOf('axial').factor") == enlarged
    assert page.fetched() == fetched


def test_browsing_leaves_no_slices_on_the_way_back(page: Page) -> None:
    from selenium.webdriver.common.keys import Keys

    page.open("/browse?case=demo&plane=axial&slice=40")
    steps = page.js("return history.length")
    for number in (41, 42):
        page.canvas().send_keys(Keys.ARROW_UP)
        wait_for(lambda: f"slice={number}" in page.browser.current_url, what="the address")  # noqa: B023
        page.settle()
    page.canvas().send_keys("c")
    wait_for(lambda: "plane=coronal" in page.browser.current_url, what="the plane")
    page.settle()
    assert page.js("return history.length") == steps


def test_linked_planes_and_distances_are_there_after_another_page(page: Page) -> None:
    page.open("/browse?case=demo&plane=axial&slice=40")
    page.canvas().send_keys("l")
    page.view("view.endMeasure(view.beginMeasure(pane, [10, 10]), true)")
    page.go_to("Segment")
    assert page.view("[view.layout, view.measures.length]") == ["single", 0]
    page.go_to("Browse")
    assert page.view("[view.layout, view.panes.length]") == ["linked", 3]
    assert page.view("view.measures.length") == 1


def test_the_value_under_the_pointer_is_that_of_the_scan(page: Page, demo: Study) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    page.open("/browse?case=demo&plane=axial&slice=50")
    ActionChains(page.browser).move_to_element_with_offset(page.canvas(), 40, -25).perform()
    match = wait_for(
        lambda: re.search(r"(−?\d+) HU at column (\d+), row (\d+)", page.value()),
        what="a value",
    )
    hu, column, row = (int(text.replace("−", "-")) for text in match.groups())
    assert hu == demo.volume.array[column - 1, row - 1, 49]


def test_two_clicks_from_the_demo_to_its_predicted_masks_and_their_files(
    page: Page, demo: Study
) -> None:
    need_weights()
    page.open()
    page.click("Mark lung and infection")
    wait_for(lambda: "Infection, prediction" in page.legend(), what="the prediction", seconds=300)
    page.settle()
    assert "/browse" in page.browser.current_url
    assert "Agreement with the truth" in page.text
    page.go_to("Segment")
    page.click("Lung mask (NIfTI)")
    mask = nib.load(page.downloaded("Synthetic_demo_study_lung_mask.nii.gz"))
    assert mask.shape == demo.volume.source.file_shape
    np.testing.assert_allclose(mask.affine, demo.volume.source.file_affine, atol=1e-4)
    array = np.asanyarray(mask.dataobj)
    assert array.dtype == np.uint8
    assert set(np.unique(array)) == {0, 1}
    predicted = to_canonical(array > 0, demo.volume.source.file_affine)
    assert demo.truth is not None
    assert demo.truth.lung is not None
    assert compute_overlap(demo.truth.lung, predicted).dice > 0.9
    page.click("Measurements (JSON)")
    assert (
        '"infection_fraction"' in page.downloaded("Synthetic_demo_study_metrics.json").read_text()
    )


def test_a_run_can_be_stopped(page: Page) -> None:
    need_weights()
    page.open("/segment?case=demo")
    page.click("Mark lung and infection")
    page.click("Stop")
    page.wait_for_text("The run was stopped", seconds=120)
    page.settle()
    assert page.buttons("Mark lung and infection")


def test_an_uploaded_scan_opens_and_a_broken_one_leaves_it_open(page: Page, tmp_path: Path) -> None:
    good = tmp_path / "my_scan.nii.gz"
    good.write_bytes(gzip.compress(nifti_bytes(chest_hu())))
    broken = tmp_path / "broken.nii.gz"
    broken.write_bytes(good.read_bytes()[:500])
    page.open()
    page.upload(broken)
    page.wait_for_text(f"Still open: {DEMO}")
    page.settle()
    assert "Traceback" not in page.text
    page.upload(good)
    page.wait_for_text("Opened: my_scan")
    page.settle()
    page.upload(broken)
    page.wait_for_text("Still open: my_scan")
    page.settle()
    page.go_to("Browse")
    assert "my_scan" in page.picture_name()
    page.browser.refresh()
    page.settle()
    assert "uploads are kept only while their page stays open" in page.text
    page.click("Open the demo study")
    page.wait_for_text(DEMO)


@pytest.mark.slow
def test_browsing_the_open_scan_does_not_end_the_opening_of_another(
    page: Page, tmp_path: Path
) -> None:
    from selenium.webdriver.common.keys import Keys

    rng = np.random.default_rng(0)
    noise = rng.integers(-1000, 400, (512, 512, 160), dtype=np.int16)
    path = tmp_path / "next_scan.nii.gz"
    path.write_bytes(gzip.compress(nifti_bytes(noise), 1))
    page.open()
    page.canvas()
    page.upload(path)
    # Each step is told to Python, where it must not end the run that opens the scan.
    for _ in range(300):
        if "Opened: next_scan" in page.text:
            break
        page.canvas().send_keys(Keys.ARROW_DOWN)
        time.sleep(0.3)
    page.wait_for_text("Opened: next_scan", seconds=1)


@pytest.mark.parametrize("path", ["/", "/browse", "/segment"])
def test_nothing_is_wider_than_a_phone(page: Page, path: str) -> None:
    page.resize(400, 850)
    page.open(path)
    widths = page.js(
        "const main = document.querySelector('[data-testid=stMain]');"
        "return [document.documentElement.scrollWidth, main.scrollWidth]"
    )
    assert max(widths) <= 400
