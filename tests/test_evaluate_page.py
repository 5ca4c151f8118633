"""Evaluate as the page tells it: nothing to compare, not run, stopped, done; case by case."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core.output.saving import save_mask, save_volume
from core.ui.evaluate.question import Evaluations
from core.ui.evaluate.worst_slices import Gallery
from core.ui.jobs import NETWORK_QUEUE
from tests.app_session import session_of
from tests.studies import StandInInfo, StandInSegmenter, small_study, small_truth, small_volume
from tests.test_pages import button, opened, page, ran_well, texts


@dataclass(frozen=True)
class EvaluatedInfo(StandInInfo):
    """The stand-in with a split: it was trained on case_2."""

    sha256: str = "first"
    manifest: dict[str, Any] = field(
        default_factory=lambda: {"split": {"train": {"patients": ["case_2"]}}}
    )


FIRST = EvaluatedInfo()
SECOND = EvaluatedInfo(
    weights_id="second", title="Second network", is_default=False, sha256="second"
)


class Marksman(StandInSegmenter):
    """Marks as the stand-in does, and can be told which network it is."""

    def __init__(self, info: EvaluatedInfo) -> None:
        super().__init__()
        self.info, self.weights_id = info, info.weights_id  # type: ignore[misc]


@pytest.fixture(autouse=True)
def networks(monkeypatch: pytest.MonkeyPatch) -> list[EvaluatedInfo]:
    """What is installed; a test may add to it."""
    installed = [FIRST]
    monkeypatch.delenv("LUNGLENS_DATA_FOLDER", raising=False)
    monkeypatch.setattr("core.segmentation.list_weights", lambda *a: tuple(installed))
    monkeypatch.setattr(
        "core.segmentation.load_segmenter",
        lambda weights_id=None: Marksman(SECOND if weights_id == "second" else FIRST),
    )
    return installed


@pytest.fixture
def cases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with two cases; the network learned from the second."""
    volume, truth = small_volume(), small_truth()
    assert truth.infection is not None
    assert truth.lung is not None
    for number in (1, 2):
        save_volume(volume, tmp_path / "ct_scans" / f"case_{number}.nii.gz")
        save_mask(truth.infection, volume, tmp_path / "infection_mask" / f"case_{number}.nii.gz")
        save_mask(truth.lung, volume, tmp_path / "lung_mask" / f"case_{number}.nii.gz")
    monkeypatch.setenv("LUNGLENS_DATA_FOLDER", str(tmp_path))
    return tmp_path


def finished(app: AppTest) -> AppTest:
    """Waits for an evaluation under way, and draws the page again."""
    session_of(app).part(Evaluations).slot.job.join(60)
    return ran_well(app.run())


def evaluated(app: AppTest) -> AppTest:
    next(b for b in app.button if b.key == "evaluation-start").click()
    return finished(ran_well(app.run()))


def choose(app: AppTest, key: str, value: Any) -> AppTest:
    app.session_state[key] = value
    return ran_well(app.run())


def table(app: AppTest) -> dict[str, list[Any]]:
    return app.dataframe[0].value.to_dict(orient="list")


def reviews(app: AppTest, sha256: str = "first") -> dict[str, Any]:
    runs = session_of(app).part(Evaluations).runs
    return next(run.reviews for key, run in runs.items() if key[1] == sha256)


def test_without_a_scan_or_cases_the_page_says_what_to_do() -> None:
    app = ran_well(page("evaluate").run())
    assert "No scan is open" in texts(app)


def test_without_truth_there_is_nothing_to_compare() -> None:
    app = ran_well(page("evaluate", small_study(truth=False)).run())
    assert "nothing to compare with" in texts(app)
    assert not [b for b in app.button if b.key == "evaluation-start"]


def test_without_a_network_the_page_says_so(networks: list[EvaluatedInfo]) -> None:
    networks.clear()
    assert "No trained network" in texts(ran_well(page("evaluate", small_study()).run()))


