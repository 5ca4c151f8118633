"""The widgets of Segment: weights, thresholds, measurements and files of a result."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import streamlit as st

from core.config import CHANNELS
from core.correction import HandCorrection
from core.errors import shown_name
from core.evaluation import measure
from core.loading import PICTURE_ENDINGS
from core.output import mask_file_notes, mask_nifti_bytes, mask_picture_bytes
from core.output.exports import values_csv
from core.system import json_text, number_text
from core.ui import segmenting
from core.ui.scan.pictures import is_picture
from core.ui.session import OpenStudy
from core.ui.tables import show_facts
from core.ui.text import escape_markdown, seconds_text
from core.ui.widget_state import set_widget_value, widget_value
from core.volume import Array, MaskPair

if TYPE_CHECKING:  # loaded where it is first needed
    from core.segmentation import Segmentation, WeightsInfo


def choose_weights() -> WeightsInfo | None:
    """The network to run; none (and a sentence) where none is installed, or where the default one
    is damaged and no other was chosen."""
    weights = segmenting.available_weights()
    if not weights:
        st.info(
            "No trained network is installed. Get the repository with its `weights/` folder, "
            "or train one with `python -m core train`.",
            icon=":material/info:",
        )
        return None
    unusable = segmenting.unusable_weights()
    for broken in unusable:
        st.warning(escape_markdown(str(broken.error)), icon=":material/warning:")
    # No other network takes the place of a damaged default one by itself.
    has_default = weights[0].is_default or not any(one.may_be_default for one in unusable)
    chosen = st.selectbox(
        "Weights",
        weights,
        index=0 if has_default else None,
        placeholder="The default weights cannot be used: choose others",
        format_func=weights_name,
        key=segmenting.CHOSEN_WEIGHTS,
        persist_state="session",
        help="A network trained to segment lung and infection. Its card describes what it "
        "was trained on, how well it performs and where it fails.",
    )
    if chosen is None:
        return None
    if chosen.card_path.is_file():
        with st.expander("Card of these weights", icon=":material/description:"):
            st.markdown(chosen.card_path.read_text(encoding="utf-8"))
    return chosen


def weights_name(info: WeightsInfo) -> str:
    """Title and id, which distinguishes weights of one title."""
    return f"{info.title} · {info.weights_id}"


def show_run_button(current: OpenStudy, weights: WeightsInfo) -> None:
    """Starts a run with the chosen weights."""
    again = current.segmentation is not None
    if st.button(
        f"Run with {weights.weights_id}" if again else "Mark lung and infection",
        type="secondary" if again else "primary",
        icon=":material/play_arrow:",
        help="Takes a few seconds; you can keep browsing meanwhile, and stop it at any time.",
    ):
        segmenting.start(current, weights)
        st.rerun()


def choose_thresholds(
    current: OpenStudy, segmentation: Segmentation, *, chosen: WeightsInfo | None
) -> None:
    """Probability from which a voxel counts as lung and as infection; takes effect at once.

    Thresholds belong to the weights that made the masks; others bring their own with a run.
    """
    used = segmentation.config.postprocess
    keys = {channel: f"{channel}-threshold-{current.token}" for channel in CHANNELS}

    def move() -> None:
        segmenting.change_thresholds(
            current,
            segmentation,
            lung=widget_value(keys["lung"]),
            infection=widget_value(keys["infection"]),
        )

    for place, channel, being in zip(st.columns(2), CHANNELS, ("lung", "infected"), strict=True):
        # What the masks were made with, also after a run with other weights.
        set_widget_value(keys[channel], float(getattr(used, f"{channel}_threshold")))
        place.slider(
            f"{channel.capitalize()} threshold",
            0.05,
            0.95,
            step=0.05,
            key=keys[channel],
            on_change=move,
            help=f"Voxels whose probability of being {being} is at least this are marked. Lower "
            "marks more. The network does not run again.",
        )
    if chosen is not None and chosen.weights_id != segmentation.weights_id:
        own = chosen.postprocess
        st.caption(
            f"These thresholds are those of {escape_markdown(segmentation.weights_id)}. A run with "
            f"{escape_markdown(chosen.weights_id)} uses its own: "
            f"{number_text(own.lung_threshold, digits=2)} for lung, "
            f"{number_text(own.infection_threshold, digits=2)} for infection."
        )


def show_downloads(current: OpenStudy, segmentation: Segmentation) -> None:
    """Masks in the scan's own shape and affine, and the measurements."""
    stem = file_stem(current)
    if segmentation.by_hand is not None:
        more = " Thresholds change only the network's masks." if segmentation.by_network else ""
        st.caption(segmentation.by_hand.sentence + more)
    with st.container(horizontal=True, key="downloads"):
        _offer_masks(current, segmentation.masks, segmentation.by_hand)
        st.download_button(
            "Measurements (JSON)",
            data=_measurements_file(current, segmentation, json_text),
            file_name=f"{stem}_metrics.json",
            mime="application/json",
            icon=":material/download:",
            on_click="ignore",
            help="The same content that the command line writes as metrics.json.",
        )
        st.download_button(
            "Measurements (CSV)",
            data=_measurements_file(current, segmentation, values_csv),
            file_name=f"{stem}_metrics.csv",
            mime="text/csv",
            icon=":material/download:",
            on_click="ignore",
            help="The same measurements, one per line.",
        )

    for note in mask_file_notes(current.study.volume):
        st.caption(escape_markdown(note))


