"""The whole app in headless Chromium, as a person meets it."""

from __future__ import annotations

import gzip
import re
import time
from contextlib import suppress
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from core.evaluation.metrics import compute_overlap
from core.volume import Study, to_canonical
from tests.browser import DEMO, Page, need_weights, wait_for
from tests.scans import chest_hu, nifti_bytes
from tests.studies import demo_study

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def demo() -> Study:
    return demo_study()


def test_a_first_visit_by_a_link_to_a_slice_shows_that_slice(page: Page) -> None:
    # First on purpose: until the entry script has run once, Streamlit treats links differently.
    assert page.server.is_fresh, "this test must be the first to visit its server"
    page.open("/browse?case=demo&plane=coronal&slice=200")
    assert page.picture_slice() == 200
    assert "/view" in page.browser.current_url
    assert "coronal slice 200 of 256" in page.picture_name()
    links = page.browser.find_elements("css selector", "[data-testid=stSidebarNavLink]")
    assert [link.text for link in links] == [
        "Home",
        "View",
        "Preprocess",
        "Quality",
        "Report",
        "Follow-up",
        "Cohort",
        "Evaluate",
        "Train",
    ]
    page.browser.refresh()
    page.settle()
    assert page.picture_slice() == 200


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("segment", "/view?part=segment", "Weights"),
        ("classify", "/view?part=classify", "Experimental"),
        ("enhance", "/preprocess?", "Box and slices"),
        ("region", "/preprocess?part=region", "Margin"),
        ("augmentation", "/train?part=augmentation", "Rotation"),
    ],
)
def test_addresses_of_pages_that_are_parts_now_lead_there(
    page: Page, old: str, new: str, words: str
) -> None:
    page.open(f"/{old}?case=demo&method=clahe")
    page.wait_for_text(words, seconds=60)
    there, asked = new.split("?")
    address = page.browser.current_url
    assert f"{there}?" in address
    assert asked in address


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
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    page.open("/view?case=demo&plane=axial&slice=40")
    before = page.picture()
    # Without a click, the focus nowhere; a field takes its keys for itself.
    ActionChains(page.browser).send_keys("?").perform()
    wait_for(lambda: page.view("!view.controls.help.hidden"), what="the list of keys")
    ActionChains(page.browser).send_keys(Keys.ESCAPE).perform()
    page.js("document.body.append(Object.assign(document.createElement('input'), {id: 'own'}))")
    page.browser.find_element("id", "own").send_keys(Keys.ARROW_RIGHT, "a")
    page.js("document.getElementById('own').remove()")
    assert page.picture_slice() == 40
    ActionChains(page.browser).send_keys(Keys.ARROW_UP).perform()
    wait_for(lambda: page.picture_slice() == 41, what="a key without a click")
    ActionChains(page.browser).send_keys(Keys.ARROW_DOWN).perform()
    wait_for(lambda: page.picture_slice() == 40, what="slice 40")
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
    page.open("/view?case=demo&plane=axial&slice=40")
    wait_for(lambda: page.view("scan.complete && scan.counts !== null"), what="all slices")
    fetched = page.fetched()
    page.canvas().send_keys("+++")
    enlarged = page.view("view.zoomOf('axial').factor")
    assert enlarged > 1.5
    page.go_to("Home")
    assert page.picture_slice() == 40
    page.go_to("View", "Browse")
    assert page.picture_slice() == 40
    assert page.view("view.zoomOf('axial').factor") == enlarged
    assert page.fetched() == fetched


def test_browsing_leaves_no_slices_on_the_way_back(page: Page) -> None:
    from selenium.webdriver.common.keys import Keys

    page.open("/view?case=demo&plane=axial&slice=40")
    steps = page.js("return history.length")
    for number in (41, 42):
        page.canvas().send_keys(Keys.ARROW_UP)
        wait_for(lambda: f"slice={number}" in page.browser.current_url, what="the address")  # noqa: B023
        page.settle()
    page.canvas().send_keys("k")
    wait_for(lambda: "plane=coronal" in page.browser.current_url, what="the plane")
    page.settle()
    assert page.js("return history.length") == steps


