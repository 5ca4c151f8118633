"""The part Classify of View: how likely COVID-19 is, and what that rests on."""

from __future__ import annotations

import streamlit as st

from core.ui.classify.limits import show_limits, show_slices_and_limits
from core.ui.classify.running import find_verdict, installed, show_origin
from core.ui.classify.verdict_card import show_verdict
from core.ui.page import show_errors
from core.ui.scan.browsing import show_glance
from core.ui.scan.doubts import show_doubts
from core.ui.session import OpenStudy


def show_classify(current: OpenStudy) -> None:
    """The verdict with its limits; before there is one, the scan and a button."""
    show_origin(current)
    show_doubts(current, key="classify")
    explained, info = None, None
    with show_errors():
        info = installed()
        explained = find_verdict(current, info)
    if info is not None and explained is not None:
        show_verdict(current, info, explained)
        show_slices_and_limits(current, info, explained)
    else:
        picture, words = st.columns([7, 5], gap="large")
        with picture:
            show_glance(current, key="classify-preview", tallest=0.56)
        with words:
            if info is not None:
                show_limits(info)
