"""Enhance: settings move pictures, figures, address and file, and the network answers."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core.config import (
    ENHANCE_PRESETS,
    ENHANCE_RANGES,
    ROI_RANGES,
    WINDOW_RANGES,
    EnhanceConfig,
    PreprocessConfig,
)
from core.preprocessing.enhancement import compute_contrast, compute_histogram, enhance
from core.preprocessing.model_input import window_slice
from core.preprocessing.spatial import plan_spatial
from core.ui.jobs import NETWORK_QUEUE
from core.ui.preprocess.enhance import build_config, flat_settings
from core.ui.preprocess.settings_files import preprocess_code
from tests.studies import small_study, small_volume, use_stand_in
from tests.test_pages import button, html_pieces, in_address, page, ran_well, texts


@pytest.fixture(autouse=True)
def _stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    use_stand_in(monkeypatch)


def enhance_page(study: Any = None, **params: str) -> AppTest:
    return ran_well(page("enhance", study or small_study(), **params).run())


def slider(app: AppTest, label: str) -> Any:
    return next(found for found in app.slider if found.label == label)


def method(app: AppTest, chosen: str) -> AppTest:
    return ran_well(app.segmented_control(key="enhance-method").set_value(chosen).run())


def figures(app: AppTest, caption: str) -> dict[str, list[str]]:
    """Row name → cells of the table with that caption."""
    table = next(piece for piece in html_pieces(app) if f'aria-label="{caption}"' in piece)
    rows = re.findall(r'<tr><th scope="row">(.*?)</th>(.*?)</tr>', table)
    return {name: re.findall(r"<td.*?>(.*?)</td>", cells) for name, cells in rows}


def test_values_are_those_of_the_networks_own_input() -> None:
    app = method(enhance_page(slice="4"), "clahe")
    volume, config = small_volume(), PreprocessConfig(enhance=EnhanceConfig("clahe"))
    before = window_slice(volume, plan_spatial(volume, config), config, 3)
    shown = figures(app, "Contrast before and after")
    for at, grey in enumerate((before, enhance(before, config.enhance))):
        contrast = compute_contrast(compute_histogram(grey))
        assert shown["Mean"][at] == f"{contrast.mean:.1f}"
        assert shown["Entropy, bits"][at] == f"{contrast.entropy_bits:.2f}"
        assert shown["RMS contrast"][at] == f"{contrast.rms_contrast:.3f}"
    assert shown["Mean"][0] != shown["Mean"][1]


@pytest.mark.parametrize("where", ["Whole picture", "Lung only"])
@pytest.mark.parametrize("scale", ["Linear", "Logarithmic"])
def test_histograms_can_be_counted_in_every_way(where: str, scale: str) -> None:
    app = enhance_page(small_study(truth=False))
    app.segmented_control(key="enhance-where").set_value(where)
    app.segmented_control(key="enhance-scale").set_value(scale)
    app = ran_well(app.toggle(key="enhance-cumulative").set_value(True).run())
    assert ("Lung: air inside the body" in texts(app)) == (where == "Lung only")


@pytest.mark.parametrize("preset", ENHANCE_PRESETS, ids=lambda preset: preset.name)
def test_presets_and_reset(preset: Any) -> None:
    app = enhance_page(window_width="500")
    app = ran_well(button(app, preset.name).click().run())
    assert preset.config.method == app.segmented_control(key="enhance-method").value
    assert in_address(app, "window_width") == "500"
    app = ran_well(button(app, "Reset").click().run())
    assert app.segmented_control(key="enhance-method").value == "window"
    assert "window_width" not in app.query_params


SETTINGS_OF = {
    "clahe": ("clip_limit", "tile_grid"),
    "gamma": ("gamma",),
    "unsharp": ("unsharp_radius", "unsharp_amount"),
    "equalize": ("margin_mm",),
    "window": ("window_center", "window_width"),
}
RANGES = {**ENHANCE_RANGES, **WINDOW_RANGES, "margin_mm": ROI_RANGES["margin_mm"]}


@pytest.mark.parametrize("method", SETTINGS_OF)
@pytest.mark.parametrize("end", ["low", "high"])
def test_extreme_settings_from_an_address(method: str, end: str) -> None:
    extremes = {name: getattr(RANGES[name], end) for name in SETTINGS_OF[method]}
    app = enhance_page(method=method, **{name: f"{value:g}" for name, value in extremes.items()})
    assert not app.error
    assert {name: float(in_address(app, name)) for name in extremes} == extremes
    assert "The network took" in texts(app)


@pytest.mark.parametrize(
    "params",
    [{"method": "retinex"}, {"clip_limit": "1e9"}, {"gamma": "nan"}, {"tile_grid": "<b>"}],
    ids=str,
)
def test_nonsense_in_an_address_gives_the_defaults(params: dict[str, str]) -> None:
    app = enhance_page(**params)
    assert app.segmented_control(key="enhance-method").value == "window"
    assert not set(params) & set(app.query_params)


@pytest.mark.parametrize("params", [{"window_width": "20000"}, {"window_center": "-9000"}], ids=str)
def test_windows_beyond_the_sliders_are_drawn(params: dict[str, str]) -> None:
    app = enhance_page(**params)
    assert app.selectbox[0].value == "Custom"


def test_the_network_answers_with_dice_where_truth_is_known() -> None:
    caption = "What the network marks with default and with tuned settings"
    shown = figures(enhance_page(), caption)
    assert shown["Dice, default"] == shown["Dice, tuned"]
    assert all(float(cell) > 0 for cell in shown["Dice, default"])
    assert shown["Changed"] == ["0.0\u00a0cm²", "0.0\u00a0cm²"]
    # Under a window of bone, tissue is as dark as lung is to the stand-in.
    app = enhance_page(small_study(truth=False), window_center="1200", window_width="400")
    shown = figures(app, caption)
    assert shown["Dice, tuned"] == ["no truth", "no truth"]
    assert shown["Changed"][0] != "0.0\u00a0cm²"


def test_areas_of_nominal_pixels_are_counted() -> None:
    app = enhance_page(small_study(nominal=True))
    shown = figures(app, "What the network marks with default and with tuned settings")
    assert all(cell.endswith(" pixels") for cell in shown["Area, default"])


def test_a_busy_network_is_reported(monkeypatch: Any) -> None:
    monkeypatch.setattr("core.ui.preprocess.trial._PATIENCE_SECONDS", 0.01)
    with NETWORK_QUEUE.turn():
        assert "busy with another run" in texts(enhance_page())
    assert "The network took" in texts(enhance_page())


def test_without_weights_everything_else_works(monkeypatch: Any) -> None:
    monkeypatch.setattr("core.segmentation.list_weights", lambda *a: ())
    app = enhance_page()
    assert "No trained network is installed" in texts(app)
    assert figures(app, "Contrast before and after")["Mean"]


def test_settings_go_into_a_file_and_back() -> None:
    base = PreprocessConfig(smooth_sigma=0.7)
    values = {**flat_settings(base), "method": "gamma", "gamma": 0.4, "crop": "none"}
    config = build_config(values, base)
    assert config == PreprocessConfig(
        smooth_sigma=0.7, crop="none", enhance=EnhanceConfig("gamma", gamma=0.4)
    )
    built: dict[str, Any] = {}
    exec(preprocess_code(config), built)
    assert built["preprocess"] == config


def test_the_settings_of_another_page_do_not_disturb() -> None:
    app = enhance_page(plane="coronal", case="small", method="gamma", gamma="0.4")
    assert app.segmented_control(key="enhance-method").value == "gamma"
    assert slider(app, "Gamma").value == 0.4


def test_one_slice_needs_no_slider() -> None:
    study = small_study(truth=False)
    one = study.volume.array[:, :, 3:4]
    volume = replace(study.volume, array=np.asfortranarray(one))
    app = enhance_page(replace(study, volume=volume))
    assert all(found.label != "Axial slice" for found in app.slider)
