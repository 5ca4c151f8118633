"""All findings of a scan in a few lines: what is wrong, in which slices, how badly."""

from __future__ import annotations

from core.measuring.quality.checks import check_named
from core.measuring.quality.findings import QualityReport, slice_ranges


def summary_lines(report: QualityReport) -> list[str]:
    """One line for each check that found something; slices count from 1."""
    lines: list[str] = []
    for outcome in report.outcomes:
        check = check_named(outcome.check)
        if check.whole_scan:
            lines += [finding.sentence for finding in outcome.findings]
        elif outcome.findings:
            count = len(outcome.findings)
            where = slice_ranges([f.slice_index for f in outcome.findings])
            lines.append(
                f"{check.label}: {count} slice{'s' if count > 1 else ''} ({where}), at worst "
                f"{check.show(outcome.worst)}, threshold {check.show(outcome.threshold)}"
            )
    return lines
