"""Correcting masks in headless Chromium, with mouse, pen, touch and keys, in a scan that is stored
flipped and whose voxels are not cubes. What was drawn is compared voxel by voxel with the mask in
the browser and with the server's."""

from __future__ import annotations

import base64
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from core.correction import runs_of
from core.ui.viewer.packing import BITS
from core.volume import PLANE_AXIS, plane_slice
from tests.browser import (
    Page,
    Place,
    Server,
    chord,
    in_picture,
    mouse,
    on_screen,
    open_viewer,
    press,
    show_picture,
    touch,
    wait_for,
)
from tests.correct_page import SHAPE, SPACING_MM, network, scan

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

KEY_OF = {"axial": "a", "coronal": "k", "sagittal": "s"}
MIDDLE = {"axial": 9, "coronal": 40, "sagittal": 25}
SIZE_MM = 10.0


@pytest.fixture(scope="module")
def server(correct_server: Server) -> Server:
    return correct_server


@pytest.fixture
def viewer(tab: Page) -> Page:
    return opened(tab, "network")


def opened(tab: Page, mode: str) -> Page:
    """The page anew, in the mode in which masks are corrected, at slices in the middle."""
    open_viewer(tab, mode, with_masks=mode == "network")
    tab.view("view.setCross([25, 40, 9])")
    press(tab, "c")
    wait_for(lambda: tab.view("view.correcting"), what="correcting")
    return tab


def saved(page: Page, revision: int) -> None:
    """Waits until the server has so many changes, and the browser knows."""
    wait_for(
        lambda: page.view(f"view.edits.quiet && view.edits.revision === {revision}"),
        what=f"revision {revision}",
        seconds=20,
    )


def spoken(page: Page) -> str:
    return str(page.view("view.spoken.textContent"))


def wait_for_speech(page: Page, text: str) -> None:
    wait_for(lambda: spoken(page) == text, what=repr(text), seconds=20)


# ---------------------------------------------------------------- drawing


# ---------------------------------------------------------------- what is expected


def swept(
    plane: str, index: int, places: Sequence[Place], *, size: float = SIZE_MM, ball: bool = False
) -> np.ndarray:
    """Voxels whose centre lies within half of `size` mm of the way through `places`."""
    mask = np.zeros(SHAPE, dtype=bool)
    height, width = {"axial": (1.0, 2.0), "coronal": (5.0, 2.0), "sagittal": (5.0, 1.0)}[plane]
    between = SPACING_MM[PLANE_AXIS[plane]]
    for slice_index in range(SHAPE[PLANE_AXIS[plane]]):
        away = abs(slice_index - index) * between
        if away > size / 2 or (away and not ball):
            continue
        picture = plane_slice(mask, plane, slice_index)
        rows, columns = picture.shape
        x = (np.arange(columns)[None, :] + 0.5) * width
        y = (np.arange(rows)[:, None] + 0.5) * height
        for (ac, ar), (bc, br) in zip([places[0], *places[:-1]], places, strict=True):
            ax, ay, bx, by = ac * width, ar * height, bc * width, br * height
            dx, dy = bx - ax, by - ay
            length = dx * dx + dy * dy
            share = ((x - ax) * dx + (y - ay) * dy) / length if length else np.zeros_like(x + y)
            share = np.clip(share, 0, 1)
            apart = (x - ax - share * dx) ** 2 + (y - ay - share * dy) ** 2
            picture |= apart <= size**2 / 4 - away**2
    for column, row in places:
        picture = plane_slice(mask, plane, index)
        if 0 <= column < picture.shape[1] and 0 <= row < picture.shape[0]:
            picture[int(row), int(column)] = True
    return mask


def enclosed(plane: str, index: int, places: Sequence[Place]) -> np.ndarray:
    """Voxels whose centre lies inside a polygon."""
    from skimage.measure import points_in_poly

    mask = np.zeros(SHAPE, dtype=bool)
    picture = plane_slice(mask, plane, index)
    rows, columns = np.mgrid[: picture.shape[0], : picture.shape[1]] + 0.5
    inside = points_in_poly(np.stack([columns.ravel(), rows.ravel()], axis=1), places)
    picture |= inside.reshape(picture.shape)
    return mask


