"""Check the quality of a scan or of a folder of cases, and count slices without infection.

Checks field of view, resolution, noise, unevenness, repeated or moved slices, gaps and more.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from core.cli.scan_options import (
    add_mask_arguments,
    add_scan_arguments,
    given_window,
    open_scan,
)
from core.cli.terminal import Result, TerminalProgress, table
from core.config import QualityConfig
from core.errors import DatasetError
from core.evaluation import load_prediction
from core.loading import Case, is_case_folder, load_case_table
from core.measuring.quality import (
    CHECKS,
    EmptySlices,
    QualityReport,
    SurveyedCase,
    check_named,
    check_scan,
    empty_totals,
    find_empty_slices,
    slices_with_lung,
    summary_lines,
    survey_cases,
)
from core.volume import MaskPair, Study

EXAMPLES = """examples:
  python -m core quality scan.nii.gz
  python -m core quality dicom_folder --max-noise 0.08
  python -m core quality covid20 --predictions results --json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `quality`."""
    parser.add_argument("input", type=Path, help="a scan, or a folder of cases")
    add_scan_arguments(parser)
    parser.add_argument("--infection-mask", type=Path, help="true infection of a single scan")
    add_mask_arguments(parser)
    parser.add_argument(
        "--predictions",
        type=Path,
        help="folder with CASE_ID/infection_mask.nii.gz, for slices without predicted infection",
    )
    defaults = QualityConfig()
    thresholds = parser.add_argument_group("thresholds")
    for check in CHECKS:
        default = getattr(defaults, check.setting)
        thresholds.add_argument(
            "--" + check.setting.replace("_", "-"),
            type=type(default),
            default=default,
            metavar="X",
            help=f"{check.label} (default %(default)g)",
        )


def run(options: argparse.Namespace, progress: TerminalProgress) -> Result:
    """Reports on the scan, or one row for each case."""
    config = QualityConfig(**{c.setting: getattr(options, c.setting) for c in CHECKS})
    if is_case_folder(options.input):
        return _run_on_cases(options, config, progress)
    study = open_scan(options, progress)
    report = check_scan(study.volume, config, on_progress=progress)
    report = report.trusting_lung(slices_with_lung(study.truth))
    empty = find_empty_slices(study.truth, study.volume)
    lines = [study.volume.source.name, *(f"  {line}" for line in _report_lines(report))]
    if empty is not None:
        lines.append(f"  {empty.empty} of {empty.slices} slices hold no infection (truth)")
    values = report.to_json_dict()
    values["empty_by_truth"] = None if empty is None else empty.to_json_dict()
    return Result("\n".join(lines), values)


def _report_lines(report: QualityReport) -> list[str]:
    lines = [_headline(report)]
    lines += summary_lines(report)
    for outcome in report.outcomes:
        if outcome.undefined:
            lines.append(f"{check_named(outcome.check).label}: not defined, {outcome.undefined}")
    return lines


def _headline(report: QualityReport) -> str:
    if not report.findings:
        return f"nothing found in {report.slices} slices"
    return f"{len(report.flagged_slices)} of {report.slices} slices with findings"


def _run_on_cases(
    options: argparse.Namespace, config: QualityConfig, progress: TerminalProgress
) -> Result:
    surveyed = list(
        survey_cases(
            load_case_table(options.input),
            predicted=_predictions(options.predictions),
            window=given_window(options),
            on_progress=progress,
        )
    )
    rows = [_row(case, config) for case in surveyed]
    lines = [table(("case", "slices", "flagged", "no infection", "predicted", "found"), rows)]
    totals: dict[str, Any] = {}
    for side, total in empty_totals(surveyed).items():
        lines.append(
            f"{total.empty} of {total.slices} slices of {total.cases} "
            f"case{'s' if total.cases > 1 else ''} hold no infection by {side}"
        )
        totals[side] = {"cases": total.cases, "slices": total.slices, "empty": total.empty}
    values = {"cases": [case.to_json_dict(config) for case in surveyed], "empty": totals}
    return Result("\n".join(lines), values)


def _predictions(folder: Path | None) -> Callable[[Case, Study], MaskPair | None] | None:
    if folder is None:
        return None

    def predicted(case: Case, study: Study) -> MaskPair | None:
        try:
            return load_prediction(folder, case, study)
        except DatasetError:  # a folder may hold predictions for some of the cases
            return None

    return predicted


def _row(case: SurveyedCase, config: QualityConfig) -> Sequence[str]:
    report = case.report(config)
    if report is None:
        return (case.case_id, "", "", "", "", case.error)
    found = [
        f"{check_named(o.check).label} {len(o.findings)}" for o in report.outcomes if o.findings
    ]
    return (
        case.case_id,
        str(report.slices),
        str(len(report.flagged_slices)),
        _empty(case.truth),
        _empty(case.prediction),
        ", ".join(found) or "nothing",
    )


def _empty(found: EmptySlices | None) -> str:
    return "not known" if found is None else str(found.empty)
