"""Exports opened by other libraries: every voxel and every place as in the scan."""

from __future__ import annotations

import csv
import io
import re
from datetime import date
from pathlib import Path

import highdicom
import nibabel as nib
import numpy as np
import pydicom
import pytest
import SimpleITK
from nibabel.affines import apply_affine
from pydicom.uid import generate_uid

from core.config import SurfaceConfig
from core.drawing.surfaces import build_surface
from core.errors import SaveError
from core.loading import load_dicom, load_nifti
from core.loading.dicom import read_patient_identity
from core.output.exports import (
    dicom_seg_bytes,
    ply_bytes,
    slice_rows,
    stl_bytes,
    table_csv,
    values_csv,
)
from core.output.saving import mask_nifti_bytes
from core.preprocessing.roi import BoundingBox, VolumeBox, crop_volume
from core.volume import BoolArray, MaskPair, Volume
from tests.scans import chest_hu, dicom_series, write_dicom, zip_bytes
from tests.spheres import AFFINES, ball
from tests.studies import small_study, small_truth
from tests.test_loading_dicom import enhanced

DAY = date(2026, 3, 4)
RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0])
UIDS = {"StudyInstanceUID": generate_uid(), "FrameOfReferenceUID": generate_uid()}


def masks_of(volume: Volume) -> MaskPair:
    """Without symmetry in any axis; infection overlaps the lung and reaches beyond it."""
    lung = np.asarray(volume.array < -700)
    infection = np.zeros_like(lung)
    i, j, k = (n // 2 for n in volume.shape)
    infection[i - 9 : i + 1, j - 3 : j + 8, k : k + 2] = True
    infection[2:5, 3:9, k + 1 :] = True
    return MaskPair(lung, infection)


def points_of(mask: BoolArray, affine: np.ndarray) -> np.ndarray:
    """Centres of the marked voxels in RAS mm, in a fixed order."""
    points = apply_affine(affine, np.argwhere(mask))
    return points[np.lexsort(np.round(points, 3).T)]


# ---------------------------------------------------------------- NIfTI


# ITK knows no sheared axes; those are read back by nibabel in test_saving.
@pytest.mark.parametrize("name", [name for name in AFFINES if name != "sheared"])
def test_simpleitk_finds_masks_and_labels_where_the_scan_has_them(
    name: str, tmp_path: Path
) -> None:
    scan = tmp_path / "scan.nii.gz"
    nib.save(nib.Nifti1Image(chest_hu((48, 40, 20)), AFFINES[name]), scan)
    volume = load_nifti(scan)
    masks = masks_of(volume)
    labels = masks.label_map()
    assert set(np.unique(labels)) == {0, 1, 2}
    for content in (masks.lung, masks.infection, labels):
        assert content is not None
        path = tmp_path / "mask.nii.gz"
        path.write_bytes(mask_nifti_bytes(content, volume))
        saved, original = SimpleITK.ReadImage(str(path)), SimpleITK.ReadImage(str(scan))
        assert saved.GetSize() == original.GetSize()
        np.testing.assert_allclose(saved.GetOrigin(), original.GetOrigin(), atol=1e-4)
        np.testing.assert_allclose(saved.GetDirection(), original.GetDirection(), atol=1e-5)
        np.testing.assert_allclose(saved.GetSpacing(), original.GetSpacing(), atol=1e-5)
        voxels = SimpleITK.GetArrayFromImage(saved).transpose(2, 1, 0)
        image = nib.load(path)
        np.testing.assert_array_equal(voxels, np.asanyarray(image.dataobj))
        np.testing.assert_allclose(image.affine, AFFINES[name], atol=1e-5)
        for label in range(1, int(content.max()) + 1):
            np.testing.assert_allclose(
                points_of(voxels == label, image.affine),
                points_of(content == label, volume.affine),
                atol=1e-3,
            )


# ---------------------------------------------------------------- DICOM segmentation

STACKS = {
    "feet first": {},
    "head first": {"origin": (-30.0, -25.0, -85.0), "step": (0.0, 0.0, -5.0)},
    "prone": {"rows_along": (-1.0, 0.0, 0.0), "columns_along": (0.0, -1.0, 0.0)},
    "coronal": {"columns_along": (0.0, 0.0, -1.0), "step": (0.0, 5.0, 0.0)},
    "oblique": {
        "rows_along": (0.8, 0.6, 0.0),
        "columns_along": (-0.6, 0.8, 0.0),
        "pixel_mm": (1.5, 0.7),
    },
    "tilted": {"step": (0.0, 1.2, 5.0)},
}


def series(tmp_path: Path, **geometry) -> Volume:
    """A series whose files are numbered in no order."""
    datasets = dicom_series(chest_hu((48, 40, 18)), **UIDS, **geometry)
    order = np.random.default_rng(3).permutation(len(datasets))
    return load_dicom(write_dicom([datasets[n] for n in order], tmp_path / "series"))


def points_of_segment(seg: highdicom.seg.Segmentation, label: str) -> np.ndarray:
    """Centres of a segment's voxels in RAS mm, from the frames' own positions and nothing else."""
    (number,) = [
        n for n in seg.segment_numbers if seg.get_segment_description(n).segment_label == label
    ]
    shared = seg.SharedFunctionalGroupsSequence[0]
    between_rows, between_columns = map(float, shared.PixelMeasuresSequence[0].PixelSpacing)
    along = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, dtype=float)
    found = []
    for pixels, frame in zip(seg.pixel_array, seg.PerFrameFunctionalGroupsSequence, strict=True):
        if frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber != number:
            continue
        origin = np.array(frame.PlanePositionSequence[0].ImagePositionPatient, dtype=float)
        rows, columns = np.nonzero(pixels)
        found.append(
            origin
            + np.outer(columns * between_columns, along[:3])
            + np.outer(rows * between_rows, along[3:])
        )
    points = np.concatenate(found) @ RAS_TO_LPS
    return points[np.lexsort(np.round(points, 3).T)]