def server_labels(page: Page) -> np.ndarray:
    """(i, j, k) label bits as the server holds them."""
    token, version = page.view("[scan.given.token, scan.labelVersion]")
    address = f"{page.address}/lunglens/slices/{token}/labels/{version}/0"
    with urllib.request.urlopen(address) as answer:
        labels = np.frombuffer(zlib.decompress(answer.read(), 31), np.uint8)
    return labels.reshape(SHAPE, order="F")


def browser_labels(page: Page) -> np.ndarray:
    """(i, j, k) label bits as the browser holds them."""
    text = page.view("btoa(Array.from(scan.labels, (one) => String.fromCharCode(one)).join(''))")
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(SHAPE, order="F")


def check(page: Page, *, infection: np.ndarray, lung: np.ndarray | None = None) -> None:
    """Browser and server hold these corrected masks, voxel by voxel, and the network's as ever."""
    lung = network().lung if lung is None else lung
    for labels in (browser_labels(page), server_labels(page)):
        for channel, mask in (("infection", infection), ("lung", lung)):
            np.testing.assert_array_equal((labels & BITS["corrected", channel]) != 0, mask)
    counted = page.view("Object.values(scan.counts.corrected).map((one) => Array.from(one))")
    for found, axis in zip(counted, (0, 1, 2), strict=True):
        others = tuple(other for other in range(3) if other != axis)
        assert found == infection.sum(axis=others).tolist()


# ---------------------------------------------------------------- brush and eraser


STROKE = {
    "axial": ((22.3, 60.2), (35.1, 70.4), (40.6, 45.0)),
    "coronal": ((12.2, 5.4), (33.7, 13.3)),
    "sagittal": ((20.4, 14.6), (61.8, 6.2), (70.3, 16.1)),
}


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
def test_the_brush_marks_what_it_passes_in_every_plane(viewer: Page, plane: str) -> None:
    press(viewer, KEY_OF[plane], "b")
    passed = mouse(viewer, STROKE[plane])
    saved(viewer, 1)
    stroke = swept(plane, MIDDLE[plane], passed) & network().lung
    assert stroke.sum() > 60
    check(viewer, infection=network().infection | stroke)


def test_linked_planes_are_drawn_on_and_the_crosshair_stays(viewer: Page) -> None:
    viewer.view("view.choosePlane('linked')")
    wait_for(lambda: viewer.view("view.panes.length === 3 && !view.dirty"), what="three planes")
    passed = mouse(viewer, [(35.2, 60.3), (42.1, 66.8)])
    saved(viewer, 1)
    assert viewer.view("view.place.voxel") == [25, 40, 9]
    viewer.view("view.choosePlane('axial')")
    check(viewer, infection=network().infection | swept("axial", 9, passed))


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
def test_a_ball_goes_through_slices_by_their_distance_in_mm(viewer: Page, plane: str) -> None:
    press(viewer, KEY_OF[plane], "h", "]", "]", "]", "]", "]")
    size = viewer.view("view.pen.size")
    assert size == pytest.approx(10 * 1.15**5)
    try:
        passed = mouse(viewer, STROKE[plane])
        saved(viewer, 1)
    finally:
        viewer.view("view.setPen({ deep: false, size: 10 })")
    stroke = swept(plane, MIDDLE[plane], passed, size=size, ball=True) & network().lung
    across = np.flatnonzero(stroke.any(axis=tuple({0, 1, 2} - {PLANE_AXIS[plane]})))
    reach = int(size / 2 / SPACING_MM[PLANE_AXIS[plane]])
    assert across.tolist() == list(range(MIDDLE[plane] - reach, MIDDLE[plane] + reach + 1))
    check(viewer, infection=network().infection | stroke)


def test_the_eraser_and_alt_clear_what_they_pass(viewer: Page) -> None:
    press(viewer, "a", "e")
    first = mouse(viewer, [(22.0, 35.0), (22.0, 48.0)])
    press(viewer, "b")
    second = mouse(viewer, [(27.5, 33.0), (28.5, 33.5)], alt=True)
    saved(viewer, 2)
    cleared = swept("axial", 9, first) | swept("axial", 9, second)
    check(viewer, infection=network().infection & ~cleared)