def test_the_open_scan_is_evaluated_slice_by_slice() -> None:
    app = ran_well(page("evaluate", small_study()).run())
    assert not app.dataframe
    app = evaluated(app)
    assert table(app)["Case"] == ["small"]
    assert table(app)["Side"] == ["unseen"]
    review = reviews(app)["small"]
    assert table(app)["Infection Dice"] == [review.result.infection.dice]
    app = choose(app, "evaluation-view", "Slices")
    assert app.dataframe[0].value["Slice"].tolist() == list(range(1, 9))
    shown = session_of(app).part(Gallery).shown
    worst = review.worst[("infection", "area")]
    assert shown.place.voxel[2] == worst[0].slice_index
    looks = [b for b in app.button if str(b.key).startswith("look-")]
    assert len(looks) == len(worst)
    looks[1].click()
    app = ran_well(app.run())
    assert session_of(app).part(Gallery).shown.place.voxel[2] == worst[1].slice_index
    np.testing.assert_array_equal(
        shown.segmentation.masks.infection, review.kept.restore().masks.infection
    )
    # The viewer compares infection before lung, so for the lung it gets nothing else.
    truth, prediction = shown.masks("lung")
    assert truth.infection is None is prediction.infection
    assert prediction.lung is shown.segmentation.masks.lung
    assert shown.masks("lung")[1] is prediction
    # Nothing was opened, and nothing marked, without being asked for.
    assert opened(app).segmentation is None


def test_training_cases_are_marked_and_kept_out_of_the_means(cases: Path) -> None:
    app = evaluated(ran_well(page("evaluate", small_study(truth=False)).run()))
    assert dict(zip(table(app)["Case"], table(app)["Side"], strict=True)) == {
        "case_1": "unseen",
        "case_2": "training",
    }
    assert "Unseen cases, 1 patient" in texts(app)
    assert "Training cases" not in texts(app).replace("**Training cases**", "")
    app = choose(app, "evaluation-side", "training")
    assert "Training cases, 1 patient" in texts(app)
    for view in ("Threshold", "Infected share"):
        app = choose(app, "evaluation-view", view)
        assert "1 case not used in training; 1 training case left out" in texts(app)


def test_moving_the_threshold_shows_its_values_without_another_run() -> None:
    app = evaluated(ran_well(page("evaluate", small_study()).run()))
    review = reviews(app)["small"]
    app = choose(app, "evaluation-view", "Threshold")
    assert app.metric[0].value == f"{review.result.infection.dice:.3f}"
    app.select_slider[0].set_value(0.99)
    app = ran_well(app.run())
    assert app.metric[0].value == "0.000"
    assert app.metric[1].value == "not defined"


def test_two_networks_are_compared_case_by_case(cases: Path, networks: list[EvaluatedInfo]) -> None:
    app = ran_well(page("evaluate", small_study(truth=False)).run())
    assert "One network is installed" in texts(app)
    networks.append(SECOND)
    app = ran_well(app.run())
    next(s for s in app.selectbox if s.label == "Compare with").set_value(SECOND)
    app = evaluated(ran_well(app.run()))
    assert set(reviews(app, "second")) == {"case_1", "case_2"}
    app = choose(app, "evaluation-view", "Two networks")
    told = texts(app)
    assert "second minus stand-in" in told
    assert "Not used in training" in told
    assert "0.000" in told  # they mark alike


def test_stopping_keeps_finished_cases_and_the_next_run_resumes(cases: Path) -> None:
    app = ran_well(page("evaluate", small_study(truth=False)).run())
    with NETWORK_QUEUE.turn():  # somebody else's network runs
        next(b for b in app.button if b.key == "evaluation-start").click()
        app = ran_well(app.run())
        button(app, "Stop").click()
        app.run()
        session_of(app).part(Evaluations).slot.job.join(30)
    app = ran_well(app.run())
    assert "Stopped. Cases that were finished are kept." in texts(app)
    assert not app.dataframe
    assert len(table(evaluated(app))["Case"]) == 2


def test_a_case_that_cannot_be_read_does_not_stop_the_others(cases: Path) -> None:
    (cases / "ct_scans" / "case_1.nii.gz").write_bytes(b"no scan")
    app = evaluated(ran_well(page("evaluate", small_study(truth=False)).run()))
    assert "case\\_1" in app.warning[0].value
    assert table(app)["Case"] == ["case_2"]
    assert "training cases only" in texts(choose(app, "evaluation-view", "Threshold"))


def test_tables_can_be_downloaded() -> None:
    app = evaluated(ran_well(page("evaluate", small_study()).run()))
    from core.evaluation.cases import results_csv

    (row,) = csv.DictReader(
        io.StringIO(results_csv([review.result for review in reviews(app).values()]))
    )
    assert row["case_id"] == "small"
    labels = [item.proto.label for item in app.get("download_button")]
    assert labels == ["Cases (CSV)", "Slices (CSV)", "Charts (HTML)"]
