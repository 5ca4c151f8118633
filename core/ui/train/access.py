"""What visitors of this server may train on, and why they may not."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from core.ui.access import ALLOW_TRAINING_VARIABLE
from core.ui.data_folder import find_case_folder


def cases_folder() -> Path | None:
    """The operator's cases; none where there are none, and generated patients take their place."""
    return find_case_folder()


def show_refusal() -> None:
    """Why this server does not train for visitors."""
    st.info(
        "Training is switched off on this server: it takes the whole machine for minutes to "
        "hours. Run the app on your own computer, where it listens to this machine only, or ask "
        f"the operator, who can allow it with `{ALLOW_TRAINING_VARIABLE}=1`. Runs made on this "
        "server can be viewed below.",
        icon=":material/lock:",
    )