def test_only_values_between_two_hu_are_marked(viewer: Page) -> None:
    # -1000 HU at the right, 20 HU more each voxel to the left.
    viewer.view("view.setPen({ tool: 'brush', only: true, low: -500, high: -300 })")
    try:
        press(viewer, "a")
        passed = mouse(viewer, [(10.0, 70.0), (45.0, 70.0)])
        saved(viewer, 1)
    finally:
        viewer.view("view.setPen({ only: false, low: -750, high: 150 })")
    volume = scan().array
    stroke = swept("axial", 9, passed) & (volume >= -500) & (volume <= -300)
    assert np.flatnonzero(stroke.any(axis=(1, 2))).tolist() == list(range(25, 36))
    check(viewer, infection=network().infection | stroke)


def test_infection_stays_inside_the_lung_unless_the_person_says_otherwise(viewer: Page) -> None:
    press(viewer, "a")
    passed = mouse(viewer, [(44.0, 70.0), (58.0, 84.0)])
    saved(viewer, 1)
    stroke = swept("axial", 9, passed)
    assert (stroke & ~network().lung).any()
    check(viewer, infection=network().infection | (stroke & network().lung))
    press(viewer, "u")
    wait_for(
        lambda: spoken(viewer) == "Infection may be marked outside the lung", what="the message"
    )
    again = mouse(viewer, [(44.0, 70.0), (58.0, 84.0)])
    press(viewer, "u")
    saved(viewer, 2)
    free = stroke & network().lung | swept("axial", 9, again)
    check(viewer, infection=network().infection | free)


def test_lung_that_is_erased_takes_its_infection_with_it(viewer: Page) -> None:
    press(viewer, "a", "x", "e")
    try:
        passed = mouse(viewer, [(15.0, 40.0), (25.0, 40.0)])
        saved(viewer, 1)
        told = viewer.value()
    finally:
        press(viewer, "x", "b")
    erased = swept("axial", 9, passed)
    masks = network()
    check(viewer, lung=masks.lung & ~erased, infection=masks.infection & ~erased)
    assert told.startswith("Lung: ")
    assert "Infection: " in told


# ---------------------------------------------------------------- outline, parts, slices between


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
def test_an_outline_is_filled_on_release(viewer: Page, plane: str) -> None:
    outline = {
        "axial": [(31.2, 52.1), (47.3, 55.8), (44.9, 75.3), (38.6, 60.4), (33.1, 74.2)],
        "coronal": [(8.2, 4.3), (45.6, 6.1), (38.3, 15.7), (11.4, 12.6)],
        "sagittal": [(15.2, 5.2), (75.3, 4.4), (62.1, 16.3), (40.4, 9.1), (22.6, 15.2)],
    }[plane]
    press(viewer, KEY_OF[plane], "l")
    drawn = mouse(viewer, outline)
    press(viewer, "b")
    saved(viewer, 1)
    inside = enclosed(plane, MIDDLE[plane], drawn)
    assert inside.sum() > 100
    check(viewer, infection=network().infection | inside & network().lung)


def test_a_click_removes_a_part_and_fills_a_hole(viewer: Page) -> None:
    press(viewer, "a", "e", "[", "[", "[", "[")
    hole = mouse(viewer, [(25.5, 40.5)])
    saved(viewer, 1)
    viewer.view("view.setPen({ size: 10 })")
    holed = network().infection & ~swept("axial", 9, hole, size=10 / 1.15**4)
    assert holed.sum() < network().infection.sum()
    check(viewer, infection=holed)
    press(viewer, "g")
    mouse(viewer, [(25.5, 40.5)])
    saved(viewer, 2)
    check(viewer, infection=network().infection)
    press(viewer, "h")
    mouse(viewer, [(21.5, 31.5)])
    saved(viewer, 3)
    check(viewer, infection=np.zeros(SHAPE, dtype=bool))
    press(viewer, "x")
    mouse(viewer, [(1.5, 1.5)])
    wait_for(lambda: "There is nothing to fill here" in viewer.value(), what="a sentence")
    press(viewer, "x", "h", "b")
    assert viewer.view("view.edits.revision") == 3


def test_a_click_grows_between_two_hu(viewer: Page) -> None:
    # -1000 HU at the right, 20 HU more each voxel to the left.
    viewer.view("view.setPen({ tool: 'part', only: true, low: -380, high: -300 })")
    try:
        press(viewer, "s")
        viewer.view("view.setCross([33, 40, 9])")
        mouse(viewer, [(60.5, 10.5)])
        saved(viewer, 1)
    finally:
        viewer.view("view.setPen({ tool: 'brush', only: false, low: -750, high: 150 })")
    # In the sagittal slice of i = 33 all of the lung has -340 HU.
    grown = network().lung.copy()
    grown[:33] = grown[34:] = False
    check(viewer, infection=network().infection | grown)


