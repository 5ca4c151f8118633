"""The report in every form: two pages, true words, nobody's name, the same bytes each time."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import nibabel as nib
import numpy as np
import pypdfium2
import pytest

from core.annotation import Annotation
from core.cli import main
from core.config import SegmentConfig
from core.drawing.overlays import PREDICTION_COLOURS
from core.loading import load_dicom, load_pictures
from core.output.report import (
    Report,
    ReportConfig,
    build_report,
    bundle_bytes,
    html_text,
    page_png_bytes,
    pdf_bytes,
    with_config,
)
from core.output.report.fonts import lacks_letters, printable
from core.output.report.pictures import draw_key_slices
from core.output.report.profile import draw_profile, measure_profile, svg_text
from core.output.report.references import DICE, TRAINING_SET, UNET
from core.segmentation.pipeline import segment_volume
from core.segmentation.result import Segmentation
from core.segmentation.weights import find_weights
from core.volume import PLANE_AXIS, MaskPair, Study
from tests.scans import chest_hu, chest_picture, dicom_series, png_bytes, write_dicom
from tests.studies import StandInSegmenter, small_study, small_truth
from tests.test_exports import UIDS

DAY = date(2026, 3, 4)
SECRET = "Mueller_Hans_1950"


def segmented(study: Study, masks: MaskPair | None = None) -> Segmentation:
    """The stand-in's result, or with other masks in its place."""
    config = SegmentConfig(weights_id="stand-in")
    found = segment_volume(study.volume, StandInSegmenter(), config=config)  # type: ignore[arg-type]
    return found if masks is None else replace(found, masks=masks)


def report_of(
    study: Study, segmentation: Segmentation | None = None, **config: Any
) -> tuple[Report, Segmentation]:
    segmentation = segmentation or segmented(study)
    made = build_report(study, segmentation, config=ReportConfig(DAY, **config))
    return made, segmentation


def pdf_text(pdf: bytes, *, pages: int = 2) -> str:
    document = pypdfium2.PdfDocument(pdf)
    assert len(document) == pages
    return "\n".join(page.get_textpage().get_text_range() for page in document)


def words(text: str) -> str:
    """On one line, with plain spaces."""
    return " ".join(text.replace("\xa0", " ").replace("\ufffe", "").split())


