"""Quality in headless Chromium, with the demo and with a real scan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.measuring.quality.exclusions import Exclusion, read_exclusions
from tests.browser import DEMO, Chromium, Page, serve, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

STRIP = (
    "const strip = [...document.querySelectorAll('*')].map((e) => e.shadowRoot)"
    ".map((s) => s && s.querySelector('.slice-strip canvas')).find(Boolean)?.strip;"
)


def rows(page: Page) -> dict[str, list[int]]:
    """Cells of the strip by its rows, slices from 0."""
    wait_for(lambda: page.js(STRIP + "return Boolean(strip?.data);"), what="the strip")
    found: list[dict[str, Any]] = page.js(STRIP + "return strip.data.rows;")
    return {row["label"]: row["cells"] for row in found}


def click_slice(page: Page, index: int) -> None:
    """Presses the strip straight below where the slider of the picture has a slice."""
    script = STRIP + (
        "const {canvas, data} = strip; const r = canvas.getBoundingClientRect();"
        "const slider = [...document.querySelectorAll('*')].map((e) => e.shadowRoot)"
        ".map((s) => s && s.querySelector('canvas.strip')).find(Boolean).getBoundingClientRect();"
        "const x = slider.left + 8 + arguments[0] / (data.slices - 1) * (slider.width - 16);"
        "for (const kind of ['pointerdown', 'pointerup']) canvas.dispatchEvent(new PointerEvent("
        "kind, {clientX: x, clientY: r.top + 5, pointerId: 1, bubbles: true}));"
    )
    # A pointer that no hardware has cannot be captured.
    page.js(STRIP + "strip.canvas.setPointerCapture = () => {};")
    page.js(script, index)


def test_the_strip_leads_to_slices_and_the_list_comes_out(page: Page) -> None:
    page.open("/quality?case=demo&slice=25")
    page.wait_for_text("Findings in")
    assert DEMO in page.text
    assert "Slice 25: nothing found." in page.text
    empty = rows(page)["No lung"]
    assert empty[0] == 0
    assert empty[-1] == 47

    def leads_there() -> bool:
        # A strip that is drawn anew while it is pressed hears nothing.
        click_slice(page, 1)
        page.settle()
        return "Slice 2: 0 % of the body may be lung" in page.text.replace("\u2009", " ")

    wait_for(leads_there, what="slice 2")
    assert page.picture_slice() == 2
    page.settle()
    assert "slice=2" in page.browser.current_url
    page.js(STRIP + "strip.canvas.focus();")
    page.js(
        STRIP
        + "strip.canvas.dispatchEvent(new KeyboardEvent('keydown', {key: 'End', bubbles: true}));"
    )
    wait_for(lambda: page.picture_slice() == 48, what="the last slice")
    page.settle()
    page.click("Leave out slice 48")
    page.wait_for_text("Left out: slices 48.")
    assert rows(page)["Left out"] == [47]
    page.settle()
    page.click("List for training (JSON)")
    assert read_exclusions(page.downloaded("exclude.json")) == (Exclusion("demo", (47,)),)
    page.resize(400, 850)
    page.settle()
    assert page.js("return document.querySelector('[data-testid=stMain]').scrollWidth") <= 400


@pytest.mark.real_data
def test_all_cases_and_one_with_dark_slices(
    real_data: Path, chromium: Chromium, tmp_path: Path
) -> None:
    folder = real_data / "covid20"
    if not folder.is_dir():
        pytest.skip("the 20-case set is not among the real scans")
    data = tmp_path / "data"
    for kind in ("ct_scans", "lung_mask", "infection_mask"):
        (data / kind).mkdir(parents=True)
        for path in (folder / kind).glob("coronacases*00[36]*"):
            (data / kind / path.name).symlink_to(path)
    settings = {"LUNGLENS_DATA_FOLDER": str(data)}
    for server in serve("streamlit_app.py", tmp_path / "log.txt", settings):
        page = chromium.open_tab(server, tmp_path / "downloads")
        try:
            page.open("/quality?case=coronacases_org_003&slice=30")
            page.wait_for_text("Findings in")
            found = rows(page)
            assert {1, 2, 3, 28, 29, 30} <= set(found["Other brightness"])
            assert "Slice 30: tissue is" in page.text
            page.click("Check all cases")
            page.wait_for_text("slices of 2 cases hold no infection.")
            assert "By truth, 0 of 94 slices" in page.text
        finally:
            chromium.close_tab(page)
