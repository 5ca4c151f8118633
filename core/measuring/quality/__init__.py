"""Scan quality: what is wrong with a scan or some of its slices, before anyone measures in it.

`measure_scan` looks at the scan once, `judge_scan` compares with thresholds as often as they are
moved, `check_scan` does both.
"""

from core.measuring.quality.checks import CHECKS, Check, check_named, check_scan, judge_scan
from core.measuring.quality.findings import Finding, Outcome, QualityReport
from core.measuring.quality.measures import ScanMeasures, measure_scan
from core.measuring.quality.summary import summary_lines

__all__ = [
    "CHECKS",
    "Check",
    "Finding",
    "Outcome",
    "QualityReport",
    "ScanMeasures",
    "check_named",
    "check_scan",
    "judge_scan",
    "measure_scan",
    "summary_lines",
]
