"""Tuned settings in a file: the command line and training take what the Enhance page gives."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from core.cli import main
from core.cli.training_options import read_training_config
from core.config import (
    EnhanceConfig,
    PreprocessConfig,
    TrainConfig,
    from_json_dict,
    to_json_dict,
)
from core.errors import ConfigError
from core.output.saving import save_volume
from core.segmentation.weights import list_weights
from tests.studies import demo_study


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    study = demo_study((128, 128, 6))
    return save_volume(study.volume, tmp_path_factory.mktemp("scan") / "chest.nii.gz")


def own_settings() -> PreprocessConfig:
    weights = list_weights()
    if not weights:
        pytest.skip("no trained weights are installed")
    return next(info for info in weights if info.is_default).preprocess


def written(path: Path, config: PreprocessConfig) -> Path:
    path.write_text(json.dumps({"preprocess": to_json_dict(config)}), encoding="utf-8")
    return path


def lungs(folder: Path) -> Any:
    return np.asanyarray(nib.load(folder / "lung_mask.nii.gz").dataobj)


def test_segment_takes_settings_from_a_file(scan: Path, tmp_path: Path) -> None:
    own = own_settings()
    strange = replace(own, window_center=40.0, window_width=400.0, enhance=EnhanceConfig("clahe"))
    files = {
        name: written(tmp_path / f"{name}.json", c)
        for name, c in (("own", own), ("strange", strange))
    }
    results = {}
    for name, more in (
        ("plain", []),
        ("own", ["--preprocess", str(files["own"])]),
        ("strange", ["--preprocess", str(files["strange"])]),
    ):
        assert main(["segment", str(scan), "-o", str(tmp_path / name), *more]) == 0
        results[name] = lungs(tmp_path / name)
    assert np.array_equal(results["plain"], results["own"])
    assert not np.array_equal(results["plain"], results["strange"])
    told = json.loads((tmp_path / "strange" / "metrics.json").read_text())
    assert told["preprocess"] == to_json_dict(strange)
    assert "preprocess" not in json.loads((tmp_path / "plain" / "metrics.json").read_text())


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "cannot be read"), (b"\xff\xfe", "cannot be read"), (b'{"rows": 64}', "size of the")],
)
def test_settings_that_cannot_be_used_are_refused_first(
    content: bytes | None,
    words: str,
    scan: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own_settings()
    monkeypatch.setattr("core.cli.segment.load_segmenter", lambda *a, **k: pytest.fail("too late"))
    path = tmp_path / "settings.json"
    if content is not None:
        path.write_bytes(content)
    arguments = ["segment", str(scan), "-o", str(tmp_path / "out"), "--preprocess", str(path)]
    assert main(arguments) == 1
    assert words in capsys.readouterr().err


def test_training_takes_the_same_file(tmp_path: Path) -> None:
    config = PreprocessConfig(window_width=900.0, enhance=EnhanceConfig("clahe", clip_limit=3.0))
    path = written(tmp_path / "preprocess.json", config)
    assert read_training_config(path, TrainConfig) == replace(TrainConfig(), preprocess=config)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999", "1" + "0" * 400])
@pytest.mark.parametrize("place", ['{"learning_rate": %s}', '{"augment": {"noise": %s}}'])
def test_numbers_of_a_file_are_finite(place: str, value: str) -> None:
    with pytest.raises(ConfigError, match=r"is not a (usable )?number"):
        from_json_dict(TrainConfig, json.loads(place % value))


def test_a_rate_given_by_hand_is_finite_too() -> None:
    with pytest.raises(ConfigError, match="learning_rate is out of range"):
        TrainConfig(learning_rate=math.inf)
    with pytest.raises(ConfigError, match="weight_decay is out of range"):
        TrainConfig(weight_decay=math.nan)
