"""Correcting in the app itself: the page follows each stroke, and a reload loses none."""

from __future__ import annotations

import signal
from itertools import cycle
from pathlib import Path

import pytest

from tests.browser import (
    Chromium,
    Page,
    Server,
    chord,
    keep_screenshot,
    mouse,
    on_screen,
    press,
    serve,
    show_picture,
    wait_for,
)
from tests.test_correct_browser import saved
from tests.training_data import CASES, write_training_folder

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def server(data_server: Server) -> Server:
    return data_server


def ready(page: Page) -> None:
    page.canvas()
    wait_for(lambda: page.view("scan.complete && scan.counts !== null"), what="scan and masks")


def test_figures_follow_a_stroke_and_a_reload_keeps_it(page: Page) -> None:
    page.open(f"/view?case={CASES[0]}&plane=axial&slice=2")
    ready(page)
    assert "Corrected" not in page.text
    press(page, "c")
    assert page.view("view.correcting")
    press(page, "x")
    mouse(page, [(20.0, 20.0), (30.0, 20.0)])
    saved(page, 1)
    shown = page.value()
    assert shown.startswith("Lung: ")
    page.wait_for_text("Corrected", seconds=30)
    assert page.view("view.correcting"), "the page was drawn anew, and the mode stays"
    drawn = page.view("scan.counts.correctedLung")
    assert drawn > 0
    page.open(f"/view?case={CASES[0]}&plane=axial&slice=2")
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
    page.open(f"/view?case={CASES[1]}&plane=axial&slice=2")
    ready(page)
    press(page, "c")
    page.view("view.setPen({ channel: 'infection', free: true })")
    mouse(page, [(20.0, 20.0), (30.0, 25.0)])
    saved(page, 1)
    page.view("view.setPen({ free: false })")
    keep_screenshot(page, "correct_small")
    page.go_to("Home")
    ready(page)
    press(page, "c")
    wait_for(lambda: "/view" in page.browser.current_url, what="View", seconds=30)
    ready(page)
    wait_for(lambda: page.view("view.correcting"), what="correcting on View", seconds=30)
    press(page, "c")
    page.settle()
    assert not page.view("view.correcting"), "it is begun once for each time it is asked for"
    page.go_to("Home")
    page.go_to("View", "Segment")
    page.wait_for_text("The masks were drawn by hand (1 step)", seconds=30)
    ready(page)
    assert "Infection, corrected" in page.legend()
    page.click("Infection mask (NIfTI)")
    path = page.downloaded(f"{CASES[1]}_infection_mask_corrected.nii.gz")
    import nibabel as nib

    image = nib.load(path)
    assert image.header["descrip"].item() == b"LungLens mask, drawn by hand"
    assert image.get_fdata().sum() == page.view(
        "scan.counts.corrected.axial.reduce((sum, one) => sum + one, 0)"
    )
    page.go_to("View", "Browse")
    ready(page)
    press(page, "c")
    chord(page, "z")
    saved(page, 2)
    press(page, "c")


def test_a_server_killed_while_somebody_draws_loses_the_stroke_in_hand_alone(
    chromium: Chromium, tmp_path: Path
) -> None:
    data = write_training_folder(tmp_path / "data")
    settings = {
        "LUNGLENS_DATA_FOLDER": str(data),
        "LUNGLENS_PROJECTS_FOLDER": str(tmp_path / "projects"),
    }
    address = f"/view?case={CASES[0]}&plane=axial&slice=2"
    first = serve("streamlit_app.py", tmp_path / "first.txt", settings)
    server = next(first)
    page = chromium.open_tab(server, tmp_path / "downloads")
    page.open(address)
    ready(page)
    press(page, "c")
    page.view("view.setPen({ channel: 'infection', free: true })")
    for number, row in enumerate((10.0, 20.0, 30.0), 1):
        mouse(page, [(15.0, row), (30.0, row)])
        saved(page, number)
    drawn = page.view("Array.from(scan.counts.corrected.coronal)")
    show_picture(page)
    x, y = on_screen(page, (40.0, 25.0))
    kind = {"button": "left", "pointerType": "mouse", "clickCount": 1}
    for what, down in (("mousePressed", 0), ("mouseMoved", 20)):
        page.browser.execute_cdp_cmd(
            "Input.dispatchMouseEvent", {"type": what, "x": x, "y": y + down, "buttons": 1, **kind}
        )
    assert server.process is not None
    server.process.send_signal(signal.SIGKILL)
    server.process.wait(20)
    chromium.close_tab(page)
    first.close()

    second = serve("streamlit_app.py", tmp_path / "second.txt", settings)
    page = chromium.open_tab(next(second), tmp_path / "downloads")
    page.open(address)
    ready(page)
    assert "Restored 3 steps of earlier corrections of this scan." in page.text
    wait_for(lambda: page.view("scan.edits.holds"), what="the corrected masks", seconds=30)
    assert page.view("Array.from(scan.counts.corrected.coronal)") == drawn
    press(page, "c")
    for number in (4, 5, 6):
        chord(page, "z")
        saved(page, number)
    assert not any(page.view("Array.from(scan.counts.corrected.coronal)"))
    page.view("view.setPen({ free: false })")
    chromium.close_tab(page)
    second.close()


