"""Scans that lie otherwise than their file says."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from core.errors import ConfigError
from core.loading import load_mask, open_study
from core.output.saving import mask_file_notes, save_mask
from core.phantom import build_demo_study
from core.volume import to_file_order
from tests.scans import chest_hu, chest_picture, png_bytes, small_affine


@pytest.fixture(scope="module")
def chest() -> tuple[np.ndarray, np.ndarray]:
    """The demo chest in the order L, P, S, and its affine."""
    volume = build_demo_study().volume
    return np.asarray(volume.array), volume.affine


def write(path: Path, array: np.ndarray, affine: np.ndarray) -> Path:
    nib.save(nib.Nifti1Image(np.ascontiguousarray(array), affine), path)
    return path


def told(path: Path) -> list[str]:
    return [w for w in open_study(path).volume.warnings if "--orientation" in w]


def test_a_chest_that_lies_as_its_file_says_is_not_doubted(
    chest: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    assert told(write(tmp_path / "scan.nii", *chest)) == []


@pytest.mark.parametrize(
    ("turn", "codes"),
    [
        (lambda array: array[:, ::-1], "LAS"),
        (lambda array: np.rot90(array, 1, (0, 1)), "ALS"),
        (lambda array: np.rot90(array, -1, (0, 1)), "PRS"),
    ],
    ids=["front is back", "on one side", "on the other side"],
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
    assert not any("--orientation" in w for w in volume.warnings)
    assert dict(volume.source.facts)["Orientation"] == f"{codes}, as you said"


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
