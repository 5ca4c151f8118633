"""Whether visitors of this server may train, and on what."""

from __future__ import annotations

import os
from pathlib import Path

import streamlit as st

from core.config import AppConfig
from core.ui.access import listens_to_this_machine_only
from core.ui.data_folder import find_case_folder

ALLOW_TRAINING_VARIABLE = "LUNGLENS_ALLOW_TRAINING"


def training_config() -> AppConfig:
    """What the operator has set in the environment about training."""
    setting = os.environ.get(ALLOW_TRAINING_VARIABLE, "").strip().lower()
    allowed = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    return AppConfig(allow_training=allowed.get(setting))


def may_train() -> bool:
    """Where only this machine can reach the app, unless the operator says otherwise."""
    allowed = training_config().allow_training
    if allowed is not None:
        return allowed
    return listens_to_this_machine_only()


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
