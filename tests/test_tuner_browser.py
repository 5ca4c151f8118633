"""Contrast in the browser: every pixel as OpenCV computes it, and a page that follows the hand."""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from dataclasses import asdict, replace
from itertools import product
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from core.config import EnhanceConfig, PreprocessConfig
from core.loading import open_study
from core.preprocessing.enhancement import enhance
from core.preprocessing.model_input import window_to_grey
from tests.browser import Page, keep_screenshot, need_weights, wait_for
from tests.studies import demo_study, small_volume

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

SCRIPTS = Path(__file__).resolve().parent.parent / "core" / "ui" / "preprocess" / "tuner"
GREY = (SCRIPTS / "grey.js").read_text(encoding="utf-8")
BYTES = "const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));"

METHODS = [
    EnhanceConfig("equalize"),
    *(EnhanceConfig("gamma", gamma=gamma) for gamma in (0.2, 0.7, 1.0, 2.2, 5.0)),
    *(
        EnhanceConfig("clahe", clip_limit=limit, tile_grid=grid)
        for limit in (0.5, 1.0, 2.0, 3.7, 40.0)
        for grid in (1, 2, 7, 8, 32)
    ),
    *(
        EnhanceConfig("unsharp", unsharp_radius=radius, unsharp_amount=amount)
        for radius in (0.5, 1.5, 3.5, 4.0, 7.5, 8.0, 20.0)
        for amount in (0.0, 1.0, 5.0)
    ),
]


def in_browser(page: Page, script: str, *arguments: Any) -> Any:
    return page.js(BYTES + GREY + script, *arguments)


def text_of(array: np.ndarray) -> str:
    return b64encode(np.ascontiguousarray(array).tobytes()).decode()


def enhanced_in_browser(page: Page, grey: np.ndarray, config: EnhanceConfig) -> np.ndarray:
    script = (
        "const [text, rows, columns, settings] = arguments;"
        "const out = new Uint8Array(rows * columns);"
        "enhanced(bytes(text), rows, columns, settings, out);"
        "return btoa(Array.from(out, (one) => String.fromCharCode(one)).join(''));"
    )
    packed = in_browser(page, script, text_of(grey), *grey.shape, asdict(config))
    return np.frombuffer(b64decode(packed), np.uint8).reshape(grey.shape)


def pictures() -> dict[str, np.ndarray]:
    """Slices of the generated chest and what could trouble an algorithm."""
    rng = np.random.default_rng(0)
    config = PreprocessConfig()
    volume = demo_study().volume
    chest = window_to_grey(volume, volume.array[:, :, 24].T, config)
    assert chest.shape == (256, 256)
    return {
        "chest": chest,
        "odd sizes": chest[50:151, 30:117],
        "one row": chest[128:129, 50:127],
        "one column": chest[100:131, 128:129],
        "one pixel": chest[128:129, 128:129],
        "noise": rng.integers(0, 256, (65, 97)).astype(np.uint8),
        "one grey": np.full((40, 30), 77, np.uint8),
    }


@pytest.mark.parametrize("method", ["equalize", "gamma", "clahe", "unsharp"])
def test_every_pixel_is_that_of_opencv(page: Page, method: str) -> None:
    page.browser.get("about:blank")
    tried = [config for config in METHODS if config.method == method]
    assert tried
    for config, (name, grey) in product(tried, pictures().items()):
        expected = enhance(grey, config).astype(int)
        found = enhanced_in_browser(page, grey, config).astype(int)
        assert np.abs(found - expected).max() <= 1, (name, config)


