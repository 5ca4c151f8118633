"""Everything of a scan's result in one zip: report, masks, meshes, tables, pictures, methods.

Names inside are always the same and say nothing of the patient; nor does anything in the files,
unless a person has typed a subject or asked for the file's name or the patient's identity.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator
from functools import cache, partial
from textwrap import wrap
from typing import Any

from core import __version__
from core.config import CHANNELS, SurfaceConfig
from core.drawing import build_surface
from core.errors import SaveError
from core.evaluation import measure
from core.loading.dicom.identity import PatientIdentity
from core.output.exports import (
    check_dicom_seg,
    dicom_seg_bytes,
    ply_bytes,
    slice_rows,
    stl_bytes,
    table_csv,
    values_csv,
)
from core.output.report.content import Report, scan_name
from core.output.report.html import html_text
from core.output.report.lobes import draw_lobes
from core.output.report.pdf import pdf_bytes
from core.output.report.profile import draw_profile, svg_text
from core.output.report.raster import drawing_png_bytes
from core.output.report.zones import draw_zones
from core.output.saving import mask_file_notes, mask_nifti_bytes
from core.segmentation import Segmentation
from core.system import (
    OnProgress,
    ShouldCancel,
    ignore_progress,
    json_text,
    never_cancel,
    raise_if_cancelled,
)
from core.volume import Study

LABEL_MAP = "masks/label_map.nii.gz"
LOBE_MAP = "masks/lobes.nii.gz"
DICOM_SEG = "masks/segmentation.dcm"
README = "README.txt"
_WHAT = {
    "report.pdf": "the report, two pages of A4",
    "report.html": "the same with all measurements, definitions and BibTeX; opens in any browser",
    "masks/lung_mask.nii.gz": "lung, 0 and 1, in the scan's own shape, affine and orientation",
    "masks/infection_mask.nii.gz": "infection, 0 and 1, likewise",
    LABEL_MAP: "0 background, 1 lung, 2 infection, likewise",
    LOBE_MAP: "lobes, estimated: 1 to 3 right upper, middle, lower, 4 and 5 left upper, lower",
    DICOM_SEG: "DICOM segmentation with a segment each, referring to the series",
    "surfaces/lung.stl": "surface of the lung, smoothed: for viewing, not for measuring",
    "surfaces/lung.ply": "the same as PLY",
    "surfaces/infection.stl": "surface of the infection, smoothed: for viewing, not for measuring",
    "surfaces/infection.ply": "the same as PLY",
    "measurements/measurements.json": "every number, with settings, definitions and findings",
    "measurements/measurements.csv": "volumes, shares and agreement, one per line",
    "measurements/biomarkers.csv": "every biomarker with unit, definition and source",
    "measurements/slices.csv": "every axial slice, counted from 1 at the feet",
    "pictures/profile.png": "areas along the scan",
    "pictures/profile.svg": "the same as vectors",
    "pictures/lobes.png": "infected share of the five lobes, estimated",
    "pictures/lobes.svg": "the same as vectors",
    "pictures/zones.png": "infected share of the six zones",
    "pictures/zones.svg": "the same as vectors",
    "methods.txt": "a Methods paragraph with its references, ready to paste",
    "methods.bib": "the references as BibTeX",
}

Content = bytes | str
Maker = Callable[[], Content]


def bundle_bytes(
    report: Report,
    study: Study,
    segmentation: Segmentation,
    *,
    identity: PatientIdentity | None = None,
    on_progress: OnProgress = ignore_progress,
    should_cancel: ShouldCancel = never_cancel,
) -> bytes:
    """The zip; the same input always gives the same bytes.

    Args:
        identity: patient tags for the DICOM segmentation; none leaves them empty.

    Raises:
        Cancelled: the person asked to stop.
    """
    makers = list(_makers(report, study, segmentation, identity))
    made: list[tuple[str, Content]] = []
    for done, (name, make) in enumerate(makers):
        raise_if_cancelled(should_cancel, "packing files")
        on_progress("packing files", done, len(makers))
        made.append((name, make()))
    made.append((README, _readme([name for name, _ in made], study, segmentation)))
    on_progress("packing files", len(makers), len(makers))
    return _zipped(made, report)


def measurements_dict(report: Report, study: Study, segmentation: Segmentation) -> dict[str, Any]:
    """Every number of the scan, JSON-ready; without what changes from run to run."""
    values = measure(study, segmentation, biomarkers=report.biomarkers)
    del values["seconds"]
    values["scan"]["name"] = scan_name(study, show_file_name=report.config.show_file_name)
    values["weights_sha256"] = dict(report.settings)["SHA-256"]
    if report.agreement is not None:
        values["metrics"] = {c: dict(found) for c, found in report.agreement.scores.items()}
        values["metrics_note"] = report.agreement.sentence
    values["quality"] = report.quality.to_json_dict()
    values["slices"] = slice_rows(study, segmentation.masks, note=hand_note(segmentation))
    values["made_on"] = report.config.made_on.isoformat()
    values["program"] = f"LungLens {__version__}"
    return values


def measurements_json(report: Report, study: Study, segmentation: Segmentation) -> str:
    """`measurements_dict` as strict JSON; what is undefined is null."""
    return json_text(measurements_dict(report, study, segmentation)) + "\n"


def biomarkers_csv(report: Report) -> str:
    """Every biomarker a line; shares are 0 to 1."""
    header = (
        "key",
        "label",
        "value",
        "unit",
        "not_defined_because",
        "definition",
        "source",
        "group",
    )
    rows = [
        (f.key, f.label, f.value, f.unit, f.reason, f.definition, f.source, f.group)
        for f in report.biomarkers.measurements
    ]
    if report.by_hand is not None:
        return table_csv((*header, "masks"), [(*row, report.by_hand.text) for row in rows])
    return table_csv(header, rows)


def slices_csv(study: Study, segmentation: Segmentation) -> str:
    """Every axial slice a line."""
    return _slice_table(slice_rows(study, segmentation.masks, note=hand_note(segmentation)))


def hand_note(segmentation: Segmentation) -> str:
    """What a person has done to the masks, for headers and tables; empty where nothing."""
    return "" if segmentation.by_hand is None else segmentation.by_hand.text


def lobe_note(hand: str) -> str:
    """What the header of a label map of lobes says.

    Args:
        hand: of `hand_note`.
    """
    return "; ".join(filter(None, ("lobes estimated from shape", hand)))


def _slice_table(rows: list[dict[str, Any]]) -> str:
    return table_csv(tuple(rows[0]), [tuple(row.values()) for row in rows])


def mesh_bytes(study: Study, segmentation: Segmentation) -> dict[str, bytes]:
    """Surfaces by file name such as "lung.stl"; none of what is not marked."""
    made: dict[str, bytes] = {}
    volume = study.volume
    for channel in CHANNELS:
        mask = getattr(segmentation.masks, channel)
        if mask is None:
            continue
        surface = build_surface(mask, volume.affine, SurfaceConfig(), channel=channel)
        if surface is None:
            continue
        nominal = volume.spacing_nominal
        said: dict[str, Any] = {"nominal": nominal, "note": hand_note(segmentation)}
        made[f"{channel}.stl"] = stl_bytes(surface, name=channel, **said)
        made[f"{channel}.ply"] = ply_bytes(surface, name=channel, **said)
    return made


def dicom_seg_of(
    report: Report,
    study: Study,
    segmentation: Segmentation,
    *,
    identity: PatientIdentity | None = None,
) -> bytes:
    """The DICOM segmentation of a result; see `dicom_seg_bytes`."""
    return dicom_seg_bytes(
        segmentation.masks,
        study.volume,
        lobes=report.lobes,
        algorithm=segmentation.weights_id,
        made_on=report.config.made_on,
        identity=identity,
        by_hand=segmentation.by_hand,
    )


def _makers(
    report: Report,
    study: Study,
    segmentation: Segmentation,
    identity: PatientIdentity | None,
) -> Iterator[tuple[str, Maker]]:
    masks, volume = segmentation.masks, study.volume
    note = hand_note(segmentation)
    yield "report.pdf", lambda: pdf_bytes(report)
    yield "report.html", lambda: html_text(report)
    for channel in CHANNELS:
        mask = getattr(masks, channel)
        if mask is not None:
            yield f"masks/{channel}_mask.nii.gz", partial(mask_nifti_bytes, mask, volume, note=note)
    yield LABEL_MAP, lambda: mask_nifti_bytes(masks.label_map(), volume, note=note)
    if report.lobes.labels is not None:
        of_lobes = partial(mask_nifti_bytes, report.lobes.labels, volume)
        yield LOBE_MAP, partial(of_lobes, note=lobe_note(note))
    if not _no_dicom_seg(study, segmentation):
        yield DICOM_SEG, lambda: dicom_seg_of(report, study, segmentation, identity=identity)
    for name, mesh in mesh_bytes(study, segmentation).items():
        yield f"surfaces/{name}", partial(bytes, mesh)
    values = cache(lambda: measurements_dict(report, study, segmentation))
    yield "measurements/measurements.json", lambda: json_text(values()) + "\n"
    yield "measurements/measurements.csv", lambda: values_csv(_without_tables(values()))
    yield "measurements/biomarkers.csv", lambda: biomarkers_csv(report)
    yield "measurements/slices.csv", lambda: _slice_table(values()["slices"])
    for picture in report.pictures:
        yield f"pictures/{picture.plane}_{picture.index + 1:03d}.png", picture.png_bytes
    for name, drawing in _drawings(report):
        yield f"pictures/{name}.png", partial(drawing_png_bytes, drawing)
        yield f"pictures/{name}.svg", partial(svg_text, drawing, title=f"LungLens: {name}")
    yield "methods.txt", lambda: report.methods.text
    yield "methods.bib", lambda: report.methods.bibtex


def _no_dicom_seg(study: Study, segmentation: Segmentation) -> str:
    """Why there is no DICOM segmentation; empty where there is one."""
    try:
        check_dicom_seg(segmentation.masks, study.volume)
    except SaveError as error:
        return str(error)
    return ""


def _without_tables(values: dict[str, Any]) -> dict[str, Any]:
    """What has no table of its own."""
    return {k: v for k, v in values.items() if k not in ("biomarkers", "quality", "slices")}


def _drawings(report: Report) -> Iterator[tuple[str, Any]]:
    if report.profile is not None:
        marks = [picture.index for picture in report.pictures if picture.plane == "axial"]
        yield "profile", draw_profile(report.profile, width=520, height=190, marks=marks)
    lobes = draw_lobes(report.biomarkers, width=320, height=150)
    if lobes is not None:
        yield "lobes", lobes
    zones = draw_zones(report.biomarkers, width=320, height=140)
    if zones is not None:
        yield "zones", zones


def _readme(names: list[str], study: Study, segmentation: Segmentation) -> str:
    lines = [
        "LungLens: result of one chest CT",
        "",
        "Research software, never a diagnosis. Masks and measurements may be wrong, and no",
        "treatment may be based on them.",
        "",
    ]
    if study.synthetic:
        lines += ["SYNTHETIC: the scan was generated by a program. There is no patient.", ""]
    if segmentation.by_hand is not None:
        lines += [segmentation.by_hand.sentence, ""]
    lines += [f"{name:34} {_WHAT.get(name, 'a slice with its outlines')}" for name in names]
    lines += [
        "",
        "Surfaces are in millimetres in the frame of DICOM, LPS: x to the patient's left, y to the",
        "back, z to the head. 3D Slicer, ITK-SNAP and MITK open them in place.",
    ]
    if study.volume.spacing_nominal:
        lines += [
            "The scan's file does not give the voxel size: millimetres of surfaces and masks",
            "are NOMINAL, and no volume or area is given in ml or mm².",
        ]
    for note in mask_file_notes(study.volume):
        lines += ["", *wrap(note, 92)]
    if study.volume.source.format == "dicom" and DICOM_SEG not in names:
        lines += ["", _no_dicom_seg(study, segmentation)]
    lines += [
        "",
        "Nothing in here names a patient unless a person asked for it or typed it. The DICOM",
        "segmentation, where there is one, keeps the unique identifiers of study, series and",
        "pictures, without which it would belong to no study; leave it out where these must stay.",
        "",
    ]
    return "\n".join(lines)


def _zipped(made: list[tuple[str, Content]], report: Report) -> bytes:
    day = report.config.made_on
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in made:
            # A zip counts years from 1980.
            entry = zipfile.ZipInfo(
                name, date_time=(max(day.year, 1980), day.month, day.day, 0, 0, 0)
            )
            entry.external_attr = 0o644 << 16
            entry.create_system = 3
            stored = name.endswith((".gz", ".pdf", ".png"))
            entry.compress_type = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return packed.getvalue()
