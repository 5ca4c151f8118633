"""Report: the open scan on two pages, and every result as a file."""

import streamlit as st

from core.ui.page import begin_page, need_study, show_errors
from core.ui.report import files, making
from core.ui.scan.browsing import show_glance, show_way_to_correct
from core.ui.scan.headline import show_headline

begin_page(
    "Report",
    lead="The findings of the open scan on two pages, and every result as a file for other "
    "programs. The patient is named only if you type the name.",
)
current = need_study()
report = None

with st.container(key="report"):
    picture, controls = st.columns([7, 5], gap="large")
with controls, show_errors():
    show_headline(current, key="report")
    segmentation = making.prediction_of(current)
    if segmentation is not None:
        report = making.make_report(current, segmentation)
        if report is not None:
            files.show_report_downloads(report)
            files.show_everything(current, segmentation, report)
            files.show_single_files(current, segmentation, report)

with picture:
    shown = report or making.written_before(current)
    if shown is None:
        show_glance(current, key="report-picture", tallest=0.56)
    else:
        making.show_pages(shown)
        show_way_to_correct(current)
