"""What tuned preprocessing does to the network, on one slice, live."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import streamlit as st

from core.config import CHANNELS, Channel, PreprocessConfig
from core.drawing import PREDICTION_COLOURS
from core.evaluation import Change, compute_change
from core.preprocessing import SpatialRecord, enhance, plan_spatial, window_slice
from core.preprocessing.enhancement import Grey
from core.preprocessing.roi import BoundingBox
from core.segmentation import find_outlines, segment_slice
from core.system import number_text
from core.ui import segmenting
from core.ui.jobs import NETWORK_QUEUE
from core.ui.page import show_errors
from core.ui.preprocess.enhance import BeforeAfter, spatial_record, spatial_settings
from core.ui.session import OpenStudy, remember
from core.ui.tables import show_number_table
from core.ui.text import area_text
from core.ui.viewer import Line, show_pictures
from core.volume import (
    PLANE_LABELS,
    MaskPair,
    Volume,
    pixel_size_mm,
)

if TYPE_CHECKING:  # loaded where it is first needed
    from core.segmentation import WeightsInfo
    from core.segmentation.engines import Engine

_PATIENCE_SECONDS = 3.0


def show_trial(current: OpenStudy, config: PreprocessConfig, pictures: BeforeAfter) -> None:
    """The slice, segmented with the tuned preprocessing and with the network's own."""
    wanted = st.toggle(
        "Show the effect on the network",
        value=True,
        key="enhance-network",
        persist_state="session",
        help="Segments this slice by itself, once with the tuned settings and once with those "
        "the network was trained with. It was not trained on other settings, so an "
        "improvement here may be chance: train with them to find out.",
    )
    if not wanted:
        return
    with show_errors():
        weights = segmenting.default_weights()
        if weights is None:
            st.caption("No trained network is installed, so there is nothing to compare.")
            return
        answer = _last_answer(current, weights, config, pictures.slice_index)
        if answer is None:
            st.caption("The network is busy with another run. Change a setting to try again.")
            return
        default, tuned, seconds = answer
        _show_outlines(current, weights.preprocess, pictures, default, tuned)
        _show_changes(current, pictures.slice_index, default, tuned)
        st.caption(f"The network took {1000 * seconds:.0f}\u00a0ms for both.")


def _last_answer(
    current: OpenStudy, weights: WeightsInfo, tuned: PreprocessConfig, slice_index: int
) -> tuple[MaskPair, MaskPair, float] | None:
    """The network's result; kept, so that drawing the page again does not run it again."""
    question = (weights.weights_id, weights.preprocess, tuned, slice_index)
    kept = current.memo.get("trial")
    if kept is None or kept[0] != question:
        answer = _ask_network(current, weights.preprocess, tuned, slice_index)
        if answer is None:
            return None
        current.memo["trial"] = kept = (question, answer)
    result: tuple[MaskPair, MaskPair, float] = kept[1]
    return result


def _ask_network(
    current: OpenStudy, own: PreprocessConfig, tuned: PreprocessConfig, slice_index: int
) -> tuple[MaskPair, MaskPair, float] | None:
    """Default and tuned masks (i, j, 1) and the time they took; none while others have the
    network."""
    from core.segmentation import load_segmenter

    with st.spinner("Starting the network…", show_time=True):
        engine = load_segmenter()
    with NETWORK_QUEUE.turn(timeout=_PATIENCE_SECONDS) as is_ours:
        if not is_ours:
            return None
        turns = _quarter_turns(current, engine)
        plans = [(config, _record(current, turns, config)) for config in (own, tuned)]
        started = time.perf_counter()
        default, changed = segment_slice(
            current.study.volume,
            slice_index,
            engine,
            plans=plans,
            postprocess=engine.info.postprocess,
        )
        return default, changed, time.perf_counter() - started


