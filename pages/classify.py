"""Classify: how likely COVID-19 is, as a network sees it, and what that rests on."""

import streamlit as st

from core.ui import browsing, classifying
from core.ui.page import begin_page, need_study, show_errors, show_scan_warnings

begin_page(
    "Classify",
    lead="How likely a network holds COVID-19 to be in the open scan or picture: a probability "
    "with its limits, never a yes or a no, and **not a diagnosis**.",
)
current = need_study()
classifying.show_origin(current)
judged, info = None, None

with show_errors():
    info = classifying.installed()
    judged = classifying.judge(current, info)

if info is not None and judged is not None:
    classifying.show_verdict(current, info, judged)
    classifying.show_slices_and_limits(current, info, judged)
else:
    picture, words = st.columns([7, 5], gap="large")
    with picture:
        browsing.show_glance(current, key="classify-preview", tallest=0.56)
    with words:
        if info is not None:
            classifying.show_limits(info)
show_scan_warnings(current)
