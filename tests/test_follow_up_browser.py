"""The Follow-up page in a browser, with the generated follow-up."""

from __future__ import annotations

import csv
import json

import pytest

from tests.browser import DEMO, Page, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


def second(page: Page, expression: str) -> object:
    """A value of the second scan's source in the viewer."""
    return page.view(f"view.sources[1].{expression}")


def test_two_scans_step_together_and_their_changes_come_out(page: Page) -> None:
    page.open("/follow_up?case=demo&plane=axial&slice=20")
    assert DEMO in page.text
    page.click("Generate a follow-up")
    page.wait_for_text("What changed", seconds=300)
    page.settle()
    # Side by side: 48 slices of the first scan, 45 of the second laid on them by the lung.
    assert page.view("view.panes.length") == 2
    assert second(page, "scan.header.shape[2]") == 48
    assert second(page, "scan.header.numbers.of") == 45
    assert second(page, "header.stamp") == "SYNTHETIC"
    assert page.picture_slice() == 20
    page.wait_for_text("first scan is shown beside slice 18 of 45")
    # Both panes show the same slice after a step, without waiting for the server.
    page.canvas().send_keys("\ue015")
    wait_for(lambda: page.picture_slice() != 20, what="another slice")
    assert page.view("view.panes[1].canvas.dataset.slice") == str(page.picture_slice())
    page.wait_for_text(f"Axial slice {page.picture_slice()} of the first scan")
    page.settle()
    page.click("Changes (CSV)")
    stem = "Synthetic_demo_study_to_Synthetic_follow-up"
    rows = csv.DictReader(page.downloaded(f"{stem}.csv").read_text().splitlines())
    share = next(row for row in rows if row["key"] == "infected_share")
    assert float(share["relative_change"]) == pytest.approx(-0.6, abs=0.1)
    page.click("Changes (JSON)")
    record = json.loads(page.downloaded(f"{stem}.json").read_text())
    assert record["second"] == {"name": "Synthetic follow-up", "masks": "Truth", "synthetic": True}
    # What a figure means is said on focus, and nothing is wider than a phone.
    tip = "document.querySelector('.biomarkers .explained')"
    assert not page.js(f"return {tip}.querySelector('span').offsetHeight")
    page.js(f"{tip}.focus()")
    assert page.js(f"return {tip}.querySelector('span').offsetHeight") > 0
    page.resize(400, 850)
    page.settle()
    assert page.js("return document.querySelector('[data-testid=stMain]').scrollWidth") <= 400


def test_biomarkers_open_in_browse(page: Page) -> None:
    page.open("/view?case=demo&plane=axial&slice=40")
    assert "Zonal severity score" not in page.text
    page.js(
        "[...document.querySelectorAll('summary')]"
        ".find((one) => one.innerText.includes('Biomarkers')).click()"
    )
    page.wait_for_text("Zonal severity score, of 24")
    page.settle()
    assert "Right\tLeft\tBoth" in page.text