def test_slices_between_two_drawn_ones_are_interpolated_and_a_slice_is_copied(
    viewer: Page,
) -> None:
    press(viewer, "a")
    viewer.view("view.goTo('axial', 13)")
    first = mouse(viewer, [(40.0, 60.0), (44.0, 60.0)])
    saved(viewer, 1)
    viewer.view("view.goTo('axial', 16)")
    second = mouse(viewer, [(40.0, 60.0), (44.0, 60.0)])
    saved(viewer, 2)
    assert first == second
    press(viewer, "j")
    saved(viewer, 3)
    assert "Infection in slices 15 to 16, interpolated: " in viewer.value()
    shape = swept("axial", 13, first)
    drawn = np.logical_or.reduce([np.roll(shape, away, axis=2) for away in range(4)])
    check(viewer, infection=network().infection | drawn)
    viewer.view("view.goTo('axial', 17)")
    press(viewer, "v")
    saved(viewer, 4)
    drawn |= np.roll(shape, 4, axis=2)
    check(viewer, infection=network().infection | drawn)


# ---------------------------------------------------------------- back


def test_many_strokes_in_all_planes_are_undone_to_the_networks_mask_bit_by_bit(
    viewer: Page,
) -> None:
    states = [(network().lung, network().infection)]
    rng = np.random.default_rng(3)
    for number in range(12):
        plane = ("axial", "coronal", "sagittal")[number % 3]
        press(viewer, KEY_OF[plane], "be"[number % 2])
        if number % 4 == 3:
            press(viewer, "x")
        rows, columns = plane_slice(network().lung, plane, 0).shape
        places = [(rng.uniform(8, columns - 8), rng.uniform(2, rows - 2)) for _ in range(3)]
        before = viewer.view("view.edits.revision")
        mouse(viewer, places)
        wait_for(lambda: viewer.view("view.edits.quiet"), what="the stroke", seconds=20)
        if viewer.view("view.edits.revision") > before:
            labels = server_labels(viewer)
            states.append(
                tuple((labels & BITS["corrected", name]) != 0 for name in ("lung", "infection"))
            )
    viewer.view("view.setPen({ channel: 'infection', tool: 'brush' })")
    revision = viewer.view("view.edits.revision")
    assert revision >= 10
    for lung, infection in states[-2:0:-1]:
        chord(viewer, "z")
        revision += 1
        saved(viewer, revision)
        check(viewer, lung=lung, infection=infection)
    chord(viewer, "z")
    revision += 1
    saved(viewer, revision)
    labels = browser_labels(viewer)
    np.testing.assert_array_equal((labels & 48) >> 2, labels & 12)
    assert viewer.view("[view.edits.undoable, view.edits.touched]") == [0, False]
    for _ in states[1:]:
        chord(viewer, "z", shift=True)
        revision += 1
        saved(viewer, revision)
    check(viewer, lung=states[-1][0], infection=states[-1][1])
    assert spoken(viewer).startswith("Redone. ")


def test_undo_before_the_server_has_answered_leaves_browser_and_server_alike(viewer: Page) -> None:
    press(viewer, "a")
    first = mouse(viewer, [(35.0, 60.0), (40.0, 60.0)])
    chord(viewer, "z")
    second = mouse(viewer, [(38.0, 56.0), (38.0, 66.0)])
    saved(viewer, 3)
    assert first != second
    check(viewer, infection=network().infection | swept("axial", 9, second))


def test_one_slice_or_all_go_back_to_the_networks_mask(viewer: Page) -> None:
    from selenium.webdriver.common.keys import Keys

    press(viewer, "s")
    passed = mouse(viewer, STROKE["sagittal"])
    press(viewer, "a")
    saved(viewer, 1)
    drawn = network().infection | swept("sagittal", 25, passed) & network().lung
    press(viewer, Keys.BACKSPACE)
    saved(viewer, 2)
    one_back = drawn.copy()
    one_back[:, :, 9] = network().infection[:, :, 9]
    check(viewer, infection=one_back)
    press(viewer, Keys.SHIFT + Keys.BACKSPACE + Keys.NULL)
    saved(viewer, 3)
    check(viewer, infection=network().infection)


