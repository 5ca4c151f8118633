"""A scan and its masks in one folder, zip or upload are told apart by what they hold."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from core.loading import SeveralScansError, open_study
from tests.scans import chest_hu, small_affine, zip_bytes

LUNG = chest_hu() < -600
LUNG &= np.abs(np.linspace(-1, 1, 48))[:, None, None] < 0.75  # without the air around
INFECTION = np.zeros(LUNG.shape, bool)
INFECTION[12:16, 14:20, 2:4] = True


def scan_of_infected_lung() -> np.ndarray:
    hu = chest_hu()
    hu[INFECTION] = -300
    return hu


def write(folder: Path, name: str, array: np.ndarray) -> Path:
    folder.mkdir(exist_ok=True)
    nib.save(nib.Nifti1Image(array, small_affine()), folder / name)
    return folder / name


def test_masks_are_named_by_their_files(tmp_path: Path) -> None:
    files = [
        write(tmp_path / "case", "a_lung_mask.nii.gz", LUNG.astype(np.uint8)),
        write(tmp_path / "case", "b.nii.gz", scan_of_infected_lung()),
        write(tmp_path / "case", "c_infection.nii.gz", INFECTION.astype(np.uint8) * 255),
    ]
    for given in (tmp_path / "case", files):
        study = open_study(given)
        np.testing.assert_array_equal(study.volume.array, scan_of_infected_lung())
        assert study.truth is not None
        np.testing.assert_array_equal(study.truth.lung, LUNG)
        np.testing.assert_array_equal(study.truth.infection, INFECTION)
        assert any("a_lung_mask.nii.gz holds labels" in note for note in study.volume.warnings)


def test_a_zip_of_a_scan_and_a_combined_mask(tmp_path: Path) -> None:
    both = LUNG.astype(np.uint8)
    both[INFECTION] = 3
    scan = write(tmp_path, "x.nii.gz", scan_of_infected_lung())
    mask = write(tmp_path, "lung_and_infection.nii.gz", both)
    packed = tmp_path / "case.zip"
    packed.write_bytes(zip_bytes([(f.name, f.read_bytes()) for f in (scan, mask)]))
    truth = open_study(packed).truth
    assert truth is not None
    np.testing.assert_array_equal(truth.lung, LUNG | INFECTION)
    np.testing.assert_array_equal(truth.infection, INFECTION)


@pytest.mark.parametrize("role", ["lung", "infection"])
def test_a_mask_whose_name_says_nothing_is_reported_by_what_it_marks(
    role: str, tmp_path: Path
) -> None:
    write(tmp_path / "case", "scan.nii.gz", scan_of_infected_lung())
    marked = LUNG if role == "lung" else INFECTION
    write(tmp_path / "case", "seg.nii.gz", marked.astype(np.uint8))
    truth = open_study(tmp_path / "case").truth
    assert truth is not None
    np.testing.assert_array_equal(getattr(truth, role), marked)
    assert getattr(truth, "infection" if role == "lung" else "lung") is None


def test_two_masks_of_one_kind_are_asked_about(tmp_path: Path) -> None:
    write(tmp_path / "case", "scan.nii.gz", scan_of_infected_lung())
    write(tmp_path / "case", "lung_1.nii.gz", LUNG.astype(np.uint8))
    write(tmp_path / "case", "lung_2.nii.gz", LUNG.astype(np.uint8))
    with pytest.raises(SeveralScansError, match=r"lung_1\.nii\.gz, lung_2\.nii\.gz"):
        open_study(tmp_path / "case")


def test_a_name_that_speaks_of_both_does_not_make_lung_infection(tmp_path: Path) -> None:
    write(tmp_path / "case", "scan.nii.gz", scan_of_infected_lung())
    write(tmp_path / "case", "infection_study_lung_mask.nii.gz", LUNG.astype(np.uint8))
    truth = open_study(tmp_path / "case").truth
    assert truth is not None
    np.testing.assert_array_equal(truth.lung, LUNG)
    assert truth.infection is None


def test_a_scan_of_fractions_is_no_mask_of_the_other(tmp_path: Path) -> None:
    hu = scan_of_infected_lung()
    write(tmp_path / "case", "scan.nii.gz", hu)
    write(tmp_path / "case", "scaled.nii.gz", ((hu + 1100) / 2000).clip(0, 1).astype(np.float32))
    with pytest.raises(SeveralScansError):
        open_study(tmp_path / "case")