@pytest.mark.parametrize("name", STACKS)
def test_a_dicom_segmentation_lies_on_its_series(name: str, tmp_path: Path) -> None:
    volume = series(tmp_path, **STACKS[name])
    masks = masks_of(volume)
    content = dicom_seg_bytes(masks, volume, algorithm="unet-v2", made_on=DAY)
    seg = highdicom.seg.segread(io.BytesIO(content))
    for label, mask in (("Lung", masks.lung), ("Infection", masks.infection)):
        assert mask is not None
        np.testing.assert_allclose(
            points_of_segment(seg, label), points_of(mask, volume.affine), atol=2e-3
        )


def test_highdicom_reads_the_same_volume_with_its_references(tmp_path: Path) -> None:
    volume = series(tmp_path, origin=(-30.0, -25.0, -85.0), step=(0.0, 0.0, -5.0))
    masks = masks_of(volume)
    content = dicom_seg_bytes(masks, volume, algorithm="unet-v2", made_on=DAY)
    seg = highdicom.seg.segread(io.BytesIO(content))
    read = seg.get_volume(combine_segments=False)
    for number, mask in ((1, masks.lung), (2, masks.infection)):
        np.testing.assert_allclose(
            points_of(read.array[..., number - 1] > 0, RAS4 @ read.affine),
            points_of(mask, volume.affine),
            atol=1e-3,
        )
    files = [pydicom.dcmread(path) for path in sorted((tmp_path / "series").iterdir())]
    of_place = {float(d.ImagePositionPatient[2]): d.SOPInstanceUID for d in files}
    for frame in seg.PerFrameFunctionalGroupsSequence:
        height = float(frame.PlanePositionSequence[0].ImagePositionPatient[2])
        source = frame.DerivationImageSequence[0].SourceImageSequence[0]
        assert source.ReferencedSOPInstanceUID == of_place[height]
        assert source.ReferencedSOPClassUID == files[0].SOPClassUID
    assert seg.StudyInstanceUID == UIDS["StudyInstanceUID"]
    assert seg.FrameOfReferenceUID == UIDS["FrameOfReferenceUID"]
    (referenced,) = seg.ReferencedSeriesSequence
    assert referenced.SeriesInstanceUID == files[0].SeriesInstanceUID
    assert {i.ReferencedSOPInstanceUID for i in referenced.ReferencedInstanceSequence} == set(
        of_place.values()
    )
    lung, infection = (seg.get_segment_description(n) for n in (1, 2))
    assert lung.segmented_property_type.value == "39607008"
    assert infection.segmented_property_type.value == "52988006"
    assert infection.anatomic_regions[0].value == "39607008"
    for description in (lung, infection):
        assert description.algorithm_type.value == "AUTOMATIC"
        assert description.algorithm_identification.name == "LungLens unet-v2"


