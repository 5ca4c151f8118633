"""A training run of seconds: it learns, is recorded, can be interrupted and goes on."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from core.config import LossConfig, ModelConfig, TrainConfig, from_json_dict, to_json_dict
from core.errors import Cancelled, ConfigError, DatasetError, SaveError
from core.system import software_versions
from core.training.callbacks import TrainingOverlap
from core.training.fit import (
    load_best_model,
    load_published_model,
    load_split,
    share_batches,
    train,
)
from core.training.losses import UNKNOWN
from core.training.runs import (
    HISTORY_COLUMNS,
    TRAINING_COLUMNS,
    RunPaths,
    read_history,
    read_split,
    score,
)
from core.training.scans import TrainingScan, load_training_scans
from core.training.splits import split_as_recorded
from core.training.validation import validate
from tests.eager import eager_keras
from tests.training_data import CASES, TINY, UNCHANGED
from tests.training_runs import copy_run, second_run, stopped_run, training_folder, whole_run


@pytest.fixture(scope="module")
def data() -> Path:
    return training_folder()


@pytest.fixture(scope="module")
def whole() -> RunPaths:
    """Two epochs without interruption."""
    return whole_run()


@pytest.fixture(scope="module")
def interrupted(data: Path, tmp_path_factory: pytest.TempPathFactory) -> RunPaths:
    """The same, stopped in its second epoch and resumed."""
    paths = copy_run(stopped_run(), tmp_path_factory.mktemp("run") / "interrupted")
    assert [row["epoch"] for row in read_history(paths.history)] == [1]
    epochs: list[tuple[int, int]] = []

    def note(stage: str, done: int, total: int) -> None:
        if stage == "training":
            epochs.append((done, total))

    with eager_keras():
        train(data, paths.folder, TINY, on_progress=note)
    assert epochs == [(2, 2)]
    return paths


def test_history_has_a_row_an_epoch(whole: RunPaths) -> None:
    history = read_history(whole.history)
    assert [row["epoch"] for row in history] == [1, 2]
    assert whole.history.read_text(encoding="utf-8").splitlines()[0] == ",".join(HISTORY_COLUMNS)
    for row in history:
        assert tuple(row) == HISTORY_COLUMNS
        assert 0 < row["loss"] < 5
        for name in ("lung_dice", "infection_dice", "picture_infection_dice"):
            assert 0 <= row[name] <= 1
    assert history[1]["loss"] < history[0]["loss"]


def test_learning_rate_warms_up_and_decays(whole: RunPaths) -> None:
    """One epoch of warming up to the full rate, one of cosine decay to a hundredth of it."""
    rates = [row["learning_rate"] for row in read_history(whole.history)]
    assert rates[0] == pytest.approx(TINY.learning_rate, rel=0.01)
    assert rates[1] == pytest.approx(TINY.learning_rate / 100, rel=0.05)


def test_record_repeats_the_run(whole: RunPaths) -> None:
    record = json.loads(whole.config.read_text(encoding="utf-8"))
    assert from_json_dict(TrainConfig, record["config"]) == TINY
    named = record["split"]["train"]["case"] + record["split"]["validation"]["case"]
    assert sorted(named) == sorted(CASES)
    assert record["split"]["validation"]["healthy"] == ["normal001"]
    assert not set(record["split"]["train"]["patients"]) & set(
        record["split"]["validation"]["patients"]
    )
    assert record["versions"] == software_versions()
    assert record["versions"]["keras"] == keras.__version__
    # Nothing of the machine it ran on.
    assert "/" not in whole.config.read_text(encoding="utf-8")


def test_no_half_written_file_stays(whole: RunPaths) -> None:
    assert sorted(path.name for path in whole.folder.iterdir()) == [
        "best.keras",
        "history.csv",
        "last.keras",
        "mean.npz",
        "results.json",
        "run.json",
        "samples",
    ]
    assert sorted(path.name for path in (whole.folder / "samples").iterdir()) == [
        "epoch-00001.npz",
        "epoch-00002.npz",
        "slices.npz",
    ]


def test_interrupted_run_resumes(whole: RunPaths, interrupted: RunPaths) -> None:
    one, other = read_history(whole.history), read_history(interrupted.history)
    assert [row["epoch"] for row in other] == [1, 2]
    # The optimizer's steps are counted on, so the rate goes on where it stood.
    for a, b in zip(one, other, strict=True):
        assert a["learning_rate"] == pytest.approx(b["learning_rate"], rel=1e-4)
    model = keras.models.load_model(interrupted.last)
    steps = int(keras.ops.convert_to_numpy(model.optimizer.iterations))
    reference = keras.models.load_model(whole.last)
    assert steps == int(keras.ops.convert_to_numpy(reference.optimizer.iterations))
    assert steps % 2 == 0
    assert read_split(whole.config) == read_split(interrupted.config)


def test_a_finished_run_is_left_alone(data: Path, whole: RunPaths) -> None:
    before = contents(whole.folder)
    train(data, whole.folder, TINY)
    assert contents(whole.folder) == before


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_best_model_is_that_of_the_best_epoch(data: Path, whole: RunPaths) -> None:
    """Kept is the running mean of the weights, and its figures are those of the history."""
    history = read_history(whole.history)
    best = max(history, key=score)
    model = load_best_model(whole)
    assert model.output_shape == (None, 32, 48, 2)
    scans = load_training_scans(data, TINY.preprocess)
    validation = split_as_recorded(scans, read_split(whole.config)).validation
    for name, figure in validate(model, validation, batch_size=TINY.batch_size).items():
        assert figure == pytest.approx(best[name], abs=1e-5, nan_ok=True)


@pytest.mark.parametrize(
    "config", [replace(TINY, epochs=3), replace(TINY, seed=8), replace(TINY, batch_size=5)]
)
def test_folder_of_another_config_is_refused(
    data: Path, whole: RunPaths, config: TrainConfig
) -> None:
    with pytest.raises(DatasetError, match=r"another run.* choose another --out folder"):
        train(data, whole.folder, config)


def test_folder_of_another_split_is_refused(data: Path, whole: RunPaths) -> None:
    split = {"train": {"case": [CASES[0]]}, "validation": {"case": [CASES[1]]}}
    with pytest.raises(DatasetError, match="different config, split or start"):
        train(data, whole.folder, TINY, recorded_split=split)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"config": 1}'])
def test_damaged_record_is_reported(data: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text, encoding="utf-8")
    with pytest.raises(DatasetError, match=r"record of the run cannot be read.*run\.json"):
        train(data, tmp_path, TINY)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"split": []}',
        '{"split": {"train": []}}',
        '{"split": {"train": {}}}',
        '{"split": {"train": {"case": 3}, "validation": {}}}',
    ],
)
def test_a_split_that_cannot_be_read_is_reported(tmp_path: Path, text: str) -> None:
    path = tmp_path / "run.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DatasetError, match=r"split cannot be read: got .+ in run\.json"):
        read_split(path)
    with pytest.raises(DatasetError, match=r"in absent\.json"):
        read_split(tmp_path / "absent.json")


@pytest.mark.usefixtures("eager")
def test_recorded_split_and_no_warm_up(data: Path, tmp_path: Path) -> None:
    """One epoch on named cases, rate decaying from the first step, in bfloat16, with dropout."""
    split = {"train": {"case": [CASES[0]]}, "validation": {"case": [CASES[1]]}}
    config = replace(
        TINY,
        epochs=1,
        warmup_epochs=0,
        precision="mixed_bfloat16",
        model=ModelConfig(depth=1, width=2, normalization="group", dropout=0.1),
    )
    paths = train(data, tmp_path, config, recorded_split=split)
    row = read_history(paths.history)[0]
    assert row["learning_rate"] == pytest.approx(config.learning_rate / 100, rel=0.05)
    assert math.isnan(row["negative_share"])
    assert math.isnan(row["picture_infection_dice"])
    assert paths.best.is_file()
    recorded = read_split(paths.config)
    assert recorded["train"]["case"] == [CASES[0]]
    assert recorded["validation"]["case"] == [CASES[1]]


@pytest.mark.usefixtures("eager")
def test_a_run_cancelled_in_its_first_epoch_leaves_no_network(data: Path, tmp_path: Path) -> None:
    answers = iter([False, True, False, False])  # before training, then after each batch
    with pytest.raises(Cancelled):
        train(data, tmp_path, TINY, should_cancel=lambda: next(answers))
    assert read_history(RunPaths(tmp_path).history) == []
    # The slices to be shown as it goes are chosen before the first epoch.
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.json", "samples"]


@pytest.mark.parametrize(
    "values",
    [
        {"epochs": 0},
        {"batch_size": 0},
        {"learning_rate": 0.0},
        {"learning_rate": math.nan},
        {"validation_fraction": 0.0},
        {"validation_fraction": 1.0},
        {"negatives_per_epoch": -1},
        {"slices_per_patient": -1},
        {"average_momentum": 1.0},
        {"seed": -1},
    ],
)
def test_settings_out_of_range_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"Setting {next(iter(values))} is out of range"):
        TrainConfig(**values)


def test_config_survives_json() -> None:
    assert from_json_dict(TrainConfig, json.loads(json.dumps(to_json_dict(TINY)))) == TINY


# ------------------------------------------------------------------ validation


class RuleNetwork:
    """Stands for a network: a rule from grey in [0, 1] to probabilities."""

    def __init__(self, rule: Callable[[np.ndarray], np.ndarray]) -> None:
        self.rule = rule

    def predict_on_batch(self, batch: np.ndarray) -> np.ndarray:
        assert batch.shape == (2, 4, 6, 1)  # one shape only
        return np.concatenate(
            [(batch > 0.1).astype(np.float32), self.rule(batch).astype(np.float32)], axis=-1
        )


def scan(role: str, grey: list[int], infected: list[int], name: str = "a") -> TrainingScan:
    """Each slice one grey level; infected where given."""
    images = np.array(grey, dtype=np.uint8)[:, None, None] * np.ones((1, 4, 6), dtype=np.uint8)
    infection = np.array(infected, dtype=np.uint8)[:, None, None] * np.ones((1, 4, 6), np.uint8)
    lung = (images > 0).astype(np.uint8) if role == "case" else None
    return TrainingScan(name, name, role, images, lung, infection)  # type: ignore[arg-type]


def test_values_by_hand() -> None:
    """A network that calls bright slices infected."""
    model: Any = RuleNetwork(lambda batch: batch > 0.6)
    found = validate(
        model,
        [
            scan("case", [200, 200, 100], [1, 0, 1]),  # 1 hit, 1 missed, 1 false
            scan("case", [200, 100], [1, 0]),
            scan("picture", [200], [1]),
            scan("picture", [100], [1]),
            scan("negative", [200, 100, 100], [0, 0, 0]),
            scan("negative", [100], [0]),
            scan("healthy", [100, 100, 100], [0, 0, 0]),
        ],
        batch_size=2,
    )
    assert found == {
        "lung_dice": 1.0,
        "lung_iou": 1.0,
        "lung_precision": 1.0,
        "lung_recall": 1.0,
        "lung_specificity": pytest.approx(math.nan, nan_ok=True),  # all of every slice is lung
        "infection_dice": pytest.approx((0.5 + 1.0) / 2),
        "infection_iou": pytest.approx((1 / 3 + 1.0) / 2),
        "infection_precision": pytest.approx((0.5 + 1.0) / 2),
        "infection_recall": pytest.approx((0.5 + 1.0) / 2),
        "infection_specificity": pytest.approx((0.0 + 1.0) / 2),
        "picture_infection_dice": 0.5,
        "negative_share": 0.25,
        "healthy_share": 0.0,
    }


def test_infection_outside_the_lung_does_not_count_as_false() -> None:
    model: Any = RuleNetwork(lambda batch: batch < 0.05)
    found = validate(model, [scan("negative", [0, 100], [0, 0])], batch_size=2)
    assert found["negative_share"] == 0.0
    assert math.isnan(found["healthy_share"])
    assert math.isnan(found["lung_dice"])


def test_score_weighs_false_alarms_and_accepts_undefined_values() -> None:
    nan = math.nan
    row = {"lung_dice": 0.9, "infection_dice": 0.7, "healthy_share": nan, "negative_share": nan}
    assert score(row) == pytest.approx(0.8)
    assert score({**row, "negative_share": 0.01}) == pytest.approx(0.79)
    # The healthy chest is a check of its own and must not choose.
    assert score({**row, "healthy_share": 0.05}) == pytest.approx(0.8)
    assert score({**row, "infection_dice": nan}) == pytest.approx(0.45)


def test_a_run_records_the_run_it_starts_from(whole: RunPaths) -> None:
    paths = second_run()
    record = json.loads(paths.config.read_text(encoding="utf-8"))
    assert record["initial"]["epochs_done"] == 2
    assert from_json_dict(TrainConfig, record["initial"]["config"]) == TINY
    # One more epoch from there costs less than the first from nothing did.
    assert read_history(paths.history)[0]["loss"] < read_history(whole.history)[0]["loss"]


def test_a_start_trained_on_validation_patients_is_refused(
    data: Path, whole: RunPaths, tmp_path: Path
) -> None:
    split = read_split(whole.config)
    swapped = {"train": split["validation"], "validation": split["train"]}
    with pytest.raises(DatasetError, match="was trained on validation patients of this one"):
        train(
            data,
            tmp_path / "leak",
            replace(TINY, epochs=1),
            recorded_split=swapped,
            initial=whole.folder,
        )


def test_a_start_of_another_shape_is_refused(data: Path, whole: RunPaths, tmp_path: Path) -> None:
    wider = replace(TINY, epochs=1, model=replace(TINY.model, width=8))
    with pytest.raises(DatasetError, match="network of another shape"):
        train(data, tmp_path / "wide", wider, initial=whole.folder)


# ------------------------------------------------------------------ damaged runs


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("last.keras", b"junk"),
        ("last.keras", None),
        ("mean.npz", b"junk"),
        ("history.csv", b""),
        ("history.csv", b"\x00\xff junk"),
        ("history.csv", b"epoch,loss,lung_dice,infection_dice,negative_share\n1,0.5\n"),
        ("history.csv", b"epoch,loss,lung_dice,infection_dice,negative_share\n3,1,1,1,1\n"),
    ],
)
def test_a_damaged_run_names_the_file(
    data: Path, tmp_path: Path, name: str, content: bytes | None
) -> None:
    folder = copy_run(stopped_run(), tmp_path / "run").folder
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(content)
    with pytest.raises(DatasetError, match=rf"cannot be read: got a \w+ {name}"):
        train(data, folder, TINY)


def test_missing_best_network_is_reported(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"got a missing best\.keras"):
        load_best_model(RunPaths(tmp_path))


def test_run_folder_that_is_a_file(data: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text", encoding="utf-8")
    with pytest.raises(SaveError, match=r"choose another --out folder"):
        train(data, tmp_path / "file", TINY)


def test_a_run_stops_after_the_epoch_asked_for(data: Path, tmp_path: Path) -> None:
    """As far as asked: a run that has its epochs is left alone. `stopped_run` and `interrupted`
    train the first epoch of two and the rest, the folds of `test_crossval` stop after one."""
    paths = copy_run(stopped_run(), tmp_path / "run")
    before = contents(paths.folder)
    train(data, paths.folder, TINY, stop_after=1)
    assert contents(paths.folder) == before


def test_published_network_lies_between_start_and_best(whole: RunPaths) -> None:
    paths = second_run()
    first, best = load_best_model(whole).get_weights(), load_best_model(paths).get_weights()
    mixed = load_published_model(paths, initial_share=0.25).get_weights()
    for a, b, mean in zip(first, best, mixed, strict=True):
        np.testing.assert_allclose(mean, 0.25 * a + 0.75 * b, rtol=1e-5, atol=1e-6)
    alone = load_published_model(paths, initial_share=0.0).get_weights()
    assert all(np.array_equal(a, b) for a, b in zip(alone, best, strict=True))
    with pytest.raises(DatasetError, match=r"missing initial\.keras"):
        load_published_model(whole, initial_share=0.5)


@pytest.mark.usefixtures("eager")
def test_a_network_with_several_heads_is_validated_and_saved_with_one(
    data: Path, tmp_path: Path
) -> None:
    nested = ModelConfig("unetpp", depth=2, width=2, normalization="none", deep_supervision=True)
    config = replace(
        TINY,
        model=nested,
        augment=UNCHANGED,
        epochs=1,
        batch_size=32,
        loss=LossConfig("tversky"),
    )
    paths = train(data, tmp_path / "nested", config)
    model = load_best_model(paths)
    assert model.output_shape[-1] == 2
    assert keras.models.load_model(paths.last, compile=False).output_shape[-1] == 4
    (row,) = read_history(paths.history)
    split = load_split(data, config)
    assert validate(model, split.validation, batch_size=32)["lung_dice"] == pytest.approx(
        row["lung_dice"], abs=1e-4
    )


def test_training_overlap_by_hand() -> None:
    """Lung: 2 hits, 1 missed, 1 false; infection unknown in one slice and hit in the other."""
    truth = np.zeros((2, 1, 4, 2), dtype=np.float32)
    guess = np.zeros((2, 1, 4, 4), dtype=np.float32)
    truth[0, 0, :3, 0] = 1
    guess[0, 0, [0, 1, 3], 2] = 0.9
    truth[1, ..., 1] = UNKNOWN
    guess[1, ..., 3] = 1.0
    truth[0, 0, 2, 1] = 1
    guess[0, 0, 2, 3] = 0.5
    metric = TrainingOverlap()
    metric.update_state(keras.ops.convert_to_tensor(truth), keras.ops.convert_to_tensor(guess))
    found = {name: float(value) for name, value in metric.result().items()}
    assert set(found) == set(TRAINING_COLUMNS)
    assert found["train_lung_dice"] == pytest.approx(4 / 6)
    assert found["train_lung_iou"] == pytest.approx(2 / 4)
    assert found["train_lung_precision"] == found["train_lung_recall"] == pytest.approx(2 / 3)
    assert found["train_infection_dice"] == found["train_infection_precision"] == 1.0


def test_devices_of_jax_share_batches_and_only_even_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    assert share_batches(8) == 1  # this suite's backend runs on one device
    chosen: list[Any] = []
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    monkeypatch.setattr(keras.distribution, "list_devices", lambda kind: [f"{kind}:0", f"{kind}:1"])
    monkeypatch.setattr(keras.distribution, "DataParallel", lambda *, devices: devices)
    monkeypatch.setattr(keras.distribution, "set_distribution", chosen.append)
    with pytest.raises(ConfigError, match="7 slices for 2 devices"):
        share_batches(7)
    assert chosen == []
    assert share_batches(8) == 2
    assert chosen == [["gpu:0", "gpu:1"]]
    monkeypatch.setattr(keras.distribution, "list_devices", lambda kind: [f"{kind}:0"])
    assert share_batches(7) == 1
