"""Cohort: what a batch has found in many scans."""

import streamlit as st

from core.ui.cohort import table
from core.ui.cohort.scan import show_scan
from core.ui.cohort.source import choose_cohort
from core.ui.cohort.starting import show_batch
from core.ui.page import begin_page, show_notice

begin_page(
    "Cohort",
    lead="Many scans at a glance: what a batch has segmented and measured, the distribution "
    "of each measurement, and what failed.",
)
show_notice()
running = show_batch()
batch = choose_cohort(running=running)
if batch is not None:
    table.show_summary(batch)
    st.divider()
    rows = table.choose_rows(batch)
    picked = table.show_table(batch, rows)
    table.show_download(rows)
    show_scan(batch, picked)
    table.show_spread(rows)
    table.show_failures(batch)
