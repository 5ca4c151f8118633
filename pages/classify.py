"""Classify: how likely COVID-19 is, as predicted by a network, and what that rests on."""

import streamlit as st

from core.ui.classify.limits import show_limits, show_slices_and_limits
from core.ui.classify.running import find_verdict, installed, show_origin
from core.ui.classify.verdict_card import show_verdict
from core.ui.page import begin_page, need_study, show_errors, show_scan_warnings
from core.ui.scan.browsing import show_glance

begin_page(
    "Classify",
    lead="The probability of COVID-19 in the open scan or picture as predicted by a network, "
    "with its limits: never a yes or no, and **not a diagnosis**.",
)
current = need_study()
show_origin(current)
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
show_scan_warnings(current)
