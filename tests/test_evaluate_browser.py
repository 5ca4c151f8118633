"""Evaluate in headless Chromium, with the demo."""

from __future__ import annotations

import csv

import pytest

from core.segmentation.weights import list_weights
from tests.browser import DEMO, Page, need_weights, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


def test_the_demo_is_evaluated_viewed_and_downloaded(page: Page) -> None:
    need_weights()
    page.open("/evaluate?case=demo")
    assert DEMO in page.text
    page.click("Evaluate the open scan")
    page.wait_for_text("Case by case")
    page.settle()
    page.click("Cases (CSV)")
    table = page.downloaded(f"evaluation_{list_weights()[0].weights_id}.csv")
    (row,) = csv.DictReader(table.read_text().splitlines())
    assert row["case_id"] == DEMO
    assert float(row["lung_dice"]) > 0.9
    page.click("Slices")
    page.wait_for_text("slices of this case")
    page.settle()
    # The worst slice at first, what is right and wrong in it in colours, and the next by a click.
    assert page.view("view.style") == "agreement"
    first = page.picture_slice()
    pictures = page.browser.find_elements("css selector", ".st-key-evaluation-gallery img")
    buttons = page.browser.find_elements("css selector", ".st-key-evaluation-gallery button")
    captions = [one for one in buttons if one.text]
    assert len(pictures) == len(captions) > 1
    assert captions[0].text.endswith(f" {first}")
    page.js("arguments[0].scrollIntoView({block: 'center'})", captions[1])
    captions[1].click()
    wait_for(lambda: page.picture_slice() != first, what="another slice")
    page.settle()
    page.click("Threshold")
    page.wait_for_text("Highest mean Dice")
    page.settle()
    assert len(page.browser.find_elements("css selector", ".js-plotly-plot")) == 2
    for view in ("Cases", "Slices", "Threshold", "Infected share"):
        page.resize(400, 850)
        page.click(view)
        page.settle()
        assert page.js("return document.querySelector('[data-testid=stMain]').scrollWidth") <= 400
