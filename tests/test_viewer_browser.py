"""The viewer in headless Chromium: orientation, keys, zoom, divider, and what it asks for."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.browser import (
    ROOT,
    Page,
    Server,
    find_chromium,
    open_viewer,
    press,
    serve,
    wait_for,
)
from tests.viewer_page import SHAPE, SPACING_MM

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    yield from serve("tests/viewer_page.py", tmp_path_factory.mktemp("server") / "log.txt")


@pytest.fixture
def viewer(tab: Page) -> Page:
    return opened(tab, "scan")


def opened(tab: Page, mode: str) -> Page:
    open_viewer(tab, mode)
    return tab


def colour(page: Page, column: float, row: float) -> list[int]:
    """Red, green and blue of the drawn picture at a share of its width and height."""
    script = (
        "(() => { const f = pane.frame(view.sources[0]), d = pane.density;"
        f"const x = (f.left + {column} * f.width) * d, y = (f.top + {row} * f.height) * d;"
        "return Array.from(pane.context.getImageData(x, y, 1, 1).data).slice(0, 3); })()"
    )
    wait_for(lambda: page.view("!view.dirty"), what="the picture")
    return list(page.view(script))


def brightness(page: Page, column: float, row: float) -> int:
    """Red of the same."""
    return colour(page, column, row)[0]


def known_to_python(page: Page) -> str:
    return next(line for line in page.text.splitlines() if line.startswith("Python knows"))


def told(page: Page, text: str) -> None:
    wait_for(lambda: text in known_to_python(page), what=text, seconds=20)


def test_a_picture_on_its_side_is_turned_clockwise_about_its_middle(tab: Page) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    viewer = opened(tab, "turned")
    press(viewer, "0")
    place = (
        "(() => { const [x, y] = pane.toCanvas(%s); return [x / pane.width, y / pane.height]; })()"
    )
    x, y = viewer.view(place % "54, 18")  # in the block: above and on the right as stored
    assert x > 0.5
    assert y > 0.5
    assert viewer.view("pane.toPicture(...pane.toCanvas(54, 18)).map(Math.round)") == [54, 18]
    wide, high = viewer.view("pane.extent")
    assert (wide, high) == (90 * 1.0, 60 * 2.0)
    red = (
        "(() => { const [x, y] = pane.toCanvas(%s), d = pane.density;"
        "return pane.context.getImageData(x * d, y * d, 1, 1).data[0]; })()"
    )
    assert viewer.view(red % "54, 18") > 120
    assert viewer.view(red % "54, 72") < 100  # air in the window of lung
    # Keys move the crosshair as they point on the screen: down is one column on.
    viewer.view("view.setCross([30, 45, 17])")
    ActionChains(viewer.browser).key_down(Keys.SHIFT).send_keys(Keys.ARROW_DOWN).key_up(
        Keys.SHIFT
    ).perform()
    wait_for(lambda: viewer.view("[...view.place.voxel]") == [31, 45, 17], what="the crosshair")


# The block lies at the patient's left, front and head, in the outer quarter or third.
@pytest.mark.parametrize(
    ("key", "bright", "dark", "letters", "size_mm"),
    [
        ("a", (0.9, 0.2), (0.1, 0.8), ["R", "L", "A", "P"], (60 * 2.0, 90 * 1.0)),
        ("k", (0.9, 0.1), (0.1, 0.9), ["R", "L", "S", "I"], (60 * 2.0, 20 * 5.0)),
        ("s", (0.1, 0.1), (0.9, 0.9), ["A", "P", "S", "I"], (90 * 1.0, 20 * 5.0)),
    ],
)
def test_a_flipped_scan_is_drawn_the_right_way_up_and_square_in_mm(
    viewer: Page,
    key: str,
    bright: tuple[float, float],
    dark: tuple[float, float],
    letters: list[str],
    size_mm: tuple[float, float],
) -> None:
    viewer.view("view.setLook({ style: 'off' })")
    viewer.view("view.setCross([55, 10, 17])")
    press(viewer, key)
    wait_for(lambda: viewer.view("!view.dirty"), what="the picture")
    assert brightness(viewer, *bright) > 240
    assert brightness(viewer, *dark) < 90
    assert viewer.view("pane.leading.grid(pane.plane).letters") == letters
    frame = viewer.view("pane.frame(view.sources[0])")
    assert frame["width"] / frame["height"] == pytest.approx(size_mm[0] / size_mm[1], rel=1e-3)
    viewer.view("view.setLook({ style: 'fill' })")


def test_position_in_mm_is_that_of_the_affine(viewer: Page) -> None:
    # Axial slice 18 of 20 counts from the feet; the file begins at the head, at 0 mm.
    press(viewer, "a")
    viewer.view("view.goTo('axial', 17)")
    assert viewer.view("pane.where") == "I 10.0 mm"


def shows(viewer: Page, number: int) -> None:
    """Waits for a slice: what keys ask for is drawn with the next frame."""
    wait_for(lambda: viewer.picture_slice() == number, what=f"slice {number}", seconds=20)


def test_keys_step_and_stop_at_the_ends(viewer: Page) -> None:
    from selenium.webdriver.common.keys import Keys

    press(viewer, "a", Keys.HOME)
    shows(viewer, 1)
    press(viewer, Keys.ARROW_DOWN)
    shows(viewer, 1)
    press(viewer, Keys.ARROW_RIGHT, Keys.ARROW_UP, Keys.PAGE_UP)
    shows(viewer, 13)
    press(viewer, Keys.END)
    shows(viewer, SHAPE[2])
    told(viewer, f"axial (30, 45, {SHAPE[2] - 1})")
    strip = viewer.strip()
    assert strip.get_attribute("role") == "slider"
    assert strip.get_attribute("aria-valuenow") == str(SHAPE[2])
    strip.send_keys(Keys.ARROW_LEFT)
    shows(viewer, SHAPE[2] - 1)


def test_jumps_lead_through_the_infected_slices(viewer: Page) -> None:
    # Infected are the five slices at the head, 16 to 20, all alike.
    press(viewer, "a")
    viewer.view("view.goTo('axial', 0)")
    press(viewer, "n")
    shows(viewer, 16)
    press(viewer, "n", "n", "p")
    shows(viewer, 17)
    press(viewer, "i")
    shows(viewer, 16)
    assert viewer.view("Array.from(scan.counts.truth.axial)") == [0] * 15 + [15 * 30] * 5
    assert viewer.view("scan.counts.prediction.sagittal.reduce((a, b) => a + b)") == 15 * 30 * 5


def test_zoom_and_pan_survive_slices_planes_and_runs_of_the_page(viewer: Page) -> None:
    from selenium.webdriver.common.keys import Keys

    press(viewer, "a", "+", "+", "+")
    viewer.view("pane.pan(25, -10)")
    zoom = viewer.view("view.zoomOf('axial')")
    assert zoom["factor"] > 1.9
    press(viewer, Keys.ARROW_DOWN, "k", "a")
    viewer.click("Run again")
    viewer.settle()
    assert viewer.view("view.zoomOf('axial')") == zoom
    press(viewer, "0")
    assert viewer.view("view.zoomOf('axial').factor") == 1


def test_the_wheel_enlarges_around_the_pointer(viewer: Page) -> None:
    left, top = viewer.view("(({left, top}) => [left, top])(pane.canvas.getBoundingClientRect())")
    x, y = round(left) + 200, round(top) + 150  # the mouse tells whole pixels
    under = f"pane.toPicture({x - left}, {y - top})"
    before = viewer.view(under)
    viewer.view(
        "pane.canvas.dispatchEvent(new WheelEvent('wheel', "
        f"{{deltaY: -200, ctrlKey: true, clientX: {x}, clientY: {y}, cancelable: true}}))"
    )
    assert viewer.view("view.zoomOf('axial').factor") > 2
    assert viewer.view(under) == pytest.approx(before, abs=0.01)
    press(viewer, "0")


def test_running_the_page_neither_sends_slices_again_nor_moves_the_picture(viewer: Page) -> None:
    fetched = viewer.fetched()
    viewer.view("view.goTo('axial', 8)")
    viewer.click("Run again")
    viewer.settle()
    shows(viewer, 9)
    told(viewer, "axial (30, 45, 8)")
    viewer.click("Go to slice 3")
    wait_for(lambda: viewer.picture_slice() == 3, what="slice 3")
    viewer.view("view.goTo('axial', 5)")
    told(viewer, "(30, 45, 5)")
    shows(viewer, 6)
    assert viewer.fetched() == fetched


def test_other_masks_fetch_labels_alone(viewer: Page) -> None:
    before = viewer.fetched()
    viewer.click("Other masks")
    wait_for(lambda: viewer.view("scan.labelVersion") == 2, what="the new masks")
    wait_for(lambda: viewer.view("scan.counts.prediction.sagittal[59]") == 0, what="the counts")
    new = wait_for(
        lambda: viewer.js(
            "return performance.getEntriesByType('resource').map((e) => e.name)"
            f".filter((n) => n.includes('/lunglens/slices/')).slice({before})"
        ),
        what="the requests",
    )
    assert all("/labels/2/" in name for name in new)


def test_window_by_keys_and_right_drag_reaches_python(viewer: Page) -> None:
    from selenium.webdriver.common.actions.action_builder import ActionBuilder
    from selenium.webdriver.common.actions.mouse_button import MouseButton

    press(viewer, "2")
    assert viewer.view("[view.look.center, view.look.width]") == [40, 400]
    told(viewer, " 40")
    actions = ActionBuilder(viewer.browser)
    pointer = actions.pointer_action
    pointer.move_to(viewer.canvas()).pointer_down(MouseButton.RIGHT)
    pointer.move_to(viewer.canvas(), 60, 30).pointer_up(MouseButton.RIGHT)
    actions.perform()
    center, width = viewer.view("[view.look.center, view.look.width]")
    assert (center, width) == (80, 480)
    press(viewer, "1")


def drag(page: Page, fro: tuple[int, int], to: tuple[int, int], element: Any = None) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    target = element or page.canvas()
    ActionChains(page.browser).move_to_element_with_offset(
        target, *fro
    ).click_and_hold().move_by_offset(to[0] - fro[0], to[1] - fro[1]).release().perform()


def test_a_drag_steps_slices_and_a_measure_is_in_mm(viewer: Page) -> None:
    viewer.view("view.goTo('axial', 10)")
    drag(viewer, (0, 0), (0, -30))
    shows(viewer, 16)
    press(viewer, "m")
    drag(viewer, (0, 0), (100, 0))
    length = float(re.search(r"([\d.]+) mm", viewer.value()).group(1))
    assert length == pytest.approx(100 / viewer.view("pane.scale"), abs=0.11)
    assert viewer.view("view.measures.length") == 1
    press(viewer, "m", "\ue00c")
    assert viewer.view("view.measures.length") == 0


def test_linked_planes_share_a_crosshair(viewer: Page) -> None:
    press(viewer, "l")
    wait_for(lambda: viewer.view("view.panes.length") == 3, what="three planes")
    x, y = viewer.view("pane.toCanvas(12.5, 70.5)")
    width, height = viewer.view("[pane.width, pane.height]")
    spot = (round(x - width / 2), round(y - height / 2))
    drag(viewer, spot, spot)
    i, j, _ = viewer.view("view.place.voxel")
    assert abs(i - 12) <= 1
    assert abs(j - 70) <= 1
    slices = viewer.view("view.panes.map((p) => p.index)")
    assert slices[1:] == [j, i]
    press(viewer, "a")
    assert viewer.view("view.panes.length") == 1


def test_truth_against_prediction_can_be_told_without_colour(viewer: Page) -> None:
    press(viewer, "a", "i", "o", "o")
    assert viewer.view("view.style") == "agreement"
    for part in ("marked by both", "only in the truth", "only predicted"):
        assert part in viewer.legend()
    press(viewer, "o")
    assert viewer.view("view.style") == "off"
    press(viewer, "o")


def test_a_divider_moves_by_keys_and_pointer(viewer: Page) -> None:
    from selenium.webdriver.common.keys import Keys

    press(viewer, "a", "d")
    bar = viewer.js(viewer._part(".divider") + "return part;")
    assert bar.get_attribute("role") == "slider"
    for key, share in ((Keys.ARROW_LEFT, "48"), (Keys.HOME, "0")):
        bar.send_keys(key)
        wait_for(lambda: bar.get_attribute("aria-valuenow") == share, what=share)  # noqa: B023
    drag(viewer, (10, 0), (110, 0), bar)
    width = viewer.view("view.stage.clientWidth")
    assert viewer.view("view.divider") == pytest.approx(110 / width, abs=0.02)
    press(viewer, "d")
    assert viewer.view("view.sources.length") == 1


def test_two_scans_stand_at_the_same_height(tab: Page) -> None:
    page = opened(tab, "scans")
    page.view("view.goTo('axial', 19)")
    assert page.view("view.sources[1].indexOf('axial', 19, view.sources[0])") == 9
    assert page.view("view.sources[1].indexOf('axial', 0, view.sources[0])") == 0


def test_cine_goes_on_while_the_page_runs_again(viewer: Page) -> None:
    press(viewer, "a", " ")
    viewer.click("Other masks")  # another header, as when a network has finished
    wait_for(lambda: viewer.view("scan.header.labels.version") > 1, what="the new header")
    before = viewer.picture_slice()
    wait_for(lambda: viewer.picture_slice() != before, what="another slice", seconds=5)
    press(viewer, " ")
    assert viewer.view("view.cine") is None


def test_pointing_at_the_picture_moves_nothing_below_it(viewer: Page) -> None:
    height = "view.root.offsetHeight"
    before = viewer.view(height)
    viewer.view("view.value.textContent = 'as long as it may be '.repeat(20)")
    assert viewer.view(height) == before
    press(viewer, "m", "m")
    assert "Point at" in viewer.value()


def test_a_saved_picture_holds_what_is_on_the_screen(viewer: Page, tab: Page) -> None:
    press(viewer, "a", "i")
    wait_for(lambda: viewer.view("!view.dirty"), what="the picture")
    viewer.view("void view.savePicture()")
    wait_for(lambda: viewer.value().startswith("Saved "), what="the message", seconds=60)
    name = viewer.value().removeprefix("Saved ")
    assert name == f"lunglens_axial_{viewer.picture_slice()}.png"
    saved = np.asarray(Image.open(tab.downloaded(name)).convert("RGB"))
    width, height = viewer.view("[pane.width, pane.height]")
    assert saved.shape[1] == pytest.approx(width, abs=3)
    assert saved.shape[0] == pytest.approx(height, abs=3)
    assert saved.max() > 200
    assert len(np.unique(saved.reshape(-1, 3), axis=0)) > 10


def test_the_whole_screen_cuts_nothing_off(viewer: Page) -> None:
    press(viewer, "f")
    wait_for(lambda: viewer.view("view.fullscreen && pane.width > 1000"), what="the whole screen")
    right, bottom = viewer.view(
        "(({right, bottom}) => [right, bottom])(view.root.lastElementChild"
        ".previousElementSibling.getBoundingClientRect())"
    )
    stage = viewer.view("view.stage.getBoundingClientRect().left + pane.width")
    assert stage <= right <= 1440
    assert bottom <= 900
    press(viewer, "f")
    wait_for(lambda: viewer.view("!view.fullscreen && !view.dirty"), what="the page")


def test_every_control_has_a_name(viewer: Page) -> None:
    nameless = viewer.js(
        viewer._part(".lunglens")
        + "return [...part.querySelectorAll('button, input, canvas, [role]')]"
        ".filter((e) => !e.getAttribute('aria-label') && !e.innerText).map((e) => e.outerHTML)"
    )
    assert nameless == []


def test_boxes_lie_where_their_voxels_are(tab: Page) -> None:
    page = opened(tab, "drawings")
    press(page, "a")
    page.view("view.goTo('axial', 7)")
    wait_for(lambda: page.view("!view.dirty"), what="the picture")
    x, y = page.view("pane.toCanvas(10, 40)")
    red, green, blue = page.view(
        f"Array.from(pane.context.getImageData({x} * pane.density, {y} * pane.density, 1, 1).data)"
    )[:3]
    assert blue > red + 60
    assert green > red


def test_lobes_and_infection_have_the_colours_of_their_legends(tab: Page) -> None:
    """Nothing but 40 % of the lobe's colour lies over the air."""
    page = opened(tab, "lobes")
    press(page, "a")
    page.view("view.setLook({ lobes: 'off', style: 'off' })")
    air = colour(page, 0.1, 0.8)
    page.view("view.setLook({ style: 'fill' })")
    infected = colour(page, 0.9, 0.2)
    page.view("view.setLook({ lobes: 'colours' })")
    wait_for(lambda: page.view("Boolean(scan.lobes && scan.lobes.cells)"), what="the lobes")
    for index, lobe in ((17, (0x81, 0xBE, 0xF4)), (3, (0x0B, 0x6D, 0xC8))):
        page.view(f"view.goTo('axial', {index})")
        shows(page, index + 1)
        expected = [0.6 * below + 0.4 * over for below, over in zip(air, lobe, strict=True)]
        assert colour(page, 0.1, 0.8) == pytest.approx(expected, abs=3)
    page.view("view.goTo('axial', 17)")
    shows(page, 18)
    assert colour(page, 0.9, 0.2) == infected
    page.view("view.setLook({ lobes: 'off' })")


