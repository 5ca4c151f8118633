"""Masks corrected by hand say so wherever they go, and are the corrected ones."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
import SimpleITK

from core.correction import Correction, HandCorrection, Paint, SliceAt, runs_of
from core.evaluation import compute_differences
from core.output.exports import dicom_seg_bytes
from core.output.report import bundle_bytes, html_text, pdf_bytes
from core.segmentation import Segmentation, drawn_by_hand, with_hand_correction
from core.volume import MaskPair, Study
from tests.studies import small_study, small_truth, small_volume
from tests.test_exports import DAY, masks_of, series
from tests.test_report import pdf_text, report_of, segmented, words

BY_HAND = HandCorrection(from_network=True, steps=3)
DRAWN = HandCorrection(from_network=False, steps=1)


def corrected(study: Study) -> Segmentation:
    """The stand-in's result, with a block of infection drawn into it."""
    found = segmented(study)
    infection = found.masks.infection.copy(order="F")
    infection[30:36, 10:20, 2] = True
    return with_hand_correction(found, MaskPair(found.masks.lung, infection), BY_HAND)


def test_every_file_of_a_bundle_is_marked_as_corrected(tmp_path: Path) -> None:
    study = small_study()
    result = corrected(study)
    report, _ = report_of(study, result)
    archive = zipfile.ZipFile(io.BytesIO(bundle_bytes(report, study, result)))
    for name in ("lung_mask", "infection_mask", "label_map"):
        path = tmp_path / f"{name}.nii.gz"
        path.write_bytes(archive.read(f"masks/{name}.nii.gz"))
        image = nib.load(path)
        assert image.header["descrip"].item() == b"LungLens mask, corrected by hand"
    path = tmp_path / "infection_mask.nii.gz"
    np.testing.assert_array_equal(
        SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path))).T,
        result.masks.infection,
        "the corrected mask in the scan's own axes, which are those of the canonical grid",
    )
    for name in archive.namelist():
        if name.endswith(".stl"):
            assert b"corrected by hand" in archive.read(name)[:80]
        if name.endswith(".ply"):
            assert b"corrected by hand" in archive.read(name)[:300]
    rows = list(csv.DictReader(io.TextIOWrapper(archive.open("measurements/slices.csv"))))
    assert {row["masks"] for row in rows} == {"corrected by hand"}
    rows = list(csv.DictReader(io.TextIOWrapper(archive.open("measurements/biomarkers.csv"))))
    assert {row["masks"] for row in rows} == {"corrected by hand"}
    values = json.loads(archive.read("measurements/measurements.json"))
    assert values["hand_correction"] == {
        "text": "corrected by hand",
        "from_network": True,
        "steps": 3,
    }
    assert b"hand_correction.text,corrected by hand" in archive.read(
        "measurements/measurements.csv"
    )
    assert "corrected by hand (3 steps)" in archive.read("README.txt").decode()


def test_a_report_is_marked_as_corrected_and_claims_nothing_of_the_network() -> None:
    study = small_study()
    report, _ = report_of(study, corrected(study))
    for text in (words(pdf_text(pdf_bytes(report))), words(html_text(report))):
        assert "corrected by hand" in text
        assert "do not describe the network" in text
    assert "The masks were then corrected by hand" in report.methods.paragraph
    plain, result = report_of(study)
    assert "by hand" not in words(pdf_text(pdf_bytes(plain)))
    assert plain.by_hand is result.by_hand is None


def test_without_a_correction_nothing_is_added_to_tables() -> None:
    study = small_study()
    report, result = report_of(study)
    archive = zipfile.ZipFile(io.BytesIO(bundle_bytes(report, study, result)))
    header = archive.read("measurements/slices.csv").split(b"\n")[0]
    assert b"masks" not in header
    assert "hand_correction" not in json.loads(archive.read("measurements/measurements.json"))
    raw = gzip.decompress(archive.read("masks/lung_mask.nii.gz"))
    assert b"LungLens mask\0" in raw[:400]


