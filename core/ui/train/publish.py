"""A finished run as weights that Segment and Evaluate offer."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from core.config import TrainConfig
from core.errors import LungLensError, WeightsError
from core.segmentation import find_weights, published_folder, read_manifest
from core.system import WEIGHTS_FOLDER, number_text
from core.training import RunStatus, busy_run, read_request, score, start_run
from core.ui import segmenting
from core.ui.navigation import SEGMENT, go_to
from core.ui.page import show_error
from core.ui.widget_state import set_widget_value


def show_publishing(folder: Path, run: RunStatus, config: TrainConfig) -> None:
    """A button that publishes the best epoch; where that was done, what is known of it."""
    if _is_published(folder.name):
        st.success(
            f"Published as **{folder.name}**: choose it under Weights on **View**, **Evaluate** "
            f"or with `--weights {folder.name}`.",
            icon=":material/inventory_2:",
        )
        if st.button(
            "Use on View",
            type="primary",
            key="train-use",
            icon=":material/visibility:",
            help="Goes to Segment on View with these weights chosen, for the open scan.",
        ):
            _use(folder.name)
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


def _use(name: str) -> None:
    try:
        set_widget_value(segmenting.CHOSEN_WEIGHTS, find_weights(name))
    except WeightsError as error:
        show_error(error)
        return
    go_to(SEGMENT)


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
