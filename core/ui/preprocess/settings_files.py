"""Tuned settings as code and as a file, and back from one."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import streamlit as st

from core.config import (
    PreprocessConfig,
    RoiConfig,
    preprocess_from_json,
    roi_from_json,
    to_json_dict,
)
from core.errors import LungLensError
from core.ui.page import show_error
from core.ui.preprocess.enhance import build_config, flat_settings
from core.ui.session import this_session
from core.ui.settings import Settings
from core.ui.widget_state import fresh_key, renew_key, widget_value


@dataclass(eq=False)
class _Refused:
    """Why the file last loaded on a page was not taken, by the name of its settings."""

    errors: dict[str, LungLensError] = field(default_factory=dict)


def show_files(settings: Settings, base: PreprocessConfig) -> None:
    """Preprocessing as code and as a file, and back from one."""
    config = build_config(settings.values, base)
    _show(
        settings,
        code=preprocess_code(config),
        content={"preprocess": to_json_dict(config)},
        file_name="preprocess.json",
        save_help="For `python -m core segment SCAN -o result --preprocess preprocess.json` and "
        "`python -m core train --config preprocess.json …`.",
        load_help="A file from here, or the manifest of weights.",
        read=lambda text: flat_settings(preprocess_from_json(text, base)),
    )


def show_region_files(settings: Settings, config: RoiConfig) -> None:
    """The region's settings as code and as a file, and back from one."""
    _show(
        settings,
        code=region_code(config),
        content={"region": to_json_dict(config)},
        file_name="region.json",
        save_help="To find the same region in another scan, here or in code by "
        "`core.config.roi_from_json`.",
        load_help="A file from here.",
        read=lambda text: asdict(roi_from_json(text)),
    )


def _show(
    settings: Settings,
    *,
    code: str,
    content: dict[str, Any],
    file_name: str,
    save_help: str,
    load_help: str,
    read: Callable[[str], Mapping[str, Any]],
) -> None:
    refused = this_session().part(_Refused).errors
    st.code(code, language="python")
    st.download_button(
        "Settings (JSON)",
        json.dumps(content, indent=1) + "\n",
        file_name=file_name,
        mime="application/json",
        on_click="ignore",
        icon=":material/download:",
        help=save_help,
    )
    upload = f"{settings.name}-file"
    key = fresh_key(upload)

    def load() -> None:
        # An empty widget, so that the same file can be chosen again.
        renew_key(upload)
        file = widget_value(key)
        if file is None:
            return
        try:
            settings.set(read(file.getvalue().decode("utf-8", "replace")))
        except LungLensError as error:
            refused[settings.name] = error

    st.file_uploader("Load settings", type="json", key=key, on_change=load, help=load_help)
    error = refused.pop(settings.name, None)
    if error is not None:
        show_error(error)


def preprocess_code(config: PreprocessConfig) -> str:
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


def region_code(config: RoiConfig) -> str:
    """Python that finds the region and cuts it out."""
    lines = "\n".join(f"    {name}={value!r}," for name, value in asdict(config).items())
    return (
        "from core.config import RoiConfig\n"
        "from core.preprocessing.roi import crop_volume, find_region\n\n"
        f"config = RoiConfig(\n{lines}\n)\nregion = find_region(volume, config)\n"
        "cropped, record = crop_volume(volume, region.box)"
    )
