"""Masks lie in space exactly as the scan's own file."""

from __future__ import annotations

import gzip
from pathlib import Path

import cv2
import nibabel as nib
import numpy as np
import pytest
from nibabel.affines import apply_affine
from nibabel.orientations import apply_orientation, inv_ornt_aff

from core.errors import GeometryError, SaveError
from core.loading import load_dicom, load_mask, load_nifti
from core.output.saving import (
    mask_nifti_bytes,
    mask_png_bytes,
    save_mask,
    save_mask_png,
    save_volume,
)
from tests.scans import chest_hu, dicom_series, small_affine, write_dicom
from tests.test_volume import ORIENTATIONS


@pytest.mark.parametrize("turn", ORIENTATIONS[::4], ids=lambda t: str(t.astype(int).tolist()))
def test_a_mask_goes_back_into_the_files_own_axes(turn: np.ndarray, tmp_path: Path) -> None:
    hu = chest_hu()
    file_affine = small_affine() @ inv_ornt_aff(turn, hu.shape)
    scan = tmp_path / "scan.nii.gz"
    nib.save(nib.Nifti1Image(apply_orientation(hu, turn), file_affine), scan)
    volume = load_nifti(scan)
    mask = volume.array < -700

    path = save_mask(mask, volume, tmp_path / "out" / "mask.nii.gz")

    saved, original = nib.load(path), nib.load(scan)
    assert saved.shape == original.shape
    assert saved.get_data_dtype() == np.uint8
    np.testing.assert_array_equal(saved.affine, original.affine)
    np.testing.assert_array_equal(
        np.asanyarray(saved.dataobj) == 1, np.asanyarray(original.dataobj) < -700
    )
    np.testing.assert_array_equal(load_mask(path, volume), mask)


def test_header_says_millimetres_and_where(small_chest: Path) -> None:
    volume = load_nifti(small_chest)
    content = gzip.decompress(mask_nifti_bytes(volume.array > 0, volume))
    image = nib.Nifti1Image.from_bytes(content)
    header = image.header
    assert header.get_xyzt_units()[0] == "mm"
    original = nib.load(small_chest).header
    for code in ("sform_code", "qform_code"):
        assert int(header[code]) == int(original[code])
    np.testing.assert_allclose(header.get_sform(), volume.source.file_affine, atol=1e-4)
    np.testing.assert_allclose(header.get_qform(), volume.source.file_affine, atol=1e-4)
    assert header.get_slope_inter() in ((None, None), (1.0, 0.0))


@pytest.mark.parametrize("trailing", [(1,), (1, 1)], ids=["four axes", "five axes"])
def test_axes_of_length_one_come_back(trailing: tuple[int, ...], tmp_path: Path) -> None:
    hu = chest_hu()
    scan = tmp_path / "scan.nii.gz"
    nib.save(nib.Nifti1Image(hu.reshape(hu.shape + trailing), small_affine()), scan)
    volume = load_nifti(scan)
    mask = volume.array < -700
    saved = nib.load(save_mask(mask, volume, tmp_path / "mask.nii.gz"))
    assert saved.shape == nib.load(scan).shape == (*hu.shape, *trailing)
    np.testing.assert_array_equal(np.asanyarray(saved.dataobj).reshape(hu.shape) == 1, mask)
    np.testing.assert_array_equal(load_mask(tmp_path / "mask.nii.gz", volume), mask)
    again = load_nifti(save_volume(volume, tmp_path / "again.nii.gz"))
    assert again.digest == volume.digest


@pytest.mark.parametrize(("unit", "mm"), [("meter", 1000.0), ("micron", 0.001)])
def test_a_mask_keeps_the_unit_of_its_scan(unit: str, mm: float, tmp_path: Path) -> None:
    affine = small_affine()
    affine[:3] /= mm
    image = nib.Nifti1Image(chest_hu(), affine)
    image.header.set_xyzt_units(unit)
    scan = tmp_path / "scan.nii.gz"
    nib.save(image, scan)
    volume = load_nifti(scan)
    mask = volume.array < -700
    saved = nib.load(save_mask(mask, volume, tmp_path / "mask.nii.gz"))
    np.testing.assert_array_equal(saved.affine, nib.load(scan).affine)
    assert saved.header.get_xyzt_units()[0] == unit
    np.testing.assert_allclose(saved.header.get_zooms(), nib.load(scan).header.get_zooms())
    np.testing.assert_array_equal(load_mask(tmp_path / "mask.nii.gz", volume), mask)


def test_the_same_mask_gives_the_same_bytes(small_chest: Path) -> None:
    volume = load_nifti(small_chest)
    mask = volume.array > 0
    assert mask_nifti_bytes(mask, volume) == mask_nifti_bytes(mask.copy(), volume)


def test_label_maps_keep_their_labels(small_chest: Path, tmp_path: Path) -> None:
    volume = load_nifti(small_chest)
    labels = np.zeros(volume.shape, np.uint8)
    labels[10:20], labels[20:25] = 1, 2
    path = save_mask(labels, volume, tmp_path / "labels.nii.gz")
    counts = np.bincount(np.asanyarray(nib.load(path).dataobj).ravel())
    np.testing.assert_array_equal(counts, np.bincount(labels.ravel()))


def test_slices_of_a_tilted_dicom_stay_in_their_planes(tmp_path: Path) -> None:
    volume = load_dicom(write_dicom(dicom_series(chest_hu(), step=(0, 1.2, 5)), tmp_path / "s"))
    mask = volume.array > 0
    image = nib.load(save_mask(mask, volume, tmp_path / "mask.nii.gz"))
    axes = image.affine[:3, :3]
    np.testing.assert_allclose(axes.T @ axes, np.diag(np.diag(axes.T @ axes)), atol=1e-5)
    saved = np.asanyarray(image.dataobj)
    for k in range(volume.shape[2]):
        here = apply_affine(image.affine, np.add(np.argwhere(saved[:, :, [k]]), (0, 0, k)))
        there = apply_affine(volume.affine, np.add(np.argwhere(mask[:, :, [k]]), (0, 0, k)))
        assert len(here) == len(there)
        # The very same voxels, moved within the plane by half a voxel at most.
        shift = here.mean(axis=0) - there.mean(axis=0)
        assert abs(shift[1]) <= 0.75 + 1e-4
        np.testing.assert_allclose(shift[[0, 2]], 0, atol=1e-4)


def test_a_mask_of_another_shape_is_refused(small_chest: Path) -> None:
    volume = load_nifti(small_chest)
    with pytest.raises(GeometryError, match="does not fit its scan"):
        mask_nifti_bytes(np.zeros((3, 3, 3), bool), volume)


def test_png_is_black_and_white(tmp_path: Path) -> None:
    mask = np.zeros((40, 30), bool)
    mask[5:9, 7:20] = True
    path = save_mask_png(mask, tmp_path / "mask – ä.png")
    picture = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    assert picture.dtype == np.uint8
    np.testing.assert_array_equal(picture, mask * np.uint8(255))
    assert path.read_bytes() == mask_png_bytes(mask)


def test_what_cannot_be_written_is_reported(small_chest: Path, tmp_path: Path) -> None:
    volume = load_nifti(small_chest)
    (tmp_path / "taken").write_text("a file where a folder is wanted")
    with pytest.raises(SaveError, match=r"mask\.nii\.gz cannot be written"):
        save_mask(volume.array > 0, volume, tmp_path / "taken" / "mask.nii.gz")
