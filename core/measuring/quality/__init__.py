"""Scan quality: what is wrong with a scan or some of its slices, before anyone measures in it.

`measure_scan` looks at the scan once, `apply_thresholds` compares the measures with thresholds, as
often as these are moved, and `check_scan` does both.
"""

from core.measuring.quality.checks import CHECKS, Check, apply_thresholds, check_named, check_scan
from core.measuring.quality.empty import EmptySlices, find_empty_slices
from core.measuring.quality.exclusions import (
    Exclusion,
    exclusions_record,
    exclusions_text,
    parse_exclusions,
    read_exclusions,
)
from core.measuring.quality.findings import (
    Finding,
    Outcome,
    QualityReport,
    slice_ranges,
    slices_with_lung,
)
from core.measuring.quality.measures import ScanMeasures, measure_scan
from core.measuring.quality.summary import summary_lines
from core.measuring.quality.survey import SurveyedCase, empty_totals, survey_cases
from core.measuring.quality.undamaged import first_undamaged

__all__ = [
    "CHECKS",
    "Check",
    "check_named",
    "check_scan",
    "apply_thresholds",
    "EmptySlices",
    "find_empty_slices",
    "Exclusion",
    "exclusions_record",
    "exclusions_text",
    "parse_exclusions",
    "read_exclusions",
    "Finding",
    "Outcome",
    "QualityReport",
    "slice_ranges",
    "slices_with_lung",
    "ScanMeasures",
    "measure_scan",
    "summary_lines",
    "SurveyedCase",
    "survey_cases",
    "empty_totals",
    "first_undamaged",
]
