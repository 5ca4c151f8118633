"""Follow-up: two scans of one patient side by side, and what changed."""

import streamlit as st

from core.ui import follow_up
from core.ui.page import begin_page, need_study

begin_page(
    "Follow-up",
    lead="Two scans of one patient side by side, at the same height in the lung, with the same "
    "biomarkers and the change in each. Whether both are of one patient is for you to know.",
)
first = need_study()
second = follow_up.choose_second(first)
if second is not None and follow_up.show_heads(first, second):
    picture, figures = st.columns([7, 5], gap="large")
    with picture:
        follow_up.show_scans(first, second)
    with figures:
        follow_up.show_changes(first, second)
    follow_up.show_warnings(first, second)
