"""Two masks of any origin on one slice, and notes, arrows, distances and regions, in headless
Chromium, on a scan that is stored flipped and whose voxels are not cubes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from core.annotation import Annotation, measure_annotation
from core.evaluation import compute_overlap_per_slice
from core.ui.viewer.packing import BITS
from core.volume import PLANE_AXIS
from tests.browser import (
    Page,
    Server,
    mouse,
    on_screen,
    open_viewer,
    press,
    show_picture,
    touch,
    wait_for,
)
from tests.correct_page import SHAPE, moved, network, scan

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

KEY_OF = {"axial": "a", "coronal": "k", "sagittal": "s"}
ENTER, ESCAPE, DELETE = "\ue007", "\ue00c", "\ue017"
SECOND = moved(network(), 3)
TRUTH = moved(network(), 1)


@pytest.fixture(scope="module")
def server(correct_server: Server) -> Server:
    return correct_server


@pytest.fixture
def viewer(tab: Page) -> Page:
    open_viewer(tab, "pair")
    tab.view("view.setCross([25, 40, 9])")
    press(tab, "a")
    return tab


# ---------------------------------------------------------------- pairs


def test_four_masks_arrive_bit_by_bit(viewer: Page) -> None:
    labels = np.array(viewer.view("Array.from(scan.labels)"), np.uint8)
    labels = labels.reshape(scan().shape, order="F")
    for source, pair in (("truth", TRUTH), ("second", SECOND), ("prediction", network())):
        for channel in ("lung", "infection"):
            marked = (labels & BITS[source, channel]) != 0
            np.testing.assert_array_equal(marked, getattr(pair, channel), f"{source} {channel}")
    assert not (labels & (16 | 32)).any()
    assert "Infection, second" in viewer.legend()
    assert "Infection, truth" in viewer.legend()


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
@pytest.mark.parametrize("pair", ["truth,second", "truth,prediction", "second,prediction"])
def test_any_two_are_compared_slice_by_slice(viewer: Page, pair: str, plane: str) -> None:
    masks = {"truth": TRUTH, "second": SECOND, "prediction": network()}
    one, other = (masks[name].infection for name in pair.split(","))
    press(viewer, KEY_OF[plane])
    viewer.view(f"view.choosePair({pair!r})")
    wait_for(
        lambda: viewer.view("view.pairScores !== null"), what="the scores of the pair", seconds=20
    )
    wanted = compute_overlap_per_slice(one, other, axis=PLANE_AXIS[plane])["dice"]
    shown = viewer.view(f"view.pairScores.dice({plane!r}).map((d) => Number.isNaN(d) ? null : d)")
    np.testing.assert_allclose([math.nan if d is None else d for d in shown], wanted)
    off = np.array([-1.0 if math.isnan(d) else 1 - d for d in wanted])
    press(viewer, "w")
    first = viewer.view("view.sliceOf(view.place.plane)")
    assert off[first] == off.max()
    press(viewer, "w")
    again = viewer.view("view.sliceOf(view.place.plane)")
    assert again != first
    assert off[again] <= off[first]
    if not math.isnan(wanted[again]):
        assert f"Dice {wanted[again]:.2f} of" in viewer.strip().get_attribute("aria-valuetext")


def test_agreement_and_divider_show_the_chosen_pair(viewer: Page) -> None:
    viewer.view("view.choosePair('second,prediction')")
    viewer.view("view.setLook({ style: 'agreement' })")
    wait_for(lambda: "only by the second network" in viewer.legend(), what="the legend", seconds=20)
    viewer.view("view.setLook({ style: 'fill' })")
    press(viewer, "d")
    assert viewer.view("view.sources.map((one) => one.masks.join())") == ["second", "prediction"]
    press(viewer, "d")


def test_the_line_follows_each_stroke_and_undo(viewer: Page) -> None:
    press(viewer, "c")
    viewer.view("view.setPen({ channel: 'infection', tool: 'brush', free: true, size: 10 })")
    viewer.view("view.choosePair('prediction,corrected')")
    wait_for(
        lambda: viewer.view("view.pairScores !== null"), what="the scores of the pair", seconds=20
    )
    assert viewer.view("view.pairScores.dice('axial')[9]") == 1.0
    mouse(viewer, [(40.0, 60.0), (45.0, 60.0)])
    wait_for(
        lambda: viewer.view("view.edits.quiet && view.edits.revision === 1"),
        what="saved",
        seconds=20,
    )
    labels = np.array(viewer.view("Array.from(scan.labels)"), np.uint8)
    labels = labels.reshape(scan().shape, order="F")
    wanted = compute_overlap_per_slice((labels & 8) != 0, (labels & 32) != 0, axis=2)["dice"]
    assert viewer.view("view.pairScores.dice('axial')[9]") == pytest.approx(wanted[9])
    assert wanted[9] < 1
    viewer.view("view.ask({ edit: 'undo' })")
    wait_for(
        lambda: viewer.view("view.edits.quiet && view.edits.revision === 2"),
        what="undone",
        seconds=20,
    )
    assert viewer.view("view.pairScores.dice('axial')[9]") == 1.0
    viewer.view("view.setPen({ free: false })")
    press(viewer, "c")


# ---------------------------------------------------------------- marks


def told(page: Page, beginning: str) -> str:
    """The line in which Python tells of a mark."""
    lines = wait_for(
        lambda: [line for line in page.text.splitlines() if line.startswith(beginning)],
        what=beginning,
        seconds=20,
    )
    return str(lines[0])


def type_text(page: Page, *keys: str) -> None:
    """Keys to whatever has the focus."""
    from selenium.webdriver.common.action_chains import ActionChains

    ActionChains(page.browser).send_keys(*keys).perform()


def items(page: Page) -> list[dict[str, object]]:
    found: list[dict[str, object]] = page.view("view.measures")
    return found


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
def test_a_region_is_measured_alike_in_browser_and_python(viewer: Page, plane: str) -> None:
    press(viewer, KEY_OF[plane], "r")
    mouse(viewer, [(20.0, 5.0), (40.0, 15.0)])
    line = told(viewer, f"region {plane}")
    (kept,) = items(viewer)
    ends = tuple(map(tuple, kept["ends"]))
    index = kept["index"]
    found = measure_annotation(Annotation("region", plane, index, ends), scan())
    assert found.voxels > 50
    shown = viewer.value()
    minus = f"{found.mean_hu:.0f}".replace("-", "−")
    assert f"mean {minus} HU" in line
    assert f"{minus} ± {found.deviation_hu:.0f} HU" in shown
    assert f"{found.minimum_hu:.0f}".replace("-", "−") in shown
    press(viewer, "r", DELETE)
    wait_for(lambda: "region" not in viewer.text, what="no region", seconds=20)


def test_arrow_distance_and_note_are_placed_kept_and_deleted(viewer: Page) -> None:
    press(viewer, "v")
    mouse(viewer, [(10.0, 10.0), (30.0, 20.0)])
    assert told(viewer, "arrow") == "arrow axial 9:"
    press(viewer, "m")
    mouse(viewer, [(10.0, 40.0), (30.0, 40.0)])
    (a, b), (c, d) = items(viewer)[1]["ends"]
    length = math.hypot((c - a) * 2.0, (d - b) * 1.0)
    assert told(viewer, "distance") == f"distance axial 9:  {length:.1f} mm"
    press(viewer, "t")
    mouse(viewer, [(25.0, 60.0)])
    type_text(viewer, "new since Monday", ENTER)
    assert told(viewer, "note") == "note axial 9: new since Monday"
    assert [one["kind"] for one in items(viewer)] == ["arrow", "distance", "note"]
    viewer.click("Delete the first")
    wait_for(lambda: len(items(viewer)) == 2, what="two marks", seconds=20)
    mouse(viewer, [(35.0, 60.0)])
    type_text(viewer, "never mind", ESCAPE)
    assert len(items(viewer)) == 2, "a note that was given up is none"
    press(viewer, ESCAPE)
    assert not viewer.view("view.measuring")
    assert len(items(viewer)) == 2, "Escape ends the tool and removes nothing"
    press(viewer, DELETE)
    wait_for(lambda: "note axial" not in viewer.text, what="the note is gone", seconds=20)


def test_a_finger_places_a_distance_and_keys_place_an_arrow(viewer: Page) -> None:
    press(viewer, "m")
    show_picture(viewer)
    touch(viewer, *([on_screen(viewer, (column, 20.0))] for column in (10.0, 20.0, 30.0)))
    assert told(viewer, "distance axial 9")
    press(viewer, "v", ENTER)
    viewer.view("view.nudgeCross(pane, 6, 0)")
    press(viewer, ENTER)
    assert told(viewer, "arrow axial 9")
    assert items(viewer)[1]["ends"] == [[25.5, 40.5], [31.5, 40.5]]


def test_marks_are_moved_by_mouse_finger_and_keys_and_the_chosen_one_is_deleted(
    viewer: Page,
) -> None:
    press(viewer, "m")
    mouse(viewer, [(10.0, 40.0), (30.0, 40.0)])
    press(viewer, "r")
    mouse(viewer, [(35.0, 60.0), (45.0, 70.0)])
    press(viewer, "r")
    told(viewer, "region")
    before = [one["ends"] for one in items(viewer)]

    start, stop = mouse(viewer, [before[0][1], (25.0, 55.0)])
    moved_to = items(viewer)[0]["ends"]
    assert moved_to[0] == before[0][0], "the other end stays"
    wanted = [before[0][1][n] + stop[n] - start[n] for n in (0, 1)]
    assert moved_to[1] == pytest.approx(wanted)
    assert viewer.view("view.chosen === view.measures[0]")
    shown = math.hypot((moved_to[1][0] - moved_to[0][0]) * 2.0, moved_to[1][1] - moved_to[0][1])
    wait_for(lambda: f"distance axial 9:  {shown:.1f} mm" in viewer.text, what="mm", seconds=20)

    ((ax, ay), (bx, by)) = before[1]
    on_line = ((ax + bx) / 2, max(ay, by))
    show_picture(viewer)
    touch(viewer, *([on_screen(viewer, place)] for place in (on_line, on_line)))
    assert viewer.view("view.chosen === view.measures[1]"), "a tap chooses"
    away = [(on_line[0] + by_columns, on_line[1]) for by_columns in (0.0, 2.0, 5.0)]
    touch(viewer, *([on_screen(viewer, place)] for place in away))
    found = items(viewer)[1]["ends"]
    across = viewer.view("1 / pane.frame(pane.leading).perColumn")
    assert found[0][0] - ax == pytest.approx(5.0, abs=2 * across)
    assert found[1][0] - found[0][0] == pytest.approx(bx - ax), "it keeps its size"

    press(viewer, "q")
    assert viewer.view("view.chosen === view.measures[0]")
    kept = items(viewer)[0]["ends"]
    chosen_by_shift(viewer, "ArrowRight")
    assert items(viewer)[0]["ends"] == [[c + 1, r] for c, r in kept]
    viewer.view("view.nudgeMark(1000, 0)")
    assert max(column for column, _ in items(viewer)[0]["ends"]) == SHAPE[0], "not out of sight"
    press(viewer, DELETE)
    wait_for(lambda: "distance axial" not in viewer.text, what="it is gone", seconds=20)
    assert [one["kind"] for one in items(viewer)] == ["region"]


def chosen_by_shift(page: Page, key: str) -> None:
    """Shift and an arrow, on the picture."""
    page.js(
        "arguments[0].dispatchEvent(new KeyboardEvent('keydown',"
        " { key: arguments[1], shiftKey: true, bubbles: true, composed: true }))",
        page.canvas(),
        key,
    )


def test_what_is_no_mark_is_passed_over(viewer: Page) -> None:
    viewer.view(
        "view.tellAnnotations({ token: view.token, command: view.notebook.command,"
        " items: [{ kind: 'drawing' }] })"
    )
    press(viewer, "v")
    mouse(viewer, [(10.0, 10.0), (30.0, 20.0)])
    assert told(viewer, "arrow") == "arrow axial 9:"
