"""Starting a run from the page."""

from __future__ import annotations

import streamlit as st

from core.errors import LungLensError
from core.system import runs_folder
from core.training import RunRequest, busy_run, check_run_name, run_names, start_run
from core.ui.page import show_error
from core.ui.text import escape_markdown
from core.ui.train.runs import CHOSEN_RUN
from core.ui.widget_state import forget_widget, set_first_value

_NAME = "train-name"


def show_start(request: RunRequest | None) -> None:
    """The run's name and the button; where another is under way, says so instead."""
    root = runs_folder()
    names = run_names(root)
    set_first_value(_NAME, _free_name(names))
    name = st.text_input(
        "Name", key=_NAME, max_chars=40, help="Of the run's folder: letters, digits, - and _."
    ).strip()
    busy = busy_run(root)
    if busy is not None:
        st.caption(
            f"**{escape_markdown(busy)}** is running, and this server trains one run at a "
            "time. Wait until it ends, or stop it."
        )
    if st.button(
        "Start training",
        key="train-start",
        type="primary",
        icon=":material/model_training:",
        disabled=request is None or busy is not None,
        help="Runs in the background, also when this tab is closed.",
    ):
        assert request is not None
        _start(name, request, names)


def _start(name: str, request: RunRequest, names: tuple[str, ...]) -> None:
    try:
        check_run_name(name)
        if name in names:
            st.error(
                "There is a run of this name already. Choose another.", icon=":material/error:"
            )
            return
        with st.spinner("Starting…", show_time=True):
            start_run(runs_folder(), name, request)
    except LungLensError as error:
        show_error(error)
        return
    forget_widget(_NAME)
    forget_widget(CHOSEN_RUN)
    st.rerun()


def _free_name(names: tuple[str, ...]) -> str:
    number = 1
    while f"run-{number}" in names:
        number += 1
    return f"run-{number}"