RAS4 = np.diag([-1.0, -1.0, 1.0, 1.0])


def test_frames_of_an_enhanced_object_are_referred_to_by_number(tmp_path: Path) -> None:
    dataset = enhanced(chest_hu())
    for keyword, value in UIDS.items():
        setattr(dataset, keyword, value)
    volume = load_dicom(write_dicom([dataset], tmp_path / "series"))
    masks = masks_of(volume)
    content = dicom_seg_bytes(masks, volume, algorithm="unet-v2", made_on=DAY)
    seg = highdicom.seg.segread(io.BytesIO(content))
    assert masks.infection is not None
    np.testing.assert_allclose(
        points_of_segment(seg, "Infection"), points_of(masks.infection, volume.affine), atol=1e-3
    )
    heights = [
        float(group.PlanePositionSequence[0].ImagePositionPatient[2])
        for group in dataset.PerFrameFunctionalGroupsSequence
    ]
    for frame in seg.PerFrameFunctionalGroupsSequence:
        source = frame.DerivationImageSequence[0].SourceImageSequence[0]
        height = float(frame.PlanePositionSequence[0].ImagePositionPatient[2])
        assert heights[int(source.ReferencedFrameNumber) - 1] == height


def test_no_patient_is_named_unless_asked_for(tmp_path: Path) -> None:
    birth = {"PatientBirthDate": "19500102", "AccessionNumber": "SECRET-7"}
    folder = tmp_path / "series"
    write_dicom(dicom_series(chest_hu(), **UIDS, **birth), folder)
    volume = load_dicom(folder)
    content = dicom_seg_bytes(masks_of(volume), volume, algorithm="unet-v2", made_on=DAY)
    for secret in (b"Secret", b"SECRET", b"19500102"):
        assert secret not in content
    anonymous = pydicom.dcmread(io.BytesIO(content))
    assert [anonymous.PatientName, anonymous.PatientID, anonymous.PatientBirthDate] == [""] * 3
    packed = tmp_path / "series.zip"
    packed.write_bytes(zip_bytes([(path.name, path.read_bytes()) for path in folder.iterdir()]))
    assert volume.source.dicom is not None
    for path in (folder, packed, list(folder.iterdir())):
        identity = read_patient_identity(path, volume.source.dicom)
        assert "Secret" not in repr(identity)
        kept = dicom_seg_bytes(
            masks_of(volume), volume, algorithm="unet-v2", made_on=DAY, identity=identity
        )
        dataset = pydicom.dcmread(io.BytesIO(kept))
        assert dataset.PatientName == "Secret^Name"
        assert dataset.PatientID == "SECRET-ID"
        assert dataset.PatientBirthDate == "19500102"
        assert dataset.AccessionNumber == "SECRET-7"


def test_the_same_masks_give_the_same_object(tmp_path: Path) -> None:
    volume = series(tmp_path)
    masks = masks_of(volume)
    one, again, later = (
        dicom_seg_bytes(masks, volume, algorithm="unet-v2", made_on=day)
        for day in (DAY, DAY, date(2026, 3, 5))
    )
    assert one == again
    first, second = (pydicom.dcmread(io.BytesIO(content)) for content in (one, later))
    assert first.SOPInstanceUID != second.SOPInstanceUID