def test_escape_leaves_a_stroke_in_hand_undone(viewer: Page) -> None:
    press(viewer, "a")
    show_picture(viewer)
    x, y = on_screen(viewer, (40.0, 60.0))
    kind = {"button": "left", "pointerType": "mouse", "clickCount": 1}
    for what, right in (("mousePressed", 0), ("mouseMoved", 30)):
        viewer.browser.execute_cdp_cmd(
            "Input.dispatchMouseEvent", {"type": what, "x": x + right, "y": y, "buttons": 1, **kind}
        )
    assert (browser_labels(viewer) & 32 != 0).sum() > network().infection.sum()
    press(viewer, "\ue00c")
    viewer.browser.execute_cdp_cmd(
        "Input.dispatchMouseEvent",
        {"type": "mouseReleased", "x": x + 30, "y": y, "buttons": 0, **kind},
    )
    assert viewer.view("[view.correcting, view.edits.quiet]") == [True, True]
    assert viewer.view("view.edits.revision") == 0
    np.testing.assert_array_equal(browser_labels(viewer) & 32 != 0, network().infection)


# ---------------------------------------------------------------- pen, fingers, keys


def test_a_pen_draws(viewer: Page) -> None:
    press(viewer, "a", "b")
    passed = mouse(viewer, STROKE["axial"], pen=True)
    saved(viewer, 1)
    stroke = swept("axial", 9, passed) & network().lung
    check(viewer, infection=network().infection | stroke)


def test_one_finger_draws_and_two_move_the_picture(viewer: Page) -> None:
    press(viewer, "a", "b")
    viewer.resize(1440, 900)
    show_picture(viewer)
    places = [(35.0, 58.0), (38.0, 62.0), (42.0, 60.0)]
    points = [on_screen(viewer, place) for place in places]
    passed = [in_picture(viewer, point) for point in points]
    touch(viewer, *([point] for point in points))
    saved(viewer, 1)
    stroke = swept("axial", 9, passed)
    check(viewer, infection=network().infection | stroke)
    before = viewer.view("pane.zoom.factor")
    (x, y), other = points[0], (points[0][0] + 60, points[0][1])
    # The first finger has drawn a little before the second comes: that is taken back.
    touch(
        viewer,
        [(x, y)],
        [(x + 20, y)],
        [(x + 20, y), other],
        [(x - 60, y), (other[0] + 100, y)],
    )
    assert viewer.view("pane.zoom.factor") > before
    viewer.view("view.resetZoom()")
    time.sleep(0.5)
    saved(viewer, 1)
    check(viewer, infection=network().infection | stroke)


def test_keys_alone_draw_and_what_changed_is_spoken(viewer: Page) -> None:
    from selenium.webdriver.common.keys import Keys

    press(viewer, "a", "b")
    viewer.view("view.setCross([40, 60, 9])")
    wait_for(lambda: viewer.view("view.spokenSlice?.startsWith('axial slice 10 ')"), what="slice")
    press(viewer, Keys.SHIFT + Keys.ARROW_RIGHT + Keys.ARROW_RIGHT + Keys.ARROW_DOWN + Keys.NULL)
    assert viewer.view("view.place.voxel") == [42, 61, 9]
    press(viewer, Keys.ENTER)
    saved(viewer, 1)
    dab = swept("axial", 9, [(42.5, 61.5)])
    ml = dab.sum() * 10 / 1000
    wait_for_speech(viewer, f"Infection: {ml:.2f} ml added.")
    check(viewer, infection=network().infection | dab)
    press(viewer, "l")
    corners = [(35, 60), (45, 60), (45, 70), (35, 70)]
    for i, j in corners:
        viewer.view(f"view.setCross([{i}, {j}, 9])")
        press(viewer, Keys.ENTER)
    wait_for(
        lambda: spoken(viewer) == "Corner 4; Enter again fills the outline", what="the message"
    )
    press(viewer, Keys.ENTER)
    press(viewer, "b")
    saved(viewer, 2)
    inside = enclosed("axial", 9, [(i + 0.5, j + 0.501) for i, j in corners])
    found = browser_labels(viewer) & 32 != 0
    # Corners lie on centres of voxels: what the line runs through may fall to either side.
    assert (found ^ (network().infection | dab | inside)).sum() <= 40
    assert found[36:45, 61:70, 9].all()


