"""The Train page in all its states, without a browser; one run is begun from it for real."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.config import (
    TRAIN_PRESETS,
    AugmentConfig,
    EnhanceConfig,
    PreprocessConfig,
    TrainConfig,
)
from core.segmentation.weights import find_weights, list_weights
from core.training.run_process import stop_run
from core.training.run_report import RunReport
from core.training.run_request import RunRequest, read_request, write_request
from core.training.run_status import read_run
from core.ui.train.options import build_config
from tests.app_session import session_of
from tests.studies import small_study
from tests.test_pages import button, page, ran_well, texts
from tests.test_run_process import make_run, wait_until
from tests.training_data import TINY, write_training_folder
from tests.training_runs import copy_run, training_folder, whole_run


@pytest.fixture(autouse=True)
def root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    folder = tmp_path / "runs"
    folder.mkdir()
    monkeypatch.setenv("LUNGLENS_RUNS_FOLDER", str(folder))
    monkeypatch.setenv("LUNGLENS_ALLOW_TRAINING", "1")
    monkeypatch.delenv("LUNGLENS_DATA_FOLDER", raising=False)
    return folder


def train_page() -> AppTest:
    return ran_well(page("train", small_study()).run())


def labels(app: AppTest) -> list[str]:
    return [item.label for item in app.button]


def config_of(app: AppTest) -> TrainConfig:
    return build_config(session_of(app).settings["train"])


@pytest.mark.parametrize(
    ("setting", "address", "allowed"),
    [
        (None, "localhost", True),
        (None, "127.0.0.1", True),
        (None, "::1", True),
        (None, "0.0.0.0", False),
        (None, "", False),
        ("1", "0.0.0.0", True),
        ("0", "localhost", False),
        ("perhaps", "0.0.0.0", False),
    ],
)
def test_who_may_train(
    monkeypatch: pytest.MonkeyPatch, setting: str | None, address: str, allowed: bool
) -> None:
    from core.ui import access as training_access

    monkeypatch.delenv("LUNGLENS_ALLOW_TRAINING")
    if setting is not None:
        monkeypatch.setenv("LUNGLENS_ALLOW_TRAINING", setting)
    monkeypatch.setattr(training_access.st, "get_option", lambda name: address)
    assert training_access.may_train() is allowed


def test_a_shared_server_shows_its_runs_and_why_it_does_not_train(
    monkeypatch: pytest.MonkeyPatch, root: Path
) -> None:
    monkeypatch.setenv("LUNGLENS_ALLOW_TRAINING", "0")
    make_run(root, "begun", epochs_done=1)
    app = train_page()
    assert "Training is switched off on this server" in texts(app)
    assert not {"Start training", "Resume", "Stop", "Find a learning rate"} & set(labels(app))
    assert app.selectbox(key="train-run").value == "begun"


def test_without_data_generated_patients_are_used_and_named_as_such() -> None:
    app = train_page()
    assert "**generated** patients" in texts(app)
    assert "3 patients for training, 1 patient for validation." in texts(app)
    assert "No run yet" in texts(app)
    assert config_of(app) == TRAIN_PRESETS[0].config
    app.multiselect[0].set_value([])
    ran_well(app.run())
    assert "one for validation" in texts(app)
    assert button(app, "Start training").disabled


@pytest.mark.parametrize("preset", TRAIN_PRESETS, ids=lambda preset: preset.name)
def test_a_preset_gives_exactly_its_config(preset) -> None:
    app = train_page()
    button(app, preset.name).click()
    assert config_of(ran_well(app.run())) == preset.config


def test_what_was_tuned_on_the_augmentation_page_is_taken() -> None:
    app = page("train", small_study())
    session_of(app).tuned_augmentation = AugmentConfig(elastic=0.05)
    ran_well(app.run())
    session_of(app).settings["train"]["changes"] = "tuned"
    app.session_state["train-changes"] = "tuned"
    ran_well(app.run())
    assert "elastic 0.05" in texts(app)


def test_what_was_tuned_on_preprocess_is_taken_until_the_person_goes_back() -> None:
    app = page("train", small_study())
    tuned = PreprocessConfig(enhance=EnhanceConfig("gamma", gamma=0.45))
    session_of(app).tuned_preprocess, session_of(app).tuned_is_new = tuned, True
    ran_well(app.run())
    assert "input is **Tuned**" in texts(app)
    button(app, TRAIN_PRESETS[1].name).click()
    assert "input is **Tuned**" in texts(ran_well(app.run()))
    assert session_of(app).settings["train"]["input"] == "tuned"
    app.button_group(key="train-input").set_value("usual")
    assert "input is **Tuned**" not in texts(ran_well(app.run()))
    assert config_of(app) == TRAIN_PRESETS[1].config


def test_patients_of_the_data_folder_keep_their_cases_together(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    data = write_training_folder(tmp_path / "data")
    monkeypatch.setenv("LUNGLENS_DATA_FOLDER", str(data))
    app = train_page()
    assert "radiopaedia_10" in app.multiselect[0].options
    assert "generated" not in texts(app)
    assert "4 patients for training, 1 patient for validation." in texts(app)
    app.session_state["train-data"] = "Generated"
    ran_well(app.run())
    assert "Four **generated** patients" in texts(app)
    assert "3 patients for training, 1 patient for validation." in texts(app)


def test_a_finished_run_shows_measurements_and_cannot_be_resumed(root: Path) -> None:
    make_run(root, "whole", epochs_done=2)
    app = train_page()
    assert "2 of 2 epochs done" in texts(app)
    assert "Best, epoch 1" in texts(app)
    assert "Resume" not in labels(app)
    assert "Publish as weights" in labels(app)
    assert len(app.get("plotly_chart")) >= 3


def test_only_a_finished_run_with_a_name_of_its_own_is_published(root: Path) -> None:
    make_run(root, "part", epochs_done=1)
    assert "Publish as weights" not in labels(train_page())
    shipped = find_weights().weights_id
    make_run(root, shipped, epochs_done=2)
    app = train_page()
    app.selectbox(key="train-run").set_value(shipped)
    ran_well(app.run())
    assert "Publish as weights" not in labels(app)
    assert "Weights that ship with the app have this name" in texts(app)


def test_a_publication_that_fails_is_reported_and_can_be_tried_again(root: Path) -> None:
    folder = make_run(root, "whole", epochs_done=2)
    with RunReport(folder, publishes=True) as report:
        report("reading cases", 1, 3)
        app = train_page()
        assert "Publishing" in texts(app)
        assert "Publish as weights" not in labels(app)
    progress = json.loads((folder / "progress.json").read_text(encoding="utf-8"))
    progress.update(outcome="failed", message="No training case found.")
    (folder / "progress.json").write_text(json.dumps(progress), encoding="utf-8")
    app = train_page()
    assert any("No training case found" in item.value for item in app.error)
    assert "Publish as weights" in labels(app)


def test_a_run_under_way_can_be_stopped(root: Path) -> None:
    folder = make_run(root, "busy", epochs_done=1, epochs=5)
    with RunReport(folder) as report:
        report("training", 1, 5)
        app = train_page()
        assert "1 of 5 epochs done" in texts(app)
        assert button(app, "Start training").disabled
        assert "one run at a time" in texts(app)
        button(app, "Stop").click()
        ran_well(app.run())
        assert report.should_stop()
    ran_well(app.run())
    assert "Resume" in labels(app)


def test_a_damaged_history_is_reported_in_a_sentence(root: Path) -> None:
    folder = make_run(root, "bad", epochs_done=2)
    (folder / "history.csv").write_text("epoch,loss\n<script>,1", encoding="utf-8")
    app = train_page()
    assert any("history" in item.value for item in app.error)
    assert "Start training" in labels(app)


def test_runs_are_compared(root: Path) -> None:
    make_run(root, "one", epochs_done=2)
    make_run(root, "two", epochs_done=1)
    app = train_page()
    assert "Compare runs" in texts(app)
    assert any("Best epochs of the compared runs" in html.proto.body for html in app.get("html"))


@pytest.mark.parametrize("name", ["../out", "a b", "", "learning-rate-test", "published"])
def test_a_bad_name_starts_nothing(root: Path, name: str) -> None:
    app = train_page()
    app.text_input(key="train-name").set_value(name)
    button(app, "Start training").click()
    ran_well(app.run())
    assert any("cannot be used for a run" in item.value for item in app.error)
    assert not list(root.iterdir())
    assert not (root.parent / "out").exists()


@pytest.mark.slow
def test_a_finished_run_becomes_weights_that_can_be_chosen(root: Path) -> None:
    copy_run(whole_run(), root / "mine")
    write_request_of(root / "mine", training_folder(), TINY)
    app = train_page()
    button(app, "Publish as weights").click()
    ran_well(app.run())
    wait_until(lambda: not read_run(root / "mine").is_alive)
    app = train_page()
    assert "Published as **mine**" in texts(app)
    button(app, "Use on View").click()
    app.run()
    assert app.session_state["weights"].weights_id == "mine"
    assert session_of(app).asked_part == "segment"
    assert [info.weights_id for info in list_weights()][-1] == "mine"
    shown = ran_well(page("segment", small_study()).run())
    assert shown.selectbox(key="weights").options[-1].endswith("mine")


def write_request_of(folder: Path, data: Path, config: TrainConfig) -> None:
    """What the page would have written before the run began."""
    record = (folder / "run.json").read_bytes()
    (folder / "run.json").unlink()
    write_request(folder, RunRequest(data=str(data), config=config))
    (folder / "run.json").write_bytes(record)


@pytest.mark.slow
def test_a_run_begun_from_the_page_goes_on_without_it(
    root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LUNGLENS_DATA_FOLDER", str(write_training_folder(tmp_path / "data")))
    app = train_page()
    button(app, "Start training").click()
    ran_well(app.run())
    folder = root / "run-1"
    try:
        del app
        # Its curves and sample slices are waited for in the browser.
        wait_until(lambda: read_run(folder).is_alive)
        assert "Stop" in labels(train_page())
    finally:
        stop_run(folder)
        wait_until(lambda: not read_run(folder).is_alive)
    split = read_request(folder).split
    assert split is not None
    training, validation = (set(split[side]["case"]) for side in ("train", "validation"))
    assert not training & validation
    assert len(training | validation) == 6


def test_fine_tuning_starts_from_installed_weights_with_few_settings() -> None:
    app = train_page()
    app.button_group(key="train-way").set_value("Fine-tune weights")
    ran_well(app.run())
    start = next(box for box in app.selectbox if box.label == "Start from")
    assert "lite-v1" in str(start.value.weights_id)
    assert "Start training" in labels(app)
    assert next(one for one in app.slider if one.label == "Epochs").value == 8
    assert not any(one.label == "Network" for one in app.selectbox), "the network is that of them"
