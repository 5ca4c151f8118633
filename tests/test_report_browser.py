"""Report in headless Chromium: made, looked at and downloaded with the demo."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pypdfium2
import pytest

from tests.test_browser import Page, need_weights, serve, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    yield from serve("streamlit_app.py", tmp_path_factory.mktemp("server") / "log.txt")


@pytest.fixture
def page(server: str, tmp_path: Path) -> Iterator[Page]:
    (tmp_path / "downloads").mkdir()
    tab = Page(server, tmp_path / "downloads", tmp_path / "profile")
    yield tab
    tab.browser.quit()


def keep_screenshot(page: Page, name: str) -> None:
    """For a person to look at, where a folder is named for it."""
    folder = os.environ.get("LUNGLENS_SCREENSHOTS")
    if folder:
        page.browser.save_screenshot(str(Path(folder) / f"{name}.png"))


def test_a_report_is_made_shown_and_taken_away(page: Page) -> None:
    need_weights()
    page.open("/report?case=demo")
    page.wait_for_text("nothing to report yet")
    keep_screenshot(page, "report-before")
    page.click("Mark lung and infection")
    page.wait_for_text("Make the report")
    page.click("Make the report")
    page.wait_for_text("Page 2 of 2")
    page.settle()
    shown = "[...document.images].filter((i) => i.naturalWidth > 1000).length"
    wait_for(lambda: page.js(f"return {shown};") == 2, what="both pages")
    keep_screenshot(page, "report-wide")
    page.click("Report (PDF)")
    document = pypdfium2.PdfDocument(page.downloaded("lunglens_report.pdf").read_bytes())
    text = "\n".join(leaf.get_textpage().get_text_range() for leaf in document)
    assert len(document) == 2
    assert "SYNTHETIC" in text
    page.click("Label map (NIfTI)")
    labels = np.asanyarray(nib.load(page.downloaded("lunglens_label_map.nii.gz")).dataobj)
    assert labels.shape == (512, 512, 96)
    assert set(np.unique(labels)) == {0, 1, 2}
    page.click("Pack everything (zip)")
    page.wait_for_text("Everything (zip, ")
    page.settle()
    page.click("Everything (zip, ")
    packed = page.downloaded("lunglens.zip").read_bytes()
    assert "report.html" in zipfile.ZipFile(io.BytesIO(packed)).namelist()
    page.resize(400, 900)
    page.settle()
    assert page.js("return document.documentElement.scrollWidth") <= 400
    # On a phone the buttons come before the pages.
    top = "arguments[0].getBoundingClientRect().top"
    (button,) = page.buttons("Report (PDF)")
    image = page.browser.find_element("css selector", "[data-testid=stImage] img")
    assert page.js(f"return {top}", button) < page.js(f"return {top}", image)
    keep_screenshot(page, "report-narrow")