def test_every_control_has_a_name_and_says_its_key(viewer: Page) -> None:
    names = (
        "[...view.correctBar.bar.querySelectorAll('button, input')]"
        ".map((one) => one.getAttribute('aria-label'))"
    )
    wait_for(lambda: viewer.view(names), what="the controls")  # with the next frame
    controls = viewer.view(names)
    assert len(controls) == 19
    assert all(controls)
    assert sum("(" in label for label in controls) == len(controls) - 2, "but for the HU fields"


# ---------------------------------------------------------------- from nothing, and out of step


def test_drawing_starts_from_nothing(tab: Page) -> None:
    viewer = opened(tab, "nothing")
    press(viewer, "a")
    passed = mouse(viewer, STROKE["axial"])
    saved(viewer, 1)
    viewer.wait_for_text("revision 1, 1 steps")
    stroke = swept("axial", 9, passed)
    check(viewer, infection=stroke, lung=np.zeros(SHAPE, dtype=bool))
    press(viewer, "x")
    mouse(viewer, [(10.0, 20.0), (20.0, 20.0)])
    press(viewer, "x")
    saved(viewer, 2)
    chord(viewer, "z")
    chord(viewer, "z")
    saved(viewer, 4)
    check(viewer, infection=np.zeros(SHAPE, dtype=bool), lung=np.zeros(SHAPE, dtype=bool))


def post(page: Page, query: str, body: bytes = b"") -> int:
    """An edit that does not come from this browser; gives the status."""
    token = page.view("scan.given.token")
    request = urllib.request.Request(
        f"{page.address}/lunglens/slices/{token}/edit?{query}", data=body, method="POST"
    )
    try:
        with urllib.request.urlopen(request) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        return refused.code


def test_a_stroke_drawn_for_older_masks_is_refused_and_the_masks_are_loaded_again(
    viewer: Page,
) -> None:
    press(viewer, "a")
    runs = runs_of(np.arange(31000, 31010)).to_bytes()
    asked = "edit=paint&channel=infection&marked=1&plane=axial&index=5&free=1"
    assert post(viewer, f"{asked}&revision=0", runs) == 200
    assert post(viewer, f"{asked}&revision=0", runs) == 409
    mouse(viewer, STROKE["axial"])
    wait_for(lambda: "has changed since" in viewer.value(), what="a sentence", seconds=20)
    wait_for(lambda: viewer.view("view.edits.ready"), what="the masks", seconds=20)
    expected = network().infection.reshape(-1, order="F").copy()
    expected[31000:31010] = True
    check(viewer, infection=expected.reshape(SHAPE, order="F"))
    passed = mouse(viewer, STROKE["axial"])
    saved(viewer, 2)
    stroke = swept("axial", 9, passed) & network().lung
    check(viewer, infection=expected.reshape(SHAPE, order="F") | stroke)


def read_errors(page: Page) -> list[Any]:
    return [line for line in page.browser.get_log("browser") if line["level"] == "SEVERE"]


def test_correcting_ends_and_the_corrected_mask_stays_beside_the_networks(viewer: Page) -> None:
    press(viewer, "a")
    mouse(viewer, STROKE["axial"])
    saved(viewer, 1)
    viewer.wait_for_text("revision 1, 1 steps")
    press(viewer, "c")
    assert not viewer.view("view.correcting")
    wait_for(lambda: viewer.view("view.correctBar.bar.hidden"), what="the bar to go")
    assert viewer.legend().split("\n") == [
        "Lung, prediction",
        "Infection, prediction",
        "Lung, corrected",
        "Infection, corrected",
    ]
    press(viewer, "o", "o")
    assert viewer.view("view.style") == "agreement"
    assert viewer.legend().split("\n") == [
        "Infection marked by both",
        "Infection removed by hand",
        "Infection added by hand",
    ]
    viewer.view("view.setLook({ style: 'fill' })")
    press(viewer, "c")
    chord(viewer, "z")
    saved(viewer, 2)
    press(viewer, "c")
    # Without a step, there is only the network's mask.
    wait_for(lambda: viewer.legend() == "Lung\nInfection", what="the network's legend", seconds=20)
