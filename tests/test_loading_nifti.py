"""NIfTI files: values, types, orientation and limits."""

from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from nibabel.orientations import apply_orientation, inv_ornt_aff

from core.config import LoadLimits
from core.errors import Cancelled, LoadError, LungLensError
from core.loading import load_nifti
from core.loading.checks import check_size
from core.loading.nifti import nifti_stem
from core.volume import to_file_order
from tests.scans import SHAPE, chest_hu, nifti_bytes, small_affine
from tests.test_volume import ORIENTATIONS


def write(folder: Path, content: bytes, name: str = "scan.nii") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("turn", ORIENTATIONS, ids=lambda t: str(t.astype(int).tolist()))
def test_all_orientations_load_alike(turn: np.ndarray, tmp_path: Path) -> None:
    hu = chest_hu()
    path = tmp_path / "scan.nii"
    affine = small_affine() @ inv_ornt_aff(turn, hu.shape)
    nib.save(nib.Nifti1Image(apply_orientation(hu, turn), affine), path)
    volume = load_nifti(path)
    np.testing.assert_array_equal(volume.array, hu)
    np.testing.assert_allclose(volume.affine, small_affine(), atol=1e-4)
    original = nib.load(path)
    np.testing.assert_array_equal(
        to_file_order(volume.array, volume.source), np.asanyarray(original.dataobj)
    )
    assert dict(volume.source.facts)["Orientation"] == "".join(nib.aff2axcodes(original.affine))


@pytest.mark.parametrize(
    ("stored", "slope", "intercept", "wanted"),
    [
        ("int16", 1.0, 0.0, "int16"),
        ("uint16", 1.0, -1024.0, "int16"),
        ("int32", 1.0, 0.0, "int16"),
        ("float32", 1.0, 0.0, "int16"),
        ("float64", 1.0, 0.0, "int16"),
        ("int16", 0.5, -3.25, "float32"),
        ("uint8", 1500 / 255, -1250.0, "float32"),
        ("uint8", 6.0, -1250.0, "int16"),
        (">i2", 1.0, 0.0, "int16"),
        ("int64", 1.0, 0.0, "int16"),
    ],
)
def test_scaled_values_are_those_of_nibabel(
    stored: str, slope: float, intercept: float, wanted: str, tmp_path: Path
) -> None:
    limits = (0, 255) if stored == "uint8" else (0 if stored == "uint16" else -30000, 30000)
    raw = np.clip(np.rint((chest_hu() - intercept) / slope), *limits)
    header = nib.Nifti1Header(endianness=">" if stored.startswith(">") else "<")
    header.set_data_dtype(np.dtype(stored))
    image = nib.Nifti1Image(raw.astype(stored), small_affine(), header)
    content = bytearray(image.to_bytes())
    raw_header = nib.Nifti1Header(bytes(content[:348]), check=False)
    raw_header["scl_slope"], raw_header["scl_inter"] = slope, intercept
    content[:348] = raw_header.binaryblock
    path = write(tmp_path, bytes(content))

    volume = load_nifti(path)

    assert volume.array.dtype == wanted
    assert volume.unit == "HU"
    np.testing.assert_allclose(volume.array, nib.load(path).get_fdata(), atol=1e-3)


def test_uint8_without_scaling_stays_uint8(tmp_path: Path) -> None:
    grey = np.clip((chest_hu() + 1250) // 6, 0, 255).astype(np.uint8)
    volume = load_nifti(write(tmp_path, nifti_bytes(grey)))
    assert volume.array.dtype == np.uint8
    assert volume.unit == "unknown"
    assert volume.hu(np.array([0, 255])) == pytest.approx([-1250, 250])


def test_fractions_of_hu_are_kept(tmp_path: Path) -> None:
    hu = chest_hu().astype(np.float32) + np.float32(0.25)
    volume = load_nifti(write(tmp_path, nifti_bytes(hu)))
    assert volume.array.dtype == np.float32
    np.testing.assert_array_equal(volume.array, hu)


@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz", "oddly named"])
def test_content_counts_not_the_name(name: str, tmp_path: Path) -> None:
    content = nifti_bytes(chest_hu())
    path = write(tmp_path, gzip.compress(content) if name.endswith("gz") else content, name)
    np.testing.assert_array_equal(load_nifti(path).array, chest_hu())


def test_nifti2(tmp_path: Path) -> None:
    path = tmp_path / "scan.nii.gz"
    nib.save(nib.Nifti2Image(chest_hu(), small_affine()), path)
    np.testing.assert_array_equal(load_nifti(path).array, chest_hu())


def test_a_header_extension_is_passed_over(tmp_path: Path) -> None:
    image = nib.Nifti1Image(chest_hu(), small_affine())
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"x" * 1000))
    path = tmp_path / "scan.nii.gz"
    nib.save(image, path)
    np.testing.assert_array_equal(load_nifti(path).array, chest_hu())


