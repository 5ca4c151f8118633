"""HU or not, and why."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from core.errors import LoadError, LungLensError
from core.loading import open_study
from core.loading.intensity import as_hu, detect_intensity, grey_intensity, settle_intensity
from core.loading.polarity import looks_exchanged
from tests.scans import chest_hu, nifti_bytes


def test_hu_is_recognised_by_its_range() -> None:
    finding = detect_intensity(chest_hu(), hint="nifti")
    assert finding.intensity.unit == "HU"
    assert (finding.intensity.slope, finding.intensity.intercept) == (1.0, 0.0)
    assert "air to soft tissue" in finding.intensity.reason
    assert finding.warnings == ()


def test_a_ct_header_is_believed_where_no_air_is_in_view() -> None:
    tissue = np.random.default_rng(0).normal(20, 40, (32, 32, 4)).astype(np.int16)
    assert detect_intensity(tissue, hint="dicom").intensity.unit == "HU"
    with pytest.raises(LoadError, match="does not look like CT"):
        detect_intensity(tissue, hint="nifti")


@pytest.mark.parametrize("padding", [-3024, -32768])
def test_padding_below_air_is_still_hu(padding: int) -> None:
    hu = chest_hu()
    hu[:3] = padding
    assert detect_intensity(hu, hint="nifti").intensity.unit == "HU"


@pytest.mark.parametrize("padding", [None, -2000], ids=["plain", "with padding"])
def test_the_storage_offset_is_taken_off(padding: int | None) -> None:
    stored = chest_hu() + np.int16(1024)
    if padding is not None:
        stored[:3] = padding
    array, intensity, warnings = settle_intensity(stored.copy(order="F"), hint="nifti")
    assert intensity.unit == "HU"
    assert "1024" in intensity.reason
    assert warnings
    np.testing.assert_array_equal(array[3:], chest_hu()[3:])
    assert array.dtype == np.int16


@pytest.mark.parametrize(
    ("top", "kind"), [(255, np.uint8), (255, np.int16), (255, np.float32), (1, np.float32)]
)
def test_grey_scales_take_the_assumed_window(top: int, kind: type) -> None:
    grey = np.clip((chest_hu() + 1250) / 1500, 0, 1) * top
    grey = grey.astype(kind) if top == 255 else grey.astype(np.float32)
    intensity = detect_intensity(grey, hint="nifti").intensity
    assert intensity.unit == "unknown"
    assert intensity.slope * top + intensity.intercept == pytest.approx(250)
    assert intensity.intercept == -1250


@pytest.mark.parametrize("seed", range(5))
def test_magnetic_resonance_is_refused(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scan = np.abs(rng.normal(0, 25, (64, 64, 8)))
    scan[12:52, 8:56] = rng.gamma(2.0 + seed, 150.0, (40, 48, 8))
    with pytest.raises(LoadError, match="does not look like CT"):
        detect_intensity(scan.astype(np.int16), hint="nifti")


def test_a_person_can_correct_the_window() -> None:
    intensity = grey_intensity(-1000.0, 400.0)
    assert intensity.unit == "unknown"
    assert 255 * intensity.slope + intensity.intercept == pytest.approx(400)
    assert as_hu().unit == "HU"
    with pytest.raises(LoadError, match="black below white"):
        grey_intensity(100.0, -100.0)
    with pytest.raises(LoadError):
        grey_intensity(float("nan"), 1.0)


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (lambda hu: (np.clip(hu, -1000, 400) + 1000) / 1400, "float32"),
        (lambda hu: (np.clip(hu, -1000, 400) + 1000) / 700 - 1, "float32"),
        (lambda hu: (np.clip(hu, -1000, 400) + 1000) / 1400 * 60000, "float32"),
        (lambda hu: np.rint((np.clip(hu, -1000, 400) + 1000) / 1400 * 255), "uint8"),
    ],
    ids=["0 to 1", "-1 to 1", "stretched", "8-bit"],
)
def test_a_person_says_which_hu_black_and_white_are(
    values: Callable[[np.ndarray], np.ndarray], dtype: str, tmp_path: Path
) -> None:
    hu = chest_hu()
    array = values(hu).astype(dtype)
    path = tmp_path / "scan.nii"
    path.write_bytes(nifti_bytes(array))
    volume = open_study(path, window=(-1000.0, 400.0)).volume
    assert volume.unit == "unknown"
    assert "as given" in volume.intensity.reason
    np.testing.assert_allclose(volume.hu(volume.array), np.clip(hu, -1000, 400), atol=3)
    assert not any("Not in HU" in note for note in volume.warnings)


def test_a_window_changes_no_hu(small_chest: Path) -> None:
    volume = open_study(small_chest, window=(-1000.0, 400.0)).volume
    assert volume.unit == "HU"
    np.testing.assert_array_equal(volume.array, open_study(small_chest).volume.array)
    assert any("not used" in note for note in volume.warnings)


@pytest.mark.parametrize("window", [(400.0, -1000.0), (0.0, 0.0), (float("nan"), 1.0)])
def test_a_window_that_cannot_be(window: tuple[float, float], tmp_path: Path) -> None:
    path = tmp_path / "scan.nii"
    path.write_bytes(nifti_bytes(np.clip((chest_hu() + 1000) / 1400, 0, 1).astype(np.float32)))
    with pytest.raises(LungLensError, match="window of the grey values cannot be used"):
        open_study(path, window=window)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (-chest_hu(), "look inverted"),
        (np.random.default_rng(0).normal(-300, 500, (48, 40, 8)), "random noise"),
        (np.random.default_rng(0).integers(-1000, 1000, (48, 40, 8)), "random noise"),
        (np.random.default_rng(0).permutation(chest_hu().ravel()).reshape(48, 40, 8), "noise"),
    ],
    ids=["inverted", "normal noise", "even noise", "shuffled voxels"],
)
def test_what_only_has_the_range_of_hu_is_refused(
    values: np.ndarray, sentence: str, tmp_path: Path
) -> None:
    path = tmp_path / "scan.nii"
    path.write_bytes(nifti_bytes(values.astype(np.int16)))
    with pytest.raises(LoadError, match=sentence):
        open_study(path)


@pytest.mark.parametrize("padding", [-2000, 0, None])
def test_stored_values_with_padding_are_not_inverted(padding: int | None) -> None:
    stored = chest_hu() + 1024
    if padding is not None:
        stored[:4] = stored[-4:] = stored[:, :4] = stored[:, -4:] = padding
    finding = detect_intensity(stored, hint="nifti")
    assert finding.shift == -1024


def test_stored_values_of_a_cropped_chest_are_not_inverted() -> None:
    finding = detect_intensity(chest_hu()[8:40, 4:36] + 1024, hint="nifti")
    assert finding.shift == -1024


def around_the_field(hu: np.ndarray, padding: int) -> np.ndarray:
    """The scan with everything outside the round field of view set to one value."""
    i, j = (np.linspace(-1, 1, n) for n in hu.shape[:2])
    outside = np.hypot(i[:, np.newaxis], j) > 1
    return np.where(outside[..., np.newaxis], padding, hu).astype(np.int16)


@pytest.mark.parametrize("padding", [-3024, -2000, 0])
def test_padding_hides_no_polarity(padding: int) -> None:
    stored = around_the_field(chest_hu() + 1024, padding)
    assert detect_intensity(stored, hint="nifti").shift == -1024
    with pytest.raises(LoadError, match="look inverted"):
        detect_intensity(around_the_field(-chest_hu(), padding), hint="nifti")


@pytest.mark.real_data
@pytest.mark.parametrize("padding", [-3024, -2000, 0])
def test_padding_hides_no_polarity_of_real_scans(padding: int, real_data: Path) -> None:
    """Air lies below -1024 in these: with the offset it is negative."""
    for name in ("001", "002", "003", "008"):
        path = real_data / f"covid20/ct_scans/coronacases_org_{name}.nii.gz"
        hu = np.asarray(nib.load(path).dataobj)[:, :, ::8].astype(np.int16)
        assert detect_intensity(around_the_field(hu + 1024, padding), hint="nifti").shift == -1024
        with pytest.raises(LoadError, match="look inverted"):
            detect_intensity(around_the_field(-hu, padding), hint="nifti")


def test_exchanged_black_and_white_are_reported() -> None:
    grey = np.clip((chest_hu() + 1250) / 1500 * 255, 0, 255).astype(np.uint8)
    assert not any("exchanged" in w for w in detect_intensity(grey, hint="pictures").warnings)
    assert any("exchanged" in w for w in detect_intensity(255 - grey, hint="pictures").warnings)


@pytest.mark.real_data
def test_cropped_pictures_are_no_negatives(real_data: Path) -> None:
    """Lungs fill these pictures and tissue their edges."""
    pictures = sorted((real_data / "medseg100_train" / "images").iterdir())
    grey = [np.array(Image.open(path).convert("L")).T[:, :, np.newaxis] for path in pictures]
    assert not any(looks_exchanged(one, 0, 255) for one in grey)
    found = sum(looks_exchanged(255 - one, 0, 255) for one in grey)
    assert found >= 0.95 * len(grey) > 40


@pytest.mark.real_data
@pytest.mark.parametrize(
    "name", ["covid20/ct_scans/coronacases_org_008", "whole_chest/ct_scans/lctsc_6"]
)
@pytest.mark.parametrize("cropped", [False, True])
def test_negated_hu_are_no_stored_values(name: str, cropped: bool, real_data: Path) -> None:
    path = real_data / f"{name}.nii.gz"
    hu = np.asarray(nib.load(path).dataobj)[:, :, ::8].astype(np.int16)
    if cropped:
        hu = np.ascontiguousarray(hu[52:-52, 64:-64])
    assert detect_intensity(hu + 1024, hint="nifti").shift == -1024
    with pytest.raises(LoadError, match="look inverted"):
        detect_intensity(-hu, hint="nifti")


@pytest.mark.parametrize("padding", [-2000, -3024])
def test_padding_outside_the_field_of_view_becomes_air(padding: int) -> None:
    hu = chest_hu()
    hu[:3] = padding
    array, intensity, warnings = settle_intensity(hu.copy(order="F"), hint="dicom")
    assert intensity.unit == "HU"
    assert np.unique(array[:3]).tolist() == [-1024]
    np.testing.assert_array_equal(array[3:], chest_hu()[3:])
    share = 3 / hu.shape[0]
    assert f"{100 * share:.1f}" in warnings[0]
    assert f"−{-padding} HU" in warnings[0]


def test_single_voxels_darker_than_air_are_no_padding() -> None:
    hu = chest_hu()
    hu[20, 20, :] = -31000  # cast by metal
    array, _, warnings = settle_intensity(hu.copy(order="F"), hint="nifti")
    np.testing.assert_array_equal(array, hu)
    assert warnings == ()


@pytest.mark.parametrize(
    ("top", "kind"), [(255, np.uint8), (1, np.float32)], ids=["8-bit", "fractions"]
)
def test_a_grey_scale_of_all_that_12_bits_hold_is_reported_by_its_histogram(
    top: int, kind: type
) -> None:
    hu = np.clip(chest_hu(), -1024, 3071)
    grey = ((hu + 1024.0) / 4095 * top).astype(kind)
    finding = detect_intensity(grey, hint="nifti")
    assert finding.intensity.unit == "unknown"
    assert "−1024 and 3071 HU by their histogram" in finding.warnings[0]
    # A step of 8 bits is 16 HU.
    found = grey * finding.intensity.slope + finding.intensity.intercept
    np.testing.assert_allclose(found, hu, atol=17)


def test_a_grey_scale_without_soft_tissue_is_reported() -> None:
    dark = np.clip((chest_hu() + 1250) / 1500 * 120, 0, 255).astype(np.uint8)
    finding = detect_intensity(dark, hint="pictures")
    assert finding.intensity.intercept == -1250
    assert "hardly any voxel is as dense as soft tissue" in finding.warnings[0]


def test_fractions_of_a_mask_are_labels() -> None:
    mask = np.where(chest_hu() < -500, np.float32(0.9999), np.float32(0))
    with pytest.raises(LoadError, match="holds labels rather than a scan"):
        detect_intensity(mask, hint="nifti")
