"""A classifier is made from pictures of known class, judged, published and used, by one command."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

from core.classification import evaluation
from core.classification.info import find_classifier
from tests.test_weights import make_weights
from tests.training_data import (
    chest_and_masks,
    chest_without_infection,
    grey_of,
    write_training_folder,
)

SIDE = 32


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
        folder / "covid_ct_ucsd" / "train", names=[f"paper-{n}" for n in range(8)], seed=100
    )
    _write_classes(
        folder / "covid_ct_ucsd" / "val", names=[f"other-{n}" for n in range(4)], seed=200
    )
    # One in the middle of each of the ten blocks, far from every gap.
    numbers = [f"{40 * block + 20:04d}" for block in range(10)] + ["0400"]
    _write_classes(folder / "sars_cov_2_ct", names=numbers, seed=300)
    return folder


@pytest.fixture(autouse=True)
def small_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Segmentation weights of two filters, which take a small part of the shipped ones' time; the
    transfer from those is tested in `test_classification`."""
    monkeypatch.setenv("LUNGLENS_RUNS_FOLDER", str(tmp_path / "runs"))
    make_weights(tmp_path / "runs" / "published" / "small")
    few = partial(evaluation.bootstrap_interval, draws=20)
    monkeypatch.setattr(evaluation, "bootstrap_interval", few)


def test_the_command_fits_evaluates_and_publishes_a_classifier(
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    import core.classification.train as training
    from core.__main__ import main

    few = partial(training.ClassifierTrainConfig, out_of_distribution=12)
    monkeypatch.setattr(training, "ClassifierTrainConfig", few)
    command = ["train-classifier", "--data", str(data), "--out", str(tmp_path / "run")]
    command += [
        "--weights",
        "small",
        "--side",
        str(SIDE),
        "--publish",
        str(tmp_path / "weights" / "mine"),
        "--json",
    ]
    assert main(command) == 0
    figures = json.loads(capsys.readouterr().out)
    # One table tells what masks and transfer bring, on the set learned from and on the other.
    for model in (
        "classifier",
        "without masks",
        "random encoder",
        "random encoder, without masks",
        "grey statistics",
    ):
        for taught in ("both", "ucsd", "sars"):
            for judged in ("ucsd", "sars"):
                row = figures["results"][f"{model}, {taught} → {judged}"]
                assert 0.0 <= row["auc"] <= 1.0

    with np.load(tmp_path / "run" / "ucsd-covid-train.npz") as kept:
        assert kept["rows"].shape == kept["random"].shape
        assert not np.allclose(kept["rows"], kept["random"])
    judged_alone = figures["results"]["classifier, ucsd → ucsd"]
    assert (judged_alone["slices"], judged_alone["positive"]) == (8, 4)
    assert figures["pictures"]["sars validation"] == 4
    assert figures["pictures"]["sars train"] == 18
    assert figures["results"]["classifier, ucsd → sars"]["slices"] == 22
    info = find_classifier("mine", folder=tmp_path / "weights")
    assert info.model.side == SIDE
    card = (info.folder / "README.md").read_text(encoding="utf-8")
    assert "| random encoder, ucsd → ucsd | 8 |" in card

    # Features lie in the run folder: the same command reads them and finds the same.
    stored = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").glob("*.npz")}
    assert stored
    assert main([*command[:-3], "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["results"] == figures["results"]
    assert {path: path.stat().st_mtime_ns for path in stored} == stored


def test_features_that_were_computed_differently_are_refused(
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    import core.classification.train as training
    from core.__main__ import main

    command = ["train-classifier", "--data", str(data), "--side", str(SIDE)]
    command += ["--weights", "small", "--out"]
    # Of an earlier version: features, and nothing that says what made them.
    early = tmp_path / "early"
    early.mkdir()
    np.savez(early / "ucsd-covid-train.npz", names=np.array(["another.webp"]))
    assert main([*command, str(early)]) == 1
    assert "were computed differently" in capsys.readouterr().err

    # By another encoder, and stopped before the first pictures were looked at.
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(training, "picture_frames", stopped)
        main([*command, str(run), "--from-chance"])
    capsys.readouterr()
    assert main([*command, str(run)]) == 1
    assert "were computed differently" in capsys.readouterr().err

    # Of other pictures.
    names = {"names": np.array(["another.webp"])}
    np.savez(run / "ucsd-covid-train.npz", **names)
    assert main([*command, str(run), "--from-chance"]) == 1
    assert "features of other pictures" in capsys.readouterr().err