def test_a_single_frame_of_four_axes_is_a_volume(tmp_path: Path) -> None:
    volume = load_nifti(write(tmp_path, nifti_bytes(chest_hu()[..., np.newaxis])))
    np.testing.assert_array_equal(volume.array, chest_hu())
    assert volume.source.file_shape == SHAPE


@pytest.mark.parametrize(("unit", "mm"), [("meter", 1000.0), ("micron", 0.001)])
def test_other_units_of_length_are_computed_in_mm(unit: str, mm: float, tmp_path: Path) -> None:
    affine = small_affine()
    affine[:3] /= mm
    image = nib.Nifti1Image(chest_hu(), affine)
    image.header.set_xyzt_units(unit, "sec")
    path = tmp_path / "scan.nii"
    nib.save(image, path)
    volume = load_nifti(path)
    assert volume.spacing_mm == pytest.approx((1.5, 1.5, 5.0))
    assert volume.voxel_volume_ml == pytest.approx(1.5 * 1.5 * 5.0 / 1000)
    np.testing.assert_allclose(volume.affine, small_affine(), rtol=1e-5)
    assert dict(volume.source.facts)["Unit of the header"] == f"{unit}, converted to mm"
    assert volume.warnings == ()


def test_a_unit_that_cannot_be_is_set_aside(tmp_path: Path) -> None:
    volume = load_nifti(write(tmp_path, nifti_bytes(chest_hu(), header={"xyzt_units": 1})))
    assert volume.spacing_mm == pytest.approx((1.5, 1.5, 5.0))
    assert volume.source.file_unit == "mm"
    assert any("lengths in meter, which is impossible" in warning for warning in volume.warnings)


def test_few_nan_become_the_lowest_value(tmp_path: Path) -> None:
    hu = chest_hu().astype(np.float32)
    hu[20, 20, 3], hu[5, 30, 7] = np.nan, np.inf
    volume = load_nifti(write(tmp_path, nifti_bytes(hu)))
    good = np.isfinite(hu)
    np.testing.assert_array_equal(volume.array[good], hu[good])
    assert volume.array[20, 20, 3] == volume.array[5, 30, 7] == hu[good].min()


def test_nan_around_a_resampled_scan_become_the_lowest_value(tmp_path: Path) -> None:
    hu = chest_hu().astype(np.float32)
    hu[:4], hu[:, :, -1], hu[20, 20, 3] = np.nan, np.nan, np.nan
    volume = load_nifti(write(tmp_path, nifti_bytes(hu)))
    good = np.isfinite(hu)
    np.testing.assert_array_equal(volume.array[good], hu[good])
    assert np.unique(volume.array[~good]).tolist() == [hu[good].min()]
    columns, rows, slices = hu.shape
    outside = (4 * rows * slices + (columns - 4) * rows) / hu.size
    assert any(
        f"{100 * outside:.1f}\u2009% of the voxels, at the edge" in w for w in volume.warnings
    )
    assert "1 voxels were not numbers and were set to the lowest value." in volume.warnings


def test_nan_inside_the_slices_are_refused(tmp_path: Path) -> None:
    hu = chest_hu().astype(np.float32)
    hu[10:20, 10:20] = np.nan
    with pytest.raises(LoadError, match=r"NaN or infinite of .*, inside the slices"):
        load_nifti(write(tmp_path, nifti_bytes(hu)))


