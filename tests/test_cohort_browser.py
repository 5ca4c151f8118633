"""Cohort in headless Chromium: look, narrow down, take away, open a scan."""

from __future__ import annotations

import csv

import pytest

from tests.browser import Page, Server, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


@pytest.fixture(scope="session")
def server(data_server: Server) -> Server:
    return data_server


def test_a_batch_is_browsed_and_a_scan_opened(page: Page) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    page.open("/cohort")
    page.wait_for_text("3 of 3 scans")
    page.wait_for_text("20.0\u2009%")  # the median of 10 and 30
    page.wait_for_text("Failed scans")
    page.settle()
    page.click("These 3 rows")
    table = page.downloaded("cohort_selection.csv")
    assert [row["status"] for row in csv.DictReader(table.read_text().splitlines())] == [
        "done",
        "done",
        "failed",
    ]
    page.click("Done")
    page.wait_for_text("2 of 3 scans")
    page.settle()
    for width in (400, 1440):
        page.resize(width, 900)
        page.settle()
        assert page.js("return document.querySelector('[data-testid=stMain]').scrollWidth") <= width
    # The first row, below the head of the table.
    rows = wait_for(
        lambda: page.browser.find_elements("css selector", ".st-key-cohort-rows canvas"),
        what="the table",
    )[0]
    page.js("arguments[0].scrollIntoView({block: 'center'})", rows)
    below_middle = 70 - rows.size["height"] // 2
    ActionChains(page.browser).move_to_element_with_offset(rows, 0, below_middle).click().perform()
    page.wait_for_text("Open on View")
    page.settle()
    assert page.browser.find_elements("css selector", ".st-key-cohort-scan img")
    page.click("Open on View")
    wait_for(lambda: "/view" in page.browser.current_url, what="View")
    page.settle()
    assert page.picture_slice() == 5
    assert f"{1:012x}" in page.text