def test_linked_planes_and_distances_are_there_after_another_page(page: Page) -> None:
    page.open("/view?case=demo&plane=axial&slice=40")
    page.canvas().send_keys("l")
    page.view("view.endMeasure(view.beginMeasure(pane, [10, 10]), true)")
    page.go_to("Home")
    # Marks belong to the scan, layouts to the page.
    assert page.view("[view.layout, view.measures.length]") == ["single", 1]
    page.go_to("View", "Browse")
    assert page.view("[view.layout, view.panes.length]") == ["linked", 3]
    assert page.view("view.measures.length") == 1


def test_the_value_under_the_pointer_is_that_of_the_scan(page: Page, demo: Study) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    page.open("/view?case=demo&plane=axial&slice=25")
    ActionChains(page.browser).move_to_element_with_offset(page.canvas(), 40, -25).perform()
    match = wait_for(
        lambda: re.search(r"(−?\d+) HU at column (\d+), row (\d+)", page.value()),
        what="a value",
    )
    hu, column, row = (int(text.replace("−", "-")) for text in match.groups())
    assert hu == demo.volume.array[column - 1, row - 1, 24]


def test_two_clicks_from_the_demo_to_its_predicted_masks_and_their_files(
    page: Page, demo: Study
) -> None:
    need_weights()
    page.open()
    page.click("Mark lung and infection")
    wait_for(lambda: "Infection, prediction" in page.legend(), what="the prediction", seconds=300)
    page.settle()
    assert "/view" in page.browser.current_url
    assert "Agreement with the truth" in page.text
    page.go_to("View", "Segment")
    # The page is drawn once more when the measurements are there, and a click is lost on the way.
    wait_for(lambda: "is being measured" not in page.text, what="the measurements")
    page.settle()
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
    page.open("/view?part=segment&case=demo")
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
    page.go_to("View", "Browse")
    assert "my_scan" in page.picture_name()
    page.browser.refresh()  # soon after: the work is still there
    page.settle()
    assert "my_scan" in page.picture_name()


@pytest.mark.slow
def test_browsing_the_open_scan_does_not_end_the_opening_of_another(
    page: Page, tmp_path: Path
) -> None:
    from selenium.common.exceptions import (
        ElementNotInteractableException,
        StaleElementReferenceException,
    )
    from selenium.webdriver.common.keys import Keys

    # Noise packs badly, so that opening takes its time; random voxels alone would be refused.
    rng = np.random.default_rng(0)
    columns = np.linspace(-1000, 300, 512, dtype=np.int16)[:, None, None]
    noise = columns + rng.integers(-50, 50, (512, 512, 80), dtype=np.int16)
    path = tmp_path / "next_scan.nii.gz"
    path.write_bytes(gzip.compress(nifti_bytes(noise), 1))
    page.open()
    page.canvas()
    page.upload(path)
    # Each step is told to Python, where it must not end the run that opens the scan.
    for _ in range(300):
        if "Opened: next_scan" in page.text:
            break
        # The picture gives way to that of the next scan at any moment.
        with suppress(ElementNotInteractableException, StaleElementReferenceException):
            page.canvas().send_keys(Keys.ARROW_DOWN)
        time.sleep(0.3)
    page.wait_for_text("Opened: next_scan", seconds=1)


@pytest.mark.parametrize("path", ["/", "/view", "/view?part=segment"])
def test_nothing_is_wider_than_a_phone(page: Page, path: str) -> None:
    page.resize(400, 850)
    page.open(path)
    widths = page.js(
        "const main = document.querySelector('[data-testid=stMain]');"
        "return [document.documentElement.scrollWidth, main.scrollWidth]"
    )
    assert max(widths) <= 400
