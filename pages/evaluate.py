"""Evaluate: predictions against truth, case by case and slice by slice."""

import streamlit as st

from core.ui.evaluate import cases, curves, worst_slices
from core.ui.evaluate.question import Question, ask, run
from core.ui.page import begin_page

VIEWS = {
    "Cases": cases.show_cases,
    "Slices": worst_slices.show_slices,
    "Threshold": curves.show_thresholds,
    "Infected share": curves.show_share,
    "Two networks": cases.show_pair,
}


@st.fragment
def look(question: Question) -> None:
    """What was found: another view or threshold runs this part of the page only."""
    view = st.segmented_control(
        "View",
        tuple(VIEWS),
        default="Cases",
        required=True,
        key="evaluation-view",
        persist_state="session",
        label_visibility="collapsed",
    )
    VIEWS[view or "Cases"](question)
    cases.show_downloads(question)


begin_page(
    "Evaluate",
    lead="How well does the network perform? Its masks are compared with true ones, through the "
    "same steps as for every scan. Cases used for training are labelled and kept out of the means.",
)
question = ask()
if question is not None:
    run(question)
    if question.reviews(question.weights):
        look(question)
