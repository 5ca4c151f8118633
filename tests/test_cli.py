"""The command line as a person types it."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from core.cli import main, segment
from core.errors import LungLensError
from core.loading import open_study
from core.output.saving import save_mask, save_volume
from core.volume import Study
from tests.bad_inputs import REPRESENTATIVES, BadInput
from tests.studies import demo_study, repeat_the_demo


@pytest.fixture(scope="module")
def chest() -> Study:
    return demo_study((128, 128, 12))


@pytest.fixture(scope="module")
def scan(chest: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_volume(chest.volume, tmp_path_factory.mktemp("scan") / "chest.nii.gz")


@pytest.fixture(scope="module")
def case_folder(chest: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One case in the layout of the 20-case set."""
    folder = tmp_path_factory.mktemp("cases")
    assert chest.truth is not None
    assert chest.truth.lung is not None
    assert chest.truth.infection is not None
    save_volume(chest.volume, folder / "ct_scans" / "coronacases_org_901.nii.gz")
    save_mask(chest.truth.lung, chest.volume, folder / "lung_mask" / "coronacases_901.nii.gz")
    save_mask(
        chest.truth.infection, chest.volume, folder / "infection_mask" / "coronacases_901.nii.gz"
    )
    return folder


def _json_of(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_info_tells_size_spacing_and_unit(scan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(scan), "--json"]) == 0
    figures = _json_of(capsys)
    assert figures["shape"] == [128, 128, 12]
    assert figures["unit"] == "HU"
    assert main(["info", str(scan)]) == 0
    assert "128 × 128 × 12" in capsys.readouterr().out