def test_a_phone_reaches_every_control(tab: Page) -> None:
    tab.resize(400, 850)
    try:
        page = opened(tab, "scan")
        outside = page.js(
            page._part(".lunglens")
            + "return [...part.querySelectorAll('button, input')].filter((e) => {"
            "const p = e.getBoundingClientRect(); return p.width && p.right > 400; }).length"
        )
        assert outside == 0
        press(page, "l")
        wait_for(lambda: page.view("view.panes.length") == 3, what="three planes")
        assert page.view("view.stage.clientWidth") <= 400
        press(page, "a")
    finally:
        tab.resize(1440, 900)


def touch(page: Page, kind: str, *points: tuple[float, float]) -> None:
    spots = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
    page.browser.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": spots})


def test_fingers_step_slices_and_enlarge(viewer: Page) -> None:
    press(viewer, "a", "0")
    viewer.view("view.goTo('axial', 4)")
    place = viewer.view("(({left, top}) => [left, top])(pane.canvas.getBoundingClientRect())")
    x, y = place[0] + 200, place[1] + 200
    touch(viewer, "touchStart", (x, y))
    for moved in (10, 20, 30):
        touch(viewer, "touchMove", (x + moved, y))
    touch(viewer, "touchEnd")
    wait_for(lambda: viewer.picture_slice() == 10, what="five slices on")
    touch(viewer, "touchStart", (x, y), (x + 50, y))
    touch(viewer, "touchMove", (x - 25, y), (x + 75, y))
    touch(viewer, "touchEnd")
    wait_for(lambda: viewer.view("view.zoomOf('axial').factor") > 1.5, what="a larger picture")
    shows(viewer, 10)
    press(viewer, "0")


