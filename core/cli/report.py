"""Make a report of a scan, as PDF or HTML, or a zip with report, masks, meshes and tables.

The ending of the target chooses: report.pdf, report.html or report.zip.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

from core.cli.scan_options import add_mask_arguments, add_scan_arguments, open_scan
from core.cli.segment import add_segment_arguments, segment_config
from core.cli.terminal import Result, TerminalProgress
from core.config import RESEARCH_NOTE
from core.errors import ConfigError, shown_name
from core.loading.dicom import PatientIdentity, read_patient_identity
from core.output.report import (
    Report,
    ReportConfig,
    build_report,
    bundle_bytes,
    html_text,
    pdf_bytes,
)
from core.phantom import kept_demo_study
from core.segmentation import Segmentation, find_weights, load_segmenter, segment_volume
from core.system import check_place, number_text, refuse_overwriting, write_bytes
from core.volume import Study

DEMO = "demo"
_ENDINGS = (".pdf", ".html", ".zip")

EXAMPLES = """examples:
  python -m core report scan.nii.gz -o report.pdf
  python -m core report dicom_folder -o report.zip --name "Case 7, day 3"
  python -m core report scan.nii.gz -o report.html --infection-mask truth.nii.gz
  python -m core report demo -o report.pdf --date 2026-03-04"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `report`."""
    parser.add_argument(
        "input", type=Path, help=f"scan as for segment, or '{DEMO}' for the generated study"
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, help="report.pdf, report.html or report.zip"
    )
    parser.add_argument(
        "--name", default="", help="whom or what the report is about (default: nobody is named)"
    )
    parser.add_argument(
        "--date", type=_day, metavar="YYYY-MM-DD", help="date on the report (default: today)"
    )
    parser.add_argument(
        "--show-file-name",
        action="store_true",
        help="name the file, which may name the patient (default: its kind only)",
    )
    parser.add_argument(
        "--keep-patient-identity",
        action="store_true",
        help="copy patient name, id and dates into the zip's DICOM segmentation (default: empty)",
    )
    add_scan_arguments(parser)
    parser.add_argument("--lung-mask", type=Path, help="true lung mask, to compare with")
    parser.add_argument(
        "--infection-mask",
        "--truth",
        dest="infection_mask",
        type=Path,
        help="true infection mask, to compare with",
    )
    add_mask_arguments(parser)
    add_segment_arguments(parser)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date such as 2026-03-04") from error


def run(options: argparse.Namespace, progress: TerminalProgress) -> Result:
    """Opens, segments, measures and writes."""
    ending = _ending(options.output)
    config = segment_config(options, find_weights(options.weights))
    chosen = ReportConfig(
        options.date or date.today(), options.name, show_file_name=options.show_file_name
    )
    inputs = [options.input, options.lung_mask, options.infection_mask]
    refuse_overwriting([options.output], [p for p in inputs if p is not None], option="-o")
    check_place(options.output, option="-o")
    # The network is made ready while the scan is read: both take about a second.
    with ThreadPoolExecutor(max_workers=1) as beside:
        network = beside.submit(load_segmenter, options.weights, engine=options.engine)
        study = _open(options, progress)
        segmenter = network.result()
    identity = _identity(options, study, ending)
    segmentation = segment_volume(study.volume, segmenter, config=config, on_progress=progress)
    report = build_report(
        study, segmentation, config=chosen, info=segmenter.info, on_progress=progress
    )
    content = _content(ending, report, study, segmentation, identity, progress)
    write_bytes(options.output, content)
    return _result(report, options.output, len(content))


def _ending(output: Path) -> str:
    ending = output.suffix.lower()
    if ending not in _ENDINGS:
        raise ConfigError(
            f"{shown_name(output)} has no ending of a known format",
            got=f"the ending {shown_name(ending)}" if ending else "no ending",
            expected="one of " + ", ".join(_ENDINGS),
            next_step="choose another -o",
        )
    return ending


def _open(options: argparse.Namespace, progress: TerminalProgress) -> Study:
    if str(options.input) == DEMO and not options.input.exists():
        return kept_demo_study()
    return open_scan(options, progress)


def _identity(options: argparse.Namespace, study: Study, ending: str) -> PatientIdentity | None:
    if not options.keep_patient_identity:
        return None
    origin = study.volume.source.dicom
    if origin is None or ending != ".zip":
        raise ConfigError(
            "There is no DICOM segmentation to keep the patient's identity in",
            got="a scan without DICOM headers" if origin is None else f"the ending {ending}",
            expected="a DICOM series and a .zip",
            next_step="leave --keep-patient-identity out",
        )
    return read_patient_identity(options.input, origin)


def _content(
    ending: str,
    report: Report,
    study: Study,
    segmentation: Segmentation,
    identity: PatientIdentity | None,
    progress: TerminalProgress,
) -> bytes:
    if ending == ".pdf":
        return pdf_bytes(report)
    if ending == ".html":
        return html_text(report).encode("utf-8")
    return bundle_bytes(report, study, segmentation, identity=identity, on_progress=progress)


def _result(report: Report, output: Path, size: int) -> Result:
    headline = {one.key: one.value for one in report.headline}
    values: dict[str, Any] = {
        "note": RESEARCH_NOTE,
        "output": shown_name(output),
        "bytes": size,
        "synthetic": bool(report.stamp),
        "headline": headline,
        "warnings": [*report.warnings, *report.quality_lines],
    }
    lines = [f"{one.label}: {one.text}" for one in report.headline]
    if report.agreement is not None:
        values["metrics"] = {c: dict(found) for c, found in report.agreement.scores.items()}
        values["metrics_note"] = report.agreement.sentence
        lines += [
            f"{channel} against truth: Dice {number_text(found['dice'])}"
            for channel, found in report.agreement.scores.items()
        ]
        lines.append(report.agreement.sentence)
    lines += [f"note: {warning}" for warning in values["warnings"]]
    lines += [f"wrote {shown_name(output)}, {size / 1e6:.1f} MB", RESEARCH_NOTE]
    return Result("\n".join(lines), values)
