"""What lies together in a folder: acquisitions of one series, slices of many, other objects."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from core.batch.find import find_scans
from core.errors import LoadError
from core.loading import JOINED, SeveralSeriesError, load_dicom, open_study
from core.loading.dicom.series import ScatteredSeriesError
from tests.scans import chest_hu, dicom_series, nifti_bytes, small_affine, write_dicom

UID = "1.2.826.0.1.99"


_VALUES: dict[str, tuple[object, object]] = {
    "TriggerTime": (0.0, 400.0),
    "NominalPercentageOfCardiacPhase": (30.0, 70.0),
    "ConvolutionKernel": ("B30f", "B70f"),
    "SeriesDescription": ("a inspiration", "b expiration"),
    "ImageType": (["ORIGINAL", "PRIMARY", "AXIAL"], ["ORIGINAL", "PRIMARY", "AXIAL", "B"]),
    "SliceThickness": (1.0, 5.0),
    "IrradiationEventUID": ("1.2.3", "1.2.4"),
}
"""Of the first and of the second acquisition."""


def _phases(tags: str, *, step: float = 5.0, shift: float = 2.5) -> list[Dataset]:
    """Two series under one UID, the second `shift` mm above the first."""
    found = []
    for phase in (0, 1):
        datasets = dicom_series(
            chest_hu(seed=phase),
            series_uid=UID,
            origin=(-30.0, -25.0, -120.0 + shift * phase),
            step=(0.0, 0.0, step),
        )
        for k, dataset in enumerate(datasets):
            dataset.InstanceNumber = 1
            if tags == "number":
                dataset.AcquisitionNumber = phase + 1
            elif tags == "acquisition time":
                dataset.AcquisitionTime = f"1015{10 + 20 * phase:02d}.5"
            elif tags == "content time":
                dataset.ContentTime = f"10{15 + phase}{k:02d}"
            elif tags == "temporal position":
                dataset.TemporalPositionIdentifier = phase + 1
            elif tags == "instance number":
                dataset.InstanceNumber = 8 * phase + k + 1
            elif tags == "date and time":
                dataset.AcquisitionDateTime = f"202003051015{10 + 20 * phase:02d}.5+0100"
            elif tags in _VALUES:
                setattr(dataset, tags, _VALUES[tags][phase])
        found += datasets
    random.Random(5).shuffle(found)
    return found


@pytest.mark.parametrize("shift", [0.0, 2.5, 20.0], ids=["same place", "half a step", "passes"])
@pytest.mark.parametrize(
    "tags",
    [
        *("number", "acquisition time", "content time", "temporal position", "instance number"),
        *("date and time", *_VALUES),
    ],
)
def test_two_acquisitions_of_one_series(tags: str, shift: float, tmp_path: Path) -> None:
    folder = write_dicom(_phases(tags, shift=shift), tmp_path / "series")
    with pytest.raises(SeveralSeriesError) as caught:
        load_dicom(folder)
    assert [info.uid for info in caught.value.series] == [f"{UID}#1", f"{UID}#2"]
    assert [info.n_slices for info in caught.value.series] == [8, 8]
    # Words have no order: of these either phase may be the first.
    order = (0, 1)
    if not np.array_equal(load_dicom(folder, series_uid=f"{UID}#1").array, chest_hu()):
        assert tags in _VALUES
        order = (1, 0)
    for part, phase in enumerate(order, start=1):
        volume = load_dicom(folder, series_uid=f"{UID}#{part}")
        np.testing.assert_array_equal(volume.array, chest_hu(seed=phase))
        assert volume.spacing_mm[2] == pytest.approx(5.0)
        assert volume.affine[2, 3] == pytest.approx(-120 + shift * phase)
    with pytest.raises(SeveralSeriesError):
        load_dicom(folder, series_uid=UID)
    with pytest.raises(LoadError, match="There is no such series"):
        load_dicom(folder, series_uid=f"{UID}#3")


def test_slices_taken_in_turns_at_each_place_are_two_acquisitions(tmp_path: Path) -> None:
    datasets = _phases("none", shift=0.0)
    for dataset in datasets:
        phase = int(np.array_equal(dataset.pixel_array, _stored(chest_hu(seed=1), dataset)))
        height = round((dataset.ImagePositionPatient[2] + 120) / 5)
        dataset.InstanceNumber = 2 * height + phase + 1
    folder = write_dicom(datasets, tmp_path / "series")
    with pytest.raises(SeveralSeriesError):
        load_dicom(folder)
    for phase in (0, 1):
        volume = load_dicom(folder, series_uid=f"{UID}#{phase + 1}")
        np.testing.assert_array_equal(volume.array, chest_hu(seed=phase))


def _stored(hu: np.ndarray, dataset: Dataset) -> np.ndarray:
    k = round((dataset.ImagePositionPatient[2] + 120) / 5)
    return hu[:, :, k].T + 1024


def test_acquisitions_may_be_joined_to_the_one_scan_that_they_are(tmp_path: Path) -> None:
    whole = chest_hu((48, 40, 12))
    datasets = dicom_series(whole)
    for k, dataset in enumerate(datasets):  # the odd slices are numbered behind the even ones
        dataset.InstanceNumber = 1 + k // 2 + 6 * (k % 2)
    folder = write_dicom(datasets, tmp_path / "series")
    with pytest.raises(SeveralSeriesError):
        load_dicom(folder)
    np.testing.assert_array_equal(load_dicom(folder, series_uid=JOINED).array, whole)


@pytest.mark.parametrize("kind", ["dicom", "nifti"])
def test_two_phases_mixed_without_a_word_are_doubted(kind: str, tmp_path: Path) -> None:
    whole = chest_hu((48, 40, 24))
    mixed = whole.copy()
    mixed[:, :, 1::2] = np.roll(whole[:, :, 1::2], 3, axis=0)

    def told(hu: np.ndarray, name: str) -> bool:
        if kind == "dicom":
            datasets = dicom_series(hu, InstanceNumber=1)
            volume = load_dicom(write_dicom(datasets, tmp_path / name))
        else:
            path = tmp_path / f"{name}.nii"
            path.write_bytes(nifti_bytes(hu))
            volume = open_study(path).volume
        return any("two acquisitions" in warning for warning in volume.warnings)

    assert told(mixed, "mixed")
    assert not told(whole, "whole")


def test_positions_without_directions_keep_their_millimetres(tmp_path: Path) -> None:
    datasets = dicom_series(chest_hu(), InstanceNumber=1)
    for dataset in datasets:
        del dataset.ImageOrientationPatient
    datasets = datasets[::2] + datasets[1::2]
    volume = load_dicom(write_dicom(datasets, tmp_path / "series"))
    np.testing.assert_array_equal(volume.array, chest_hu())
    np.testing.assert_allclose(volume.affine, small_affine(), atol=1e-6)
    assert not volume.spacing_nominal
    assert any("taken for axial" in warning for warning in volume.warnings)


def test_one_position_for_all_slices_is_none(tmp_path: Path) -> None:
    datasets = dicom_series(chest_hu(), InstanceNumber=1)
    for k, dataset in enumerate(datasets):
        dataset.ImagePositionPatient = [0, 0, 0]
        dataset.SliceLocation = 5.0 * k
    datasets = datasets[::2] + datasets[1::2]
    volume = load_dicom(write_dicom(datasets, tmp_path / "series"))
    np.testing.assert_array_equal(volume.array, chest_hu())
    assert any("their order by location" in warning for warning in volume.warnings)


def test_a_batch_takes_each_acquisition(tmp_path: Path) -> None:
    datasets = _phases("number")
    write_dicom(datasets[:9], tmp_path / "a")
    write_dicom(datasets[9:], tmp_path / "b")
    scans = find_scans(tmp_path).scans
    assert sorted(scan.series_uid or "" for scan in scans) == [f"{UID}#1", f"{UID}#2"]
    assert len({scan.scan_id for scan in scans}) == 2
    for scan in scans:
        files = [tmp_path / name for name in scan.files]
        study = open_study(files, series_uid=scan.series_uid)
        phase = int((scan.series_uid or "")[-1]) - 1
        np.testing.assert_array_equal(study.volume.array, chest_hu(seed=phase))


def test_steps_one_behind_the_other_are_one_scan(tmp_path: Path) -> None:
    datasets = dicom_series(chest_hu((48, 40, 12)), AcquisitionNumber=1)
    for k, dataset in enumerate(datasets):
        dataset.AcquisitionNumber = 1 + k // 4
        dataset.AcquisitionTime = f"1015{k // 4:02d}"
        dataset.InstanceNumber = 1 + k % 4 + 4 * (2 - k // 4)
    volume = load_dicom(write_dicom(datasets, tmp_path / "series"))
    np.testing.assert_array_equal(volume.array, chest_hu((48, 40, 12)))
    assert volume.warnings == ()


def test_an_unmarked_scout_of_its_own_acquisition_hides_no_second_one(tmp_path: Path) -> None:
    scout = dicom_series(chest_hu((40, 60, 1)), series_uid=UID, columns_along=(0.0, 0.0, -1.0))
    scout[0].AcquisitionNumber = 0
    folder = write_dicom([*scout, *_phases("number")], tmp_path / "series")
    with pytest.raises(SeveralSeriesError) as caught:
        load_dicom(folder)
    assert [info.n_slices for info in caught.value.series if "#2" in info.uid] == [8]
    volume = load_dicom(folder, series_uid=f"{UID}#2")
    np.testing.assert_array_equal(volume.array, chest_hu(seed=1))


def _object(sop_class: str, modality: str, **tags: object) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = sop_class
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset.SeriesInstanceUID = generate_uid()
    dataset.Modality = modality
    for name, value in tags.items():
        setattr(dataset, name, value)
    return dataset


def _picture(sop_class: str, modality: str, *, frames: int = 1, colour: bool = False) -> Dataset:
    samples = 3 if colour else 1
    dataset = _object(
        sop_class,
        modality,
        Rows=64,
        Columns=64,
        SamplesPerPixel=samples,
        PhotometricInterpretation="RGB" if colour else "MONOCHROME2",
        BitsAllocated=8,
        BitsStored=8,
        HighBit=7,
        PixelRepresentation=0,
        PixelData=bytes(64 * 64 * frames * samples),
    )
    dataset["PixelData"].VR = "OB"
    if colour:
        dataset.PlanarConfiguration = 0
    if frames > 1:
        dataset.NumberOfFrames = frames
    return dataset


BESIDE = {
    "RT dose": (lambda: _picture("1.2.840.10008.5.1.4.1.1.481.2", "RTDOSE", frames=4), "RT Dose"),
    "film": (
        lambda: _picture("1.2.840.10008.5.1.4.1.1.7.4", "CT", frames=4, colour=True),
        "Multi-frame True Color Secondary Capture Image",
    ),
    "dose page": (
        lambda: _picture("1.2.840.10008.5.1.4.1.1.7", "CT"),
        "Secondary Capture Image",
    ),
    "colour page": (
        lambda: _picture("1.2.840.10008.5.1.4.1.1.7", "OT", colour=True),
        "Secondary Capture Image",
    ),
    "page kept as CT": (
        lambda: _picture("1.2.840.10008.5.1.4.1.1.2", "CT"),
        "picture without a position",
    ),
    "ultrasound film": (
        lambda: _picture("1.2.840.10008.5.1.4.1.1.3.1", "US", frames=4),
        "Ultrasound Multi-frame Image",
    ),
    "report": (lambda: _object("1.2.840.10008.5.1.4.1.1.88.67", "SR"), "X-Ray Radiation Dose SR"),
    "structures": (
        lambda: _object("1.2.840.10008.5.1.4.1.1.481.3", "RTSTRUCT"),
        "RT Structure Set",
    ),
    "of a private class": (
        lambda: _object("1.3.12.2.1107.5.9.1", "OT"),
        "object of an unknown class",
    ),
}


@pytest.mark.parametrize("beside", BESIDE)
@pytest.mark.parametrize("same_series", [False, True], ids=["own series", "same series"])
def test_other_objects_are_ignored_and_told(beside: str, same_series: bool, tmp_path: Path) -> None:
    make, kind = BESIDE[beside]
    other = make()
    if same_series:
        other.SeriesInstanceUID = UID
    series = dicom_series(chest_hu(), series_uid=UID)
    write_dicom([other, *series], tmp_path / "study")
    told = f"Ignored beside the series: 1 × {kind}."
    if beside == "page kept as CT" and same_series:
        told = "1 slice without a position was left out."
    for uid in (None, UID):
        volume = load_dicom(tmp_path / "study", series_uid=uid)
        np.testing.assert_array_equal(volume.array, chest_hu())
        assert told in volume.warnings
    (scan,) = find_scans(tmp_path).scans
    assert scan.series_uid == UID
    study = open_study([tmp_path / name for name in scan.files], series_uid=UID)
    np.testing.assert_array_equal(study.volume.array, chest_hu())


def test_captures_alone_are_opened(tmp_path: Path) -> None:
    datasets = dicom_series(chest_hu(), SOPClassUID="1.2.840.10008.5.1.4.1.1.7")
    volume = load_dicom(write_dicom(datasets, tmp_path / "series"))
    np.testing.assert_array_equal(volume.array, chest_hu())


def test_an_object_of_frames_alone_says_why_it_is_refused(tmp_path: Path) -> None:
    folder = write_dicom([_picture("1.2.840.10008.5.1.4.1.1.7.4", "CT", frames=4)], tmp_path / "s")
    with pytest.raises(LoadError, match="several frames does not give their positions"):
        load_dicom(folder)


def test_a_dose_map_alone_is_no_ct(tmp_path: Path) -> None:
    dose = _picture("1.2.840.10008.5.1.4.1.1.481.2", "RTDOSE", frames=4)
    folder = write_dicom([dose], tmp_path / "s")
    with pytest.raises(LoadError, match="The series is not CT: got RT Dose, expected CT"):
        load_dicom(folder)


def _scattered() -> list[Dataset]:
    datasets = dicom_series(chest_hu(), FrameOfReferenceUID="1.2.3.4", StudyInstanceUID="1.2.3")
    for dataset in datasets:
        dataset.SeriesInstanceUID = generate_uid()
    return datasets


def test_slices_that_each_have_a_series_are_joined_after_a_question(tmp_path: Path) -> None:
    folder = write_dicom(_scattered(), tmp_path / "study")
    with pytest.raises(ScatteredSeriesError, match="--join-series") as caught:
        load_dicom(folder)
    (offer,) = caught.value.series
    assert (offer.uid, offer.n_slices) == ("joined", 8)
    volume = load_dicom(folder, series_uid=offer.uid)
    np.testing.assert_array_equal(volume.array, chest_hu())
    assert volume.spacing_mm == pytest.approx((1.5, 1.5, 5.0))
    assert volume.warnings == ("The slices had a series each and were joined to one scan.",)
    (scan,) = find_scans(tmp_path, join_series=True).scans
    study = open_study([tmp_path / name for name in scan.files], series_uid=scan.series_uid)
    np.testing.assert_array_equal(study.volume.array, chest_hu())
    (scan,) = find_scans(tmp_path).scans
    assert scan.series_uid is None
    with pytest.raises(ScatteredSeriesError):
        open_study([tmp_path / name for name in scan.files], series_uid=scan.series_uid)


def test_slices_to_be_joined_are_offered_beside_another_series(tmp_path: Path) -> None:
    other = dicom_series(chest_hu(), series_uid="1.2.9", StudyInstanceUID="1.2.3")
    folder = write_dicom([*_scattered(), *other], tmp_path / "study")
    with pytest.raises(SeveralSeriesError) as caught:
        load_dicom(folder)
    assert [(one.uid, one.n_slices) for one in caught.value.series] == [("joined", 8), ("1.2.9", 8)]
    for offer in caught.value.series:
        volume = load_dicom(folder, series_uid=offer.uid)
        np.testing.assert_array_equal(volume.array, chest_hu())
    joined = load_dicom(folder, series_uid="joined")
    assert any("8 × slice of another series" in warning for warning in joined.warnings)


def _two_scattered() -> list[Dataset]:
    """Slices of two patients, each with a series of its own."""
    others = dicom_series(chest_hu(seed=1)[:, :, :5], StudyInstanceUID="1.2.4")
    for dataset in others:
        dataset.SeriesInstanceUID = generate_uid()
        dataset.FrameOfReferenceUID = "1.2.3.5"
    return [*_scattered(), *others]


def test_two_scans_of_such_slices_in_one_folder_stay_two(tmp_path: Path) -> None:
    folder = write_dicom(_two_scattered(), tmp_path / "study")
    with pytest.raises(SeveralSeriesError, match=r"joined#1 .* 8 slices.*joined#2 .* 5 slices"):
        load_dicom(folder)
    with pytest.raises(SeveralSeriesError, match="choose one"):
        load_dicom(folder, series_uid=JOINED)
    first, second = (load_dicom(folder, series_uid=f"joined#{number}") for number in (1, 2))
    np.testing.assert_array_equal(first.array, chest_hu())
    np.testing.assert_array_equal(second.array, chest_hu(seed=1)[:, :, :5])
    assert any("8 × slice of another series" in warning for warning in second.warnings)
    for join in (True, False):
        scans = find_scans(tmp_path, join_series=join).scans
        assert [len(scan.files) for scan in scans] == [8, 5]
        assert len({scan.scan_id for scan in scans}) == 2
        assert [scan.series_uid for scan in scans] == (
            ["joined#1", "joined#2"] if join else [None, None]
        )
        for scan, slices in zip(scans, (8, 5), strict=True):
            files = [tmp_path / name for name in scan.files]
            if join:
                assert load_dicom(files, series_uid=scan.series_uid).shape[2] == slices
            else:
                with pytest.raises(ScatteredSeriesError, match=f"{slices} series of one slice"):
                    load_dicom(files)


@pytest.mark.parametrize("frame_of_reference", ["1.2.3.4", ""], ids=["one", "unknown"])
def test_a_batch_joins_slices_in_folders_of_their_own(
    frame_of_reference: str, tmp_path: Path
) -> None:
    for number, dataset in enumerate(_scattered()):
        dataset.FrameOfReferenceUID = frame_of_reference
        write_dicom([dataset], tmp_path / "export" / f"SE{number}")
    scans = find_scans(tmp_path, join_series=True).scans
    if not frame_of_reference:  # as in a set with one slice of each patient
        assert [len(scan.files) for scan in scans] == [1] * 8
        return
    (scan,) = scans
    assert scan.place == "export"
    study = open_study([tmp_path / name for name in scan.files], series_uid=scan.series_uid)
    np.testing.assert_array_equal(study.volume.array, chest_hu())


def test_a_batch_names_what_it_leaves_out_beside_a_series(tmp_path: Path) -> None:
    scout = dicom_series(chest_hu()[:, :, :1], ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    capture = _picture("1.2.840.10008.5.1.4.1.1.7", "CT")
    write_dicom([*dicom_series(chest_hu()), *scout, capture], tmp_path / "study")
    found = find_scans(tmp_path)
    assert [len(scan.files) for scan in found.scans] == [8]
    assert found.left_out == {
        "DICOM objects beside a series: Secondary Capture Image": 1,
        "DICOM objects beside a series: localizer": 1,
    }


@pytest.mark.parametrize(
    "tags", [{"FrameOfReferenceUID": "9.9"}, {"PixelSpacing": [2.0, 2.0]}], ids=["frame", "pixels"]
)
def test_what_does_not_fit_is_not_joined(tags: dict[str, object], tmp_path: Path) -> None:
    datasets = _scattered()
    for name, value in tags.items():
        setattr(datasets[3], name, value)
    folder = write_dicom(datasets, tmp_path / "study")
    with pytest.raises(SeveralSeriesError) as caught:
        load_dicom(folder)
    assert len(caught.value.series) == 8
    with pytest.raises(LoadError, match="cannot be joined"):
        load_dicom(folder, series_uid="joined")


def test_a_slice_without_a_position_does_not_cost_the_millimetres(tmp_path: Path) -> None:
    datasets = dicom_series(chest_hu())
    del datasets[7].ImagePositionPatient
    volume = load_dicom(write_dicom(datasets, tmp_path / "series"))
    np.testing.assert_array_equal(volume.array, chest_hu()[:, :, :7])
    assert not volume.spacing_nominal
    assert volume.spacing_mm == pytest.approx((1.5, 1.5, 5.0))
    assert "1 slice without a position was left out." in volume.warnings


@pytest.mark.parametrize("numbers", ["none", "all the same", "as the names"])
def test_names_are_in_natural_order(numbers: str, tmp_path: Path) -> None:
    hu = chest_hu((48, 40, 12))
    folder = tmp_path / "series"
    folder.mkdir()
    for k, dataset in enumerate(dicom_series(hu)):
        del dataset.ImagePositionPatient, dataset.ImageOrientationPatient, dataset.InstanceNumber
        if numbers != "none":
            dataset.InstanceNumber = 1 if numbers == "all the same" else k + 1
        dataset.save_as(folder / f"slice{k + 1}.dcm", enforce_file_format=True)
    volume = load_dicom(folder)
    np.testing.assert_array_equal(volume.array, hu)
    assert volume.spacing_nominal
    way = "numbers" if numbers == "as the names" else "names"
    assert (
        f"The slices have no position: their order by {way} and their sides are assumed."
    ) in volume.warnings
