"""DICOM series: HU, order, positions in space, and nothing about the patient."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nibabel.affines import apply_affine
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import EnhancedCTImageStorage, ImplicitVRLittleEndian, RLELossless

from core.config import LoadLimits
from core.errors import Cancelled, LoadError
from core.loading import SeveralSeriesError, load_dicom, open_study
from core.volume import Volume
from tests.scans import chest_hu, dicom_series, write_dicom


def assert_every_pixel_in_place(volume: Volume, datasets: list[Dataset]) -> None:
    """Each stored pixel, placed by the DICOM standard's equation, has its HU there."""
    to_index = np.linalg.inv(volume.affine)
    for dataset in datasets:
        pixels = np.frombuffer(dataset.PixelData, "<i2").reshape(dataset.Rows, dataset.Columns)
        hu = pixels * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)
        rows, columns = np.meshgrid(*map(np.arange, pixels.shape), indexing="ij")
        orientation = np.array(dataset.ImageOrientationPatient, float)
        between_rows, between_columns = map(float, dataset.PixelSpacing)
        lps = (
            np.array(dataset.ImagePositionPatient, float)
            + columns[..., None] * between_columns * orientation[:3]
            + rows[..., None] * between_rows * orientation[3:]
        )
        index = apply_affine(to_index, lps * (-1, -1, 1))
        nearest = np.rint(index).astype(int)
        assert np.abs(index - nearest).max() < 0.01
        np.testing.assert_allclose(volume.array[tuple(nearest.reshape(-1, 3).T)], hu.ravel())


def turned(degrees: float) -> dict[str, Any]:
    """Row, column and step directions of an oblique series, at right angles."""
    a = np.deg2rad(degrees)
    normal = np.array([0.0, -np.sin(a), np.cos(a)])
    return {
        "rows_along": (1.0, 0.0, 0.0),
        "columns_along": (0.0, float(np.cos(a)), float(np.sin(a))),
        "step": tuple(normal * 4.0),
    }


GEOMETRIES: dict[str, dict[str, Any]] = {
    "axial": {},
    "anisotropic": {"pixel_mm": (0.8, 1.3), "step": (0.0, 0.0, 2.5)},
    "descending": {"step": (0.0, 0.0, -5.0)},
    "rows to the right": {"rows_along": (-1.0, 0.0, 0.0)},
    "columns to the front": {"columns_along": (0.0, -1.0, 0.0)},
    "head first prone": {"rows_along": (-1.0, 0.0, 0.0), "columns_along": (0.0, -1.0, 0.0)},
    "coronal": {"columns_along": (0.0, 0.0, -1.0), "step": (0.0, 4.0, 0.0)},
    "sagittal": {
        "rows_along": (0.0, 1.0, 0.0),
        "columns_along": (0.0, 0.0, -1.0),
        "step": (-4.0, 0.0, 0.0),
    },
    "oblique": turned(20.0),
    "tilted gantry": {"step": (0.0, 1.2, 5.0)},
}


@pytest.mark.parametrize("geometry", GEOMETRIES.values(), ids=GEOMETRIES.keys())
def test_every_pixel_lies_where_the_scanner_put_it(
    geometry: dict[str, Any], tmp_path: Path
) -> None:
    datasets = dicom_series(chest_hu((48, 40, 20)), **geometry)
    shuffled = datasets.copy()
    random.Random(3).shuffle(shuffled)
    for number, dataset in enumerate(shuffled):
        dataset.InstanceNumber = number  # must not decide the order
    volume = load_dicom(write_dicom(shuffled, tmp_path / "series"))
    assert volume.unit == "HU"
    assert volume.array.dtype == np.int16
    assert_every_pixel_in_place(volume, datasets)


def test_a_plain_series_is_canonical_as_it_is(tmp_path: Path) -> None:
    hu = chest_hu()
    volume = load_dicom(write_dicom(dicom_series(hu), tmp_path / "series"))
    np.testing.assert_array_equal(volume.array, hu)
    assert volume.spacing_mm == pytest.approx((1.5, 1.5, 5.0))
    assert volume.source.name == "DICOM series, 8 slices"
    facts = dict(volume.source.facts)
    assert facts["Format"] == "DICOM"
    assert facts["Orientation"] == "LPS"
    assert facts["Slice thickness"] == "5 mm"
    assert volume.warnings == ()


