"""Region of interest: boxes, savings and warnings as the page tells them."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core.config import ROI_RANGES, RoiConfig, to_json_dict
from core.preprocessing.roi import find_region
from core.ui.preprocess.settings_files import region_code
from core.volume import Study
from tests.spheres import GREY
from tests.studies import small_study, use_stand_in
from tests.test_pages import html_pieces, in_address, page, ran_well, texts
from tests.test_region import FIRST_LUNG, LAST_LUNG, chest, scan


@pytest.fixture(autouse=True)
def _stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    use_stand_in(monkeypatch)


def figures(app: AppTest, caption: str) -> dict[str, list[str]]:
    """Row name → cells of the table with that caption."""
    table = next(piece for piece in html_pieces(app) if f'aria-label="{caption}"' in piece)
    rows = re.findall(r'<tr><th scope="row">(.*?)</th>(.*?)</tr>', table)
    return {name: re.findall(r"<td.*?>(.*?)</td>", cells) for name, cells in rows}


def chest_study(hu: Any = None, **more: Any) -> Study:
    return Study(scan(chest()[0] if hu is None else hu, **more), case_id="chest")


def region_page(study: Study, **params: str) -> AppTest:
    return ran_well(page("region", study, **params).run())


def test_boxes_and_savings_are_those_of_the_region() -> None:
    study = chest_study()
    region = find_region(study.volume, RoiConfig("lungs", margin_mm=10.0))
    app = region_page(study, target="lungs", margin_mm="10", slice="20")
    i, j, k = region.box.shape
    shown = figures(app, "Sides of the boxes")
    assert shown["Right to left"][0] == f"{i} pixels, {2 * i}\u00a0mm"
    assert shown["Front to back"][0] == f"{j} pixels, {2 * j}\u00a0mm"
    assert shown["Feet to head"] == [f"{k} slices, {5 * k}\u00a0mm", "1 slice, 5\u00a0mm"]
    saved = figures(app, "What the region saves")
    assert saved["Slices"] == ["40", str(k)]
    assert saved["Network, predicted"] == ["1.2 s", f"{k * 0.03:.1f} s"]
    assert f"{100 * i * j * k / study.volume.array.size:.1f}" in texts(app)
    assert k == LAST_LUNG - FIRST_LUNG + 6


def test_areas_in_the_slice() -> None:
    shown = figures(region_page(chest_study(), slice="20"), "Areas in this slice")
    # Two ellipses of 45×60 mm half-axes are 169.6 cm², one of 140×95 mm is 417.8 cm².
    assert float(shown["Lung candidates"][0].split("\u00a0")[0]) == pytest.approx(169.6, rel=0.02)
    assert float(shown["Body"][0].split("\u00a0")[0]) == pytest.approx(417.8, rel=0.02)


def test_the_default_is_said_to_be_the_networks_box() -> None:
    same = "this is the box that the network's input is cropped to"
    assert same in texts(region_page(chest_study()))
    assert same not in texts(region_page(chest_study(), target="lungs"))


def test_what_stands_in_the_way_is_reported() -> None:
    hu, _, lungs = chest()
    hu[:80][lungs[:80]] = 30
    app = region_page(chest_study(hu), target="lungs")
    assert any("One lung holds hardly any air" in warning.value for warning in app.warning)
    assert "100.0\u2009% of the voxels are kept" in texts(app)


def test_grey_values_and_nominal_sizes_give_neither_hu_nor_mm() -> None:
    grey = np.clip(np.rint((chest()[0] + 1250.0) * 255 / 1500), 0, 255).astype(np.uint8)
    app = region_page(chest_study(grey, intensity=GREY, spacing_nominal=True), slice="20")
    figure = app.get("plotly_chart")[0].proto.spec
    # Not any HU: arrays are told in letters and may spell it by chance.
    assert '"HU"' not in figure
    assert " HU" not in figure
    assert "Grey value of the file" in figure
    assert all("mm" not in cell for cell in figures(app, "Sides of the boxes")["Right to left"])
    assert all("pixels" in cell for cell in figures(app, "Areas in this slice")["Body"])


def extremes(end: str) -> dict[str, Any]:
    return {name: getattr(allowed, end) for name, allowed in ROI_RANGES.items()}


@pytest.mark.parametrize("end", ["low", "high"])
def test_extreme_settings(end: str) -> None:
    told = {name: f"{value:g}" for name, value in extremes(end).items()}
    app = region_page(chest_study(), method="multi-otsu", scope="slice", target="lungs", **told)
    assert not app.error
    for name, text in told.items():
        assert text == f"{getattr(RoiConfig(), name):g}" or in_address(app, name) == text


@pytest.mark.parametrize("method", ["otsu", "multi-otsu"])
@pytest.mark.parametrize("scope", ["volume", "slice"])
@pytest.mark.parametrize("end", ["low", "high"])
def test_extreme_settings_give_a_box_around_both_lungs(method: Any, scope: Any, end: str) -> None:
    hu, _, lungs = chest()
    volume = scan(hu)
    for name, value in extremes(end).items():
        config = replace(RoiConfig("lungs", method, scope), **{name: type_of(name)(value)})
        region = find_region(volume, config)
        assert not region.findings
        box = region.box.in_slice
        assert lungs[box.i_start : box.i_stop, box.j_start : box.j_stop].sum() == lungs.sum()
        assert region.box.k_start <= FIRST_LUNG < LAST_LUNG <= region.box.k_stop


def type_of(name: str) -> type:
    """int or float, as the setting is kept."""
    return type(getattr(RoiConfig(), name))


def test_all_slices_are_kept_on_request() -> None:
    app = region_page(chest_study(), leave_out_slices="false")
    assert figures(app, "What the region saves")["Slices"] == ["40", "40"]
    app = ran_well(app.toggle(key="region-leave_out_slices").set_value(True).run())
    assert figures(app, "What the region saves")["Slices"] == ["40", "26"]


@pytest.mark.parametrize("params", [{"target": "liver"}, {"margin_mm": "-5"}, {"classes": "99"}])
def test_nonsense_in_an_address_gives_the_defaults(params: dict[str, str]) -> None:
    app = region_page(chest_study(), **params)
    assert not set(params) & set(app.query_params)


def test_one_picture() -> None:
    study = small_study(truth=False)
    volume = replace(study.volume, array=np.asfortranarray(study.volume.array[:, :, 3:4]))
    app = region_page(replace(study, volume=volume))
    assert figures(app, "What the region saves")["Slices"] == ["1", "1"]


def load_file(app: AppTest, content: bytes) -> AppTest:
    app.file_uploader[-1].upload("region.json", content, "application/json")
    return ran_well(app.run())


def test_settings_go_into_a_file_and_back() -> None:
    config = RoiConfig(target="lungs", method="multi-otsu", classes=4, margin_mm=11.0)
    told = {"target": "lungs", "method": "multi-otsu", "classes": "4", "margin_mm": "11"}
    app = region_page(chest_study(), **told)
    built: dict[str, Any] = {}
    exec(region_code(config).split("region =")[0], built)
    assert built["config"] == config
    assert app.code[0].value == region_code(config)
    written = json.dumps({"region": to_json_dict(config)}).encode()
    fresh = load_file(region_page(chest_study()), written)
    assert fresh.code[0].value == region_code(config)
    assert {name: in_address(fresh, name) for name in told} == told


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff\xfe no", "region settings cannot be read"),
        (b'{"region": {"margin_mm": Infinity}}', "is not a number"),
        (b'{"region": {"target": "<b>liver"}}', "target is not understood"),
        (b'{"crop": "body"}', "no such setting"),
        (b"[]", "cannot be read"),
    ],
)
def test_a_file_that_makes_no_sense_changes_nothing(content: bytes, said: str) -> None:
    app = load_file(region_page(chest_study(), margin_mm="9"), content)
    assert any(said in item.value for item in app.error)
    assert app.code[0].value == region_code(RoiConfig(margin_mm=9.0))
