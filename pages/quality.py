"""Quality: what is wrong with a scan, slice by slice, and what to leave out of training."""

import streamlit as st

from core.ui.page import begin_page, need_study
from core.ui.quality import checks, leaving_out, survey
from core.ui.scan import scan_check
from core.ui.scan.doubts import show_doubts
from core.ui.session import OpenStudy
from core.ui.settings import write_address


@st.fragment
def look(current: OpenStudy) -> None:
    """The scan, its strip and its findings: a click runs this part of the page only."""
    settings = checks.read_settings()
    measures = scan_check.measures_of(current)
    if measures is None:
        return
    picture, findings = st.columns([7, 5], gap="large")
    with findings:
        show_doubts(current, key="quality")
        config = checks.choose_thresholds(settings)
    report = scan_check.report_of(current, measures, config)
    with picture:
        slice_index = checks.show_scan_and_strip(current, report)
        leaving_out.show_marks(current, slice_index, report.flagged_slices)
    with findings:
        checks.show_slice_findings(report, slice_index)
        checks.show_table(current, report)
        checks.show_empty_slices(current)
        leaving_out.show_list()
    survey.show_survey(config)
    write_address(current, slice_index, settings)


begin_page(
    "Quality",
    lead="What may distort a measurement, checked slice by slice before anything is measured. "
    "A finding is a reason to check the slice, not a verdict.",
)
current = need_study()
look(current)