def test_rescale_is_applied_slice_by_slice(tmp_path: Path) -> None:
    hu = chest_hu() // 2 * 2
    uid = "1.2.3"
    datasets = (
        dicom_series(hu, series_uid=uid, slope=1.0)[:4]
        + dicom_series(hu, series_uid=uid, slope=2.0, intercept=-1000.0)[4:]
    )
    volume = load_dicom(write_dicom(datasets, tmp_path / "series"))
    np.testing.assert_array_equal(volume.array, hu)


def test_a_fractional_slope_gives_float32(tmp_path: Path) -> None:
    datasets = dicom_series(chest_hu(), slope=0.5, intercept=-1000.5)
    volume = load_dicom(write_dicom(datasets, tmp_path / "series"))
    assert volume.array.dtype == np.float32
    np.testing.assert_allclose(volume.array, chest_hu(), atol=0.26)


@pytest.mark.parametrize("padding", [-2000, 63536], ids=["signed", "wrapped"])
def test_padding_is_air(padding: int, tmp_path: Path) -> None:
    hu = chest_hu()
    hu[:6, :6] = -2000
    datasets = dicom_series(hu, intercept=0.0)
    for dataset in datasets:
        # 63536 is how exporters with the wrong sign write -2000.
        dataset.add_new(0x00280120, "US" if padding > 0 else "SS", padding)
    volume = load_dicom(write_dicom(datasets, tmp_path / "series"))
    assert (volume.array[:6, :6] == -1024).all()
    np.testing.assert_array_equal(volume.array[6:], hu[6:])


def test_declared_padding_inside_hu_changes_nothing(tmp_path: Path) -> None:
    datasets = dicom_series(chest_hu(), intercept=0.0)
    for dataset in datasets:
        dataset.add_new(0x00280120, "SS", 40)
    volume = load_dicom(write_dicom(datasets, tmp_path / "series"))
    np.testing.assert_array_equal(volume.array, chest_hu())


def test_compressed_slices(tmp_path: Path) -> None:
    datasets = dicom_series(chest_hu())
    for dataset in datasets:
        dataset.compress(RLELossless, generate_instance_uid=False)
    volume = load_dicom(write_dicom(datasets, tmp_path / "series"))
    np.testing.assert_array_equal(volume.array, chest_hu())


def test_files_without_ending_in_subfolders_beside_other_files(tmp_path: Path) -> None:
    datasets = dicom_series(chest_hu())
    write_dicom(datasets[:5], tmp_path / "s" / "a", ending="")
    write_dicom(datasets[5:], tmp_path / "s" / "b", ending=".ima")
    (tmp_path / "s" / "DICOMDIR").write_bytes(b"index")
    (tmp_path / "s" / "readme.txt").write_text("about the disc")
    (tmp_path / "s" / ".hidden").write_bytes(b"x")
    volume = load_dicom(tmp_path / "s")
    np.testing.assert_array_equal(volume.array, chest_hu())


def test_a_list_of_files(tmp_path: Path) -> None:
    folder = write_dicom(dicom_series(chest_hu()), tmp_path / "series")
    files = sorted(folder.iterdir(), reverse=True)
    np.testing.assert_array_equal(load_dicom(files).array, chest_hu())
    np.testing.assert_array_equal(open_study(files).volume.array, chest_hu())


def test_files_without_the_dicom_mark(tmp_path: Path) -> None:
    folder = tmp_path / "old"
    folder.mkdir()
    for number, dataset in enumerate(dicom_series(chest_hu())):
        del dataset.file_meta
        path = folder / f"{number}"
        dataset.save_as(path, implicit_vr=True, little_endian=True, enforce_file_format=False)
        assert path.read_bytes()[128:132] != b"DICM"
    assert ImplicitVRLittleEndian.is_implicit_VR
    np.testing.assert_array_equal(open_study(folder).volume.array, chest_hu())


