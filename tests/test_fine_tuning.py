"""Training that starts from weights: what is taken over, what stays, and what is recorded."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from core.config import (
    CHANNELS,
    ModelConfig,
    PostprocessConfig,
    PreprocessConfig,
    TrainConfig,
    from_json_dict,
    to_json_dict,
)
from core.correction import Correction, HandCorrection, Paint, SliceAt, runs_of
from core.errors import ConfigError, DatasetError, WeightsError
from core.output import add_training_case
from core.segmentation import WeightsInfo, load_weights, save_weights
from core.segmentation.models import PRESENCE, build_model
from core.training.fine_tuning import dice_by_case, pixels_only, with_slice_head
from core.training.fit import build_compiled, load_best_model, train
from core.training.publishing import publish
from core.training.runs import RunPaths, read_record, read_results
from core.training.scans import load_training_scans
from core.training.starting import fine_tuning_config, joined_with_earlier, met_before
from core.ui.train.comparing import by_patient, differing
from core.volume import Intensity, MaskPair, Study, volume_from_file
from tests.training_data import CASES, TINY, UNCHANGED, chest_and_masks
from tests.training_runs import training_folder, whole_run

ENCODED = ModelConfig(depth=5, width=4, max_filters=8, encoder="lite0", slice_head=True)
SIZE = PreprocessConfig(rows=32, columns=64)
SPLIT = {"train": {"case": list(CASES[:2])}, "validation": {"case": list(CASES[2:4])}}
EARLIER = {
    "train": {"patients": ["coronacases_003", "somebody"], "case": [CASES[2], "other"]},
    "validation": {"patients": [], "case": []},
}


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LUNGLENS_RUNS_FOLDER", str(tmp_path / "runs"))
    return tmp_path / "runs" / "published"


def weights(
    folder: Path, model: ModelConfig = TINY.model, size: PreprocessConfig = TINY.preprocess
) -> WeightsInfo:
    """New weights with settings of their own, which have met a patient of `SPLIT`."""
    keras.utils.set_random_seed(5)
    network = build_model(model, rows=size.rows, columns=size.columns)
    return save_weights(
        network,
        folder,
        title="Start",
        model_config=model,
        preprocess=size,
        postprocess=PostprocessConfig(lung_threshold=0.4, infection_threshold=0.3),
        record={"split": EARLIER, "licence": "Theirs."},
    )


def tiny(info: WeightsInfo, **changes: object) -> TrainConfig:
    config = fine_tuning_config(info, epochs=2)
    return replace(config, batch_size=4, precision="float32", slices_per_patient=2, **changes)


@pytest.mark.usefixtures("eager")
def test_a_run_starts_from_weights_and_records_results_before_and_after(published: Path) -> None:
    info = weights(published / "start")
    config = tiny(info)
    paths = train(training_folder(), published.parent / "tuned", config, recorded_split=SPLIT)
    results = read_results(paths.results)
    assert [row["case"] for row in results["before"]] == list(CASES[2:4])
    assert [row["case"] for row in results["best"]] == list(CASES[2:4])
    assert set(results["best"][0]) == {"case", "patient", "lung_dice", "infection_dice"}
    assert read_record(paths.config)["config"]["initial_weights"] == "start"
    new = publish(training_folder(), paths, published / "tuned", config)
    manifest = new.manifest
    assert manifest["fine_tuned_from"] == {"weights_id": "start", "sha256": info.sha256}
    assert manifest["met_before"] == ["coronacases_003"]
    assert manifest["split"]["train"]["patients"] == [
        "coronacases_001",
        "coronacases_002",
        "coronacases_003",
        "somebody",
    ]
    assert manifest["split"]["validation"]["patients"] == ["radiopaedia_10"]
    assert new.postprocess == replace(info.postprocess, neighbour_share=0.0)
    assert new.preprocess == info.preprocess
    assert manifest["licence"].startswith("Theirs.")
    card = new.card_path.read_text()
    assert "fine-tuned from `start`" in card
    assert "1 of these patients were among the training patients of `start`" in card


@pytest.mark.usefixtures("eager")
def test_training_begins_with_the_arrays_of_the_weights(published: Path) -> None:
    info = weights(published / "start")
    model = build_compiled(tiny(info), 1e-4)
    for found, wanted in zip(model.get_weights(), load_weights(info).get_weights(), strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.usefixtures("eager", "small_encoder")
def test_a_frozen_encoder_stays_and_the_rest_learns(published: Path) -> None:
    info = weights(published / "start", ENCODED, SIZE)
    config = tiny(info, frozen_encoder=True)
    model = build_compiled(config, 1e-2)
    before = {v.path: v.numpy().copy() for v in model.weights}
    rng = np.random.default_rng(0)
    images = rng.random((4, 32, 64, 1), dtype=np.float32)
    truth = (rng.random((4, 32, 64, len(CHANNELS))) > 0.5).astype(np.float32)
    model.train_on_batch(images, truth)
    moved = {v.path for v in model.weights if not np.array_equal(v.numpy(), before[v.path])}
    assert moved
    assert not any(path.startswith(("stem", "block")) for path in moved)
    whole = build_compiled(replace(config, frozen_encoder=False), 1e-2)
    before = {v.path: v.numpy().copy() for v in whole.weights}
    whole.train_on_batch(images, truth)
    moved = {v.path for v in whole.weights if not np.array_equal(v.numpy(), before[v.path])}
    assert any(path.startswith("block") for path in moved)


@pytest.mark.usefixtures("eager", "small_encoder")
def test_the_slice_head_is_left_out_of_training_and_comes_back_as_it_was(published: Path) -> None:
    info = weights(published / "start", ENCODED, SIZE)
    start = load_weights(info)
    trained = pixels_only(load_weights(info))
    assert len(trained.outputs) == 1
    for variable in trained.weights:
        variable.assign(variable.numpy() + np.float32(0.25))
    again = with_slice_head(trained, tiny(info))
    by_path = {variable.path: variable.numpy() for variable in again.weights}
    for variable in start.weights:
        shift = 0.0 if variable.path.startswith(PRESENCE) else 0.25
        np.testing.assert_allclose(by_path[variable.path], variable.numpy() + shift, atol=1e-6)
    plain = build_model(replace(ENCODED, slice_head=False), rows=32, columns=64)
    assert with_slice_head(plain, TINY) is plain


@pytest.mark.usefixtures("eager")
def test_starts_that_are_impossible_are_refused(published: Path) -> None:
    info = weights(published / "start")
    with pytest.raises(ConfigError, match="no encoder to keep"):
        fine_tuning_config(info, frozen_encoder=True)
    several = replace(info, model=replace(info.model, members=3))
    with pytest.raises(WeightsError, match="mean of 3 networks"):
        fine_tuning_config(several)
    other = replace(tiny(info), model=replace(info.model, width=8))
    with pytest.raises(DatasetError, match="another network"):
        train(training_folder(), published.parent / "other", other, recorded_split=SPLIT)
    with pytest.raises(ConfigError, match="slice head"):
        TrainConfig(model=ENCODED)
    with pytest.raises(WeightsError, match="Unknown weights"):
        train(
            training_folder(),
            published.parent / "gone",
            replace(tiny(info), initial_weights="gone"),
            recorded_split=SPLIT,
        )


@pytest.mark.usefixtures("small_encoder")
def test_config_survives_json(published: Path) -> None:
    config = tiny(weights(published / "start", ENCODED, SIZE), frozen_encoder=True)
    assert from_json_dict(TrainConfig, json.loads(json.dumps(to_json_dict(config)))) == config


def test_patients_met_before_count_as_trained_on(published: Path) -> None:
    info = weights(published / "start")
    split = {
        "train": {"patients": ["a"], "case": ["a_1"]},
        "validation": {"patients": ["somebody", "b"], "case": ["other", "b_1"]},
    }
    joined = joined_with_earlier(split, info)
    assert joined["train"]["patients"] == ["a", "coronacases_003", "somebody"]
    assert joined["validation"] == {"patients": ["b"], "case": ["b_1"]}
    assert met_before(["b", "somebody"], info) == ["somebody"]


def test_damaged_results_count_as_missing(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path)
    assert read_results(paths.results) == {}
    for text in ("", "[1]", '{"best": 3}', '{"best": [1, {"dice": 2}]}'):
        paths.results.write_text(text)
        assert read_results(paths.results).get("best", []) == []


def test_runs_are_compared_by_settings_that_differ_and_by_patient() -> None:
    rows = differing([{"epochs": 3, "batch_size": 8, "seed": 1}, {"epochs": 5, "batch_size": 8}])
    assert rows == {"epochs": ["3", "5"], "seed": ["1", "none"]}
    results = {
        "best": [
            {"case": "x_1", "patient": "x", "infection_dice": 0.5},
            {"case": "x_2", "patient": "x", "infection_dice": 0.7},
            {"case": "y", "patient": "y", "infection_dice": None},
        ]
    }
    assert by_patient(results) == {"x": pytest.approx(0.6)}


@pytest.mark.usefixtures("eager")
def test_training_on_corrected_scans_improves_the_network_on_them(
    published: Path, tmp_path: Path
) -> None:
    by_hand = HandCorrection(from_network=True, steps=3)
    for number in range(2):
        hu, lung, infection = chest_and_masks(60 + number)
        volume = volume_from_file(
            hu,
            np.diag([-5.0, -6.0, 8.0, 1.0]),
            intensity=Intensity("HU", "made in HU"),
            name=f"scan {number}",
            format="nifti",
        )
        masks = MaskPair(np.asfortranarray(lung), np.asfortranarray(infection))
        corrected = Correction(volume, None)
        for channel in CHANNELS:
            drawn = np.flatnonzero(getattr(masks, channel).reshape(-1, order="F"))
            edit = Paint(channel, True, runs_of(drawn), SliceAt("axial", 1))
            corrected.apply(edit, revision=corrected.revision, free=True)
        add_training_case(
            tmp_path / "own",
            Study(volume),
            corrected.masks(),
            patient=f"p{number + 1}",
            by_hand=by_hand,
        )
    split = {"train": {"case": ["own_p1_1"]}, "validation": {"case": ["own_p2_1"]}}
    run = whole_run()
    info = save_weights(
        load_best_model(run),
        published / "start",
        title="Start",
        model_config=TINY.model,
        preprocess=TINY.preprocess,
        postprocess=PostprocessConfig(),
        record={"split": read_record(run.config)["split"]},
    )
    config = replace(
        fine_tuning_config(info, epochs=2, learning_rate=1e-2),
        batch_size=4,
        precision="float32",
        slices_per_patient=24,  # of four slices: twelve steps in two epochs
        augment=UNCHANGED,
    )
    paths = train(tmp_path / "own", tmp_path / "tuned", config, recorded_split=split)
    (scan,) = (
        scan
        for scan in load_training_scans(tmp_path / "own", config.preprocess)
        if scan.scan_id == "own_p1_1"
    )
    before, after = (
        dice_by_case(model, [scan], batch_size=2, threshold=0.5)[0]
        for model in (load_weights(info), load_best_model(paths))
    )
    assert after["infection_dice"] > before["infection_dice"]
    assert after["lung_dice"] > before["lung_dice"] - 0.05
