"""Report in headless Chromium: made, looked at and downloaded with the demo."""

from __future__ import annotations

import io
import zipfile

import nibabel as nib
import numpy as np
import pypdfium2
import pytest

from tests.browser import Page, keep_screenshot, need_weights, wait_for
from tests.studies import DEMO_SHAPE

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


def test_a_report_is_made_shown_and_downloaded(page: Page) -> None:
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
    assert labels.shape == DEMO_SHAPE
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
