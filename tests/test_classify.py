"""The classify command and what it stands on, with the weights that are shipped."""

from __future__ import annotations

import csv
import io
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import nibabel as nib
import numpy as np
import pytest
from pydicom.uid import generate_uid

from core.classification import (
    Classifier,
    classify_pictures,
    classify_volume,
    explain_slices,
    load_classifier,
    load_segmenter_for,
    open_picture,
)
from core.classification.frames import GREY_WINDOW
from core.classification.metrics import accuracy, area_under_curve
from core.classification.scores import COLUMNS, ScoreRow, table_text
from core.cli import main
from core.cli.classify import list_inputs
from core.errors import LoadError
from core.loading import load_nifti
from core.preprocessing.model_input import window_slice
from core.preprocessing.spatial import plan_spatial, turn_volume
from core.segmentation.pipeline import segment_volume
from core.segmentation.result import ScanFacts
from core.volume import Volume
from tests.scans import dicom_series, write_dicom
from tests.studies import demo_study


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return load_classifier()


@pytest.fixture(scope="module")
def chest() -> Volume:
    return demo_study((256, 256, 12)).volume


def picture_of(chest: Volume, k: int) -> np.ndarray:
    grey = window_slice(chest, plan_spatial(chest, GREY_WINDOW), GREY_WINDOW, k)
    return cv2.resize(grey, (224, 224), interpolation=cv2.INTER_AREA)


