"""The Augmentation page without a browser, and the slices that it shows."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from core.cli.training_options import read_training_config
from core.config import AUGMENT_PRESETS, AUGMENT_RANGES, AugmentConfig, TrainConfig
from core.system import OnProgress
from core.training.augmentation_preview import preview_augmentation
from core.ui.train import augmentation
from tests.app_session import session_of
from tests.studies import small_study
from tests.test_pages import button, page, ran_well, texts

NONE = next(preset.config for preset in AUGMENT_PRESETS if preset.name == "None")
RNG = np.random.default_rng(5)
IMAGES = RNG.integers(0, 256, (3, 32, 48), dtype=np.uint8)
MASKS = RNG.random((3, 32, 48, 2)) > 0.6


@pytest.fixture(autouse=True)
def _no_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LUNGLENS_DATA_FOLDER", raising=False)


def test_no_changes_leave_every_pixel() -> None:
    images, masks = preview_augmentation(IMAGES, MASKS, NONE, seed=3)
    np.testing.assert_array_equal(images, IMAGES)
    np.testing.assert_array_equal(masks, MASKS)


def test_masks_move_with_their_picture() -> None:
    """A picture that is its own mask stays so under flips, whichever slices are flipped."""
    from dataclasses import replace

    own = MASKS[..., :1]
    pictures = np.where(own[..., 0], 255, 0).astype(np.uint8)
    flips = replace(NONE, flip=True, sharp_share=0.5)
    flipped = 0
    for seed in range(4):
        images, masks = preview_augmentation(pictures, own, flips, seed=seed)
        np.testing.assert_array_equal(images == 255, masks[..., 0])
        for before, after in zip(pictures, images, strict=True):
            assert (after == before).all() or (after == before[:, ::-1]).all()
            flipped += bool((after != before).any())
    assert 0 < flipped < 12


def test_a_seed_repeats_and_another_does_not() -> None:
    first, _ = preview_augmentation(IMAGES, MASKS, AugmentConfig(), seed=1)
    again, _ = preview_augmentation(IMAGES, MASKS, AugmentConfig(), seed=1)
    other, _ = preview_augmentation(IMAGES, MASKS, AugmentConfig(), seed=2)
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_all_settings_have_a_widget_and_presets_stay_in_range() -> None:
    for preset in AUGMENT_PRESETS:
        for name, allowed in AUGMENT_RANGES.items():
            assert allowed.low <= getattr(preset.config, name) <= allowed.high
    app = ran_well(page("augmentation", small_study()).run())
    shown = {item.key.removeprefix("augment-") for item in (*app.slider, *app.toggle)}
    assert shown == set(AugmentConfig.__dataclass_fields__)


def when_drawn(app: AppTest) -> AppTest:
    """The page once its slices are changed, which may take longer than one drawing."""
    ran_well(app.run())
    job = session_of(app).part(augmentation._State).slot.job
    if job is not None:
        job.join(60)
    return ran_well(app.run())


def test_slices_are_drawn_compared_and_drawn_anew() -> None:
    app = when_drawn(page("augmentation", small_study()))
    assert "Original" in texts(app)
    assert "This pipeline" in texts(app)
    assert "Seed 1." in texts(app)
    app.selectbox(key="augment-compared").set_value("Strong")
    when_drawn(app)
    assert "B: Strong" in texts(app).replace("\\", "")
    button(app, "New sample").click()
    when_drawn(app)
    assert "Seed 2." in texts(app)
    button(app, "Keep for comparison").click()
    when_drawn(app)
    assert "B: Kept" in texts(app).replace("\\", "")


def test_loading_the_library_shows_progress_and_can_be_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    may_go_on = threading.Event()

    def slow(name: str) -> None:
        may_go_on.wait(30)

    monkeypatch.setattr("core.ui.slow_import.import_module", slow)
    app = ran_well(page("augmentation", small_study()).run())
    slot = session_of(app).part(augmentation._State).slot
    assert slot.running
    assert "Original" not in texts(app)
    ran_well(button(app, "Stop").click().run())
    # Stopped at once, although the import itself cannot be.
    slot.job.join(30)
    assert slot.job.state == "stopped"
    may_go_on.set()
    ran_well(app.run())
    assert "Original" not in texts(app)
    assert "Stopped before it was done." in texts(app)
    ran_well(button(app, "Try again").click().run())
    assert "This pipeline" in texts(when_drawn(app))


def test_reading_a_case_can_be_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def under_way(case_id: str, *, on_progress: OnProgress) -> None:
        asked.append(case_id)
        st.stop()  # the page as it is while the case is being read

    monkeypatch.setattr(augmentation, "find_case_folder", lambda: Path("cases"))
    monkeypatch.setattr(augmentation, "load_cases", lambda folder: (SimpleNamespace(case_id="b"),))
    monkeypatch.setattr(augmentation, "case_study", under_way)
    app = when_drawn(page("augmentation", small_study()))
    app.selectbox(key="augment-case").set_value("b")
    ran_well(app.run())
    assert asked == ["b"]
    # Takes the choice back, else the next drawing would begin again.
    ran_well(button(app, "Stop").click().run())
    assert asked == ["b"]
    assert app.selectbox(key="augment-case").value == "The open scan"


def test_a_pipeline_is_taken_for_training_and_read_by_the_command_line(tmp_path) -> None:
    app = page("augmentation", small_study())
    app.query_params["elastic"] = "0.07"
    ran_well(app.run())
    button(app, "Use for training").click()
    ran_well(app.run())
    taken = session_of(app).tuned_augmentation
    assert taken == AugmentConfig(elastic=0.07)
    path = tmp_path / "augmentation.json"
    path.write_text(json.dumps({"augment": {"elastic": 0.07}}))
    assert read_training_config(path, TrainConfig).augment == taken


def test_without_a_scan_the_page_says_what_to_do() -> None:
    assert "No scan is open" in texts(ran_well(page("augmentation").run()))