def test_a_second_tab_cannot_draw_until_the_first_has_gone(
    chromium: Chromium, tmp_path: Path
) -> None:
    from selenium.webdriver.common.keys import Keys

    data = write_training_folder(tmp_path / "data")
    settings = {
        "LUNGLENS_DATA_FOLDER": str(data),
        "LUNGLENS_PROJECTS_FOLDER": str(tmp_path / "projects"),
        "LUNGLENS_KEEP_SESSION_SECONDS": "1",
    }
    address = f"/view?case={CASES[0]}&plane=axial&slice=2"
    serving = serve("streamlit_app.py", tmp_path / "log.txt", settings)
    server = next(serving)
    first = chromium.open_tab(server, tmp_path / "downloads")
    first_tab = first.browser.current_window_handle
    first.open(address)
    ready(first)
    press(first, "c")
    first.view("view.setPen({ channel: 'infection', free: true })")
    mouse(first, [(15.0, 10.0), (30.0, 10.0)])
    saved(first, 1)
    drawn = first.view("Array.from(scan.counts.corrected.coronal)")

    second = chromium.open_tab(server, tmp_path / "downloads")
    second.open(address)
    ready(second)
    second.wait_for_text("is being corrected in another tab", seconds=30)
    wait_for(lambda: second.view("scan.edits.holds"), what="the corrected masks", seconds=30)
    assert second.view("Array.from(scan.counts.corrected.coronal)") == drawn
    press(second, "c")
    assert not second.view("Boolean(view.correcting)")
    press(second, "r")
    assert not second.view("Boolean(view.measuring)"), "nor can anything be placed"
    second_tab = second.browser.current_window_handle
    second.browser.switch_to.window(first_tab)
    second.browser.close()
    second.browser.switch_to.window(second_tab)
    arrows = cycle((Keys.ARROW_UP, Keys.ARROW_DOWN))

    def free_after_a_step() -> bool:
        press(second, next(arrows))
        second.settle()
        return "this scan can be corrected here now" in second.text

    wait_for(free_after_a_step, what="the end of the first tab's session", seconds=30)
    assert "is being corrected in another tab" not in second.text
    wait_for(lambda: second.view("view.edits.ready && view.canCorrect"), what="masks", seconds=30)
    press(second, "c")
    assert second.view("view.correcting")
    chord(second, "z")
    wait_for(
        lambda: not any(second.view("Array.from(scan.counts.corrected.coronal)")),
        what="undone",
        seconds=30,
    )
    second.view("view.setPen({ free: false })")
    chromium.close_tab(second)
    serving.close()


def test_an_uploaded_scan_that_is_kept_is_there_after_a_restart(
    chromium: Chromium, small_chest: Path, tmp_path: Path
) -> None:
    settings = {"LUNGLENS_PROJECTS_FOLDER": str(tmp_path / "projects")}
    data = write_training_folder(tmp_path / "data")
    settings["LUNGLENS_DATA_FOLDER"] = str(data)
    serving = serve("streamlit_app.py", tmp_path / "first.txt", settings)
    page = chromium.open_tab(next(serving), tmp_path / "downloads")
    page.open(f"/?case={CASES[0]}")
    page.upload(small_chest)
    page.wait_for_text("Opened: small_chest", seconds=30)
    page.settle()
    label = page.js(
        "return [...document.querySelectorAll('label')]"
        ".find((e) => e.innerText.includes('Keep this scan on this machine'))"
    )
    page.js("arguments[0].scrollIntoView({block: 'center'})", label)
    label.click()
    wait_for(lambda: "case=project-" in page.browser.current_url, what="its link", seconds=60)
    address = page.browser.current_url.split("?", 1)[1]
    page.settle()
    chromium.close_tab(page)
    serving.close()

    serving = serve("streamlit_app.py", tmp_path / "second.txt", settings)
    page = chromium.open_tab(next(serving), tmp_path / "downloads")
    page.open(f"/view?{address}")
    ready_scan(page)
    assert "small_chest" in page.text
    assert page.view("[scan.columns, scan.rows, scan.slices]") == [48, 40, 8]
    chromium.close_tab(page)
    serving.close()


def ready_scan(page: Page) -> None:
    page.canvas()
    wait_for(lambda: page.view("scan.complete"), what="the scan", seconds=60)