def test_a_spacing_counts_where_a_header_gives_no_orientation(tmp_path: Path) -> None:
    header = {"sform_code": 0, "qform_code": 0}
    volume = load_nifti(write(tmp_path, nifti_bytes(chest_hu(), header=header)))
    assert not volume.spacing_nominal
    assert dict(volume.source.facts)["Spacing"] == "1.5 × 1.5 × 5 mm"
    assert "The file does not give its orientation" in volume.warnings[0]
    assert "spacing" not in volume.warnings[0]


def test_neither_orientation_nor_spacing_means_nominal_spacing(tmp_path: Path) -> None:
    header = {"sform_code": 0, "qform_code": 0, "pixdim": [1, 1, 1, 1, 0, 0, 0, 0]}
    volume = load_nifti(write(tmp_path, nifti_bytes(chest_hu(), header=header)))
    assert volume.spacing_nominal
    assert dict(volume.source.facts)["Spacing"] == "not known"


def test_a_qfac_of_zero_is_one(tmp_path: Path) -> None:
    image = nib.Nifti1Image(chest_hu(), None)
    image.set_qform(small_affine(), code=1)
    raw = bytearray(image.to_bytes())
    raw[76:80] = bytes(4)
    volume = load_nifti(write(tmp_path, bytes(raw)))
    np.testing.assert_allclose(volume.affine, small_affine(), atol=1e-5)


def test_a_header_left_at_one_millimetre_is_nominal(tmp_path: Path) -> None:
    volume = load_nifti(write(tmp_path, nifti_bytes(chest_hu(), np.diag([-1.0, -1, 1, 1]))))
    assert volume.spacing_nominal


def test_qform_alone_is_enough(tmp_path: Path) -> None:
    image = nib.Nifti1Image(chest_hu(), None)
    image.set_qform(small_affine(), code=1)
    path = tmp_path / "scan.nii"
    nib.save(image, path)
    volume = load_nifti(path)
    np.testing.assert_allclose(volume.affine, small_affine(), atol=1e-4)
    assert not volume.spacing_nominal


def test_facts_tell_what_was_recognised(small_chest: Path) -> None:
    volume = load_nifti(small_chest)
    facts = dict(volume.source.facts)
    assert volume.source.name == "small_chest"
    assert facts["Format"] == "NIfTI, gzipped"
    assert facts["Size"] == "48 × 40 × 8"
    assert facts["Spacing"] == "1.5 × 1.5 × 5 mm"
    assert facts["Orientation"] == "LPS"
    assert facts["Scale"].startswith("HU: ")
    assert volume.warnings == ()


