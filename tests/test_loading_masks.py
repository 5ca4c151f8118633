"""Masks come onto the scan's own grid, whatever axes their file has."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from nibabel.orientations import apply_orientation, inv_ornt_aff

from core.errors import LungLensError
from core.loading import load_labels, load_mask, load_nifti, load_pictures, open_study
from tests.scans import chest_hu, chest_picture, png_bytes, small_affine
from tests.test_volume import ORIENTATIONS


def write(path: Path, array: np.ndarray, affine: np.ndarray | None = None) -> Path:
    nib.save(nib.Nifti1Image(array, small_affine() if affine is None else affine), path)
    return path


@pytest.mark.parametrize("turn", ORIENTATIONS[::3], ids=lambda t: str(t.astype(int).tolist()))
def test_a_mask_of_other_axes_is_turned(
    turn: np.ndarray, small_chest: Path, tmp_path: Path
) -> None:
    volume = load_nifti(small_chest)
    lung = (chest_hu() < -700).astype(np.uint8)
    affine = small_affine() @ inv_ornt_aff(turn, lung.shape)
    path = write(tmp_path / "mask.nii.gz", apply_orientation(lung, turn), affine)
    mask = load_mask(path, volume)
    assert mask.dtype == np.bool_
    np.testing.assert_array_equal(mask, lung == 1)


@pytest.mark.parametrize("kind", ["uint8", "int16", "float32", "float64"])
def test_any_label_is_true(kind: str, small_chest: Path, tmp_path: Path) -> None:
    volume = load_nifti(small_chest)
    labels = np.zeros(volume.shape, kind)
    labels[5:10], labels[30:36], labels[20:22] = 1, 2, 255
    mask = load_mask(write(tmp_path / "mask.nii.gz", labels), volume)
    np.testing.assert_array_equal(mask, labels > 0)


def test_an_empty_mask_is_a_mask(small_chest: Path, tmp_path: Path) -> None:
    volume = load_nifti(small_chest)
    mask = load_mask(write(tmp_path / "mask.nii.gz", np.zeros(volume.shape, np.uint8)), volume)
    assert not mask.any()


def test_combined_labels(small_chest: Path, tmp_path: Path) -> None:
    volume = load_nifti(small_chest)
    labels = np.zeros(volume.shape, np.uint8)
    labels[5:15], labels[30:40], labels[32:34, 10:12] = 1, 2, 3
    truth = load_labels(write(tmp_path / "labels.nii.gz", labels), volume)
    np.testing.assert_array_equal(truth.lung, labels > 0)
    np.testing.assert_array_equal(truth.infection, labels == 3)
    labels[0] = 7
    with pytest.raises(LungLensError, match="label 7"):
        load_labels(write(tmp_path / "labels.nii.gz", labels), volume)


def test_rounding_of_the_affine_is_allowed(small_chest: Path, tmp_path: Path) -> None:
    volume = load_nifti(small_chest)
    affine = small_affine()
    affine[0, 3] += 0.02
    lung = (chest_hu() < -700).astype(np.uint8)
    np.testing.assert_array_equal(
        load_mask(write(tmp_path / "m.nii.gz", lung, affine), volume), lung == 1
    )


def test_shape_is_trusted_only_on_request(small_chest: Path, tmp_path: Path) -> None:
    volume = load_nifti(small_chest)
    lung = (chest_hu() < -700).astype(np.uint8)
    path = write(tmp_path / "mask.nii.gz", lung, np.diag([1.0, 1.0, 1.0, 1.0]))
    with pytest.raises(LungLensError, match=r"has another shape|lies elsewhere"):
        load_mask(path, volume)
    np.testing.assert_array_equal(load_mask(path, volume, trust_shape=True), lung == 1)


def test_masks_join_the_study(small_chest: Path, tmp_path: Path) -> None:
    lung = (chest_hu() < -700).astype(np.uint8)
    path = write(tmp_path / "lung.nii.gz", lung)
    study = open_study(small_chest, lung_mask_path=path)
    assert study.truth is not None
    assert study.truth.infection is None
    np.testing.assert_array_equal(study.truth.lung, lung == 1)


@pytest.mark.parametrize(("true", "ending"), [(1, ".png"), (255, ".png"), (255, ".jpg")])
def test_a_picture_as_the_mask_of_a_picture(true: int, ending: str, tmp_path: Path) -> None:
    (tmp_path / "slice.png").write_bytes(png_bytes(chest_picture()))
    mask = np.zeros(chest_picture().shape, np.uint8)
    mask[8:24, 16:32] = true
    path = tmp_path / f"mask{ending}"
    path.write_bytes(png_bytes(mask, ending))
    volume = load_pictures([tmp_path / "slice.png"])
    loaded = load_mask(path, volume)
    assert loaded.shape == volume.shape
    np.testing.assert_array_equal(loaded[:, :, 0].T, mask > 0)
