"""Correcting in the app itself: the page follows each stroke, and a reload loses none."""

from __future__ import annotations

import time

import pytest

from tests.browser import Page, Server, keep_screenshot, wait_for
from tests.test_correct_browser import chord, mouse, press, saved
from tests.training_data import CASES

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def server(data_server: Server) -> Server:
    return data_server


def ready(page: Page) -> None:
    page.canvas()
    wait_for(lambda: page.view("scan.complete && scan.counts !== null"), what="scan and masks")


def test_figures_follow_a_stroke_and_a_reload_keeps_it(page: Page) -> None:
    page.open(f"/browse?case={CASES[0]}&plane=axial&slice=2")
    ready(page)
    assert "Corrected" not in page.text
    press(page, "c")
    assert page.view("view.correcting")
    press(page, "x")
    mouse(page, [(20.0, 20.0), (30.0, 20.0)])
    saved(page, 1)
    told = page.value()
    assert told.startswith("Lung: ")
    page.wait_for_text("Corrected", seconds=30)
    assert page.view("view.correcting"), "the page was drawn anew, and the mode stays"
    drawn = page.view("scan.counts.correctedLung")
    assert drawn > 0
    page.open(f"/browse?case={CASES[0]}&plane=axial&slice=2")
    ready(page)
    wait_for(lambda: page.view("scan.edits.holds"), what="the corrected masks", seconds=30)
    assert page.view("scan.counts.correctedLung") == drawn
    assert "Lung, corrected" in page.legend()
    press(page, "c")
    chord(page, "z")
    saved(page, 2)
    assert page.view("scan.counts.correctedLung") == 0
    press(page, "x", "c")


def test_other_pages_show_what_was_drawn_and_hand_it_out(page: Page) -> None:
    page.open(f"/browse?case={CASES[1]}&plane=axial&slice=2")
    ready(page)
    press(page, "c")
    page.view("view.setPen({ channel: 'infection', free: true })")
    mouse(page, [(20.0, 20.0), (30.0, 25.0)])
    saved(page, 1)
    page.view("view.setPen({ free: false })")
    keep_screenshot(page, "correct_small")
    page.go_to("Segment")
    page.wait_for_text("The masks were drawn by hand (1 step)", seconds=30)
    ready(page)
    assert "Infection, corrected" in page.legend()
    press(page, "c")
    time.sleep(0.3)
    assert not page.view("Boolean(view.correcting)"), "a small picture is to look at"
    page.click("Infection mask (NIfTI)")
    path = page.downloaded(f"{CASES[1]}_infection_mask_corrected.nii.gz")
    import nibabel as nib

    image = nib.load(path)
    assert image.header["descrip"].item() == b"LungLens mask, drawn by hand"
    assert image.get_fdata().sum() == page.view(
        "scan.counts.corrected.axial.reduce((sum, one) => sum + one, 0)"
    )
    page.go_to("Browse")
    ready(page)
    press(page, "c")
    chord(page, "z")
    saved(page, 2)
    press(page, "c")