def test_an_empty_segment_is_left_out(tmp_path: Path) -> None:
    volume = series(tmp_path)
    lung = masks_of(volume).lung
    assert lung is not None
    masks = MaskPair(lung, np.zeros_like(lung))
    content = dicom_seg_bytes(masks, volume, algorithm="unet-v2", made_on=DAY)
    seg = highdicom.seg.segread(io.BytesIO(content))
    assert [seg.get_segment_description(n).segment_label for n in seg.segment_numbers] == ["Lung"]
    nothing = MaskPair(np.zeros_like(lung), None)
    with pytest.raises(SaveError, match="no voxel marked"):
        dicom_seg_bytes(nothing, volume, algorithm="unet-v2", made_on=DAY)


def test_what_cannot_be_referred_to_is_refused(tmp_path: Path) -> None:
    study = small_study()
    with pytest.raises(SaveError, match="not a DICOM series"):
        dicom_seg_bytes(small_truth(), study.volume, algorithm="unet-v2", made_on=DAY)
    nameless = load_dicom(write_dicom(dicom_series(chest_hu()), tmp_path / "series"))
    with pytest.raises(SaveError, match="without unique identifiers or positions"):
        dicom_seg_bytes(masks_of(nameless), nameless, algorithm="unet-v2", made_on=DAY)
    odd = dicom_series(chest_hu(), **{**UIDS, "StudyInstanceUID": "a/b"})
    assert load_dicom(write_dicom(odd, tmp_path / "odd")).source.dicom is None
    whole = series(tmp_path / "whole")
    part, _ = crop_volume(whole, VolumeBox(BoundingBox(4, 40, 2, 38), 0, whole.shape[2]))
    with pytest.raises(SaveError, match="without unique identifiers or positions"):
        dicom_seg_bytes(masks_of(part), part, algorithm="unet-v2", made_on=DAY)


@pytest.mark.real_data
def test_a_segmentation_of_a_real_series(real_data: Path) -> None:
    folder = real_data / "covid_ct_md" / "P001_dicom"
    if not folder.is_dir():
        pytest.skip("no DICOM series among the real scans")
    volume = load_dicom(folder)
    masks = MaskPair(np.asarray(volume.array < -600), np.asarray(np.abs(volume.array + 450) < 90))
    content = dicom_seg_bytes(masks, volume, algorithm="unet-v2", made_on=DAY)
    seg = highdicom.seg.segread(io.BytesIO(content))
    assert masks.lung is not None
    headers = [pydicom.dcmread(path, stop_before_pixels=True) for path in folder.iterdir()]
    assert headers[0].PatientID
    assert str(headers[0].PatientID).encode() not in content
    by_uid = {h.SOPInstanceUID: h for h in headers}
    lung = np.zeros(volume.source.file_shape, bool)
    for pixels, frame in zip(seg.pixel_array, seg.PerFrameFunctionalGroupsSequence, strict=True):
        source = frame.DerivationImageSequence[0].SourceImageSequence[0]
        header = by_uid[source.ReferencedSOPInstanceUID]
        assert list(frame.PlanePositionSequence[0].ImagePositionPatient) == pytest.approx(
            list(header.ImagePositionPatient)
        )
        if frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber == 1:
            height = float(header.ImagePositionPatient[2]) - volume.source.file_affine[2, 3]
            lung[:, :, round(height / volume.spacing_mm[2])] = pixels.T
    found = points_of(lung, volume.source.file_affine)
    np.testing.assert_allclose(found, points_of(masks.lung, volume.affine), atol=1e-3)


# ---------------------------------------------------------------- meshes


def read_stl(content: bytes) -> np.ndarray:
    """(m, 3, 3) corners."""
    assert not content.startswith(b"solid")
    count = int(np.frombuffer(content[80:84], "<u4")[0])
    kind = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
    facets = np.frombuffer(content[84:], kind)
    assert len(facets) == count
    across = np.cross(
        facets["corners"][:, 1] - facets["corners"][:, 0],
        facets["corners"][:, 2] - facets["corners"][:, 0],
    )
    assert (np.einsum("ij,ij->i", across, facets["normal"]) >= 0).all()
    return facets["corners"].astype(float)


