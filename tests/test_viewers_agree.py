"""Exported masks lie on their scan in ITK's programs and in nibabel's, whatever the header says."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK
from nibabel.affines import apply_affine
from nibabel.orientations import apply_orientation, inv_ornt_aff

from core.loading import load_dicom, load_mask, load_nifti
from core.output.saving import mask_file_notes, save_mask
from core.volume import Volume
from tests.scans import chest_hu, dicom_series, small_affine, write_dicom
from tests.test_volume import ORIENTATIONS

_LPS = np.diag([-1.0, -1.0, 1.0])


def turned(degrees: float) -> np.ndarray:
    """The small affine turned about the left-right axis."""
    angle = np.deg2rad(degrees)
    turn = np.eye(4)
    turn[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return turn @ small_affine()


def sheared(amount_mm: float, *, axis: int = 1) -> np.ndarray:
    affine = small_affine()
    affine[axis, 2] = amount_mm
    return affine


def front_to_back() -> np.ndarray:
    affine = small_affine()
    affine[1, 1] *= -1
    affine[1, 3] -= affine[1, 1] * 39
    return affine


def write(
    path: Path, sform: np.ndarray, sform_code: int, qform: np.ndarray, qform_code: int
) -> Path:
    image = nib.Nifti1Image(chest_hu(), sform)
    image.set_sform(sform, sform_code)
    image.set_qform(qform, qform_code, strip_shears=True)
    nib.save(image, path)
    return path


def blob(volume: Volume) -> np.ndarray:
    """A block of 6 × 6 × 3 voxels away from every plane of symmetry."""
    mask = np.zeros(volume.shape, bool)
    mask[8:14, 10:16, 4:7] = True
    return mask


def centre_by_itk(path: Path) -> np.ndarray:
    """Of the marked voxels, in RAS mm."""
    image = SimpleITK.ReadImage(str(path))
    index = np.argwhere(SimpleITK.GetArrayFromImage(image) > 0).mean(axis=0)[::-1]
    return _LPS @ image.TransformContinuousIndexToPhysicalPoint(index.tolist())


def centre_by_nibabel(path: Path) -> np.ndarray:
    image = nib.load(path)
    return apply_affine(image.affine, np.argwhere(np.asarray(image.dataobj) > 0).mean(axis=0))


FORMS = {
    "sform alone": (small_affine(), 2, small_affine(), 0),
    "sform and qform": (small_affine(), 1, small_affine(), 1),
    "qform alone": (small_affine(), 0, small_affine(), 1),
    "turned": (turned(20), 1, turned(20), 1),
    "turned, sform alone": (turned(20), 4, turned(20), 0),
    "standard space": (small_affine(), 4, small_affine(), 3),
}


@pytest.mark.parametrize("forms", FORMS.values(), ids=FORMS)
def test_codes_come_back_and_both_read_the_same_place(forms: tuple, tmp_path: Path) -> None:
    scan = write(tmp_path / "scan.nii.gz", *forms)
    volume = load_nifti(scan)
    path = save_mask(blob(volume), volume, tmp_path / "mask.nii.gz")
    wanted = apply_affine(volume.affine, np.argwhere(blob(volume)).mean(axis=0))
    np.testing.assert_allclose(centre_by_itk(path), wanted, atol=1e-3)
    np.testing.assert_allclose(centre_by_nibabel(path), wanted, atol=1e-3)
    for code in ("sform_code", "qform_code"):
        assert nib.load(path).header[code] == nib.load(scan).header[code]
    assert mask_file_notes(volume) == ()
    assert not any("two positions" in warning for warning in volume.warnings)
    np.testing.assert_array_equal(load_mask(path, volume), blob(volume))


@pytest.mark.parametrize("turn", ORIENTATIONS[1::5], ids=lambda t: str(t.astype(int).tolist()))
def test_flipped_axes(turn: np.ndarray, tmp_path: Path) -> None:
    hu = chest_hu()
    affine = turned(10) @ inv_ornt_aff(turn, hu.shape)
    nib.save(nib.Nifti1Image(apply_orientation(hu, turn), affine), tmp_path / "scan.nii")
    volume = load_nifti(tmp_path / "scan.nii")
    path = save_mask(blob(volume), volume, tmp_path / "mask.nii.gz")
    wanted = apply_affine(volume.affine, np.argwhere(blob(volume)).mean(axis=0))
    np.testing.assert_allclose(centre_by_itk(path), wanted, atol=1e-3)
    np.testing.assert_allclose(centre_by_nibabel(path), wanted, atol=1e-3)


@pytest.mark.parametrize(("sform_code", "qform_code"), [(2, 1), (1, 1), (1, 3), (4, 2)])
def test_forms_that_disagree_are_reported_and_repeated(
    sform_code: int, qform_code: int, tmp_path: Path
) -> None:
    scan = write(tmp_path / "s.nii.gz", front_to_back(), sform_code, small_affine(), qform_code)
    volume = load_nifti(scan)
    assert any("the sform is used here" in warning for warning in volume.warnings)
    assert any("LAS and LPS" in warning for warning in volume.warnings)
    path = save_mask(blob(volume), volume, tmp_path / "mask.nii.gz")
    mask, original = SimpleITK.ReadImage(str(path)), SimpleITK.ReadImage(str(scan))
    assert mask.GetDirection() == original.GetDirection()
    assert mask.GetOrigin() == original.GetOrigin()
    np.testing.assert_array_equal(nib.load(path).affine, nib.load(scan).affine)
    np.testing.assert_array_equal(nib.load(path).get_qform(), nib.load(scan).get_qform())


def test_a_header_without_position_stays_without(tmp_path: Path) -> None:
    scan = write(tmp_path / "scan.nii.gz", small_affine(), 0, small_affine(), 0)
    volume = load_nifti(scan)
    assert any("does not give its orientation" in warning for warning in volume.warnings)
    path = save_mask(blob(volume), volume, tmp_path / "mask.nii.gz")
    mask, original = SimpleITK.ReadImage(str(path)), SimpleITK.ReadImage(str(scan))
    assert mask.GetDirection() == original.GetDirection()
    assert mask.GetOrigin() == original.GetOrigin()
    np.testing.assert_array_equal(nib.load(path).affine, nib.load(scan).affine)


def test_an_empty_sform_gives_way_to_the_qform(tmp_path: Path) -> None:
    image = nib.Nifti1Image(chest_hu(), turned(15))
    image.set_qform(turned(15), 1)
    image.set_sform(turned(15), 1)
    content = bytearray(image.to_bytes())
    content[280:328] = bytes(48)  # srow_x, srow_y, srow_z
    (tmp_path / "scan.nii").write_bytes(content)
    volume = load_nifti(tmp_path / "scan.nii")
    np.testing.assert_allclose(volume.affine, turned(15), atol=1e-3)
    assert any("placed by its qform" in warning for warning in volume.warnings)
    path = save_mask(blob(volume), volume, tmp_path / "mask.nii.gz")
    wanted = apply_affine(volume.affine, np.argwhere(blob(volume)).mean(axis=0))
    np.testing.assert_allclose(centre_by_itk(path), wanted, atol=1e-3)
    np.testing.assert_allclose(centre_by_nibabel(path), wanted, atol=1e-3)


SHEARS = {
    "tilted gantry": sheared(1.9),
    "the other way": sheared(-1.1),
    "sideways": sheared(2.4, axis=0),
    "in the plane": small_affine()
    @ np.array([[1, 0.2, 0, 0], [0, 1, 0.3, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]),
}


@pytest.mark.parametrize("affine", SHEARS.values(), ids=SHEARS)
def test_sheared_masks_are_put_straight(affine: np.ndarray, tmp_path: Path) -> None:
    volume = load_nifti(write(tmp_path / "s.nii.gz", affine, 1, affine, 0))
    path = save_mask(blob(volume), volume, tmp_path / "mask.nii.gz")
    wanted = apply_affine(volume.affine, np.argwhere(blob(volume)).mean(axis=0))
    np.testing.assert_allclose(centre_by_itk(path), wanted, atol=0.75)
    np.testing.assert_allclose(centre_by_nibabel(path), centre_by_itk(path), atol=1e-3)
    saved = nib.load(path)
    ml = np.count_nonzero(saved.dataobj) * abs(np.linalg.det(saved.affine[:3, :3]))
    assert ml == pytest.approx(blob(volume).sum() * abs(np.linalg.det(affine[:3, :3])), rel=1e-5)
    assert "moved within its plane" in mask_file_notes(volume)[0]
    np.testing.assert_array_equal(load_mask(path, volume), blob(volume))


@pytest.mark.parametrize("affine", SHEARS.values(), ids=SHEARS)
@pytest.mark.parametrize("stripped", [True, False])
def test_masks_of_a_sheared_sform_beside_a_qform_lie_on_the_scan(
    affine: np.ndarray, stripped: bool, tmp_path: Path
) -> None:
    scan = write(tmp_path / "s.nii.gz", affine, 1, affine if stripped else small_affine(), 1)
    volume = load_nifti(scan)
    assert any("the sform is used here" in warning for warning in volume.warnings)
    assert "repeat both" in mask_file_notes(volume)[0]
    path = save_mask(blob(volume), volume, tmp_path / "mask.nii.gz")
    mask, original = SimpleITK.ReadImage(str(path)), SimpleITK.ReadImage(str(scan))
    assert mask.GetDirection() == original.GetDirection()
    assert mask.GetOrigin() == original.GetOrigin()
    np.testing.assert_array_equal(nib.load(path).affine, nib.load(scan).affine)
    np.testing.assert_array_equal(load_mask(path, volume), blob(volume))


@pytest.mark.parametrize("negative", [(1,), (3,), (1, 2, 3)])
@pytest.mark.parametrize("codes", [(1, 1), (0, 1), (1, 0), (0, 0)])
def test_negative_sizes_of_voxels_are_positive(
    negative: tuple[int, ...], codes: tuple[int, int], tmp_path: Path
) -> None:
    """As nibabel reads them; ITK mirrors the scan, but must not mirror its mask."""
    right = load_nifti(
        write(tmp_path / "right.nii", small_affine(), codes[0], small_affine(), codes[1])
    )
    content = bytearray((tmp_path / "right.nii").read_bytes())
    pixdim = np.frombuffer(content, "<f4", 8, 76).copy()
    pixdim[list(negative)] *= -1
    content[76:108] = pixdim.tobytes()
    (tmp_path / "scan.nii").write_bytes(content)
    volume = load_nifti(tmp_path / "scan.nii")
    assert any("a negative size of voxels" in warning for warning in volume.warnings)
    np.testing.assert_array_equal(volume.affine, right.affine)
    masks = [
        save_mask(blob(one), one, tmp_path / f"{number}.nii.gz")
        for number, one in enumerate((right, volume))
    ]
    assert masks[0].read_bytes() == masks[1].read_bytes()


def test_an_odd_sign_of_the_third_axis_is_read_as_one(tmp_path: Path) -> None:
    write(tmp_path / "scan.nii", turned(20), 0, turned(20), 1)
    content = bytearray((tmp_path / "scan.nii").read_bytes())
    content[76:80] = np.float32(0.5).tobytes()
    (tmp_path / "odd.nii").write_bytes(content)
    volume = load_nifti(tmp_path / "odd.nii")
    np.testing.assert_allclose(volume.affine, load_nifti(tmp_path / "scan.nii").affine)


def test_a_little_askew_is_no_shear(tmp_path: Path) -> None:
    volume = load_nifti(write(tmp_path / "s.nii.gz", sheared(0.01), 1, small_affine(), 0))
    path = save_mask(blob(volume), volume, tmp_path / "mask.nii.gz")
    assert nib.load(path).shape == (48, 40, 8)
    np.testing.assert_allclose(centre_by_itk(path), centre_by_nibabel(path), atol=0.1)
    np.testing.assert_array_equal(load_mask(path, volume), blob(volume))


@pytest.mark.parametrize("step", [(0, 1.2, 5), (0, -2.0, 4.6), (0, 0, 5)])
def test_dicom_series(step: tuple[float, float, float], tmp_path: Path) -> None:
    volume = load_dicom(write_dicom(dicom_series(chest_hu(), step=step), tmp_path / "s"))
    path = save_mask(blob(volume), volume, tmp_path / "mask.nii.gz")
    wanted = apply_affine(volume.affine, np.argwhere(blob(volume)).mean(axis=0))
    np.testing.assert_allclose(centre_by_itk(path), wanted, atol=0.75)
    np.testing.assert_allclose(centre_by_nibabel(path), centre_by_itk(path), atol=1e-3)
    np.testing.assert_array_equal(load_mask(path, volume), blob(volume))
