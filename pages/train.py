"""Train: train a network of one's own and follow its results."""

import streamlit as st

from core.ui.own_cases import show_own_cases
from core.ui.page import begin_page
from core.ui.train import fine_tune, learning_rate, options, start
from core.ui.train.access import may_train, show_refusal
from core.ui.train.next_scans import show_next_scans
from core.ui.train.runs import show_runs


def choose_way() -> None:
    """A new network, or one that learns further."""
    way = st.segmented_control(
        "What to train",
        ("A new network", "Fine-tune weights"),
        default="A new network",
        required=True,
        key="train-way",
        persist_state="session",
        help="Fine-tuning starts from weights that are there, and needs few cases and minutes.",
    )
    if way == "Fine-tune weights":
        start.show_start(fine_tune.set_up_fine_tuning())
    else:
        set_up()


def set_up() -> None:
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
    request = options.choose_cases(config)
    with schedule:
        learning_rate.show_schedule(config)
        learning_rate.show_range_test(settings, request)
    start.show_start(request)


begin_page(
    "Train",
    lead="Train a network of your own on cases with true masks of lung and infection, and "
    "follow its results on validation patients.",
)
if may_train():
    new_run, runs = st.columns([5, 7], gap="large")
    with new_run:
        st.subheader("New run", anchor=False)
        choose_way()
        show_own_cases()
    with runs:
        show_runs()
        show_next_scans()
else:
    show_refusal()
    show_runs()