class Reader(HTMLParser):
    """Every address that a page points to, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            assert not name.startswith("on"), "no page of ours runs anything"
            if name in ("src", "srcset", "data", "poster", "action", "xlink:href"):
                self.sources.append(value or "")
            if name == "href":
                self.links.append(value or "")

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def plain() -> tuple[Study, Report, Segmentation]:
    """The small chest with known masks as its prediction, named after a patient."""
    study = small_study(name=f"{SECRET}.nii.gz", case_id=f"{SECRET}.nii.gz")
    masks = small_truth()
    report, segmentation = report_of(study, segmented(study, masks))
    return study, report, segmentation


# ---------------------------------------------------------------- what it says


def test_a_pdf_has_two_pages_with_the_facts_and_no_name(plain) -> None:
    study, report, _ = plain
    text = words(pdf_text(pdf_bytes(report)))
    assert "RESEARCH SOFTWARE, NEVER A DIAGNOSIS" in text
    assert "2026-03-04" in text
    assert "48 × 40 × 8 voxels" in text
    assert "1.50 × 1.50 × 5.00 mm" in text
    # 72 + 24 of the (14 × 22 × 8 + 14 × 22 × 6) voxels of lung, each 11.25 mm³.
    assert f"{100 * 96 / 4312:.1f} %" in text
    assert f"{4312 * 0.01125:.1f} ml" in text
    assert "stand-in" in text
    assert "lung 0.50, infection 0.50" in text
    assert study.volume.digest[:12] in text
    assert "Methods, ready to paste" in text
    assert "Limitations" in text
    assert SECRET not in text
    assert "Mueller" not in text


def test_html_says_the_same_and_fetches_nothing(plain) -> None:
    _, report, _ = plain
    page = Reader(html_text(report))
    text = words(page.text)
    for figure in report.biomarkers.measurements:
        assert words(figure.definition) in text
        assert words(figure.text) in text
    assert "Research software, never a diagnosis" in text
    assert "@inproceedings{ronneberger2015unet" in page.text
    assert len(page.sources) == len(report.pictures)
    assert all(source.startswith("data:image/jpeg;base64,") for source in page.sources)
    assert all(link.startswith("https://doi.org/10.") for link in page.links)
    assert not {"script", "link", "iframe", "object", "embed"} & set(page.tags)
    assert set(re.findall(r"url\((.)", html_text(report))) <= {"#"}  # parts of its own charts
    ids = re.findall(r' id="([^"]+)"', html_text(report))
    assert len(ids) == len(set(ids))
    assert "@import" not in html_text(report)
    assert "Mueller" not in page.text


def test_agreement_and_whether_the_weights_know_the_case(plain) -> None:
    study, report, segmentation = plain
    assert report.agreement is not None
    assert report.agreement.scores["infection"]["dice"] == 1.0
    text = words(pdf_text(pdf_bytes(report)))
    assert "Against the truth" in text
    assert "1.000" in text
    sides = {
        "train": {"patients": ["coronacases_002"]},
        "validation": {"patients": ["coronacases_001"]},
    }
    shipped = find_weights()
    info = replace(shipped, manifest_text=json.dumps({**shipped.manifest, "split": sides}))
    for case_id, side in (
        ("coronacases_org_002", "trained on this case"),
        ("coronacases_org_001", "were chosen on this case"),
        ("another", "were not trained on a case of this name"),
    ):
        known = build_report(
            replace(study, case_id=case_id),
            segmentation,
            config=ReportConfig(DAY),
            info=info,
            quality=report.quality,
        )
        text = words(pdf_text(pdf_bytes(known)))
        assert side in text
        assert info.sha256[:40] in text.replace(" ", "")
        assert case_id not in text
    unknown, _ = report_of(replace(study, truth=None), segmentation)
    assert "Against the truth" not in pdf_text(pdf_bytes(unknown))


def test_a_file_name_is_shown_only_when_asked_for(plain) -> None:
    study, report, _ = plain
    shown = with_config(report, study, ReportConfig(DAY, show_file_name=True))
    assert SECRET in pdf_text(pdf_bytes(shown))
    assert f"{SECRET}.nii.gz" in html_text(shown)


def test_a_generated_scan_is_stamped_everywhere() -> None:
    study = small_study(synthetic=True)
    report, _ = report_of(study, segmented(study, small_truth()))
    text = pdf_text(pdf_bytes(report))
    assert text.count("SYNTHETIC") >= 3  # beside the title and in both footers
    assert "SYNTHETIC" in html_text(report)
    bare = draw_key_slices(study, small_truth())
    stamped = draw_key_slices(study, small_truth(), stamp="SYNTHETIC")
    for one, other in zip(bare, stamped, strict=True):
        assert not np.array_equal(one.picture, other.picture)


# ---------------------------------------------------------------- odd input


@pytest.mark.parametrize(
    "subject",
    [
        "Ιωάννης Παπαδόπουλος",
        "Дмитрий Шостакович",
        "王小明",
        "Łukasz Żółć – Ærøskøbing",
        "<b>bold</b> & <script>alert(1)</script> <img src=x onerror=alert(2)>",
        "x" * 400,
        "right\u202eto\nleft\x00",
        "&amp; &lt; <font color=red> <a href='http://example.org'>link</a>",
    ],
)
def test_names_of_any_letters_length_and_markup(plain, subject: str) -> None:
    study, report, _ = plain
    named = with_config(report, study, ReportConfig(DAY, subject))
    text = words(pdf_text(pdf_bytes(named)))
    page = Reader(html_text(named))
    kept = named.config.subject
    assert len(kept) <= 120
    assert words(kept) in words(page.text)
    assert "script" not in page.tags
    assert len(page.sources) == len(report.pictures)
    assert words(printable(kept))[:60].replace(" ", "") in text.replace(" ", "")
    assert ("not in the font of this PDF" in text) is lacks_letters(kept)


def test_letters_that_the_font_lacks_are_spelt() -> None:
    assert printable("Ιωάννης π") == "Ioannis p"
    assert printable("Шуберт") == "Shubert"
    assert printable("12 × 3 mm², ≤ 5 – “é” ß Ł") == "12 × 3 mm², ≤ 5 – “é” ß Ł"
    assert printable("王") == "?"
    assert lacks_letters("王?")
    assert not lacks_letters("really?")


def test_without_lung_nothing_is_made_up() -> None:
    study = small_study(truth=False)
    nothing = MaskPair(*(np.zeros(study.volume.shape, dtype=bool) for _ in range(2)))
    report, _ = report_of(study, segmented(study, nothing))
    text = words(pdf_text(pdf_bytes(report)))
    assert "not defined" in text
    assert "No lung is marked." in text
    assert "nan" not in text.lower().replace("finances", "")
    assert "nan" not in re.sub(r"base64,[^\"]+", "", html_text(report))
    assert Reader(html_text(report)).sources


@pytest.mark.parametrize(("grey", "nominal"), [(True, False), (False, True), (True, True)])
def test_no_hu_and_no_millimetres_where_there_are_none(grey: bool, nominal: bool) -> None:
    study = small_study(grey=grey, nominal=nominal)
    report, segmentation = report_of(study, segmented(study, small_truth()))
    text = words(pdf_text(pdf_bytes(report)))
    if grey:
        assert "not in HU" in text
        for figure in report.biomarkers.measurements:
            assert figure.group != "Density" or not figure.defined
    if nominal:
        assert "Voxel not known" in text
        for figure in report.biomarkers.measurements:
            assert figure.unit != "ml" or figure.text == "not defined"
        assert "not defined Lung volume" in text
        assert "cm²" not in text
        assert "5 cm" not in text
        content = bundle_bytes(report, study, segmentation)
        archive = zipfile.ZipFile(io.BytesIO(content))
        assert "NOMINAL" in archive.read("README.txt").decode()
        assert b"NOMINAL" in archive.read("surfaces/lung.stl")[:80]
        rows = list(csv.DictReader(io.StringIO(archive.read("measurements/slices.csv").decode())))
        assert rows[4]["lung_area_mm2"] == ""


def test_single_pictures(tmp_path: Path) -> None:
    path = tmp_path / "one.png"
    path.write_bytes(png_bytes(cv2.resize(chest_picture(), (96, 80))))
    study = Study(load_pictures([path]))
    report, segmentation = report_of(study)
    assert [picture.plane for picture in report.pictures] == ["axial"]
    assert report.profile is None
    text = words(pdf_text(pdf_bytes(report)))
    assert "Scan Pictures" in text
    assert "one.png" not in text
    names = zipfile.ZipFile(io.BytesIO(bundle_bytes(report, study, segmentation))).namelist()
    assert "pictures/axial_001.png" in names
    assert "pictures/profile.png" not in names
    assert "masks/segmentation.dcm" not in names


# ---------------------------------------------------------------- pictures and charts


def test_key_slices_show_the_most_infected_and_outline_it() -> None:
    study = small_study(truth=False)
    pictures = draw_key_slices(study, small_truth())
    assert (pictures[0].plane, pictures[0].index, pictures[0].why) == ("axial", 4, "most infected")
    assert {picture.plane for picture in pictures} == {"axial", "coronal", "sagittal"}
    colour = np.array([int(PREDICTION_COLOURS["infection"][n : n + 2], 16) for n in (1, 3, 5)])
    drawn = (np.abs(pictures[0].picture.astype(int) - colour).sum(axis=-1) < 30).nonzero()
    # Cut to the lungs with 12 mm around: columns 0 to 48 here. Two blocks, the right one at 8–14.
    columns = drawn[1] / pictures[0].picture.shape[1] * 48
    left_block = columns[columns < 24]
    assert 7.5 < left_block.min() < 8.8
    assert 13.2 < left_block.max() < 14.5
    assert 29.5 < columns.max() < 36.5
    read = cv2.imdecode(np.frombuffer(pictures[0].png_bytes(), np.uint8), cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(read[..., ::-1], pictures[0].picture)


def test_damaged_slices_are_shown_only_where_nothing_else_is_left() -> None:
    study = small_study(truth=False)
    others = draw_key_slices(study, small_truth(), damaged=(4,))
    assert (others[0].index, others[0].why) == (3, "most infected, undamaged")
    assert 4 not in [one.index for one in others if one.plane == "axial"]
    none_left = draw_key_slices(study, small_truth(), damaged=range(8))
    assert (none_left[0].index, none_left[0].why) == (4, "most infected")


def test_no_lung_does_not_stand_beside_an_outlined_lung() -> None:
    study = small_study(truth=False)
    water = replace(study, volume=replace(study.volume, array=np.zeros_like(study.volume.array)))
    report, _ = report_of(water, segmented(water, small_truth()))
    assert not any(
        "No lung" in line or "air on both sides" in line for line in report.quality_lines
    )
    nothing = MaskPair(np.zeros(water.volume.shape, bool), np.zeros(water.volume.shape, bool))
    report, _ = report_of(water, segmented(water, nothing))
    assert any("No lung" in line for line in report.quality_lines)
    # Where the truth outlines lung, neither the report nor Quality says that there is none.
    known = replace(water, truth=small_truth())
    report, _ = report_of(known, segmented(known, nothing))
    assert not any("No lung" in line for line in report.quality_lines)


def test_masks_of_a_tilted_gantry_are_explained_wherever_they_are(tmp_path: Path) -> None:
    datasets = dicom_series(chest_hu(), step=(0.0, 1.9, 5.0))
    study = Study(load_dicom(write_dicom(datasets, tmp_path / "tilted")), case_id="tilted")
    report, segmentation = report_of(study)
    sentence = "each slice is moved within its plane"
    assert sum(sentence in warning for warning in report.warnings) == 1
    archive = zipfile.ZipFile(io.BytesIO(bundle_bytes(report, study, segmentation)))
    assert sentence in words(archive.read("README.txt").decode())
    assert sentence in words(Reader(archive.read("report.html").decode()).text)


def test_a_lesion_of_one_voxel_keeps_its_outline() -> None:
    study = small_study(truth=False)
    infection = np.zeros(study.volume.shape, dtype=bool)
    infection[10, 20, 4] = True
    picture = draw_key_slices(study, MaskPair(small_truth().lung, infection))[0].picture
    colour = np.array([0xE6, 0x9F, 0x00])
    assert (np.abs(picture.astype(int) - colour).sum(axis=-1) < 30).sum() > 20


def test_the_profile_has_the_areas_of_the_masks() -> None:
    study = small_study()
    profile = measure_profile(study, small_truth())
    assert profile is not None
    np.testing.assert_allclose(profile.infection[[3, 4, 5]], np.array([24, 48, 24]) * 0.0225)
    np.testing.assert_allclose(profile.infection_true, profile.infection)
    nominal = measure_profile(small_study(nominal=True), small_truth())
    assert nominal is not None
    assert nominal.unit == "pixels"
    assert nominal.infection[4] == 48
    svg = svg_text(draw_profile(profile, width=300, height=100, marks=[4]), title="Areas")
    assert svg.startswith("<svg")
    assert "cm²" in svg


def test_methods_cite_what_was_used(plain) -> None:
    study, report, segmentation = plain
    assert UNET in report.methods.references
    assert DICE in report.methods.references
    assert TRAINING_SET not in report.methods.references
    known = build_report(
        replace(study, truth=None),
        segmentation,
        config=ReportConfig(DAY),
        info=find_weights(),
        quality=report.quality,
    )
    assert TRAINING_SET in known.methods.references
    assert DICE not in known.methods.references
    numbers = {int(n) for n in re.findall(r"\[(\d+)", known.methods.paragraph)}
    assert numbers == set(range(1, len(known.methods.references) + 1))
    assert known.methods.bibtex.count("@") == len(known.methods.references)
    weights = find_weights()
    several = replace(weights, model=replace(weights.model, architecture="unetpp", members=5))
    joined = build_report(
        study, segmentation, config=ReportConfig(DAY), info=several, quality=report.quality
    )
    assert "mean probability [2] of 5 two-dimensional U-Net++s [3]" in joined.methods.paragraph


# ---------------------------------------------------------------- files


def test_the_same_input_gives_the_same_bytes(plain) -> None:
    study, report, segmentation = plain
    again, _ = report_of(study, segmentation)
    assert pdf_bytes(report) == pdf_bytes(again)
    assert html_text(report) == html_text(again)
    assert bundle_bytes(report, study, segmentation) == bundle_bytes(again, study, segmentation)


def test_pages_become_pictures(plain) -> None:
    pages = page_png_bytes(pdf_bytes(plain[1]), scale=1.0)
    assert len(pages) == 2
    for page in pages:
        rows, columns, _ = cv2.imdecode(np.frombuffer(page, np.uint8), cv2.IMREAD_COLOR).shape
        assert (rows, columns) == (842, 596)


def test_a_zip_has_every_file_and_no_name(tmp_path: Path) -> None:
    birth = {"PatientBirthDate": "19500102"}
    datasets = dicom_series(chest_hu((48, 40, 20)), **UIDS, **birth)
    study = Study(load_dicom(write_dicom(datasets, tmp_path / SECRET)), case_id=SECRET)
    report, segmentation = report_of(study)
    archive = zipfile.ZipFile(io.BytesIO(bundle_bytes(report, study, segmentation)))
    assert archive.testzip() is None
    names = archive.namelist()
    assert {
        "report.pdf",
        "report.html",
        "masks/lung_mask.nii.gz",
        "masks/infection_mask.nii.gz",
        "masks/label_map.nii.gz",
        "masks/segmentation.dcm",
        "surfaces/lung.stl",
        "surfaces/lung.ply",
        "surfaces/infection.stl",
        "surfaces/infection.ply",
        "measurements/measurements.json",
        "measurements/measurements.csv",
        "measurements/biomarkers.csv",
        "measurements/slices.csv",
        "pictures/profile.png",
        "pictures/zones.png",
        "methods.txt",
        "methods.bib",
        "README.txt",
    } <= set(names)
    readme = archive.read("README.txt").decode()
    for name in names[:-1]:
        assert name in readme
        content = archive.read(name)
        for secret in (b"Secret", b"SECRET", b"Mueller", b"19500102"):
            assert secret not in content
    labels = nib.Nifti1Image.from_bytes(_unpacked(archive.read("masks/label_map.nii.gz")))
    np.testing.assert_array_equal(
        np.asanyarray(labels.dataobj)[::-1, ::-1] > 0,
        (segmentation.masks.label_map() > 0)[::-1, ::-1],
    )
    figures = json.loads(archive.read("measurements/measurements.json"))
    assert figures["scan"]["name"] == "DICOM series"
    assert len(figures["slices"]) == 20
    assert figures["biomarkers"]["values"]["infected_share"] == pytest.approx(
        figures["infection_fraction"]
    )


def _unpacked(content: bytes) -> bytes:
    import gzip

    return gzip.decompress(content)


# ---------------------------------------------------------------- command line


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    segmenter = StandInSegmenter()
    monkeypatch.setattr("core.cli.report.load_segmenter", lambda *a, **k: segmenter)
    monkeypatch.setattr("core.cli.report.find_weights", lambda *a: segmenter.info)


@pytest.mark.usefixtures("stand_in")
def test_the_command_writes_what_the_ending_says(
    small_chest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("r.pdf", "r.html", "r.zip"):
        target = tmp_path / "new" / name
        arguments = ["report", str(small_chest), "-o", str(target), "--date", "2026-03-04"]
        assert main([*arguments, "--name", "Case 7", "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["output"] == name
        assert told["bytes"] == target.stat().st_size
    assert "Case 7" in pdf_text((tmp_path / "new" / "r.pdf").read_bytes())
    assert "Case 7" in (tmp_path / "new" / "r.html").read_text(encoding="utf-8")
    packed = zipfile.ZipFile(tmp_path / "new" / "r.zip").read("report.pdf")
    assert packed == (tmp_path / "new" / "r.pdf").read_bytes()


@pytest.mark.usefixtures("stand_in")
def test_the_command_compares_with_a_true_mask(
    small_chest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = tmp_path / "truth.nii.gz"
    scan = nib.load(small_chest)
    nib.save(
        nib.Nifti1Image((np.asanyarray(scan.dataobj) < -700).astype(np.uint8), scan.affine), truth
    )
    target = tmp_path / "r.pdf"
    assert main(["report", str(small_chest), "-o", str(target), "--lung-mask", str(truth)]) == 0
    assert "lung against truth: Dice" in capsys.readouterr().out
    assert "Against the truth" in pdf_text(target.read_bytes())


@pytest.mark.usefixtures("stand_in")
def test_a_zip_of_the_command_keeps_an_identity_only_when_told(tmp_path: Path) -> None:
    folder = write_dicom(dicom_series(chest_hu((48, 40, 20)), **UIDS), tmp_path / "series")
    for option, kept in (([], False), (["--keep-patient-identity"], True)):
        target = tmp_path / f"{kept}.zip"
        assert main(["report", str(folder), "-o", str(target), *option]) == 0
        content = zipfile.ZipFile(target).read("masks/segmentation.dcm")
        assert (b"Secret^Name" in content) is kept


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize(
    ("target", "more", "message"),
    [
        ("r.docx", [], "has no ending of a known format"),
        ("r", [], "no ending"),
        ("r.zip", ["--keep-patient-identity"], "no DICOM segmentation"),
        ("small_chest.zip/r.pdf", ["--infection-mask", "nowhere.nii.gz"], "is not there"),
    ],
)
def test_what_the_command_cannot_do_is_one_sentence(
    target: str,
    more: list[str],
    message: str,
    small_chest: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["report", str(small_chest), "-o", str(tmp_path / target), *more]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("error: ")
    assert len(error.strip().splitlines()) == 1


def test_a_report_does_not_overwrite_its_scan(
    small_chest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["report", str(small_chest), "-o", "x.pdf", "--date", "yesterday"])
    assert "is not a date" in capsys.readouterr().err


def test_marks_are_drawn_into_key_slices_where_they_lie() -> None:
    study = small_study()
    bare = draw_key_slices(study, small_truth())
    for plane in ("axial", "coronal", "sagittal"):
        index = next(one.index for one in bare if one.plane == plane)
        voxel = [14, 12, 3]
        voxel[PLANE_AXIS[plane]] = index
        i, j, k = voxel
        array = study.volume.array.copy(order="F")
        array[i, j, k] = 3000
        bright = replace(study, volume=replace(study.volume, array=array))
        from_top = study.volume.shape[2] - 1 - k
        column, row = {"axial": (i, j), "coronal": (i, from_top), "sagittal": (j, from_top)}[plane]
        note = Annotation("note", plane, index, ((column + 0.5, row + 0.5),))

        def pictured(one: Study, *marks: Annotation) -> np.ndarray:
            made = draw_key_slices(one, small_truth(), annotations=marks)
            (found,) = [p for p in made if (p.plane, p.index) == (plane, index)]  # noqa: B023
            return found.picture.astype(int)

        plain = pictured(study)
        lit = np.argwhere((pictured(bright) - plain).min(axis=2) > 60)
        ring = np.argwhere(np.abs(pictured(study, note) - plain).max(axis=2) > 60)
        assert ring.size
        # Its number stands at the right, above its middle.
        down, across = lit.mean(axis=0)
        assert ring[:, 1].min() == pytest.approx(across - 9, abs=4)
        assert ring[:, 0].max() == pytest.approx(down + 9, abs=4)


def test_slices_with_marks_come_before_the_even_spread_and_show_all_of_them() -> None:
    study = small_study()
    corner = Annotation("note", "axial", 1, ((0.5, 0.5),), "in the corner")
    made = draw_key_slices(study, small_truth(), annotations=[corner])
    assert len(made) == len(draw_key_slices(study, small_truth()))
    (shown,) = [one for one in made if one.why == "marked"]
    assert (shown.plane, shown.index) == ("axial", 1)
    elsewhere = replace(corner, index=2)
    # The picture is cut to the lungs, and farther where a mark lies outside of them.
    rows, columns = shown.picture.shape[:2]
    assert (shown.picture[: rows // 10, : columns // 10] == 255).all(axis=2).any()
    taken = [one.index for one in made if one.plane == "axial"]
    both = draw_key_slices(study, small_truth(), annotations=[corner, elsewhere])
    assert {1, 2} <= {one.index for one in both if one.plane == "axial"}
    assert len(taken) == len({*taken})


def test_notes_and_marks_of_a_person_stand_in_every_form_as_they_were_typed() -> None:
    study = small_study()
    segmentation = segmented(study)
    marks = (
        Annotation("region", "axial", 3, ((6.0, 8.0), (14.0, 18.0)), "<lesion>"),
        Annotation("distance", "axial", 1, ((0.0, 0.0), (10.0, 0.0))),
    )
    report = build_report(
        study,
        segmentation,
        config=ReportConfig(DAY),
        notes="Better than on Monday.",
        annotations=marks,
    )
    assert report.marks[0] == ("1 · Axial 2", "Distance, 15.0 mm")
    assert report.marks[1][1].startswith("Region, ")
    assert report.marks[1][1].endswith("HU, <lesion>")
    for text in (words(pdf_text(pdf_bytes(report))), words(Reader(html_text(report)).text)):
        assert "Notes and marks by the reader" in text
        assert "Better than on Monday." in text
        assert "15.0" in text
    assert "<lesion>" not in html_text(report)
    archive = zipfile.ZipFile(io.BytesIO(bundle_bytes(report, study, segmentation)))
    found = json.loads(archive.read("measurements/measurements.json"))["reader"]
    assert found["notes"] == "Better than on Monday."
    assert len(found["marks"]) == 2
