"""Enhance: settings reach the tuner, address and file, and the network answers.

What the browser computes is in test_tuner_browser.py; here the tuner is a stand-in that keeps what
it was given.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core.config import (
    ENHANCE_PRESETS,
    ENHANCE_RANGES,
    WINDOW_RANGES,
    EnhanceConfig,
    PreprocessConfig,
)
from core.preprocessing.model_input import window_slice, window_to_grey
from core.preprocessing.spatial import plan_spatial
from core.ui.jobs import NETWORK_QUEUE
from core.ui.preprocess.enhance import LIVE, build_config, flat_settings, tuned_slice
from core.ui.preprocess.settings_files import preprocess_code
from core.ui.preprocess.tuner import Reported
from core.ui.session import OpenStudy
from core.ui.viewer import Place
from tests.app_session import session_of
from tests.studies import small_study, small_volume, use_stand_in
from tests.test_pages import button, in_address, opened, page, ran_well


class StandInTuner:
    """Keeps what it was given last."""

    def __call__(self, tuned: Any, **given: Any) -> None:
        self.tuned = tuned
        self.given = given

    @property
    def answer(self) -> str:
        return str(self.given["answer"].text)

    def say(self, app: AppTest, *, slice_index: int | None = None, **values: Any) -> AppTest:
        """The hand lets go of a slider, and the page is drawn again."""
        index = self.tuned.index if slice_index is None else slice_index
        settings = {**self.given["settings"], **values}
        self.given["on_report"](Reported(self.given["seq"] + 1, index, settings))
        return ran_well(app.run())


@pytest.fixture(autouse=True)
def tuner(monkeypatch: pytest.MonkeyPatch) -> StandInTuner:
    use_stand_in(monkeypatch)
    tuner = StandInTuner()
    monkeypatch.setattr("core.ui.preprocess.enhance.show_tuner", tuner)
    return tuner


def enhance_page(study: Any = None, **params: str) -> AppTest:
    return ran_well(page("enhance", study or small_study(), **params).run())


def test_the_slice_is_that_of_the_networks_own_input() -> None:
    volume, config = small_volume(), PreprocessConfig()
    current = OpenStudy(study=small_study(), origin="case", link="x")
    current.place = Place(voxel=(0, 0, 3))
    tuned = tuned_slice(current, config)
    expected = window_slice(volume, plan_spatial(volume, config), config, 3)
    np.testing.assert_array_equal(window_to_grey(volume, tuned.values, config), expected)
    assert tuned.lung.shape == expected.shape
    assert (tuned.index, tuned.count, tuned.lung_source) == (3, 8, "truth")


def test_lung_is_found_by_its_air_where_nothing_is_marked(tuner: StandInTuner) -> None:
    enhance_page(small_study(truth=False))
    assert tuner.tuned.lung_source == "air inside the body"


def test_what_the_hand_has_set_goes_into_the_address(tuner: StandInTuner) -> None:
    app = enhance_page()
    app = tuner.say(app, method="clahe", clip_limit=3.5, window_width=900)
    assert in_address(app, "method") == "clahe"
    assert in_address(app, "clip_limit") == "3.5"
    assert in_address(app, "window_width") == "900"
    assert tuner.given["seq"] == 1
    app = tuner.say(app, slice_index=5)
    assert in_address(app, "slice") == "6"
    assert opened(app).place.voxel[2] == 5
    defaults = tuner.given["options"]["defaults"]
    app = tuner.say(app, **defaults)
    assert not set(LIVE) & set(app.query_params)


@pytest.mark.parametrize(
    "nonsense",
    [
        {"method": "retinex"},
        {"clip_limit": 1e9},
        {"tile_grid": "<b>"},
        {"gamma": None},
        {"window_width": -5},
    ],
    ids=str,
)
def test_nonsense_from_the_browser_changes_nothing(
    nonsense: dict[str, Any], tuner: StandInTuner
) -> None:
    app = enhance_page(method="gamma", gamma="0.5")
    before = dict(tuner.given["settings"])
    tuner.say(app, **nonsense)
    assert tuner.given["settings"] == before


@pytest.mark.parametrize("preset", ENHANCE_PRESETS, ids=lambda preset: preset.name)
def test_presets_hold_the_settings_that_they_use(preset: Any, tuner: StandInTuner) -> None:
    app = enhance_page()
    offered = {one["name"]: one for one in tuner.given["options"]["presets"]}
    tuner.say(app, **offered[preset.name]["settings"])
    assert tuner.given["settings"]["method"] == preset.config.method
    kept = tuner.given["settings"]
    used = {"clahe": ("clip_limit", "tile_grid"), "gamma": ("gamma",)}.get(preset.config.method, ())
    assert all(kept[name] == getattr(preset.config, name) for name in used)


def test_own_presets_are_kept_by_name(tuner: StandInTuner) -> None:
    app = tuner.say(enhance_page(), method="gamma", gamma=0.45, window_width=700)
    app.text_input[0].set_value("  Mine ")
    ran_well(button(app, "Save").click().run())
    mine = tuner.given["options"]["presets"][-1]
    assert mine["name"] == "Mine"
    assert mine["settings"] == {
        "method": "gamma",
        "gamma": 0.45,
        "window_center": PreprocessConfig().window_center,
        "window_width": 700,
    }


SETTINGS_OF = {
    "clahe": ("clip_limit", "tile_grid"),
    "gamma": ("gamma",),
    "unsharp": ("unsharp_radius", "unsharp_amount"),
    "window": ("window_center", "window_width"),
}
RANGES = {**ENHANCE_RANGES, **WINDOW_RANGES}


@pytest.mark.parametrize("method", SETTINGS_OF)
@pytest.mark.parametrize("end", ["low", "high"])
def test_extreme_settings_from_an_address(method: str, end: str, tuner: StandInTuner) -> None:
    extremes = {name: getattr(RANGES[name], end) for name in SETTINGS_OF[method]}
    app = enhance_page(method=method, **{name: f"{value:g}" for name, value in extremes.items()})
    assert not app.error
    assert {name: float(in_address(app, name)) for name in extremes} == extremes
    assert "area" in tuner.answer


@pytest.mark.parametrize(
    "params",
    [{"method": "retinex"}, {"clip_limit": "1e9"}, {"gamma": "nan"}, {"tile_grid": "<b>"}],
    ids=str,
)
def test_nonsense_in_an_address_gives_the_defaults(
    params: dict[str, str], tuner: StandInTuner
) -> None:
    app = enhance_page(**params)
    assert tuner.given["settings"]["method"] == "window"
    assert not set(params) & set(app.query_params)


def test_the_network_answers_with_dice_where_truth_is_known(tuner: StandInTuner) -> None:
    enhance_page()
    assert tuner.answer.startswith("Infection: Dice 0.")
    assert "→" not in tuner.answer
    # Under a window of bone, tissue is as dark as lung is to the stand-in.
    enhance_page(small_study(truth=False), window_center="1200", window_width="400")
    assert "Dice" not in tuner.answer
    assert "→" in tuner.answer
    assert {line.line for line in tuner.given["answer"].lines} == {"dashed", "solid"}


def test_areas_of_nominal_pixels_are_counted(tuner: StandInTuner) -> None:
    enhance_page(small_study(nominal=True))
    assert " pixels" in tuner.answer


def test_a_busy_network_is_told(monkeypatch: Any, tuner: StandInTuner) -> None:
    monkeypatch.setattr("core.ui.preprocess.trial._PATIENCE_SECONDS", 0.01)
    with NETWORK_QUEUE.turn():
        enhance_page()
        assert "busy with another run" in tuner.answer
    enhance_page()
    assert "area" in tuner.answer


def test_without_weights_everything_else_works(monkeypatch: Any, tuner: StandInTuner) -> None:
    monkeypatch.setattr("core.segmentation.list_weights", lambda *a: ())
    app = enhance_page()
    assert "No trained network is installed" in tuner.answer
    assert button(app, "Mark the whole scan with these settings").disabled


def test_the_whole_scan_is_marked_with_the_settings(tuner: StandInTuner) -> None:
    app = tuner.say(enhance_page(), method="gamma", gamma=0.45)
    button(app, "Mark the whole scan with these settings").click().run()
    session_of(app).network_run.job.join(30)
    run = session_of(app).network_run.take().result
    assert run.config.preprocess.enhance == EnhanceConfig("gamma", gamma=0.45)


def test_training_can_take_the_settings_over(tuner: StandInTuner) -> None:
    app = tuner.say(enhance_page(), method="gamma", gamma=0.45)
    button(app, "Use for training").click().run()
    assert session_of(app).tuned_preprocess.enhance == EnhanceConfig("gamma", gamma=0.45)


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


def test_the_settings_of_another_page_do_not_disturb(tuner: StandInTuner) -> None:
    enhance_page(plane="coronal", case="small", method="gamma", gamma="0.4")
    assert tuner.given["settings"]["method"] == "gamma"
    assert tuner.given["settings"]["gamma"] == 0.4
