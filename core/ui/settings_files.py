"""Tuned preprocessing as code and as a file, and back from one."""

from __future__ import annotations

import json
from dataclasses import asdict

import streamlit as st

from core.config import PreprocessConfig, preprocess_from_json, to_json_dict
from core.errors import LungLensError
from core.ui.enhancing import build_config, flat_settings
from core.ui.page import show_error
from core.ui.settings import Settings


def show_files(settings: Settings, base: PreprocessConfig) -> None:
    """The settings as code and as a file, and back from one."""
    config = build_config(settings.values, base)
    with st.expander("Take these settings along", icon=":material/code:"):
        st.code(as_code(config), language="python")
        st.download_button(
            "Settings (JSON)",
            json.dumps({"preprocess": to_json_dict(config)}, indent=1) + "\n",
            file_name="preprocess.json",
            mime="application/json",
            on_click="ignore",
            icon=":material/download:",
            help="For `python -m core segment SCAN -o result --preprocess preprocess.json` and "
            "`python -m core train --config preprocess.json …`.",
        )
        number = st.session_state.get("enhance-files", 0)
        key = f"enhance-file-{number}"

        def load() -> None:
            # A new key takes the file off the widget, so that it can be chosen again.
            st.session_state["enhance-files"] = number + 1
            file = st.session_state[key]
            if file is not None:
                _load_settings(file.getvalue(), settings, base)

        st.file_uploader(
            "Load settings",
            type="json",
            key=key,
            on_change=load,
            help="A file from here, or the manifest of weights.",
        )
        refused: LungLensError | None = st.session_state.pop("enhance-refused", None)
        if refused is not None:
            show_error(refused)


def _load_settings(content: bytes, settings: Settings, base: PreprocessConfig) -> None:
    try:
        settings.set(flat_settings(preprocess_from_json(content.decode("utf-8", "replace"), base)))
    except LungLensError as error:
        st.session_state["enhance-refused"] = error


def as_code(config: PreprocessConfig) -> str:
    """Python that builds the config."""
    enhanced = ",\n".join(
        f"        {name}={value!r}" for name, value in asdict(config.enhance).items()
    )
    lines = [
        f"    {name}={value!r}," for name, value in asdict(config).items() if name != "enhance"
    ]
    return "\n".join(
        [
            "from core.config import EnhanceConfig, PreprocessConfig",
            "",
            "preprocess = PreprocessConfig(",
            *lines,
            "    enhance=EnhanceConfig(",
            f"{enhanced},",
            "    ),",
            ")",
        ]
    )