@pytest.mark.parametrize(
    ("by_hand", "kind", "named"),
    [(None, "AUTOMATIC", True), (BY_HAND, "SEMIAUTOMATIC", True), (DRAWN, "MANUAL", False)],
)
def test_a_dicom_segmentation_has_the_type_of_its_making(
    tmp_path: Path, by_hand: HandCorrection | None, kind: str, named: bool
) -> None:
    volume = series(tmp_path)
    content = dicom_seg_bytes(
        masks_of(volume), volume, algorithm="unet-v2", made_on=DAY, by_hand=by_hand
    )
    seg = pydicom.dcmread(io.BytesIO(content))
    for segment in seg.SegmentSequence:
        assert segment.SegmentAlgorithmType == kind
        assert ("SegmentAlgorithmName" in segment) == named
    said = "" if by_hand is None else by_hand.text
    assert said in seg.SeriesDescription
    assert said in seg.ContentDescription
    path = tmp_path / "seg.dcm"
    path.write_bytes(content)
    assert SimpleITK.ReadImage(str(path)).GetSize()[2] > 0


def test_the_difference_to_the_network_by_hand_made_masks() -> None:
    # 1.5 × 1.5 × 5 mm.
    volume, network = small_volume(), small_truth()
    infection = network.infection.copy()
    infection[8:14, 20:24, 3] = False  # 24 voxels
    infection[30:36, 10:20, 2] = True  # 60
    found = compute_differences(network, MaskPair(network.lung, infection), volume)
    one = found["infection"]
    assert one.added_ml == pytest.approx(60 * 11.25 / 1000)
    assert one.removed_ml == pytest.approx(24 * 11.25 / 1000)
    before, both = 24 * 4, 24 * 3
    assert one.dice == pytest.approx(2 * both / (before + before - 24 + 60))
    assert one.added_mm2.tolist() == pytest.approx([0, 0, 60 * 2.25, 0, 0, 0, 0, 0])
    assert one.removed_mm2[3] == pytest.approx(24 * 2.25)
    assert one.slice_dice[4] == 1.0
    assert found["lung"].dice == 1.0
    assert found["lung"].added_ml == 0.0
    nominal = compute_differences(network, network, replace(volume, spacing_nominal=True))
    assert np.isnan(nominal["lung"].added_ml)


def test_a_record_counts_steps_and_says_what_it_began_with() -> None:
    correction = Correction(small_volume())
    stroke = Paint("lung", True, runs_of(np.arange(5)), SliceAt("axial", 0))
    correction.apply(stroke, revision=0)
    assert correction.record == DRAWN
    assert DRAWN.sentence.startswith("The masks were drawn by hand (1 step): ")


def test_a_scan_that_was_only_drawn_on_has_a_report_and_all_files() -> None:
    study = small_study(truth=False)
    infection = np.zeros(study.volume.shape, dtype=bool, order="F")
    infection[8:14, 20:24, 3:6] = True
    for masks in (MaskPair(small_truth().lung, infection), MaskPair(None, infection)):
        result = drawn_by_hand(study.volume, masks, DRAWN)
        report, _ = report_of(study, result)
        page = words(html_text(report))
        assert "lung and infection were drawn by hand in LungLens" in page
        assert "none: no network has run" in page
        assert "U-Net" not in page
        assert "Masks were drawn by hand." in page
        assert "drawn by hand" in pdf_text(pdf_bytes(report))
        archive = zipfile.ZipFile(io.BytesIO(bundle_bytes(report, study, result)))
        values = json.loads(archive.read("measurements/measurements.json"))
        assert values["weights_id"] is None
        assert values["infection_volume_ml"] == pytest.approx(6 * 4 * 3 * 1.5 * 1.5 * 5 / 1000)
        assert values["hand_correction"]["text"] == "drawn by hand"
        assert "masks/infection_mask.nii.gz" in archive.namelist()