def test_progress_counts_slices_and_cancel_is_heard(small_chest: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    load_nifti(small_chest, on_progress=lambda *step: seen.append(step))
    assert seen[-1] == ("reading slices", 8, 8)
    with pytest.raises(Cancelled):
        load_nifti(small_chest, should_cancel=lambda: True)


def test_limits_are_those_given(small_chest: Path) -> None:
    with pytest.raises(LoadError, match="too large"):
        load_nifti(small_chest, limits=LoadLimits(max_voxels=1000))


def test_a_vast_header_takes_no_memory(tmp_path: Path) -> None:
    dim = np.array([3, 4000, 4000, 20, 1, 1, 1, 1], np.int16)
    path = write(tmp_path, gzip.compress(nifti_bytes(chest_hu(), header={"dim": dim})), "s.nii.gz")
    tracemalloc.start()
    with pytest.raises(LoadError, match="damaged or cut short"):
        load_nifti(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5e6


def test_int16_needs_little_more_than_itself(tmp_path: Path) -> None:
    hu = chest_hu((256, 256, 40))
    path = write(tmp_path, nifti_bytes(np.asfortranarray(hu)))
    del hu
    tracemalloc.start()
    volume = load_nifti(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # The array, its slices in passing and the sample for the histogram: no float copy of it.
    assert peak < 2.2 * volume.array.nbytes


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a.nii", "a"),
        ("a.NII.GZ", "a"),
        ("a.b.nii.gz", "a.b"),
        ("<b>.nii", "_b_"),
    ],
)
def test_names_for_people(name: str, shown: str) -> None:
    assert nifti_stem(name) == shown


@pytest.mark.real_data
def test_real_scans_are_reported_apart(real_data: Path) -> None:
    scans = real_data / "covid20" / "ct_scans"
    corona = load_nifti(scans / "coronacases_org_001.nii.gz")
    assert corona.unit == "HU"
    assert corona.shape == (256, 256, 80)
    image = nib.load(scans / "coronacases_org_001.nii.gz")
    np.testing.assert_allclose(
        to_file_order(corona.array, corona.source), image.get_fdata(dtype=np.float32), atol=0.01
    )
    radio = load_nifti(scans / "radiopaedia_org_covid-19-pneumonia-10_85902_1-dcm.nii.gz")
    assert radio.unit == "unknown"
    assert (radio.intensity.slope, radio.intensity.intercept) == (1500 / 255, -1250)
    one = load_nifti(scans / "radiopaedia_org_covid-19-pneumonia-29_86490_1-dcm.nii.gz")
    assert one.shape == (256, 256, 1)
    assert any("single slice" in warning for warning in one.warnings)


@pytest.mark.real_data
def test_real_scans_lie_upright(real_data: Path) -> None:
    # The spine's bone lies behind: the lower half of an axial picture holds more bone.
    volume = load_nifti(real_data / "covid20" / "ct_scans" / "coronacases_org_001.nii.gz")
    bone = volume.array[:, :, 30:50] > 200
    rows = bone[96:160].sum(axis=(0, 2))
    assert rows[128:].sum() > 1.4 * rows[:128].sum()


def _moved_affine(column: int, row: int, value: float) -> np.ndarray:
    affine = small_affine()
    affine[row, column] = value
    return affine


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (nifti_bytes(chest_hu(), header={"vox_offset": 348}), "begin at byte 348"),
        (nifti_bytes(chest_hu(), header={"vox_offset": 100}), "begin at byte 100"),
        (nifti_bytes(chest_hu(), header={"vox_offset": 353}) + b"x", "begin at byte 353"),
        (nifti_bytes(chest_hu(), header={"vox_offset": 352.5}) + b"x", "begin at byte 352.5"),
        (nifti_bytes(chest_hu())[:-2], "damaged or cut short"),
        (nifti_bytes(chest_hu(), header={"dim": [3, 48, 40, 4, 1, 1, 1, 1]}), "holds more than"),
        (nifti_bytes(chest_hu(), header={"dim": [3, 48, 20, 8, 1, 1, 1, 1]}), "holds more than"),
        (nifti_bytes(chest_hu(), _moved_affine(2, 2, 1e30)), "spacing that no CT has"),
        (nifti_bytes(chest_hu(), _moved_affine(0, 0, 0.002)), "spacing that no CT has"),
        (nifti_bytes(chest_hu(), _moved_affine(3, 1, 1e30)), "lies impossibly far"),
        (nifti_bytes(chest_hu(), header={"scl_slope": 1e30}), "does not look like CT"),
        (nifti_bytes(chest_hu(), header={"scl_slope": -1, "scl_inter": 0}), "look inverted"),
    ],
)
def test_headers_that_cannot_be(content: bytes, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(LungLensError, match=sentence):
        load_nifti(write(tmp_path, content))


def test_padding_behind_the_voxels_is_passed_over(tmp_path: Path) -> None:
    path = write(tmp_path, nifti_bytes(chest_hu()) + bytes(10_000))
    np.testing.assert_array_equal(load_nifti(path).array, chest_hu())


def test_what_does_not_fit_into_memory_is_said_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, nifti_bytes(chest_hu()))
    monkeypatch.setattr("core.loading.checks.free_memory_bytes", lambda: 1000)
    with pytest.raises(LoadError, match=r"scan\.nii does not fit into memory.*48 × 40 × 8"):
        load_nifti(path)


def test_a_scan_of_1024_by_1024_by_400_is_within_the_limits() -> None:
    check_size((1024, 1024, 400), LoadLimits(), what="scan")


def test_lengths_in_cm_are_doubted(tmp_path: Path) -> None:
    small = small_affine()
    small[:3, :3] /= 10
    (tmp_path / "scan.nii").write_bytes(nifti_bytes(chest_hu(), affine=small))
    (warning,) = load_nifti(tmp_path / "scan.nii").warnings
    assert "a picture 7 mm wide, is unusual for a chest CT" in warning
