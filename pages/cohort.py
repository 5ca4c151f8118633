"""Cohort: what a batch has found in many scans."""

import streamlit as st

from core.ui import cohort
from core.ui.cohort_scan import show_scan
from core.ui.cohort_source import choose_cohort
from core.ui.page import begin_page, show_notice

begin_page(
    "Cohort",
    lead="Many scans at a glance: what a batch has marked and measured, how it is spread, and what "
    "failed.",
)
show_notice()
batch = choose_cohort()
if batch is not None:
    cohort.show_summary(batch)
    st.divider()
    rows = cohort.choose_rows(batch)
    picked = cohort.show_table(batch, rows)
    cohort.show_download(rows)
    show_scan(batch, picked)
    cohort.show_spread(rows)
    cohort.show_failures(batch)
