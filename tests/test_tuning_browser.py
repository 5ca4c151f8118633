"""Enhance and Region of interest in headless Chromium, with the demo and with a real scan."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from core.config import EnhanceConfig, PreprocessConfig, from_json_dict
from tests.browser import DEMO, Page, wait_for
from tests.test_tuner_browser import press

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


def drawn(page: Page) -> str:
    """The first picture of the page, as its browser has drawn it."""
    return str(page.js(page._part("canvas") + "return part ? part.toDataURL() : '';"))


def test_enhance_with_the_demo(page: Page, tmp_path: Path) -> None:
    page.open("/preprocess?case=demo&slice=24")
    assert DEMO in page.text
    before = drawn(page)
    press(page, "Strong CLAHE")
    wait_for(lambda: "clip_limit=7" in page.browser.current_url, what="the address")
    page.settle()
    wait_for(lambda: drawn(page) != before, what="another picture")
    assert "BidiComponent Error" not in page.text
    page.click("Export settings")
    page.click("Settings (JSON)")
    exported = json.loads(page.downloaded("preprocess.json").read_text())
    config = from_json_dict(PreprocessConfig, exported["preprocess"])
    assert config.enhance == EnhanceConfig("clahe", clip_limit=7.0, tile_grid=8)
    press(page, "Reset")
    wait_for(lambda: "clip_limit" not in page.browser.current_url, what="the address")
    page.settle()
    if not page.browser.find_elements("css selector", "input[type=file]"):
        page.click("Export settings")
        page.settle()
    page.upload(page.downloads / "preprocess.json")
    wait_for(lambda: "clip_limit=7" in page.browser.current_url, what="the loaded settings")
    page.settle()
    page.browser.refresh()
    page.settle()
    assert "clip_limit=7" in page.browser.current_url
    # The grey scale of a scan is its own, also where Preprocess was opened first.
    page.go_to("View", "Browse")
    page.canvas()
    assert page.view("[view.look.center, view.look.width]") == [-600, 1500]
    page.go_to("Preprocess", "Enhance")
    broken = tmp_path / "broken.json"
    broken.write_text('{"preprocess": {"enhance": {"clip_limit": 1000}}}')
    page.click("Export settings")
    page.upload(broken)
    page.wait_for_text("clip_limit is out of range")
    page.resize(400, 850)
    page.settle()
    assert page.js("return document.querySelector('[data-testid=stMain]').scrollWidth") <= 400


@pytest.mark.real_data
def test_both_pages_with_a_real_scan(page: Page, real_data: Path) -> None:
    path = real_data / "covid20" / "ct_scans" / "coronacases_org_001.nii.gz"
    page.open()
    page.upload(path)
    page.wait_for_text("Opened: coronacases_org_001")
    page.settle()
    page.go_to("Preprocess", "Enhance")
    press(page, "Fine edges")
    wait_for(lambda: "method=unsharp" in page.browser.current_url, what="the address")
    page.settle()
    page.go_to("Preprocess", "Region of interest")
    page.wait_for_text("What it saves")
    page.click("Lungs")
    wait_for(lambda: "target=lungs" in page.browser.current_url, what="the address")
    page.settle()
    page.click("Cropped scan (NIfTI)")
    cropped = nib.load(page.downloaded("coronacases_org_001_cropped.nii.gz"))
    whole = nib.load(path)
    values, inside = np.asanyarray(whole.dataobj), np.asanyarray(cropped.dataobj)
    assert inside.size < 0.5 * values.size
    start = np.linalg.inv(whole.affine) @ cropped.affine[:, 3]
    i, j, k = np.rint(start[:3]).astype(int)
    a, b, c = inside.shape
    # The file keeps 8 bits with a slope, the cropped one what they stand for.
    np.testing.assert_allclose(inside, values[i : i + a, j : j + b, k : k + c], atol=0.01)


def test_region_with_the_demo(page: Page) -> None:
    page.open("/preprocess?part=region&case=demo&slice=24")
    assert DEMO in page.text
    page.wait_for_text("tissue above")
    kept = [page.text.split(" of the voxels are kept")[0].rsplit(maxsplit=2)[-2]]
    page.click("Lungs")
    wait_for(lambda: "target=lungs" in page.browser.current_url, what="the address")
    page.settle()
    kept.append(page.text.split(" of the voxels are kept")[0].rsplit(maxsplit=2)[-2])
    assert float(kept[1]) < float(kept[0]) < 70
    assert "BidiComponent Error" not in page.text
    for plane in ("Coronal", "Sagittal"):
        page.js(
            page._part(".lunglens")
            + f"[...part.querySelectorAll('button')].find((b) => b.innerText === '{plane}').click()"
        )
        wait_for(lambda plane=plane: plane.lower() in page.picture_name(), what=plane)
        page.settle()
    page.resize(400, 850)
    page.settle()
    assert page.js("return document.querySelector('[data-testid=stMain]').scrollWidth") <= 400
