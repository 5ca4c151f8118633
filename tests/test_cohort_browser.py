"""Cohort in headless Chromium: look, narrow down, take away, open a scan."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.output.saving import save_volume
from tests.studies import small_volume
from tests.test_browser import Page, serve, wait_for
from tests.test_cohort_page import failed, record, write_batch

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    data = tmp_path / "data"
    records = [record(1, share=0.1), record(2, share=0.3), failed(3)]
    write_batch(data / "results", records, scans=data)
    save_volume(small_volume(), data / f"{1:012x}.nii.gz")
    (tmp_path / "downloads").mkdir()
    running = serve("streamlit_app.py", tmp_path / "log.txt", data_folder=data)
    tab = Page(next(running), tmp_path / "downloads", tmp_path / "profile")
    yield tab
    tab.browser.quit()
    running.close()  # type: ignore[attr-defined]


def test_a_batch_is_looked_through_and_a_scan_opened(page: Page) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    page.open("/cohort")
    page.wait_for_text("3 of 3 scans")
    assert "20.0\u2009%" in page.text  # the median of 10 and 30
    assert "Failed scans" in page.text
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
    page.wait_for_text("Open in Browse")
    page.settle()
    assert page.browser.find_elements("css selector", ".st-key-cohort-scan img")
    page.click("Open in Browse")
    wait_for(lambda: "/browse" in page.browser.current_url, what="Browse")
    page.settle()
    assert page.picture_slice() == 5
    assert f"{1:012x}" in page.text