def test_one_file_is_one_slice(tmp_path: Path) -> None:
    folder = write_dicom(dicom_series(chest_hu())[2:3], tmp_path / "series")
    volume = open_study(folder / "IM0000.dcm").volume
    np.testing.assert_array_equal(volume.array, chest_hu()[:, :, 2:3])
    assert volume.spacing_mm[2] == pytest.approx(5.0)
    assert volume.source.name == "DICOM series, 1 slice"


def test_localizers_and_scouts_are_left_out(tmp_path: Path) -> None:
    hu = chest_hu()
    datasets = dicom_series(hu)
    uid = datasets[0].SeriesInstanceUID
    scout = dicom_series(
        chest_hu((48, 60, 1)), series_uid=uid, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]
    )
    topogram = dicom_series(hu[:, :, :1], columns_along=(0.0, 0.0, -1.0))
    folder = write_dicom([*scout, *topogram, *datasets], tmp_path / "series")
    volume = load_dicom(folder)
    np.testing.assert_array_equal(volume.array, hu)
    assert volume.warnings == ("Ignored beside the series: 2 × localizer.",)


def test_an_empty_file_is_reported(tmp_path: Path) -> None:
    folder = write_dicom(dicom_series(chest_hu()), tmp_path / "series")
    (folder / "IM0099.dcm").touch()
    volume = load_dicom(folder)
    np.testing.assert_array_equal(volume.array, chest_hu())
    assert volume.warnings == ("Ignored beside the series: 1 × empty file.",)


def test_the_odd_slice_of_another_orientation_is_reported(tmp_path: Path) -> None:
    datasets = dicom_series(chest_hu())
    uid = datasets[0].SeriesInstanceUID
    side = dicom_series(chest_hu()[:, :, :1], series_uid=uid, columns_along=(0.0, 0.0, -1.0))
    volume = load_dicom(write_dicom([*datasets, *side], tmp_path / "series"))
    np.testing.assert_array_equal(volume.array, chest_hu())
    assert "1 slice of another orientation was left out." in volume.warnings


def test_several_series_are_listed_and_one_is_chosen(tmp_path: Path) -> None:
    soft, bone = chest_hu(), chest_hu((48, 40, 5), seed=1)
    first = dicom_series(soft, SeriesDescription="Soft <i>1.0</i>\n")
    second = dicom_series(bone, SeriesDescription="Bone")
    folder = write_dicom([*first, *second], tmp_path / "study")
    with pytest.raises(SeveralSeriesError) as caught:
        load_dicom(folder)
    infos = {info.uid: info for info in caught.value.series}
    assert len(infos) == 2
    uid = str(second[0].SeriesInstanceUID)
    assert infos[uid].description == "Bone"
    assert infos[uid].n_slices == 5
    assert infos[uid].size == "48 × 40"
    assert "<" not in infos[str(first[0].SeriesInstanceUID)].description
    np.testing.assert_array_equal(load_dicom(folder, series_uid=uid).array, bone)
    with pytest.raises(LoadError, match="There is no such series"):
        load_dicom(folder, series_uid="9.9.9")


def test_other_modalities_beside_ct_are_passed_over(tmp_path: Path) -> None:
    folder = write_dicom(
        [*dicom_series(chest_hu()), *dicom_series(chest_hu(seed=1), Modality="PT")],
        tmp_path / "study",
    )
    np.testing.assert_array_equal(load_dicom(folder).array, chest_hu())


def test_gaps_keep_the_usual_distance(tmp_path: Path) -> None:
    datasets = dicom_series(chest_hu((48, 40, 12)))
    kept = [d for k, d in enumerate(datasets) if k not in (3, 7, 8)]
    volume = load_dicom(write_dicom(kept, tmp_path / "series"))
    assert volume.shape == (48, 40, 9)
    assert volume.spacing_mm[2] == pytest.approx(5.0)
    assert (
        "3 slices are missing in 2 gaps: volumes leave out what lay there, and slices "
        "beyond a gap are up to 15.0 mm from their true place."
    ) in volume.warnings