@pytest.fixture(scope="module")
def folder(chest: Volume, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures good and bad, with names that a table or a page could stumble over."""
    root = tmp_path_factory.mktemp("inputs") / "set"
    (root / "covid").mkdir(parents=True)
    (root / "noncovid").mkdir()
    middle = picture_of(chest, chest.shape[2] // 2)
    cv2.imwrite(str(root / "covid" / "a, b.png"), middle)
    cv2.imwrite(str(root / "noncovid" / "<b>ü&.png"), middle[:, ::-1])
    (root / "noncovid" / "broken.webp").write_bytes(b"RIFF1234WEBPgarbage")
    noise = np.random.default_rng(0).integers(0, 256, (224, 224), dtype=np.uint8)
    cv2.imwrite(str(root / "noise.png"), noise)
    colour = np.zeros((120, 160, 3), dtype=np.uint8)
    colour[:, :, 2] = 220
    colour[30:90, 40:120] = (20, 200, 30)
    cv2.imwrite(str(root / "colour.png"), colour)
    cv2.imwrite(str(root / "black.png"), np.zeros((224, 224), dtype=np.uint8))
    (root / "notes.txt").write_text("not an input")
    return root


def rows_of(path: Path) -> dict[str, dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        assert tuple(reader.fieldnames or ()) == COLUMNS
        return {row["name"]: row for row in reader}


def test_table_of_a_folder(folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "scores.csv"
    assert main(["classify", str(folder), "-o", str(place), "--quiet"]) == 0
    rows = rows_of(place)
    assert set(rows) == {
        "black.png",
        "colour.png",
        "covid/a, b.png",
        "noise.png",
        "noncovid/<b>ü&.png",
        "noncovid/broken.webp",
    }
    broken = rows.pop("noncovid/broken.webp")
    assert (broken["covid_probability"], broken["abstained"]) == ("", "true")
    assert "not a picture" in broken["reason"]
    for row in rows.values():
        assert 0 <= float(row["covid_probability"]) <= 1
        assert row["band"] in ("low", "indeterminate", "high")
        assert row["reason"]
    for name in ("black.png", "colour.png", "noise.png"):
        assert rows[name]["abstained"] == "true"
    assert "colour" in rows["colour.png"]["reason"]


def test_one_picture_and_one_broken_file(folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "one.csv"
    assert main(["classify", str(folder / "covid" / "a, b.png"), "-o", str(place)]) == 0
    (name,) = rows_of(place)
    assert name == "a, b.png"
    broken = folder / "noncovid" / "broken.webp"
    assert main(["classify", str(broken), "-o", str(place)]) == 1
    assert rows_of(place)["broken.webp"]["abstained"] == "true"


def test_scans_of_a_folder(chest: Volume, tmp_path: Path) -> None:
    scans = tmp_path / "scans"
    scans.mkdir()
    small = np.asarray(chest.array[::2, ::2])
    affine = chest.affine @ np.diag([2.0, 2.0, 1.0, 1.0])
    nib.save(nib.Nifti1Image(small, affine), scans / "chest.nii.gz")
    (scans / "bad.nii.gz").write_bytes(b"no scan")
    place = tmp_path / "scores.csv"
    assert main(["classify", str(scans), "-o", str(place)]) == 0
    rows = rows_of(place)
    assert list(rows) == ["bad.nii.gz", "chest.nii.gz"]
    assert rows["bad.nii.gz"]["covid_probability"] == ""
    assert 0 < float(rows["chest.nii.gz"]["covid_probability"]) < 1


def test_negatives_are_abstained_on(chest: Volume, tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    middle = picture_of(chest, chest.shape[2] // 2)
    cv2.imwrite(str(pictures / "negative.png"), 255 - middle)
    cv2.imwrite(str(pictures / "positive.png"), middle)
    place = tmp_path / "scores.csv"
    assert main(["classify", str(pictures), "-o", str(place), "--quiet"]) == 0
    rows = rows_of(place)
    assert rows["negative.png"]["abstained"] == "true"
    assert rows["negative.png"]["reason"].startswith("Black and white seem to be exchanged")
    assert "exchanged" not in rows["positive.png"]["reason"]


def test_a_negative_scan_is_doubtful(chest: Volume, tmp_path: Path, classifier: Classifier) -> None:
    grey = np.clip((chest.array[::2, ::2].astype(np.float32) + 1250) / 1500 * 255, 0, 255)
    path = tmp_path / "negative.nii.gz"
    affine = chest.affine @ np.diag([2.0, 2.0, 1.0, 1.0])
    nib.save(nib.Nifti1Image(255 - grey.astype(np.uint8), affine), path)
    segmentation = segment_volume(load_nifti(path), load_segmenter_for(classifier))
    assert any(
        doubt.startswith("Black and white seem to be exchanged") for doubt in segmentation.doubts
    )


def test_the_series_of_one_scan_can_be_chosen(
    chest: Volume, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    slices = dicom_series(np.asarray(chest.array[::4, ::4]), FrameOfReferenceUID="1.2.3.4")
    for dataset in slices:
        dataset.SeriesInstanceUID = generate_uid()
    write_dicom(slices, tmp_path / "scans" / "scattered")
    place = tmp_path / "scores.csv"
    arguments = ["classify", str(tmp_path / "scans"), "-o", str(place), "--quiet"]
    assert main(arguments) == 1
    assert "--join-series" in capsys.readouterr().out
    assert main([*arguments, "--join-series"]) == 0
    assert rows_of(place)["scattered"]["covid_probability"]
    write_dicom(dicom_series(np.asarray(chest.array[::4, ::4])), tmp_path / "scans" / "other")
    assert main([*arguments, "--series", "1.2.3"]) == 1
    assert "--series applies to one scan only: got 2 pictures" in capsys.readouterr().err
    assert main([*arguments, "--orientation", "LAS"]) == 1
    assert "--orientation applies to one scan only" in capsys.readouterr().err


def test_what_cannot_be_classified(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "scores.csv"
    empty = tmp_path / "empty"
    empty.mkdir()
    assert main(["classify", str(empty), "-o", str(place)]) == 1
    assert "holds nothing to classify" in capsys.readouterr().err
    assert main(["classify", str(tmp_path / "nowhere"), "-o", str(place)]) == 1
    assert not place.exists()
    with pytest.raises(LoadError):
        list_inputs(empty)


def test_a_folder_holds_scans_of_every_format_that_can_be_opened(tmp_path: Path) -> None:
    names = ["a.npy", "b.npz", "c.nhdr", "d.hdr", "e.tar", "f.tar.gz", "g.tgz", "h.mha", "i.nii.gz"]
    for name in [*names, "notes.txt", "d.img"]:
        (tmp_path / name).write_bytes(b"x")
    assert [one.name for one in list_inputs(tmp_path)] == names
    assert not any(one.is_picture for one in list_inputs(tmp_path))


def test_names_are_no_formulas() -> None:
    text = table_text([ScoreRow("=cmd()", None, '-x "quoted", \nline')])
    (row,) = list(csv.DictReader(io.StringIO(text)))
    assert row["name"] == "'=cmd()"
    assert row["reason"] == '\'-x "quoted",  line'


def test_a_table_is_no_input_of_its_own(folder: Path, tmp_path: Path) -> None:
    copied = Path(shutil.copytree(folder, tmp_path / "set"))
    with pytest.raises(SystemExit):
        main(["classify", str(copied)])
    target = copied / "noise.png"
    before = target.read_bytes()
    assert main(["classify", str(target), "-o", str(target)]) == 1
    assert target.read_bytes() == before


def test_turned_pictures_get_the_same_verdict(
    classifier: Classifier, folder: Path, tmp_path: Path
) -> None:
    upright = open_picture(folder / "covid" / "a, b.png")
    found = classify_pictures([upright], classifier)[0]
    for turns in (1, 2):
        turned = replace(upright, volume=turn_volume(upright.volume, turns))
        again = classify_pictures([turned], classifier)[0]
        assert again.covid_probability == pytest.approx(found.covid_probability, abs=0.02)


def test_heat_lies_on_the_slice(classifier: Classifier, chest: Volume) -> None:
    from core.volume import Source

    middle = chest.shape[2] // 2
    cut = replace(
        chest,
        array=np.asfortranarray(chest.array[:, :, middle - 1 : middle + 2]),
        source=replace(chest.source, file_shape=(*chest.shape[:2], 3)),
    )
    assert isinstance(cut.source, Source)
    segmentation = segment_volume(cut, load_segmenter_for(classifier))
    (shown,) = explain_slices(cut, [1], segmentation, classifier)
    assert shown.heat.shape == (chest.shape[1], chest.shape[0])
    assert shown.heat.dtype == np.float32
    assert 0 <= shown.heat.min() <= shown.heat.max() <= 1 + 1e-6
    lung = segmentation.masks.lung
    assert lung is not None
    assert not shown.heat[~lung[:, :, 1].T].any()
    verdict = classify_volume(cut, segmentation, classifier)
    assert verdict.slice_indices == (0, 1, 2)
    assert len(verdict.slice_probabilities) == 3
    assert set(verdict.highest_scoring) <= {0, 1, 2}
    assert set(verdict.share_by_zone) == {"upper", "middle", "lower", "right", "left"}
    noisy = replace(segmentation, scan=ScanFacts((0.7, 0.7, 5.0), noise_hu=60.0))
    again = classify_volume(cut, noisy, classifier)
    assert again.abstained
    assert again.reason.startswith("The scan is noisy (60 HU") or verdict.abstained
    assert again.covid_probability == verdict.covid_probability


@pytest.mark.real_data
def test_coronal_slices_are_abstained_on(
    classifier: Classifier, real_data: Path, tmp_path: Path
) -> None:
    """Of a scan of which other coronal slices were among what it learned to abstain on."""
    scan = load_nifti(real_data / "covid_ct_md" / "normal001.nii.gz")
    opened = []
    for plane_index in (101, 117, 133, 149):
        grey = scan.hu(scan.array[:, plane_index, ::-1].T)
        grey = np.clip((grey + 1250) / 1500 * 255, 0, 255).astype(np.uint8)
        path = tmp_path / f"{plane_index}.png"
        cv2.imwrite(str(path), cv2.resize(grey, (224, 224)))
        opened.append(open_picture(path))
    verdicts = classify_pictures(opened, classifier)
    assert sum(verdict.abstained for verdict in verdicts) >= 2


@pytest.mark.real_data
def test_validation_pictures_are_ranked(classifier: Classifier, real_data: Path) -> None:
    """Every sixth UCSD validation picture; the shipped head has seen them, so this is a check of
    the whole path, not a figure to quote."""
    root = real_data / "covid_ct_ucsd" / "val"
    paths = [
        path for name in ("covid", "noncovid") for path in sorted((root / name).iterdir())[::6]
    ]
    labels = np.array([int(path.parent.name == "covid") for path in paths])
    found = classify_pictures([open_picture(path) for path in paths], classifier)
    scores = np.array([verdict.covid_probability for verdict in found])
    known = classifier.info.manifest["validation"]["ucsd"]
    assert area_under_curve(labels, scores) > known["auc_interval"][0]
    assert accuracy(labels, scores) > known["accuracy_interval"][0] - 0.1
