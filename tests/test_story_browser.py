"""What is shown to a room: tour, present mode, figure pages and clips, in headless Chromium."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.browser import Page, click_in_viewer, keep_screenshot, need_weights, wait_for
from tests.scans import chest_hu, nifti_bytes

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


def test_the_tour_leads_from_home_to_the_headline(page: Page) -> None:
    need_weights()
    page.open()
    page.click("Take the tour")
    page.wait_for_text("Tour, step 1 of 5")
    page.settle()
    page.click("Next: mark")
    page.wait_for_text("Tour, step 2 of 5")
    page.settle()
    assert "/view" in page.browser.current_url
    page.click("Mark lung and infection")
    page.wait_for_text("category CT-")  # the tour's own words hold the rest of the sentence
    page.settle()
    keep_screenshot(page, "tour")
    page.click("Leave the tour")
    wait_for(lambda: "Tour, step" not in page.text, what="the end of the tour")


def test_present_mode_shows_headline_picture_and_profile_alone(page: Page) -> None:
    page.open("/view?case=demo&slice=24")
    page.canvas()
    click_in_viewer(page, "Present")
    wait_for(lambda: page.view("view.presenting && view.fillsWindow"), what="present mode")
    wait_for(lambda: page.view("pane.height") > 500, what="a large picture")
    hidden = page.view(
        "[...view.root.querySelectorAll('.toolbar, .bar')].every((one) => !one.offsetHeight)"
    )
    assert hidden
    assert page.view("Boolean(view.root.querySelector('.headline').innerText)")
    assert page.view("view.strip.canvas.offsetHeight") > 0
    keep_screenshot(page, "present")
    page.view("view.endPresent()")
    assert not page.view("Boolean(view.root.querySelector('.headline'))")


@pytest.mark.parametrize("light", [False, True])
def test_a_figure_page_has_twice_the_pixels_and_the_ground_asked_for(
    page: Page, light: bool
) -> None:
    page.open("/view?case=demo&slice=24")
    page.canvas()
    wait_for(lambda: page.view("!pane.waiting"), what="the slice")
    width = page.view("view.stage.clientWidth")
    if light:
        click_in_viewer(page, "Light")
    click_in_viewer(page, "Figure")
    picture = Image.open(page.downloaded("lunglens_figure_axial.png")).convert("RGB")
    assert picture.width >= 2 * width
    assert picture.getpixel((3, 3)) == ((255, 255, 255) if light else (14, 19, 25))
    # Below the picture stand legend and caption.
    ground = np.asarray(picture.getpixel((3, 3)))
    below = np.asarray(picture)[-120:, :, :]
    assert (np.abs(below.astype(int) - ground).max(axis=2) > 60).sum() > 200


def test_a_clip_is_made_and_saved(page: Page, tmp_path: Path) -> None:
    scan = tmp_path / "small.nii.gz"
    scan.write_bytes(gzip.compress(nifti_bytes(chest_hu())))
    page.open()
    page.upload(scan)
    page.wait_for_text("Opened: small")
    page.settle()
    page.go_to("View")
    page.click("For slides")
    page.click("Make the clip")
    page.click("Save the GIF")
    film = Image.open(page.downloaded("lunglens_slices.gif"))
    assert film.n_frames == chest_hu().shape[2]


def test_the_theme_of_the_menu_reaches_page_viewer_and_charts(page: Page) -> None:
    page.open("/preprocess?case=demo&part=region")
    page.canvas()

    page.js("document.querySelector('[data-testid=stMainMenuButton]').click()")

    def choose(name: str) -> None:
        """The menu stays open for another choice."""
        entry = f"[data-testid=stMainMenuItem-theme-{name}]"
        wait_for(lambda: page.browser.find_elements("css selector", entry), what="the menu")
        page.js(f"document.querySelector('{entry}').click()")

    def grounds() -> tuple[str, str, str]:
        """Background of page, chart and a button of the viewer."""
        return tuple(
            page.js(
                page._part(".lunglens")
                + "const chart = document.querySelector('.js-plotly-plot .main-svg');"
                "return [document.querySelector('[data-testid=stApp]'), chart,"
                " part.querySelector('button')]"
                ".map((one) => one && getComputedStyle(one).background.split(')')[0] + ')');"
            )
        )

    seen = {}
    for name, paper in (("Light", "rgb(255, 255, 255)"), ("Dark", "rgb(14, 19, 25)")):
        choose(name)
        wait_for(lambda paper=paper: grounds()[:2] == (paper, paper), what=f"the theme {name}")
        seen[name] = grounds()[2]
        assert page.view("getComputedStyle(view.stage).backgroundColor") == "rgb(0, 0, 0)"
    assert seen["Light"] != seen["Dark"]
    # The choice holds for the address of another page, which Streamlit alone would not keep.
    page.open("/report?case=demo")
    assert (
        page.js(
            "return getComputedStyle(document.querySelector('[data-testid=stApp]')).colorScheme"
        )
        == "dark"
    )
