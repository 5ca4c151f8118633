"""The parts of Train: Train starts and follows runs, Augmentation shows their random changes."""

from __future__ import annotations

import streamlit as st

from core.ui.access import may_train
from core.ui.own_cases import show_own_cases
from core.ui.page import need_study
from core.ui.session import OpenStudy
from core.ui.train import augmentation, fine_tune, learning_rate, options, start
from core.ui.train.access import show_refusal
from core.ui.train.next_scans import show_next_scans
from core.ui.train.runs import show_runs


def show_train() -> None:
    """A new run beside the runs there are."""
    if not may_train():
        show_refusal()
        show_runs()
        return
    new_run, runs = st.columns([5, 7], gap="large")
    with new_run:
        st.subheader("New run", anchor=False)
        _choose_way()
        show_own_cases()
    with runs:
        show_runs()
        show_next_scans()


def _choose_way() -> None:
    """A new network, or one that learns further."""
    way = st.segmented_control(
        "What to train",
        ("A new network", "Fine-tune weights"),
        default="A new network",
        required=True,
        key="train-way",
        persist_state="session",
        help="Fine-tuning starts from existing weights, needs few cases and takes minutes.",
    )
    if way == "Fine-tune weights":
        start.show_start(fine_tune.set_up_fine_tuning())
    else:
        _set_up()


def _set_up() -> None:
    """What is to be trained, from data to schedule, and the button that starts it."""
    settings = options.read_settings()
    options.choose_preset(settings)
    with st.expander("Network and loss"):
        options.choose_network(settings)
    with st.expander("Learning rate and epochs"):
        options.choose_schedule(settings)
        schedule = st.container()
    with st.expander("Augmentation"):
        changes = st.container()
    config = options.build_config(settings.values)
    with changes:
        options.choose_changes(settings, config)
    options.show_tuned_input(settings)
    request = options.choose_cases(config)
    with schedule:
        learning_rate.show_schedule(config)
        learning_rate.show_range_test(settings, request)
    start.show_start(request)


def show_augmentation() -> None:
    """The random changes that training slices go through, seen before training."""
    _look(need_study())


@st.fragment
def _look(current: OpenStudy) -> None:
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
            augmentation.show_slices(current, *case, config)
