"""A classifier is trained from pictures of known class, step by step, by one command."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from core.classification.learning import config as learn_config
from core.classification.learning import evaluation
from core.classification.learning.pack import read_pack
from core.classification.learning.results import read_averaged, read_networks
from core.classification.learning.scan_fit import fit_scans
from core.classification.learning.scans import HeldOutScan
from core.config import ModelConfig, PostprocessConfig, PreprocessConfig
from core.errors import DatasetError
from core.segmentation import save_weights
from core.segmentation.models import build_model, efficientnet
from tests.training_data import (
    chest_and_masks,
    chest_without_infection,
    grey_of,
    write_training_folder,
)

PICTURES = 8 + 6 + 22
"""To train on and to validate on in one set, and all of the other."""


def _write_classes(folder: Path, *, names: list[str], seed: int) -> None:
    for class_name in ("covid", "noncovid"):
        (folder / class_name).mkdir(parents=True)
        for number, name in enumerate(names):
            chest = seed + number
            hu = (
                chest_and_masks(chest)[0]
                if class_name == "covid"
                else chest_without_infection(500 + chest)
            )
            picture = cv2.resize(np.ascontiguousarray(grey_of(hu)[:, :, 1].T), (120, 88))
            cv2.imwrite(str(folder / class_name / f"{name}.webp"), picture)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_training_folder(tmp_path_factory.mktemp("data"))
    _write_classes(
        folder / "covid_ct_ucsd" / "train", names=[f"paper-{n}" for n in range(4)], seed=100
    )
    _write_classes(
        folder / "covid_ct_ucsd" / "val", names=[f"other-{n}" for n in range(3)], seed=200
    )
    # One in the middle of each of the ten blocks, far from every gap.
    numbers = [f"{40 * block + 20:04d}" for block in range(10)] + ["0400"]
    _write_classes(folder / "sars_cov_2_ct", names=numbers, seed=300)
    return folder


@pytest.fixture(autouse=True)
def short_training(monkeypatch: pytest.MonkeyPatch) -> None:
    few = partial(evaluation.bootstrap_interval, draws=20)
    monkeypatch.setattr(evaluation, "bootstrap_interval", few)
    short = partial(learn_config.LearnConfig, epochs=1, steps=1, batch_size=PICTURES, variations=1)
    monkeypatch.setattr(learn_config, "LearnConfig", short)


@pytest.fixture
def small_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Weights to start from, whose encoder has a quarter of the filters and 2 instead of 11 blocks
    above the lower stages."""
    stages = efficientnet._STAGES
    upper = (replace(stages[number], repeats=1) for number in (3, 5))
    monkeypatch.setattr(efficientnet, "_STAGES", (*stages[:3], *upper))
    monkeypatch.setitem(efficientnet._SCALES, "lite0", (0.25, 1.0))
    config = ModelConfig(depth=5, width=2, max_filters=4, encoder="lite0")
    size = PreprocessConfig(rows=32, columns=32)
    return save_weights(
        build_model(config, rows=size.rows, columns=size.columns),
        tmp_path / "start",
        title="Start",
        model_config=config,
        preprocess=size,
        postprocess=PostprocessConfig(),
        record={},
    ).folder


@pytest.mark.usefixtures("eager")
def test_pictures_are_packed_learned_from_and_put_into_a_table(
    data: Path, small_start: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from core.cli import main

    packed, runs = tmp_path / "pictures.npz", tmp_path / "run"
    command = ["train-classifier", "--data", str(data)]
    assert main([*command, "--pack", str(packed)]) == 0
    pictures = read_pack(packed)
    assert pictures.frames.shape == (PICTURES, 160, 224, 3)
    assert int(np.sum(pictures.sides == "validation")) == 6 + 4
    assert {group for group in pictures.groups if group.startswith("sars-1")} != set()
    jobs = ["both-train-1", "both-ucsd-1", "both-sars-1"]
    learn = ["train-classifier", "--learn", str(packed), "--weights", str(small_start)]
    learn += ["--out", str(runs), "--only"]
    assert main([*learn, *jobs]) == 0
    first = (runs / "both-train-1.npz").stat().st_mtime_ns
    assert main([*learn, *jobs]) == 0  # what is there stays
    assert (runs / "both-train-1.npz").stat().st_mtime_ns == first
    networks = read_networks(runs)
    assert [(one.trained, one.all_sides) for one in networks] == [
        ("sars", False),
        ("both", False),
        ("ucsd", False),
    ]
    assert "masks_conv/kernel" in read_averaged(runs, "both", "train", [1])
    capsys.readouterr()
    assert main(["train-classifier", "--table", str(runs), "--packed", str(packed), "--json"]) == 0
    table = json.loads(capsys.readouterr().out)
    for method in ("network and lesions", "lesions alone", "grey statistics"):
        for trained in ("both", "ucsd", "sars"):
            for tested in ("ucsd", "sars"):
                row = table[f"{method}, {trained} → {tested}"]
                assert 0.0 <= row["auc"] <= 1.0
    # The held-out side of a set that was learned from, all of another.
    assert table["lesions alone, ucsd → ucsd"]["slices"] == 6
    assert table["lesions alone, ucsd → sars"]["slices"] == 22


def test_a_folder_without_training_is_reported(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="holds no trained network"):
        read_networks(tmp_path)
    (tmp_path / "both-train-1.json").write_text("{}")
    (tmp_path / "both-train-1.npy").write_bytes(b"nothing")
    with pytest.raises(DatasetError, match="both-train-1"):
        read_networks(tmp_path)
    with pytest.raises(DatasetError, match="packed pictures cannot be read"):
        read_pack(tmp_path / "both-train-1.npy")


def test_scans_are_classified_without_their_own_patient() -> None:
    frames: Any = np.zeros((2, 1, 1, 3), np.uint8)
    one = HeldOutScan("", "", "covid20", 1, "fold-1", 0.2, frames)
    scans = [
        replace(one, name=f"{label}{n}", patient=f"{label}{n}", label=label, infected_share=share)
        for label, shares in ((1, (0.2, 0.1, 0.3, 0.15)), (0, (0.001, 0.0, 0.005, 0.002)))
        for n, share in enumerate(shares)
    ]
    model, record = fit_scans(scans, np.zeros(16))
    assert model.share > 0
    assert model.slices == pytest.approx(0, abs=1e-3)
    assert record["results"]["both"]["auc"] == 1.0
    assert record["results"]["slices alone"]["auc"] <= 0.5
    assert (record["patients"], record["with_covid"]) == (8, 4)
    assert [row["probability"] > 0.5 for row in record["rows"]] == [True] * 4 + [False] * 4
