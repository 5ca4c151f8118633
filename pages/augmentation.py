"""Augmentation: the random changes that training slices go through, seen before training."""

import streamlit as st

from core.ui.page import begin_page, need_study
from core.ui.session import OpenStudy
from core.ui.train import augmentation


@st.fragment
def look(current: OpenStudy) -> None:
    """Settings beside the slices they make: a change runs this part of the page only."""
    settings = augmentation.read_settings()
    slices, controls = st.columns([8, 4], gap="large")
    with controls:
        saving = st.container()
        config = augmentation.choose_pipeline(settings)
    with saving:
        augmentation.show_saving(config)
    with slices:
        case = augmentation.choose_case(current)
        if case is not None:
            augmentation.show_slices(*case, config)


begin_page(
    "Augmentation",
    lead="In training each slice is rotated, deformed and brightened a little differently "
    "every time. Here are such slices with their masks, computed by the same layers that "
    "training uses.",
)
current = need_study()
look(current)