def _offer_masks(current: OpenStudy, masks: MaskPair, by_hand: HandCorrection | None) -> None:
    stem, ending = file_stem(current), "_corrected" if by_hand is not None else ""
    for channel, mask in (("lung", masks.lung), ("infection", masks.infection)):
        if mask is None:
            continue
        st.download_button(
            f"{channel.capitalize()} mask (NIfTI)",
            data=_mask_file(current, mask, by_hand),
            file_name=f"{stem}_{channel}_mask{ending}.nii.gz",
            mime="application/gzip",
            icon=":material/download:",
            on_click="ignore",
            key=f"download-{channel}",
            help="0 and 1, in the shape and position of the scan's own file.",
        )
        if is_picture(current):
            st.download_button(
                f"{channel.capitalize()} mask (PNG)",
                data=partial(mask_picture_bytes, mask),
                file_name=f"{stem}_{channel}_mask{ending}.png",
                mime="image/png",
                icon=":material/download:",
                on_click="ignore",
                key=f"download-{channel}-png",
                help="White where marked, with the rows and columns of the picture's own file.",
            )


def _mask_file(
    current: OpenStudy, mask: Array, by_hand: HandCorrection | None
) -> Callable[[], bytes]:
    # Packed only when asked for: large scans take seconds.
    note = "" if by_hand is None else by_hand.text
    return lambda: mask_nifti_bytes(mask, current.study.volume, note=note)


def _measurements_file(
    current: OpenStudy, segmentation: Segmentation, write: Callable[[dict[str, Any]], str]
) -> Callable[[], str]:
    # Measured only when asked for, so that thresholds move without waiting for it.
    return lambda: write(measure(current.study, segmentation))


def file_stem(current: OpenStudy) -> str:
    """A name for files about the open scan: letters, digits, dots, dashes, underscores."""
    name = shown_name(current.name)
    for ending in (".gz", ".nii", ".zip", ".dcm", *PICTURE_ENDINGS):
        name = name[: -len(ending)] if name.lower().endswith(ending) else name
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in name)
    return kept.strip("._") or "scan"


_STAGES = {
    "turn": "Finding the orientation",
    "preprocess": "Preparing slices",
    "predict": "Marking slices",
    "postprocess": "Cleaning up masks",
    "restore": "Restoring the scan's own grid",
}


def show_run_facts(segmentation: Segmentation) -> None:
    """Device, weights and seconds of each stage."""
    facts = {"Device": segmentation.device, "Weights": segmentation.weights_id}
    for stage, seconds in segmentation.seconds.items():
        facts[_STAGES.get(stage, stage)] = seconds_text(seconds)
    st.markdown("**This run**")
    show_facts(facts, caption="How the masks were computed")
