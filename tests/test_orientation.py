"""Scans whose orientation is not the one in their file."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from core.errors import ConfigError
from core.loading import load_dicom, load_mask, open_study
from core.loading.orientation import reoriented_study, turned_back
from core.loading.upright_chest import TURNS, UPRIGHT, find_turn, head_is_last
from core.output.saving import mask_file_notes, save_mask
from core.volume import to_file_order
from tests.scans import (
    chest_hu,
    chest_picture,
    dicom_series,
    png_bytes,
    small_affine,
    write_dicom,
)
from tests.studies import demo_study


@pytest.fixture(scope="module")
def chest() -> tuple[np.ndarray, np.ndarray]:
    """The demo chest, 128×128×48 in the order L, P, S, and its affine."""
    volume = demo_study((128, 128, 48)).volume
    return np.asarray(volume.array), volume.affine


def write(path: Path, array: np.ndarray, affine: np.ndarray) -> Path:
    nib.save(nib.Nifti1Image(np.ascontiguousarray(array), affine), path)
    return path


def told(path: Path) -> list[str]:
    return [w for w in open_study(path).volume.warnings if "--orientation" in w]


def test_a_chest_in_the_orientation_of_its_file_gets_no_warning(
    chest: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    assert told(write(tmp_path / "scan.nii", *chest)) == []


@pytest.mark.parametrize(
    ("turn", "codes"),
    [
        (lambda array: array[:, ::-1], "LAS"),
        (lambda array: np.rot90(array, 1, (0, 1)), "ALS"),
        (lambda array: np.rot90(array, -1, (0, 1)), "PRS"),
        (lambda array: array[:, :, ::-1], "LPI"),
        (lambda array: array[:, ::-1, ::-1], "LAI"),
    ],
    ids=["front is back", "on one side", "on the other side", "upside down", "turned about"],
)
def test_a_turn_is_proposed_and_applied_on_request(
    turn, codes: str, chest: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    array, affine = chest
    path = write(tmp_path / "scan.nii", turn(array), affine)
    assert len(told(path)) == 1
    assert f"(--orientation {codes})" in told(path)[0]
    volume = open_study(path, orientation=codes).volume
    np.testing.assert_array_equal(volume.array, array)
    assert open_study(path).volume.source.other_orientation == codes
    assert volume.source.other_orientation == ""
    assert not any("--orientation" in w for w in volume.warnings)
    assert dict(volume.source.facts)["Orientation"] == f"{codes}, set by hand"


@pytest.mark.parametrize("turn", TURNS, ids=lambda turn: f"{turn[0]}{turn[1]}".replace(" ", ""))
def test_every_way_to_lie_is_recognised(turn, chest: tuple[np.ndarray, np.ndarray]) -> None:
    """Slices, rows, columns and all other orders of axes, each end first or last."""
    axes, signs = turn
    lying = chest[0][::2, ::2, ::2].astype(np.float32)[:, :: signs[1], :: signs[2]]
    assert find_turn(lying.transpose(np.argsort(axes))) == turn


def test_an_array_of_slices_rows_columns_is_opened_rightly_on_request(
    chest: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    array, affine = chest
    path = write(tmp_path / "scan.nii", array.transpose(2, 1, 0), affine)
    assert "(--orientation SPL)" in told(path)[0]
    np.testing.assert_array_equal(open_study(path, orientation="SPL").volume.array, array)


@pytest.mark.parametrize("keep", [np.s_[:, :, ::6], np.s_[:, :, 15:30], np.s_[:, 15:, :]])
def test_thick_cut_and_cropped_scans_tell_how_they_lie(
    keep, chest: tuple[np.ndarray, np.ndarray]
) -> None:
    hu = chest[0][keep][::2, ::2].astype(np.float32)
    assert find_turn(hu) == TURNS[UPRIGHT]
    assert head_is_last(hu[:, :, ::-1]) is False


def test_what_holds_no_lungs_tells_nothing() -> None:
    tissue = np.full((40, 40, 40), 30, np.float32)
    assert find_turn(tissue) is None
    assert head_is_last(tissue) is None


@pytest.mark.parametrize("codes", ["LAS", "PRS", "SPL", "IAR"])
def test_masks_of_a_corrected_scan_lie_on_its_file(codes: str, tmp_path: Path) -> None:
    path = write(tmp_path / "scan.nii", chest_hu((40, 40, 40)), small_affine())
    volume = open_study(path, orientation=codes).volume
    np.testing.assert_array_equal(
        to_file_order(volume.array, volume.source), np.asarray(nib.load(path).dataobj)
    )
    mask = volume.array < -700
    saved = nib.load(save_mask(mask, volume, tmp_path / "mask.nii.gz"))
    np.testing.assert_array_equal(saved.affine, nib.load(path).affine)
    np.testing.assert_array_equal(
        np.asarray(saved.dataobj) == 1, np.asarray(nib.load(path).dataobj) < -700
    )
    np.testing.assert_array_equal(load_mask(tmp_path / "mask.nii.gz", volume), mask)
    assert "corrected" in mask_file_notes(volume)[0]


@pytest.mark.parametrize("codes", ["LP", "LPX", "LRS", "", "LPSS"])
def test_codes_that_name_no_orientation(codes: str, small_chest: Path) -> None:
    with pytest.raises(ConfigError, match="The orientation cannot be used"):
        open_study(small_chest, orientation=codes)


def test_pictures_are_not_turned_by_codes(tmp_path: Path) -> None:
    (tmp_path / "slice.png").write_bytes(png_bytes(chest_picture()))
    with pytest.raises(ConfigError, match="Pictures have no axes"):
        open_study(tmp_path / "slice.png", orientation="LPS")


def test_true_masks_turn_with_the_scan_and_back(tmp_path: Path) -> None:
    # Oblique, so that the way back must restore the affine itself.
    turn = np.array([[0.99, 0.14, 0, 0], [-0.14, 0.99, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    affine = turn @ small_affine()
    hu = chest_hu()
    lung = np.zeros(hu.shape, np.uint8)
    lung[10:20, 5:12, 1:4] = 1
    scan = write(tmp_path / "scan.nii", hu[:, ::-1], affine)
    mask = write(tmp_path / "lung.nii", lung[:, ::-1], affine)
    study = open_study(scan, lung_mask_path=mask)
    turned = reoriented_study(study, "LAS")
    np.testing.assert_array_equal(turned.volume.array, hu)
    assert turned.truth is not None
    np.testing.assert_array_equal(turned.truth.lung, lung == 1)
    back = turned_back(turned)
    np.testing.assert_array_equal(back.volume.array, study.volume.array)
    np.testing.assert_allclose(back.volume.affine, study.volume.affine)
    assert back.truth is not None
    assert study.truth is not None
    np.testing.assert_array_equal(back.truth.lung, study.truth.lung)
    assert dict(back.volume.source.facts)["Orientation"] == "LPS"
    assert back.volume.source.stored_affine is None
    assert back.volume.source.other_orientation == "LAS"


def _without_positions(array: np.ndarray, folder: Path) -> Path:
    datasets = dicom_series(array)
    for dataset in datasets:
        del dataset.ImagePositionPatient, dataset.ImageOrientationPatient
    return write_dicom(datasets, folder)


@pytest.mark.parametrize("turned", [False, True], ids=["feet first", "head first"])
def test_slices_without_positions_are_laid_by_their_lungs(
    turned: bool, chest: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    small = chest[0][:, :, ::2]
    stored = small[:, :, ::-1] if turned else small
    volume = load_dicom(_without_positions(stored, tmp_path / "series"))
    np.testing.assert_array_equal(volume.array, small)
    last = "the first" if turned else "the last"
    assert any(f"Of the slices, {last} one is taken" in w for w in volume.warnings)
    assert any("by the shape of the lungs" in w for w in volume.warnings)
    # What a person says counts, and is asked no more.
    said = open_study(tmp_path / "series", orientation=volume.source.other_orientation).volume
    np.testing.assert_array_equal(said.array, small[:, :, ::-1])
    assert not any("nearest to the head" in w for w in said.warnings)


def test_a_stack_whose_head_end_is_undecided_stays(tmp_path: Path) -> None:
    same = np.repeat(chest_hu()[:, :, :1], 12, axis=2)
    volume = load_dicom(_without_positions(same, tmp_path / "series"))
    np.testing.assert_array_equal(volume.array, same)
    assert any("the last one is taken" in w and "do not show" in w for w in volume.warnings)


@pytest.mark.real_data
def test_real_scans_lie_as_their_files_say(real_data: Path) -> None:
    """The weights were fitted to these: no measure of how well others are recognised."""
    paths = sorted((real_data / "covid20/ct_scans").glob("coronacases*.nii.gz"))
    paths += sorted((real_data / "whole_chest").rglob("lctsc_*.nii.gz"))
    paths = [path for path in paths if "mask" not in str(path)][::2]
    for path in paths:
        hu = open_study(path).volume.array[::4, ::4].astype(np.float32)
        assert find_turn(hu) == TURNS[UPRIGHT], path.name
        assert find_turn(hu.transpose(2, 1, 0)) == ((2, 1, 0), (1, 1, 1)), path.name
    assert len(paths) >= 5


@pytest.mark.real_data
def test_the_head_end_of_real_scans(real_data: Path) -> None:
    told = []
    for path in sorted((real_data / "whole_chest").rglob("*_*.nii.gz"))[:30]:
        if "mask" in str(path):
            continue
        array = open_study(path).volume.array[::4, ::4].astype(np.float32)
        told.append((head_is_last(array), head_is_last(array[:, :, ::-1])))
    assert len(told) >= 5
    assert set(told) == {(True, False)}