def _record(current: OpenStudy, turns: int, config: PreprocessConfig) -> Any:
    key = ("upright", *spatial_settings(config))
    volume = current.study.volume
    return remember(current, key, lambda: plan_spatial(volume, config, quarter_turns=turns))


def _quarter_turns(current: OpenStudy, engine: Engine) -> int:
    """By how many quarter turns the network wants the slices turned."""
    from core.segmentation import find_quarter_turns

    volume = current.study.volume
    turns: int = remember(current, "upright", lambda: find_quarter_turns([volume], engine)[0])
    return turns


def _show_outlines(
    current: OpenStudy,
    own: PreprocessConfig,
    pictures: BeforeAfter,
    default: MaskPair,
    tuned: MaskPair,
) -> None:
    """Both masks as lines over both pictures: dashed the default, solid the tuned."""
    box = pictures.record.box
    volume = current.study.volume
    lines = [
        line
        for pair, dashed in ((default, True), (tuned, False))
        for channel in CHANNELS
        for line in _lines(pair, channel, box, dashed=dashed)
    ]
    show_pictures(
        _default_picture(
            volume, own, _own_record(current, own, pictures.record), pictures.slice_index
        ),
        pictures.after,
        names=("Default", "Tuned"),
        key="enhance-trial",
        pixel_mm=pixel_size_mm(volume, "axial"),
        letters=PLANE_LABELS["axial"],
        title=f"{current.name}, axial slice {pictures.slice_index + 1}, with the network's marks",
        stamp=current.stamp,
        drawings=lines,
        tallest=0.52,
    )
    st.caption(
        "Blue is lung, orange is infection. Dashed: with the network's own settings. "
        "Solid: with the tuned ones."
    )


def _own_record(current: OpenStudy, own: PreprocessConfig, tuned: SpatialRecord) -> SpatialRecord:
    """The tuned cut, with the slices adjusted or not as the network's own settings have it."""
    return replace(tuned, stretch=spatial_record(current, own).stretch)


def _default_picture(
    volume: Volume, own: PreprocessConfig, record: SpatialRecord, slice_index: int
) -> Grey:
    return enhance(window_slice(volume, record, own, slice_index), own.enhance)


def _lines(pair: MaskPair, channel: Channel, box: BoundingBox, *, dashed: bool) -> list[Line]:
    mask = pair.lung if channel == "lung" else pair.infection
    if mask is None:
        return []
    return [
        Line(
            points=points,
            closed=True,
            colour=PREDICTION_COLOURS[channel],
            dashed=dashed,
        )
        for points in find_outlines(mask[:, :, 0], box)
    ]


def _show_changes(current: OpenStudy, slice_index: int, default: MaskPair, tuned: MaskPair) -> None:
    """Dice of both where the truth is known, and how much has changed."""
    truth = current.study.truth
    columns: dict[str, list[str]] = {}
    for channel in CHANNELS:
        before, after = getattr(default, channel), getattr(tuned, channel)
        known = None if truth is None else getattr(truth, channel)
        here = None if known is None else known[:, :, slice_index : slice_index + 1]
        change = compute_change(before, after, here)
        columns[channel.capitalize()] = _column(current.study.volume, change)
    show_number_table(
        {"This slice": columns},
        rows=["Dice, default", "Dice, tuned", "Area, default", "Area, tuned", "Changed"],
        caption="What the network marks with default and with tuned settings",
    )


def _column(volume: Volume, change: Change) -> list[str]:
    overlaps = (change.default_overlap, change.tuned_overlap)
    return [
        *("no truth" if overlap is None else number_text(overlap.dice) for overlap in overlaps),
        *(_area(volume, pixels) for pixels in (change.default, change.tuned, change.changed)),
    ]


def _area(volume: Volume, pixels: int) -> str:
    if volume.spacing_nominal:
        return f"{pixels} pixels"
    height_mm, width_mm = pixel_size_mm(volume, "axial")
    return area_text(pixels * height_mm * width_mm)
