"""The 3D view in headless Chromium: it turns, follows the slice and stays where it was put."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser import Chromium, Page, Server, click_in_viewer, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

CHART = "document.querySelector('.st-key-surfaces-chart .js-plotly-plot')"
BUTTONS = (
    "[...document.querySelectorAll('*')].map(e => e.shadowRoot?.querySelector('.turntable'))"
    ".find(Boolean)"
)


@pytest.fixture(scope="module")
def scene(
    server: Server, chromium: Chromium, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Page]:
    """The demo study on Browse, with the 3D view open."""
    page = chromium.open_tab(server, tmp_path_factory.mktemp("downloads"))
    page.open("/view?case=demo")
    click_in_viewer(page, "3D")
    wait_for(lambda: page.js(f"return {BUTTONS}?.hidden === false"), what="the buttons")
    page.js(f"{CHART}.scrollIntoView({{ block: 'center' }}); {CHART}.dataset.mark = 'first'")
    yield page
    chromium.close_tab(page)


def eye(scene: Page) -> tuple[float, float, float]:
    place = scene.js(f"return {CHART}.layout.scene.camera.eye")
    return place["x"], place["y"], place["z"]


def slice_heights(scene: Page) -> list[float]:
    """Of the corners of both traces of the slice, in mm; none while they are hidden."""
    return scene.js(
        f"return {CHART}.data.filter(t => t.meta === 'slice' && t.visible).flatMap(t => [...t.z])"
    )


def press(scene: Page, selector: str) -> None:
    scene.js(f"{BUTTONS}.querySelector({selector!r}).click()")


def is_turning(scene: Page) -> Any:
    return scene.js(f"return {BUTTONS}.querySelector('.turn').ariaPressed") == "true"


def test_it_turns_about_the_body_until_it_is_paused(scene):
    assert is_turning(scene)
    before = eye(scene)
    wait_for(lambda: eye(scene) != before, what="another camera")
    after = eye(scene)
    assert after[2] == before[2]
    assert math.hypot(*after) == pytest.approx(math.hypot(*before))
    press(scene, ".turn")
    assert not is_turning(scene)
    still = eye(scene)
    time.sleep(1)
    assert eye(scene) == still


def test_the_slice_follows_and_neither_chart_nor_camera_changes(scene):
    wait_for(lambda: slice_heights(scene), what="the slice")
    if is_turning(scene):
        press(scene, ".turn")
    before, camera = slice_heights(scene), eye(scene)
    assert len(before) == 10
    assert len(set(before)) == 1
    slider = scene.browser.find_element("css selector", "[data-testid=stSlider] input")
    shown = int(slider.get_attribute("value"))
    slider.send_keys("\ue013" * 4)  # arrow up
    # Slices of the demo study are 6 mm apart.
    wait_for(lambda: slice_heights(scene)[0] == pytest.approx(before[0] + 24), what="four slices")
    assert eye(scene) == camera
    assert scene.js(f"return {CHART}.dataset.mark") == "first"
    wait_for(lambda: f"slice={shown + 4}" in scene.browser.current_url, what="the address")


def test_each_named_view_places_the_camera_on_its_side(scene):
    for name, axis, sign in (("front", 1, 1), ("left", 0, -1), ("feet", 2, -1)):
        press(scene, f"[data-view={name}]")
        place = eye(scene)
        assert sign * place[axis] > 0.98 * math.hypot(*place)


def test_dragging_stops_the_rotation(scene):
    from selenium.webdriver.common.action_chains import ActionChains

    press(scene, ".turn")
    assert is_turning(scene)
    hand = ActionChains(scene.browser).move_to_element(scene.js(f"return {CHART}"))
    hand.click_and_hold().move_by_offset(40, 10).release().perform()
    assert not is_turning(scene)


def test_a_plane_leads_back_to_its_slices(scene):
    scene.click("Coronal")
    scene.canvas()
    assert "coronal slice" in scene.picture_name()
    assert not scene.js(f"return Boolean({CHART})")