def test_uneven_slices_keep_the_scans_extent(tmp_path: Path) -> None:
    heights = [0.0, 13.5, 27.0, 36.0]
    datasets = dicom_series(chest_hu((48, 40, 4)))
    for dataset, height in zip(datasets, heights, strict=True):
        dataset.ImagePositionPatient = [-30.0, -25.0, height]
    volume = load_dicom(write_dicom(datasets, tmp_path / "series"))
    assert volume.spacing_mm[2] == pytest.approx(12.0)
    last = apply_affine(volume.affine, (0, 0, 3))
    np.testing.assert_allclose(last, (30.0, 25.0, 36.0))
    block_ml = 48 * 40 * 4 * volume.voxel_volume_ml
    assert block_ml == pytest.approx(72.0 * 60.0 * 48.0 / 1000)
    assert (
        "The slices are 9.00 to 13.50 mm apart: volumes in ml follow their true distances. Views "
        "use the mean of 12.00 mm for all, so slices are up to 3.0 mm off there."
    ) in volume.warnings


def test_the_same_slice_twice_is_taken_once(tmp_path: Path) -> None:
    datasets = dicom_series(chest_hu())
    folder = write_dicom([*datasets, datasets[3]], tmp_path / "series")
    np.testing.assert_array_equal(load_dicom(folder).array, chest_hu())


def test_slices_without_position_follow_their_number(tmp_path: Path) -> None:
    datasets = dicom_series(chest_hu())
    for dataset in datasets:
        del dataset.ImagePositionPatient, dataset.ImageOrientationPatient
    random.Random(1).shuffle(datasets)
    volume = load_dicom(write_dicom(datasets, tmp_path / "series"))
    np.testing.assert_array_equal(volume.array, chest_hu())
    assert volume.spacing_nominal
    assert any("slices have no position" in warning for warning in volume.warnings)


def test_no_pixel_spacing_is_nominal(tmp_path: Path) -> None:
    datasets = dicom_series(chest_hu())
    for dataset in datasets:
        del dataset.PixelSpacing
    volume = load_dicom(write_dicom(datasets, tmp_path / "series"))
    assert volume.spacing_nominal


def enhanced(hu: np.ndarray) -> Dataset:
    """One enhanced CT object that holds all slices, last frame lowest."""
    singles = dicom_series(hu)[::-1]
    dataset = singles[0]
    frames = []
    for single in singles:
        frame, plane = Dataset(), Dataset()
        plane.ImagePositionPatient = single.ImagePositionPatient
        frame.PlanePositionSequence = Sequence([plane])
        frames.append(frame)
    shared, direction, measures, rescale = Dataset(), Dataset(), Dataset(), Dataset()
    direction.ImageOrientationPatient = dataset.ImageOrientationPatient
    measures.PixelSpacing, measures.SliceThickness = dataset.PixelSpacing, 5
    rescale.RescaleSlope, rescale.RescaleIntercept = 1, -1024
    shared.PlaneOrientationSequence = Sequence([direction])
    shared.PixelMeasuresSequence = Sequence([measures])
    shared.PixelValueTransformationSequence = Sequence([rescale])
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = EnhancedCTImageStorage
    dataset.NumberOfFrames = len(singles)
    dataset.PixelData = b"".join(single.PixelData for single in singles)
    dataset.SharedFunctionalGroupsSequence = Sequence([shared])
    dataset.PerFrameFunctionalGroupsSequence = Sequence(frames)
    for name in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
        delattr(dataset, name)
    del dataset.RescaleSlope, dataset.RescaleIntercept
    return dataset


def test_enhanced_ct(tmp_path: Path) -> None:
    volume = load_dicom(write_dicom([enhanced(chest_hu())], tmp_path / "series"))
    np.testing.assert_array_equal(volume.array, chest_hu())
    assert volume.spacing_mm == pytest.approx((1.5, 1.5, 5.0))