def test_a_scan_that_the_server_no_longer_holds_is_one_sentence(tab: Page) -> None:
    page = opened(tab, "scan")
    page.view(
        "(() => { scan.header = {...scan.header, token: 'gone'};"
        "scan.valueChunks = new scan.valueChunks.constructor(20, 20); scan.fetchMore(); })()"
    )
    wait_for(lambda: page.view("view.trouble"), what="a sentence")
    assert "reload the page" in page.view("view.trouble")
    page.browser.refresh()
    page.settle()


def test_spacing_of_the_test_scan_is_what_the_viewer_was_told(viewer: Page) -> None:
    assert viewer.view("scan.header.spacing") == pytest.approx(list(SPACING_MM))


@pytest.mark.slow
def test_the_browser_benchmark_measures_viewer_and_plain_widgets() -> None:
    find_chromium()
    command = [
        sys.executable,
        "-m",
        "core",
        "benchmark",
        "--browser",
        "--size",
        "64x64x32",
        "--events",
        "10",
    ]
    done = subprocess.run(
        [*command, "--json"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=500
    )
    figures = json.loads(done.stdout)
    assert figures["shape"] == [64, 64, 32]
    # 64×64×32 voxels of 2 bytes, and masks of one byte, before they are packed.
    assert 0.01 < figures["sent_mb"] < 0.4
    assert set(figures["widgets"]) == {"image", "plotly"}
    spent = [*figures["events"].values(), *figures["widgets"].values()]
    spent.append(figures["correcting"])
    assert all(0 < one["p50_ms"] <= one["p95_ms"] for one in spent)
    assert 0 < figures["correcting"]["figures_median_s"] <= figures["correcting"]["figures_most_s"]
