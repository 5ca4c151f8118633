"""Quality as the page tells it: findings, thresholds, what is left out, all cases."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core.config import QUALITY_RANGES, QualityConfig
from core.measuring.quality import CHECKS
from core.measuring.quality.exclusions import parse_exclusions
from core.output.saving import save_mask, save_volume
from core.segmentation.pipeline import segment_volume
from core.ui.quality.leaving_out import LeftOut
from core.ui.quality.survey import Survey
from core.ui.scan.scan_check import ScanCheck
from core.volume import MaskPair, Study
from tests import damage
from tests.app_session import session_of
from tests.studies import StandInSegmenter, demo_study, small_study, small_truth, small_volume
from tests.test_pages import button, in_address, opened, page, ran_well, texts
from tests.test_quality import middle_of


@pytest.fixture(scope="module")
def demo() -> Study:
    study = demo_study((128, 128, 48))
    return replace(study, volume=middle_of(study.volume), truth=None)


@pytest.fixture(autouse=True)
def _no_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LUNGLENS_DATA_FOLDER", raising=False)


def quality_page(study: Study, **params: str) -> AppTest:
    return finished(page("quality", study, **params).run())


def finished(app: AppTest) -> AppTest:
    """Waits for measuring under way, and draws the page again."""
    for kind in (ScanCheck, Survey):
        job = session_of(app).part(kind).slot.job
        if job is not None:
            job.join(60)
    return ran_well(app.run())


def table_of(app: AppTest, number: int = 0) -> dict[str, list[Any]]:
    return app.dataframe[number].value.to_dict(orient="list")


def text(app: AppTest) -> str:
    return texts(app)


def test_findings_are_reported_for_the_slice_that_is_shown_and_listed_for_all(demo: Study) -> None:
    noisy = replace(demo, volume=damage.noisy(demo.volume, (4, 5)))
    limits = {"min_body_pixels": "60", "max_pixel_mm": "4", "max_slice_distance_mm": "9"}
    app = quality_page(noisy, slice="6", min_sharpness="0", max_stripes="1", **limits)
    told = text(app)
    assert "Slice 6: noise is" in told.replace("\\", "")
    assert "in 2 of 12 slices" in told
    table = table_of(app)
    assert table["Slice"] == [5, 6]
    assert table["What"] == ["Noise", "Noise"]
    assert set(table["Limit"]) == {"10\u2009%"}
    clean = quality_page(noisy, slice="1", min_sharpness="0", max_stripes="1", **limits)
    assert "Slice 1: nothing found." in text(clean)


def test_findings_of_the_whole_scan_stand_with_every_slice(demo: Study) -> None:
    app = quality_page(demo, max_pixel_mm="1.5", slice="1")
    assert "Scan: pixels are 2.96 mm wide, more than 1.5 mm" in text(app).replace("\\", "")


@pytest.mark.parametrize("side", ["truth", "prediction"])
def test_no_lung_is_not_found_where_lung_is_outlined(side: str) -> None:
    study = small_study(truth=False)
    water = replace(study, volume=replace(study.volume, array=np.zeros_like(study.volume.array)))
    lung = np.zeros(water.volume.shape, bool)
    lung[10:20, 10:20, 2:5] = True
    pair = MaskPair(lung, None)
    app = page("quality", replace(water, truth=pair) if side == "truth" else water)
    if side == "prediction":
        found = segment_volume(water.volume, StandInSegmenter())  # type: ignore[arg-type]
        opened(app).set_segmentation(replace(found, masks=pair))
    rows = table_of(finished(app.run()))
    without = [k for k, what in zip(rows["Slice"], rows["What"], strict=True) if what == "No lung"]
    # Slices 3 to 5 of 8, counted from 1, are outlined.
    assert without == [1, 2, 6, 7, 8]


def test_moving_a_threshold_updates_findings_and_address(demo: Study) -> None:
    app = quality_page(demo)
    slider = next(s for s in app.slider if s.label.startswith("No lung"))
    slider.set_value(1.0)
    ran_well(app.run())
    assert in_address(app, "min_lung") == "1"
    assert table_of(app)["What"].count("No lung") == 12
    button(app, "Reset").click()
    ran_well(app.run())
    assert "min_lung" not in app.query_params


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_every_threshold_has_a_slider_with_help_and_takes_its_extremes(check: Any) -> None:
    app = quality_page(small_study())
    allowed = QUALITY_RANGES[check.setting]
    slider = next(s for s in app.slider if s.label.startswith(f"{check.label}, at "))
    assert slider.help == check.help
    assert slider.value == getattr(QualityConfig(), check.setting)
    for extreme in (allowed.low, allowed.high):
        next(s for s in app.slider if s.label == slider.label).set_value(
            type(slider.value)(extreme)
        )
        ran_well(app.run())
        assert not app.error


def test_addresses_that_make_no_sense_give_the_defaults() -> None:
    app = quality_page(small_study(), max_noise="7", min_lung="x")
    assert {s.value for s in app.slider if s.label.startswith("Noise")} == {0.1}


def test_nominal_spacing_and_missing_positions_are_said_to_be_undefined() -> None:
    told = text(quality_page(small_study(nominal=True)))
    assert "Coarse pixels: not defined, the file does not give the voxel size." in told
    assert "Gap: not defined, the file does not give the position of each slice." in told


def test_slices_without_infection_are_counted() -> None:
    assert "By truth: 5 of 8 slices." in text(quality_page(small_study()))
    assert "Not known" in text(quality_page(small_study(truth=False)))


def test_what_the_slice_head_takes_for_empty_is_counted() -> None:
    app = quality_page(small_study())
    current = opened(app)
    current.segmentation = segment_volume(current.study.volume, StandInSegmenter())
    assert "slice head" not in text(finished(ran_well(app.run())))
    presence = np.array([[255] * 8, [0, 10, 127, 128, 200, 255, 40, 130]], dtype=np.uint8)
    current.segmentation = replace(current.segmentation, presence=presence)
    assert "By the slice head: 4 of 8 slices." in text(finished(ran_well(app.run())))


def test_slices_are_left_out_and_taken_back() -> None:
    app = quality_page(small_study(), slice="3")
    button(app, "Leave out slice 3").click()
    ran_well(app.run())
    assert "Left out: slices 3." in text(app)
    button(app, "Include slice 3 again").click()
    ran_well(app.run())
    assert "Nothing yet." in text(app)
    button(app, "Leave out slices with findings").click()
    ran_well(app.run())
    assert "- small: slices 1–8" in text(app)
    button(app, "Include the scan again").click()
    ran_well(app.run())
    button(app, "Leave out the scan").click()
    ran_well(app.run())
    assert "The whole scan is left out." in text(app)
    assert "- small: all slices" in text(app)
    button(app, "Include everything again").click()
    ran_well(app.run())
    assert "Nothing yet." in text(app)


def test_marks_make_the_list_that_training_takes() -> None:
    marks = LeftOut()
    marks.set_slices("b", (4, 1), out=True)
    marks.set_slices("b", (4, 7), out=True)
    marks.set_slices("b", (1,), out=False)
    marks.set_case("a", out=True)
    marks.set_slices("a", (0,), out=False)  # a case that is out as a whole stays out
    marks.set_slices("c", (), out=True)
    told = [exclusion.to_json_dict() for exclusion in marks.exclusions]
    assert told == [
        {"case_id": "a", "slices": "all"},
        {"case_id": "b", "slices": [5, 8]},
    ]
    record = json.loads(json.dumps({"slices_count_from": 1, "exclude": told}))
    assert parse_exclusions(record, name="x") == marks.exclusions
    marks.set_case("a", out=False)
    marks.set_slices("b", (4, 7), out=False)
    assert marks.exclusions == ()


# ---------------------------------------------------------------- all cases


@pytest.fixture
def cases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with two cases, one of them with a prediction."""
    volume, truth = small_volume(), small_truth()
    assert truth.infection is not None
    for number in (1, 2):
        save_volume(volume, tmp_path / "ct_scans" / f"case_{number}.nii.gz")
        save_mask(truth.infection, volume, tmp_path / "infection_mask" / f"case_{number}.nii.gz")
    none = np.zeros_like(truth.infection)
    save_mask(none, volume, tmp_path / "results" / "case_2" / "infection_mask.nii.gz")
    monkeypatch.setenv("LUNGLENS_DATA_FOLDER", str(tmp_path))
    return tmp_path


def test_all_cases_have_a_row_each_and_totals(cases: Path) -> None:
    app = quality_page(small_study())
    next(t for t in app.text_input if t.label == "Folder of predictions").set_value("results")
    button(app, "Check all cases").click()
    app = finished(ran_well(app.run()))
    table = table_of(app, 1)
    assert table["Case"] == ["case_1", "case_2"]
    assert table["Slices"] == ["8", "8"]
    assert table["No infection (truth)"] == ["5", "5"]
    assert table["No infection (prediction)"] == ["not known", "8"]
    assert all("Few pixels 8" in found for found in table["Found"])
    told = text(app)
    assert "By truth, **10 of 16** slices of 2 cases hold no infection." in told
    assert "By prediction, **8 of 8** slices of 1 case hold no infection." in told


def test_predictions_outside_the_data_folder_are_refused(cases: Path) -> None:
    app = quality_page(small_study())
    next(t for t in app.text_input if t.label == "Folder of predictions").set_value("../..")
    button(app, "Check all cases").click()
    ran_well(app.run())
    assert "Nothing to open there" in app.error[0].value


def test_without_a_data_folder_there_is_no_table_of_cases() -> None:
    assert "All cases" not in text(quality_page(small_study()))
