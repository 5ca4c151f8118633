"""A finished run as weights that Segment and Evaluate offer."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from core.config import TrainConfig
from core.errors import LungLensError, WeightsError
from core.segmentation import published_folder, read_manifest
from core.system import WEIGHTS_FOLDER, number_text
from core.training import RunStatus, busy_run, read_request, score, start_run
from core.ui.page import show_error


def show_publishing(folder: Path, run: RunStatus, config: TrainConfig) -> None:
    """A button that publishes the best epoch; where that was done, what is known of it."""
    if _is_published(folder.name):
        st.success(
            f"Published as **{folder.name}**: choose it under Weights on **Segment**, **Evaluate** "
            f"or with `--weights {folder.name}`.",
            icon=":material/inventory_2:",
        )
        return
    if (WEIGHTS_FOLDER / folder.name).exists():
        st.caption(
            "Weights that ship with the app have this name, so the run cannot be "
            "published under it."
        )
        return
    best = max(run.history, key=score)
    busy = busy_run(folder.parent)
    if st.button(
        "Publish as weights",
        key="train-publish",
        icon=":material/inventory_2:",
        disabled=busy is not None,
        help=f"Epoch {best['epoch']:.0f} of {config.epochs}, lung Dice "
        f"{number_text(best['lung_dice'])}, becomes weights that **Segment** and "
        "**Evaluate** offer beside the shipped ones, which stay as they are. Validation "
        "patients are evaluated once more, on the scans' own grid, for its card.",
    ):
        _publish(folder)


def _is_published(name: str) -> bool:
    try:
        read_manifest(published_folder() / name)
    except WeightsError:
        return False
    return True


def _publish(folder: Path) -> None:
    try:
        with st.spinner("Starting…"):
            request = read_request(folder)
            start_run(folder.parent, folder.name, request, publish=published_folder() / folder.name)
    except LungLensError as error:
        show_error(error)
        return
    st.rerun()