@pytest.mark.real_data
def test_every_pixel_of_real_slices_is_that_of_opencv(page: Page, real_data: Path) -> None:
    page.browser.get("about:blank")
    for case in ("coronacases_org_001", "radiopaedia_org_covid-19-pneumonia-10_85902_1-dcm"):
        path = real_data / "covid20" / "ct_scans" / f"{case}.nii.gz"
        if not path.is_file():
            pytest.skip(f"{path.name} is not there")
        volume = open_study(path).volume
        middle = volume.array[:, :, volume.shape[2] // 2].T
        grey = window_to_grey(volume, middle, PreprocessConfig())
        for picture in (grey, grey[3:, : grey.shape[1] - 6]):
            for config in METHODS[::4]:
                expected = enhance(picture, config).astype(int)
                found = enhanced_in_browser(page, picture, config).astype(int)
                assert np.abs(found - expected).max() <= 1, (case, config)


@pytest.mark.parametrize("kind", ["int16", "uint8", "float32"])
def test_the_window_is_that_of_python(page: Page, kind: str) -> None:
    page.browser.get("about:blank")
    rng = np.random.default_rng(1)
    volume = small_volume(grey=kind == "uint8")
    values = (
        rng.integers(0, 256, (50, 60)) if kind == "uint8" else rng.uniform(-2000, 3000, (50, 60))
    )
    values = values.astype(kind)
    names = {"int16": "Int16Array", "uint8": "Uint8Array", "float32": "Float32Array"}
    for center, width in ((-500.0, 1500.0), (40.0, 333.0), (-600.0, 10.0), (1234.5, 4999.0)):
        config = replace(PreprocessConfig(), window_center=center, window_width=width)
        script = (
            "const [text, scale, settings] = arguments;"
            f"const values = new {names[kind]}(bytes(text).buffer);"
            "return [...windowed(values, scale, settings, new Uint8Array(values.length))];"
        )
        scale = {"slope": volume.intensity.slope, "intercept": volume.intensity.intercept}
        settings = {"window_center": center, "window_width": width}
        found = in_browser(page, script, text_of(values), scale, settings)
        expected = window_to_grey(volume, values, config)
        np.testing.assert_array_equal(np.array(found).reshape(values.shape), expected)


def test_figures_of_contrast_are_those_of_numpy(page: Page) -> None:
    page.browser.get("about:blank")
    charts = (SCRIPTS / "charts.js").read_text(encoding="utf-8")
    for name, grey in pictures().items():
        script = charts + "return contrastOf(histogram(bytes(arguments[0])));"
        found = in_browser(page, script, text_of(grey))
        share = np.bincount(grey.ravel(), minlength=256) / grey.size
        there = share[share > 0]
        expected = {
            "mean": grey.mean(),
            "deviation": grey.std(),
            "entropy": -(there * np.log2(there)).sum(),
            "rms": grey.std() / 255,
            "black": (grey == 0).mean(),
            "white": (grey == 255).mean(),
        }
        for figure, value in expected.items():
            assert found[figure] == pytest.approx(value, abs=1e-9), (name, figure)
    nothing = in_browser(page, charts + "return contrastOf(new Uint32Array(256));")
    assert nothing is None


def test_the_lung_alone_is_counted_where_it_is_asked_for(page: Page) -> None:
    page.browser.get("about:blank")
    rng = np.random.default_rng(2)
    grey = rng.integers(0, 256, (31, 47)).astype(np.uint8)
    mask = rng.integers(0, 2, grey.shape).astype(np.uint8)
    script = "return [...histogram(bytes(arguments[0]), bytes(arguments[1]))];"
    found = in_browser(page, script, text_of(grey), text_of(mask))
    np.testing.assert_array_equal(found, np.bincount(grey[mask > 0], minlength=256))


# ---------------------------------------------------------------- on the page


def tuner(page: Page, expression: str) -> Any:
    return page.js(page._part(".tuner") + f"const tuner = part.tuner; return {expression};")


def drag(page: Page, label: str, positions: list[int]) -> None:
    """Moves a slider as a hand does, without letting go."""
    script = page._part(f'input[type=range][aria-label="{label}"]') + (
        "for (const at of arguments[0]) { part.value = at;"
        " part.dispatchEvent(new Event('input', { bubbles: true })); }"
    )
    page.js(script, positions)


def let_go(page: Page, label: str) -> None:
    page.js(
        page._part(f'input[type=range][aria-label="{label}"]')
        + "part.dispatchEvent(new Event('change', { bubbles: true }));"
    )


def test_the_picture_follows_a_drag_and_python_gets_the_value_on_release(page: Page) -> None:
    need_weights()
    page.open("/preprocess?case=demo&slice=24&method=clahe")
    wait_for(lambda: "Dice" in tuner(page, "tuner.answer.textContent"), what="the network's answer")
    address = page.browser.current_url
    before = tuner(page, "[...tuner.after.slice(0, 5000)]")
    entropy = tuner(page, "tuner.table.rows[1].children[3].textContent")
    chart = tuner(page, "tuner.histograms.canvas.toDataURL()")
    drag(page, "Clip limit", [150, 200, 250, 300])
    wait_for(lambda: tuner(page, "!tuner.frame"), what="the last frame")
    settings = tuner(page, "tuner.settings")
    # In the middle of the scale of logarithms lie the limits that are used most.
    assert settings["clip_limit"] == pytest.approx(0.5 * 80 ** (300 / 400), abs=0.06)
    assert tuner(page, "[...tuner.after.slice(0, 5000)]") != before
    assert tuner(page, "tuner.table.rows[1].children[3].textContent") != entropy
    assert tuner(page, "tuner.histograms.canvas.toDataURL()") != chart
    assert page.browser.current_url == address, "Python has not heard of it yet"
    let_go(page, "Clip limit")
    wait_for(lambda: "clip_limit=" in page.browser.current_url, what="the address")
    wait_for(lambda: " → " in tuner(page, "tuner.answer.textContent"), what="another answer")
    assert re.search(
        r"Infection: Dice 0\.\d+ → 0\.\d+, area [\d.]+ → [\d.]+",
        tuner(page, "tuner.answer.textContent"),
    )
    assert tuner(page, "tuner.view.header.lines.length") > 0
    page.settle()
    assert tuner(page, "tuner.settings") == settings
    keep_screenshot(page, "enhance")


def test_what_is_shown_is_what_the_network_gets(page: Page) -> None:
    page.open("/preprocess?case=demo&slice=24&method=clahe&clip_limit=4&tile_grid=5")
    wait_for(lambda: tuner(page, "Boolean(tuner.settings)"), what="the tuner")
    script = "btoa(Array.from(tuner.after, (one) => String.fromCharCode(one)).join(''))"
    after = np.frombuffer(b64decode(tuner(page, script)), np.uint8)
    before = np.frombuffer(b64decode(tuner(page, script.replace("after", "before"))), np.uint8)
    rows, columns = tuner(page, "[tuner.rows, tuner.columns]")
    clahe = cv2.createCLAHE(clipLimit=4, tileGridSize=(5, 5))
    expected = clahe.apply(before.reshape(rows, columns)).astype(int)
    assert np.abs(after.reshape(rows, columns).astype(int) - expected).max() <= 1


def press(page: Page, text: str) -> None:
    script = "[...part.querySelectorAll('button')].find((b) => b.textContent === arguments[0])"
    wait_for(lambda: page.js(page._part(".tuner") + "return Boolean(part)"), what="the tuner")
    page.js(page._part(".tuner") + script + ".click()", text)


def test_presets_are_marked_kept_by_name_and_reset(page: Page) -> None:
    page.open("/preprocess?case=demo&slice=24")
    pressed = (
        "[...part.querySelectorAll('.panel > .group:first-child button')]"
        ".filter((b) => b.getAttribute('aria-pressed') === 'true').map((b) => b.textContent)"
    )
    wait_for(lambda: tuner(page, pressed) == ["Plain window"], what="the preset in use")
    press(page, "Strong CLAHE")
    assert tuner(page, pressed) == ["Strong CLAHE"]
    wait_for(lambda: "clip_limit=7" in page.browser.current_url, what="the address")
    page.settle()
    drag(page, "Tile grid", [13])
    wait_for(lambda: tuner(page, pressed) == [], what="no preset")
    let_go(page, "Tile grid")
    wait_for(lambda: "tile_grid=13" in page.browser.current_url, what="the address")
    page.settle()
    page.click("Save as preset")
    field = wait_for(
        lambda: page.browser.find_elements("css selector", "[data-testid=stForm] input"),
        what="form",
    )[0]
    field.send_keys("Mine")
    page.browser.find_element("css selector", "[data-testid=stFormSubmitButton] button").click()
    wait_for(lambda: tuner(page, pressed) == ["Mine"], what="the person's own preset")
    press(page, "Reset")
    wait_for(lambda: "clip_limit" not in page.browser.current_url, what="the address")
    assert tuner(page, "tuner.settings.method") == "window"


def test_before_and_after_share_zoom_and_keep_it_when_they_change(page: Page) -> None:
    page.open("/preprocess?case=demo&slice=24&method=clahe")
    page.canvas().send_keys("b")
    wait_for(lambda: page.view("view.panes.length") == 2, what="two panes")
    page.canvas().send_keys("++")
    zoom = page.view("view.zoomOf('axial').factor")
    assert zoom > 1
    assert page.view("view.panes[0].scale") == page.view("view.panes[1].scale")
    assert page.view("view.panes[1].toPicture(10, 10)") == page.view(
        "view.panes[0].toPicture(10, 10)"
    )
    before = page.view("Array.from(view.panes, (one) => one.canvas.toDataURL())")
    assert before[0] != before[1]
    press(page, "Strong CLAHE")
    wait_for(lambda: "clip_limit=7" in page.browser.current_url, what="the address")
    page.settle()
    after = page.view("Array.from(view.panes, (one) => one.canvas.toDataURL())")
    assert after[1] != before[1]
    assert page.view("view.zoomOf('axial').factor") == zoom
    page.canvas().send_keys("0b")
    wait_for(lambda: page.view("view.panes.length") == 1, what="one pane")


def test_all_that_is_in_use_is_in_sight_and_a_phone_has_the_slider_below_the_picture(
    page: Page,
) -> None:
    page.open("/preprocess?case=demo&slice=24&method=clahe")
    page.settle()
    bottoms = tuner(
        page,
        "[part.querySelector('.stage'), part.querySelector('.contrast'),"
        " part.querySelector('.answer')].map((one) => one.getBoundingClientRect().bottom)",
    )
    assert max(bottoms) <= 900
    page.resize(400, 850)
    page.settle()
    stage, slider = tuner(
        page,
        "[part.querySelector('.stage'), part.querySelector('.settings')]"
        ".map((one) => one.getBoundingClientRect().top)",
    )
    assert slider > stage
    assert page.js("return document.querySelector('[data-testid=stMain]').scrollWidth") <= 400


def test_the_settings_mark_the_whole_scan(page: Page) -> None:
    need_weights()
    page.open("/preprocess?case=demo&slice=24&method=gamma&gamma=0.8")
    page.click("Mark the whole scan with these settings")
    page.wait_for_text("of the lung is infected")
    assert "/view" in page.browser.current_url
    page.settle()
    page.go_to("View", "Segment")
    page.click("Measurements (JSON)")
    told = json.loads(page.downloaded("Synthetic_demo_study_metrics.json").read_text())
    assert '"gamma": 0.8' in json.dumps(told)
