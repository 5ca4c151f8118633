"""Classify in headless Chromium: a real run on a picture of a chest, its heat, its files."""

from __future__ import annotations

import csv
import json

import pytest

from core.classification import find_classifier
from core.errors import WeightsError
from tests.browser import Page, keep_screenshot, need_weights, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


def need_classifier() -> None:
    need_weights()
    try:
        find_classifier()
    except WeightsError:
        pytest.skip("no classifier is installed")


def test_a_scan_is_classified_its_heat_map_shown_and_its_files_downloaded(page: Page) -> None:
    need_classifier()
    page.open("/view?part=classify&case=demo&slice=25")
    page.wait_for_text("is meaningless")
    page.click("Classify this scan")
    page.wait_for_text("Not a diagnosis.", seconds=300)
    page.settle()
    assert "What the model has not seen" in page.text
    keep_screenshot(page, "classify-wide")
    # The heat of every classified slice is in the browser, and drawn over the picture.
    slices = [int(k) for k in page.view("Object.keys(view.header.heat.slices)")]
    wait_for(lambda: page.view("scan.complete"), what="all slices")
    most_suspicious = _first_thumbnail(page)
    page.click(most_suspicious)
    at = int(most_suspicious.split(" ")[0]) - 1
    wait_for(lambda: page.picture_slice() - 1 == at, what="the most suspicious slice")
    page.settle()
    assert at in slices
    drawn = page.picture()
    toggle = page.browser.find_element("css selector", ".st-key-classify-heat-on label")
    page.js("arguments[0].scrollIntoView({block: 'center'})", toggle)
    toggle.click()
    wait_for(lambda: page.view("view.header.heat === null"), what="no heat")
    page.settle()
    assert page.picture_slice() - 1 == at
    assert page.picture() != drawn
    page.click("Verdict (JSON)")
    record = json.loads(page.downloaded("Synthetic_demo_study_verdict.json").read_text())
    assert record["synthetic"] is True
    assert [one["slice"] - 1 for one in record["slices"]] == slices
    page.click("Scores (CSV)")
    text = page.downloaded("Synthetic_demo_study_scores.csv").read_text()
    (row,) = csv.DictReader(text.splitlines())
    assert float(row["covid_probability"]) == pytest.approx(record["covid_probability"], abs=1e-6)
    page.resize(400, 900)
    page.settle()
    assert page.js("return document.querySelector('[data-testid=stMain]').scrollWidth") <= 400
    keep_screenshot(page, "classify-narrow")


def _first_thumbnail(page: Page) -> str:
    button = page.browser.find_element(
        "css selector", ".st-key-classify-thumbnails .stButton button"
    )
    return str(button.text)
