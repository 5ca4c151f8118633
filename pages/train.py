"""Train: teach a network of one's own, and watch it learn."""

import streamlit as st

from core.ui import learning_rate, training_settings, training_start, training_view
from core.ui.page import begin_page
from core.ui.training_access import may_train, show_refusal


def set_up() -> None:
    """What is to be trained, from data to schedule, and the button that starts it."""
    settings = training_settings.read_settings()
    training_settings.choose_preset(settings)
    with st.expander("Network and loss"):
        training_settings.choose_network(settings)
    with st.expander("Learning rate and epochs"):
        training_settings.choose_schedule(settings)
        schedule = st.container()
    with st.expander("Random changes"):
        changes = st.container()
    config = training_settings.build_config(settings.values)
    with changes:
        training_settings.choose_changes(settings, config)
    request = training_settings.choose_cases(config)
    with schedule:
        learning_rate.show_schedule(config)
        learning_rate.show_range_test(settings, request)
    training_start.show_start(request)


begin_page(
    "Train",
    lead="Teach a network of your own on cases whose lungs and infection are known, and watch its "
    "figures on patients that it never learned from.",
)
if may_train():
    new_run, runs = st.columns([5, 7], gap="large")
    with new_run:
        st.subheader("New run", anchor=False)
        set_up()
    with runs:
        training_view.show_runs()
else:
    show_refusal()
    training_view.show_runs()
