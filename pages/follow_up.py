"""Follow-up: two scans of one patient side by side, and what changed."""

import streamlit as st

from core.ui.follow_up.changes import show_changes
from core.ui.follow_up.scans import show_heads, show_scans, show_warnings
from core.ui.follow_up.second_scan import choose_second
from core.ui.page import begin_page, need_study

begin_page(
    "Follow-up",
    lead="Two scans of one patient side by side, at the same height in the lung, with the "
    "same biomarkers and the change in each. Whether both scans are of one patient is for "
    "you to check.",
)
first = need_study()
second = choose_second(first)
if second is not None and show_heads(first, second):
    picture, numbers = st.columns([7, 5], gap="large")
    with picture:
        show_scans(first, second)
    with numbers:
        show_changes(first, second)
    show_warnings(first, second)