def _frames_in_one_file(hu: np.ndarray) -> Dataset:
    """Several frames in the class of single slices, which has no place for their positions."""
    singles = dicom_series(hu)
    dataset = singles[0]
    dataset.NumberOfFrames = len(singles)
    dataset.PixelData = b"".join(single.PixelData for single in singles)
    return dataset


def test_frames_in_the_class_of_single_slices_are_counted(tmp_path: Path) -> None:
    dataset = _frames_in_one_file(chest_hu())
    dataset.SpacingBetweenSlices = 4  # counts, and not the thickness of 5 mm
    volume = load_dicom(write_dicom([dataset], tmp_path / "series"))
    np.testing.assert_array_equal(volume.array, chest_hu())
    assert volume.spacing_mm == pytest.approx((1.5, 1.5, 4.0))
    # LPS (-30, -25, -120) of the first pixel is RAS (30, 25, -120).
    np.testing.assert_allclose(volume.affine[:3, 3], (30.0, 25.0, -120.0))
    told = "in their order and 4 mm apart, which is the spacing that the file gives."
    assert any(told in note for note in volume.warnings)
    assert volume.source.dicom is None
    del dataset.SpacingBetweenSlices
    volume = load_dicom(write_dicom([dataset], tmp_path / "thickness"))
    assert volume.spacing_mm[2] == pytest.approx(5.0)
    assert any("5 mm apart, which is the thickness of a slice." in n for n in volume.warnings)


def test_frames_without_any_position_are_nominal(tmp_path: Path) -> None:
    dataset = _frames_in_one_file(chest_hu())
    del dataset.ImagePositionPatient
    volume = load_dicom(write_dicom([dataset], tmp_path / "series"))
    np.testing.assert_array_equal(volume.array, chest_hu())
    assert volume.spacing_nominal
    assert any("slices have no position" in note for note in volume.warnings)


def test_nothing_about_the_patient_is_kept(tmp_path: Path) -> None:
    folder = write_dicom(dicom_series(chest_hu()), tmp_path / "SECRET-ID", prefix="SECRET-ID_")
    study = open_study(folder)
    kept = repr((study.volume.source, study.volume.warnings, study.case_id))
    assert "SECRET" not in kept.upper()


def test_a_damaged_slice_does_not_name_its_file(tmp_path: Path) -> None:
    datasets = dicom_series(chest_hu())
    datasets[1].PixelData = datasets[1].PixelData[:50]
    folder = write_dicom(datasets, tmp_path / "series", prefix="SECRET-ID_")
    with pytest.raises(LoadError) as caught:
        load_dicom(folder)
    assert "SECRET" not in str(caught.value)


def test_cancel_limits_and_progress(tmp_path: Path) -> None:
    folder = write_dicom(dicom_series(chest_hu()), tmp_path / "series")
    with pytest.raises(Cancelled):
        load_dicom(folder, should_cancel=lambda: True)
    with pytest.raises(LoadError, match="too many files"):
        load_dicom(folder, limits=LoadLimits(max_files=3))
    with pytest.raises(LoadError, match="too large"):
        load_dicom(folder, limits=LoadLimits(max_voxels=48 * 40 * 7))
    stages: list[tuple[str, int, int]] = []
    load_dicom(folder, on_progress=lambda *step: stages.append(step))
    assert ("reading DICOM headers", 8, 8) in stages
    assert stages[-1] == ("reading slices", 8, 8)


@pytest.mark.real_data
def test_a_real_series_in_jpeg_lossless(real_data: Path) -> None:
    volume = load_dicom(real_data / "covid_ct_md" / "P001_dicom")
    assert volume.shape == (512, 512, 16)
    assert volume.unit == "HU"
    assert volume.array.dtype == np.int16
    assert volume.spacing_mm == pytest.approx((0.748046875, 0.748046875, 2.0))
    # Air around the patient and muscle: the peaks that calibrate every CT.
    counts = np.bincount((volume.array.ravel() + 1024).clip(0, 2000))
    assert abs(int(counts[1:400].argmax()) + 1 - 1024 + 1000) < 60
    assert abs(int(counts[900:1200].argmax()) + 900 - 1024) < 130
    assert "98C14734" not in repr(volume.source)