def read_ply(content: bytes) -> np.ndarray:
    """(m, 3, 3) corners."""
    header, body = content.split(b"end_header\n", 1)
    text = header.decode("ascii")
    vertices = int(re.search(r"element vertex (\d+)", text)[1])
    faces = int(re.search(r"element face (\d+)", text)[1])
    points = np.frombuffer(body[: 12 * vertices], "<f4").reshape(-1, 3)
    kind = np.dtype([("count", "u1"), ("corners", "<i4", 3)])
    corners = np.frombuffer(body[12 * vertices :], kind)
    assert len(corners) == faces
    assert (corners["count"] == 3).all()
    return points[corners["corners"]].astype(float)


def enclosed_ml(corners: np.ndarray) -> float:
    """By the divergence theorem; positive where facets look outward."""
    return (
        float(np.einsum("ij,ij->i", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum())
        / 6000
    )


@pytest.mark.parametrize("name", AFFINES)
def test_meshes_lie_where_the_ball_does(name: str) -> None:
    affine, radius = AFFINES[name], 24.0
    shape = (60, 60, 60)
    # Off the centre, so that a flip would show.
    center = apply_affine(affine, np.array([26.0, 32.0, 29.0]))
    mask = ball(shape, affine, radius_mm=radius, center_mm=center)
    surface = build_surface(mask, affine, SurfaceConfig(), channel="infection")
    assert surface is not None
    for corners in (
        read_stl(stl_bytes(surface, name="infection")),
        read_ply(ply_bytes(surface, name="infection")),
    ):
        assert enclosed_ml(corners) == pytest.approx(4 / 3 * np.pi * radius**3 / 1000, rel=0.04)
        points = corners.reshape(-1, 3)
        middle = (points.min(axis=0) + points.max(axis=0)) / 2
        np.testing.assert_allclose(middle, RAS_TO_LPS @ center, atol=1.0)


def test_meshes_say_their_frame_and_nominal_millimetres() -> None:
    mask = ball((30, 30, 30), AFFINES["canonical"], radius_mm=12)
    surface = build_surface(mask, AFFINES["canonical"], SurfaceConfig(), channel="lung")
    assert surface is not None
    for make in (stl_bytes, ply_bytes):
        plain, nominal = make(surface, name="lung"), make(surface, name="lung", nominal=True)
        assert b"SPACE=LPS" in plain[:300]
        assert b"NOMINAL" not in plain[:300]
        assert b"NOMINAL mm" in nominal[:300]


# ---------------------------------------------------------------- tables


def test_slices_as_rows() -> None:
    study = small_study()
    assert study.truth is not None
    rows = slice_rows(study, study.truth)
    assert [row["slice"] for row in rows] == list(range(1, 9))
    # 6×4 voxels in slices 4 to 6, once more in slice 5; 1.5×1.5 mm each.
    assert [row["infection_pixels"] for row in rows] == [0, 0, 0, 24, 48, 24, 0, 0]
    assert rows[4]["infection_area_mm2"] == pytest.approx(48 * 2.25)
    assert rows[4]["infection_fraction"] == pytest.approx(48 / (2 * 14 * 22))
    assert rows[4]["infection_dice"] == 1.0
    assert rows[0]["infection_dice"] is None
    nominal = small_study(nominal=True, truth=False)
    row = slice_rows(nominal, small_truth())[4]
    assert row["infection_area_mm2"] is None
    assert row["infection_pixels"] == 48
    assert "infection_dice" not in row


def test_tables_are_csv_without_formulas() -> None:
    text = table_csv(("name", "value"), [("=1+1", 2.5), ("nothing", float("nan")), ("minus", -3)])
    assert list(csv.reader(io.StringIO(text))) == [
        ["name", "value"],
        ["'=1+1", "2.5"],
        ["nothing", ""],
        ["minus", "-3"],
    ]
    nested = values_csv({"scan": {"shape": [2, 3]}, "empty": None})
    assert nested.splitlines() == ["name,value", "scan.shape.0,2", "scan.shape.1,3", "empty,"]
