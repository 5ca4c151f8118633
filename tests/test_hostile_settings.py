"""Settings, manifests and records that were made by hand, damaged or meant to harm."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import pytest

from core.classification.config import BandConfig, ClassifierModelConfig
from core.classification.fitting import FitConfig
from core.classification.info import FitnessConfig, ScanConfig
from core.cli import main
from core.cli.training_options import read_training_config
from core.config import (
    AugmentConfig,
    BatchConfig,
    EnhanceConfig,
    EvaluateConfig,
    LossConfig,
    ModelConfig,
    PostprocessConfig,
    PreprocessConfig,
    PublishConfig,
    QualityConfig,
    RoiConfig,
    ScheduleConfig,
    SegmentConfig,
    SurfaceConfig,
    TrainConfig,
    from_json_dict,
    preprocess_from_json,
    roi_from_json,
)
from core.config.json_text import parse_json
from core.errors import ConfigError, LungLensError, WeightsError
from core.segmentation.weights import read_manifest
from core.segmentation.weights_files import ARRAYS_NAME, file_sha256, read_arrays
from core.training.run_status import read_run
from core.training.runs import RunPaths
from tests.hostile_settings import FORGED, HOSTILE_SETTINGS, HostileSettings

READ_FROM_FILES = (
    AugmentConfig,
    BandConfig,
    BatchConfig,
    ClassifierModelConfig,
    EnhanceConfig,
    EvaluateConfig,
    FitConfig,
    FitnessConfig,
    LossConfig,
    ModelConfig,
    PostprocessConfig,
    PreprocessConfig,
    PublishConfig,
    QualityConfig,
    RoiConfig,
    ScanConfig,
    ScheduleConfig,
    SegmentConfig,
    SurfaceConfig,
    TrainConfig,
)


def check_sentence(error: LungLensError) -> None:
    text = str(error)
    assert len(text) <= 300
    assert text.isprintable(), text
    assert text.endswith(".")
    for word in ("<class", "Config", "Error", "Traceback", "NoneType", "dict", "typing"):
        assert word not in text, text


@pytest.mark.parametrize("hostile", HOSTILE_SETTINGS, ids=lambda hostile: hostile.name)
def test_hostile_settings_are_refused_in_one_sentence(
    hostile: HostileSettings, tmp_path: Path
) -> None:
    path = tmp_path / "settings.json"
    path.write_text(hostile.text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        read_training_config(path, TrainConfig)
    check_sentence(caught.value)
    for word in hostile.words:
        assert word in str(caught.value)


@pytest.mark.parametrize("text", ['{"colour": 1}', "[", "[1]", "NaN", json.dumps({FORGED: 1})])
def test_files_of_the_pages_are_read_by_the_same_reader(text: str) -> None:
    for read in (
        lambda: preprocess_from_json(text, PreprocessConfig()),
        lambda: roi_from_json(text),
    ):
        with pytest.raises(ConfigError) as caught:
            read()
        check_sentence(caught.value)


def _numbers_of(kind: Any) -> list[str]:
    hints = get_type_hints(kind)
    return [f.name for f in dataclasses.fields(kind) if hints[f.name] in (int, float)]


@pytest.mark.parametrize(
    ("kind", "name"),
    [(kind, name) for kind in READ_FROM_FILES for name in _numbers_of(kind)],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_every_number_of_a_setting_has_a_range(kind: Any, name: str) -> None:
    whole = get_type_hints(kind)[name] is int
    for value in (-(10**9), 10**15, 10**400) if whole else (-1e30, 1e30, math.nan, math.inf):
        with pytest.raises(ConfigError) as caught:
            from_json_dict(kind, {name: value})
        check_sentence(caught.value)
    assert from_json_dict(kind, {}) == kind()


MANIFEST = {
    "weights_id": "tiny",
    "title": "Tiny",
    "file": {"sha256": "0" * 64},
    "model": {},
    "preprocess": {},
    "postprocess": {},
}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model": None}, ("model settings cannot be read", "null")),
        ({"model": {"depth": 99}}, ("depth is out of range", "99")),
        ({"preprocess": {FORGED: 1}}, ("no such setting", r"\n")),
        ({"file": "x"}, ("another kind",)),
        ({"title": None, "postprocess": {"lung_threshold": 1e30}}, ("lung_threshold",)),
        ({"kind": "classifier"}, ("weights of another kind", "choose weights of that kind")),
        ({"kind": ["x\ny"]}, ("weights of another kind",)),
        ({"weights_id": "other\nerror: x"}, ("names other weights",)),
    ],
)
def test_a_manifest_that_cannot_be_is_refused_in_one_sentence(
    change: dict[str, Any], words: tuple[str, ...], tmp_path: Path
) -> None:
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "manifest.json").write_text(json.dumps({**MANIFEST, **change}))
    with pytest.raises(WeightsError) as caught:
        read_manifest(folder)
    check_sentence(caught.value)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"weights_id": 1e999}', "[" * 99_999])
def test_a_manifest_that_is_none_says_what_it_is(text: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(WeightsError) as caught:
        read_manifest(tmp_path)
    check_sentence(caught.value)


def test_a_folder_in_place_of_a_manifest_is_reported(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").mkdir()
    with pytest.raises(WeightsError, match="got a folder"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_weights_that_are_not_finite_are_refused(value: float, tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    folder.mkdir()
    np.savez(folder / ARRAYS_NAME, a=np.ones(3, np.float32), b=np.array([1, value], np.float16))
    sha256 = file_sha256(folder / ARRAYS_NAME)
    (folder / "manifest.json").write_text(json.dumps({**MANIFEST, "file": {"sha256": sha256}}))
    with pytest.raises(WeightsError) as caught:
        read_arrays(read_manifest(folder))
    check_sentence(caught.value)
    assert "not finite in 1 of 2 arrays, first b" in str(caught.value)


@pytest.mark.parametrize(
    "progress",
    [
        '{"done": 1e999}',
        '{"done": ' + "9" * 400 + ', "total": -5, "stage": ["x"], "message": {"a": 1}}',
        '{"now": true, "started": "x", "figures": []}',
        "[" * 99_999,
        "null",
    ],
)
def test_a_run_with_a_hollow_report_is_still_shown(progress: str, tmp_path: Path) -> None:
    paths = RunPaths(tmp_path)
    paths.progress.write_text(progress)
    status = read_run(tmp_path)
    assert status.done == 0
    assert status.total == 0
    assert status.seconds == 0.0
    assert status.state == "interrupted"


def test_a_report_cannot_forge_a_line(tmp_path: Path) -> None:
    RunPaths(tmp_path).progress.write_text(
        json.dumps({"outcome": "failed", "message": FORGED * 100, "stage": FORGED * 100})
    )
    status = read_run(tmp_path)
    assert status.message.isprintable()
    assert status.stage.isprintable()
    assert len(status.stage) < 500


@pytest.mark.parametrize("name", ["run.json", "request.json", "history.csv", "progress.json"])
def test_a_folder_in_place_of_a_file_of_a_run_is_named(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    status = read_run(tmp_path)
    assert status.state == ("interrupted" if name == "progress.json" else "damaged")
    if status.state == "damaged":
        assert name in status.message


@pytest.mark.parametrize(
    ("what", "length"), [("x\ny\x1b[0m\u202e\u2028z", None), ("w" * 5000, 300)]
)
def test_sentences_stay_on_one_line_and_short(what: str, length: int | None) -> None:
    for parts in ({"got": what}, {"expected": what}, {"next_step": what}, {}):
        error = ConfigError(what if not parts else "A setting is wrong", **parts)
        assert str(error).isprintable()
        assert len(str(error)) <= 300
        assert length is None or "…" in str(error)


def test_settings_from_an_editor_that_marks_its_encoding_are_read() -> None:
    text = "\ufeff" + json.dumps({"window_width": 1200.0})
    assert parse_json(text) == {"window_width": 1200.0}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"window_width": 1e308}, "The window's width cannot be used: got 1e+308 HU"),
        ({"window_width": -5}, "The window's width cannot be used: got -5 HU"),
        ({"window_center": 1e300}, "The window's center cannot be used: got 1e+300 HU"),
    ],
)
def test_a_window_that_cannot_be_says_its_range(values: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        from_json_dict(PreprocessConfig, values)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[",
        "[" * 100_000,
        "[]",
        '{"config": []}',
        '{"training": 3}',
        '{"a\\nb": 1}',
        '{"epochs": NaN}',
    ],
)
def test_a_hostile_config_of_a_mixture_is_refused_in_one_sentence(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "c.json").write_text(text, encoding="utf-8")
    given = ["--data", str(tmp_path), "--out", str(tmp_path / "o")]
    assert main(["train-mixture", *given, "--config", str(tmp_path / "c.json")]) == 1
    told = capsys.readouterr().err
    assert told.startswith("error: ")
    assert told.count("\n") == 1
    assert "Error" not in told