def test_segment_writes_masks_in_the_files_own_geometry(
    scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "new" / "result"
    assert main(["segment", str(scan), "-o", str(output)]) == 0
    original = nib.load(scan)
    for channel in ("lung", "infection"):
        mask = nib.load(output / f"{channel}_mask.nii.gz")
        assert mask.shape == original.shape
        assert mask.get_data_dtype() == np.uint8
        np.testing.assert_allclose(mask.affine, original.affine, atol=1e-5)
        assert set(np.unique(np.asarray(mask.dataobj))) <= {0, 1}
    figures = json.loads((output / "metrics.json").read_text(encoding="utf-8"))
    lung = np.asarray(nib.load(output / "lung_mask.nii.gz").dataobj)
    assert figures["lung_voxels"] == int(lung.sum())
    assert {"load", "predict", "postprocess", "save"} <= set(figures["seconds"])
    assert figures["weights_id"]
    assert "never a diagnosis" in capsys.readouterr().out


def test_what_makes_numbers_doubtful_stands_above_them(
    scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = nib.load(scan)
    noisy = np.asarray(image.dataobj) + np.random.default_rng(0).normal(0, 150, image.shape)
    nib.save(nib.Nifti1Image(noisy.astype(np.int16), image.affine), tmp_path / "noisy.nii")
    assert main(["segment", str(tmp_path / "noisy.nii"), "-o", str(tmp_path / "out")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("doubtful: The scan is noisy (")
    assert "infected share" in lines[1]
    assert not any("noisy" in line for line in lines[1:])
    figures = json.loads((tmp_path / "out" / "metrics.json").read_text(encoding="utf-8"))
    assert len(figures["doubts"]) == 1


def test_segment_compares_with_masks_beside_the_scan(
    case_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["segment", str(case_folder / "ct_scans" / "coronacases_org_901.nii.gz")]
    arguments += ["-o", str(tmp_path), "--json"]
    arguments += ["--lung-mask", str(case_folder / "lung_mask" / "coronacases_901.nii.gz")]
    assert main(arguments) == 0
    assert _json_of(capsys)["metrics"]["lung"]["dice"] > 0.9


def test_segment_marks_a_folder_of_pictures_of_any_size(
    chest: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    grey = np.clip((chest.volume.array[:, :, 6].T + 1250.0) / 1500.0 * 255.0, 0, 255)
    Image.fromarray(grey.astype(np.uint8)).save(folder / "one.png")
    Image.fromarray(grey[:, 5:].astype(np.uint8)).save(folder / "two.jpg")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnot a picture")
    output = tmp_path / "masks"
    assert main(["segment", str(folder), "-o", str(output)]) == 1
    printed = capsys.readouterr().out
    assert "2 of 3 pictures marked" in printed
    assert "broken.png" in printed
    for name, shape in (("one", (128, 128)), ("two", (128, 123))):
        for channel in ("lung", "infection"):
            mask = np.asarray(Image.open(output / f"{name}_{channel}.png"))
            assert mask.shape == shape
            assert set(np.unique(mask)) <= {0, 255}
        assert np.asarray(Image.open(output / f"{name}_lung.png")).mean() > 10
    assert not (output / "broken_lung.png").exists()


def test_one_picture_says_what_was_found_and_what_was_not_known(
    chest: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grey = np.clip((chest.volume.array[:, :, 6].T + 1250.0) / 1500.0 * 255.0, 0, 255)
    lying = np.rot90(grey.astype(np.uint8))  # to the left, so one turn clockwise mends it
    Image.fromarray(lying).save(tmp_path / "lying.png")
    assert main(["segment", str(tmp_path / "lying.png"), "-o", str(tmp_path / "masks")]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"^infected share \d+\.\d+\u2009%$", printed, re.MULTILINE)
    assert "note: Pictures carry no spacing" in printed
    assert "note: The picture seems to lie on its side: it was turned by 90° clockwise" in printed


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--folds", "2", "--out", "runs", "--cases", "a"], "uses every case: got --cases"),
        (["--folds", "2", "--out", "runs", "--engine", "keras"], "got --engine"),
        (["--folds", "2", "--out", "runs", "--window", "-1000", "400"], "got --window"),
        (["--window", "400", "-1000"], "got black 400 HU, white -1000 HU"),
        (["--folds", "2", "--out", "runs", "--lung-threshold", "0.4"], "got --lung-threshold"),
        (["--out", "runs"], "got --out without --folds"),
        (["--exclude", "list.json"], "got --exclude without --folds"),
        (["--folds", "2", "--out", "runs", "--exclude", "list.json"], "list.json cannot be read"),
        (["--folds", "1", "--out", "runs"], "expected 2 to 20 folds"),
    ],
)
def test_evaluate_refuses_options_that_would_do_nothing(
    case_folder: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    told: str,
) -> None:
    assert main(["evaluate", str(case_folder), *options]) == 1
    assert told in capsys.readouterr().err


def test_each_picture_is_compared_with_the_mask_of_its_name(
    chest: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert chest.truth is not None
    assert chest.truth.lung is not None
    pictures, masks = tmp_path / "pictures", tmp_path / "masks"
    pictures.mkdir()
    masks.mkdir()
    for k in (5, 6):
        grey = np.clip((chest.volume.array[:, :, k].T + 1250.0) / 1500.0 * 255.0, 0, 255)
        Image.fromarray(grey.astype(np.uint8)).save(pictures / f"{k}.png")
    # The mask of slice 5 is the lung, that of slice 6 is empty.
    lung = chest.truth.lung[:, :, 5].T.astype(np.uint8) * 255
    Image.fromarray(lung).save(masks / "5.png")
    Image.fromarray(np.zeros_like(lung)).save(masks / "6.png")
    command = ["segment", str(pictures), "-o", str(tmp_path / "out"), "--json"]
    assert main([*command, "--lung-mask", str(masks)]) == 0
    five, six = json.loads(capsys.readouterr().out)["pictures"]
    assert five["metrics"]["lung"]["dice"] > 0.9
    assert six["metrics"]["lung"]["dice"] == 0
    (masks / "6.png").unlink()
    assert main([*command, "--lung-mask", str(masks)]) == 1
    assert "Folder masks holds no mask for 6.png" in capsys.readouterr().out


def test_pictures_of_one_stem_do_not_overwrite_each_other(chest: Study, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    grey = np.clip((chest.volume.array[:, :, 6].T + 1250.0) / 1500.0 * 255.0, 0, 255)
    for name in ("same.png", "same.jpg"):
        Image.fromarray(grey.astype(np.uint8)).save(folder / name)
    assert main(["segment", str(folder), "-o", str(tmp_path / "masks")]) == 0
    assert len(list((tmp_path / "masks").glob("*_lung.png"))) == 2


def test_evaluate_prints_a_table_and_csv(
    case_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "table.csv"
    assert main(["evaluate", str(case_folder), "--csv", str(table)]) == 0
    printed = capsys.readouterr().out
    assert "coronacases_org_901" in printed
    assert "mean over 1 unseen patient:" in printed
    rows = list(csv.DictReader(table.open(encoding="utf-8")))
    assert float(rows[0]["lung_dice"]) > 0.9


def test_evaluate_reads_predictions_that_segment_wrote(
    case_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scan = case_folder / "ct_scans" / "coronacases_org_901.nii.gz"
    assert main(["segment", str(scan), "-o", str(tmp_path / "coronacases_org_901")]) == 0
    capsys.readouterr()
    assert main(["evaluate", str(case_folder), "--json"]) == 0
    by_network = _json_of(capsys)
    assert main(["evaluate", str(case_folder), "--predictions", str(tmp_path), "--json"]) == 0
    assert _json_of(capsys)["cases"] == by_network["cases"]


def test_evaluate_names_unknown_cases(
    case_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(case_folder), "--cases", "nobody"]) == 1
    assert "got nobody" in capsys.readouterr().err


@pytest.mark.parametrize("bad", REPRESENTATIVES, ids=lambda bad: bad.name)
def test_bad_input_gives_the_sentence_of_the_core_and_code_1(
    bad: BadInput, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = bad.build(tmp_path)
    with pytest.raises(LungLensError) as raised:
        open_study(path)
    assert main(["info", str(path)]) == 1
    captured = capsys.readouterr()
    assert captured.err == f"error: {raised.value}\n"
    assert captured.out == ""


def test_bad_thresholds_are_refused(
    scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["segment", str(scan), "-o", str(tmp_path), "--infection-threshold", "1.5"]
    assert main(arguments) == 1
    assert "expected a probability between 0 and 1" in capsys.readouterr().err


def test_unknown_weights_are_refused(
    scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["segment", str(scan), "-o", str(tmp_path), "--weights", "../../etc"]
    assert main(arguments) == 1
    assert "Unknown weights" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["info", "segment", "report", "train", "evaluate", "benchmark"])
def test_help_has_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    assert stopped.value.code == 0
    assert f"python -m core {command}" in capsys.readouterr().out


def test_wrong_usage_is_code_2() -> None:
    root = Path(__file__).resolve().parent.parent
    finished = subprocess.run(
        [sys.executable, "-m", "core", "segment"],
        capture_output=True,
        text=True,
        check=False,
        cwd=root,
    )
    assert finished.returncode == 2
    assert "usage:" in finished.stderr


def test_benchmark_measures_every_stage(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    repeat_the_demo(monkeypatch)
    assert main(["benchmark", "--size", "64x64x32", "--json"]) == 0
    figures = _json_of(capsys)
    assert figures["shape"] == [64, 64, 32]
    assert list(figures["seconds"]) == [
        "start Python",
        "load",
        "start network",
        "preprocess",
        "predict",
        "postprocess",
        "restore",
        "save",
        "biomarkers",
    ]
    total = figures["seconds_from_start_to_masks"]
    until_masks = sum(figures["seconds"].values()) - figures["seconds"]["biomarkers"]
    assert total == pytest.approx(until_masks, abs=0.02)
    assert figures["slices_per_second"] == pytest.approx(32 / total, rel=0.01)
    assert 50 < figures["peak_memory_mb"] < 1500
    assert figures["machine"]["cores"] >= 1
    assert main(["benchmark", "--size", "big"]) == 1


# ------------------------------------------------------------------ nothing is overwritten


def _refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one sentence of a command that must not reach the network."""
    assert main([*arguments, "--json"]) == 1
    captured = capsys.readouterr()
    error = json.loads(captured.out)["error"]
    assert captured.err == f"error: {error}\n"
    return str(error)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*_: Any) -> None:
        raise AssertionError("the network was loaded")

    monkeypatch.setattr(segment, "load_segmenter", load)


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("role", ["input", "link", "hard link", "--lung-mask", "folder"])
def test_segment_never_overwrites_what_it_reads(
    scan: Path, tmp_path: Path, role: str, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "lung_mask.nii.gz"
    shutil.copy(scan, target)
    before = target.read_bytes()
    arguments = ["segment", str(target), "-o", str(tmp_path)]
    if role == "link":
        (tmp_path / "link.nii.gz").symlink_to(target)
        arguments[1] = str(tmp_path / "link.nii.gz")
    elif role == "hard link":
        (tmp_path / "link.nii.gz").hardlink_to(target)
        arguments[1] = str(tmp_path / "link.nii.gz")
    elif role == "--lung-mask":
        arguments[1] = str(scan)
        arguments += ["--lung-mask", str(target)]
    elif role == "folder":
        arguments[1] = str(tmp_path)
    error = _refused(arguments, capsys)
    assert "lung_mask.nii.gz would overwrite a file that is read" in error
    assert "choose another -o" in error
    assert target.read_bytes() == before


@pytest.mark.usefixtures("no_network")
def test_pictures_never_overwrite_pictures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.png", "a_lung.png"):
        Image.new("L", (64, 64)).save(tmp_path / name)
    error = _refused(["segment", str(tmp_path), "-o", str(tmp_path)], capsys)
    assert "a_lung.png would overwrite" in error


def test_evaluate_never_overwrites_a_case(
    case_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mask = case_folder / "lung_mask" / "coronacases_901.nii.gz"
    error = _refused(["evaluate", str(case_folder), "--csv", str(mask)], capsys)
    assert "would overwrite" in error


# ------------------------------------------------------------------ told before the work


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("place", ["file", "file/below", "metrics.json is a folder"])
def test_output_is_tried_before_the_network(
    scan: Path, tmp_path: Path, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("text", encoding="utf-8")
    (tmp_path / "taken" / "metrics.json").mkdir(parents=True)
    output = tmp_path / (place if place.startswith("file") else "taken")
    error = _refused(["segment", str(scan), "-o", str(output)], capsys)
    assert "cannot be written" in error
    assert "choose another -o" in error


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--series", "1.2", "Pictures have no series"),
        ("--lung-mask", "m.png", "cannot be assigned"),
    ],
)
def test_options_that_several_pictures_cannot_have(
    tmp_path: Path, option: str, value: str, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.png", "b.png"):
        Image.new("L", (64, 64)).save(tmp_path / name)
    arguments = ["segment", str(tmp_path), "-o", str(tmp_path / "out"), option, value]
    assert expected in _refused(arguments, capsys)


def test_pictures_in_a_subfolder_are_found_and_compared(
    chest: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert chest.truth is not None
    assert chest.truth.lung is not None
    below = tmp_path / "set" / "day"
    below.mkdir(parents=True)
    grey = np.clip((chest.volume.array[:, :, 6].T + 1250.0) / 1500.0 * 255.0, 0, 255)
    Image.fromarray(grey.astype(np.uint8)).save(below / "one.png")
    mask = tmp_path / "mask.png"
    Image.fromarray(chest.truth.lung[:, :, 6].T.astype(np.uint8) * 255).save(mask)
    output = tmp_path / "set" / "out"
    arguments = ["segment", str(tmp_path / "set"), "-o", str(output), "--lung-mask", str(mask)]
    # The second run must not take the masks of the first for pictures.
    for _ in range(2):
        assert main([*arguments, "--json"]) == 0
        (row,) = _json_of(capsys)["pictures"]
        assert set(row["metrics"]) == {"lung"}
    assert sorted(path.name for path in output.iterdir()) == ["one_infection.png", "one_lung.png"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["train", "--data", "DATA", "--out", "FILE"], "choose another --out"),
        (["train", "--data", "DATA", "--out", "new", "--publish", "FILE/x"], "another --publish"),
        (
            ["train", "--data", "DATA", "--out", "new", "--publish", "a b"],
            "cannot be used for a weights folder",
        ),
        (["train", "--data", "DATA", "--out", "new", "--config", "FILE"], "got not JSON"),
        (["evaluate", "absent"], "absent is not there"),
        (["evaluate", "DATA", "--predictions", "absent"], "absent is not there"),
        (["evaluate", "DATA", "--csv", "FILE/x.csv"], "choose another --csv"),
        (["evaluate", "DATA", "--csv", "DATA"], "choose another --csv"),
        (["benchmark", "--size", "²x3x3"], "The size cannot be read"),
        (["benchmark", "--size", "9" * 5000 + "x3x3"], "The size cannot be read"),
        (["benchmark", "--input", "absent.nii"], "absent.nii is not there"),
        (["benchmark", "--size", "32x32x32", "--weights", "absent"], "Unknown weights"),
    ],
)
def test_what_cannot_work_is_reported_first(
    case_folder: Path,
    tmp_path: Path,
    arguments: list[str],
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("FILE").write_text("text", encoding="utf-8")
    filled = [part.replace("DATA", str(case_folder)) for part in arguments]
    assert expected in _refused(filled, capsys)
    assert [path.name for path in tmp_path.iterdir()] == ["FILE"]


def test_training_config_of_a_manifest_and_of_a_run(tmp_path: Path) -> None:
    from core.cli.training_options import read_training_config
    from core.config import TrainConfig, to_json_dict

    wanted = TrainConfig(epochs=3, seed=11)
    values = to_json_dict(wanted)
    for content in (
        values,
        {"weights_id": "x", "training": {**values, "best_epoch": 2.0}},
        {"config": values, "split": {}},
    ):
        path = tmp_path / "some.json"
        path.write_text(json.dumps(content), encoding="utf-8")
        assert read_training_config(path, TrainConfig) == wanted


# ------------------------------------------------------------------ output


@pytest.mark.parametrize(
    ("error", "sentence"),
    [(KeyboardInterrupt(), "stopped with Ctrl-C"), (MemoryError(), "not enough memory")],
)
def test_whatever_stops_a_command_is_reported(
    error: BaseException,
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def stop(*_: Any) -> None:
        raise error

    monkeypatch.setattr("core.cli.info.run", stop)
    assert sentence in _refused(["info", "any"], capsys)


def test_undefined_measurements_are_null(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from core.cli.terminal import Result

    figures = {"a": float("nan"), "b": [float("inf"), {"c": (1.5, float("nan"))}]}
    monkeypatch.setattr("core.cli.info.run", lambda *_: Result("", figures))
    assert main(["info", "any", "--json"]) == 0
    printed = capsys.readouterr().out
    assert "NaN" not in printed
    assert json.loads(printed) == {"a": None, "b": [None, {"c": [1.5, None]}]}


@pytest.mark.parametrize("as_json", [True, False])
def test_a_terminal_without_the_letters(
    tmp_path: Path, as_json: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    assert main(["info", str(tmp_path / "früh"), *(["--json"] if as_json else [])]) == 1
    if as_json:
        assert "früh" in json.loads(raw.getvalue())["error"]


def test_a_closed_pipe_ends_quietly(scan: Path) -> None:
    root = Path(__file__).resolve().parent.parent
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as closed:
        finished = subprocess.run(
            [sys.executable, "-m", "core", "info", str(scan)],
            stdout=closed,
            stderr=subprocess.PIPE,
            check=False,
            cwd=root,
        )
    assert finished.stderr == b""
    assert finished.returncode == 0


def test_error_of_the_measured_process_is_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "broken.nii.gz"
    path.write_bytes(b"\x1f\x8b" + b"x" * 400)
    with pytest.raises(LungLensError) as raised:
        open_study(path)
    assert _refused(["benchmark", "--input", str(path)], capsys) == str(raised.value)


# ------------------------------------------------------------------ real scans


@pytest.mark.real_data
@pytest.mark.parametrize(
    "name",
    [
        "covid20/ct_scans/coronacases_org_001.nii.gz",
        "covid20/ct_scans/radiopaedia_org_covid-19-pneumonia-29_86490_1-dcm.nii.gz",
        "covid_ct_md/normal001.nii.gz",
        "covid_ct_md/P001_dicom",
        "covid_ct_md/P001_dicom as zip",
    ],
)
def test_real_scans_are_marked_where_they_lie(
    real_data: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = real_data / name.removesuffix(" as zip")
    if name.endswith(" as zip"):
        with zipfile.ZipFile(tmp_path / "series.zip", "w") as packed:
            for file in sorted(path.iterdir()):
                packed.write(file, f"series/{file.name}")
        path = tmp_path / "series.zip"
    output = tmp_path / "result"
    assert main(["segment", str(path), "-o", str(output), "--json"]) == 0
    printed = _json_of(capsys)
    assert json.loads((output / "metrics.json").read_text(encoding="utf-8")) == printed
    if path.name.endswith(".nii.gz"):
        original = nib.load(path)
        shape, affine = original.shape, original.affine
    else:
        source = open_study(path).volume.source
        shape, affine = source.file_shape, source.file_affine
    for channel in ("lung", "infection"):
        mask = nib.load(output / f"{channel}_mask.nii.gz")
        assert mask.shape == tuple(shape)
        np.testing.assert_allclose(mask.affine, affine, atol=1e-4)
    assert 0 < printed["lung_voxels"] < np.prod(shape)
