"""What tuned preprocessing does to the network, on one slice."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import streamlit as st

from core.config import CHANNELS, Channel, PreprocessConfig
from core.drawing import PREDICTION_COLOURS
from core.errors import LungLensError
from core.evaluation import compute_change
from core.preprocessing import plan_spatial
from core.preprocessing.roi import BoundingBox
from core.segmentation import find_outlines, segment_slice
from core.system import number_text
from core.ui import segmenting
from core.ui.jobs import NETWORK_QUEUE
from core.ui.preprocess.enhance import spatial_record, spatial_settings
from core.ui.preprocess.tuner import Answer
from core.ui.session import OpenStudy, remember
from core.ui.viewer import Line
from core.volume import MaskPair, Volume, pixel_size_mm

if TYPE_CHECKING:  # loaded where it is first needed
    from core.segmentation import WeightsInfo
    from core.segmentation.engines import Engine

_PATIENCE_SECONDS = 3.0


def network_answer(current: OpenStudy, config: PreprocessConfig, slice_index: int) -> Answer:
    """The slice, segmented with the tuned preprocessing and with the network's own: one line and
    both outlines. It was not trained on other settings, so an improvement may be chance."""
    try:
        weights = segmenting.default_weights()
        if weights is None:
            return Answer("No trained network is installed, so there is nothing to compare.")
        answer = _last_answer(current, weights, config, slice_index)
    except LungLensError as error:
        return Answer(str(error))
    if answer is None:
        return Answer(
            "The network is busy with another run. Change a setting to try again.", asks=True
        )
    default, tuned, seconds = answer
    box = spatial_record(current, config).box
    same = weights.preprocess == config
    lines = tuple(
        line
        for pair, dashed in (((default, True), (tuned, False)) if not same else ((tuned, False),))
        for channel in CHANNELS
        for line in _lines(pair, channel, box, dashed=dashed)
    )
    words = " · ".join(
        _change_text(current, channel, slice_index, default, tuned, same=same)
        for channel in reversed(CHANNELS)
    )
    legend = "" if same else " Dashed: the network's own settings; solid: these."
    return Answer(f"{words}.{legend} ({1000 * seconds:.0f}\u00a0ms)", lines, asks=True)


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


def _lines(pair: MaskPair, channel: Channel, box: BoundingBox, *, dashed: bool) -> list[Line]:
    mask = pair.lung if channel == "lung" else pair.infection
    if mask is None:
        return []
    return [
        Line(
            points=points,
            closed=True,
            colour=PREDICTION_COLOURS[channel],
            line="dashed" if dashed else "solid",
        )
        for points in find_outlines(mask[:, :, 0], box)
    ]


def _change_text(
    current: OpenStudy,
    channel: Channel,
    slice_index: int,
    default: MaskPair,
    tuned: MaskPair,
    *,
    same: bool,
) -> str:
    """Such as "Infection: Dice 0.883 → 0.872, area 98.1 → 109.4 cm²"."""
    truth, volume = current.study.truth, current.study.volume
    known = None if truth is None else getattr(truth, channel)
    here = None if known is None else known[:, :, slice_index : slice_index + 1]
    change = compute_change(getattr(default, channel), getattr(tuned, channel), here)
    pieces = []
    if change.default_overlap is not None and change.tuned_overlap is not None:
        dice = [number_text(one.dice) for one in (change.default_overlap, change.tuned_overlap)]
        pieces.append("Dice " + (dice[1] if same else " → ".join(dice)))
    counts = (change.tuned,) if same else (change.default, change.tuned)
    pieces.append("area " + _areas_text(volume, counts))
    return f"{channel.capitalize()}: {', '.join(pieces)}"


def _areas_text(volume: Volume, counts: tuple[int, ...]) -> str:
    """Such as "98.1 → 109.4 cm²"."""
    if volume.spacing_nominal:
        return " → ".join(map(str, counts)) + " pixels"
    height_mm, width_mm = pixel_size_mm(volume, "axial")
    areas = [number_text(pixels * height_mm * width_mm / 100, digits=1) for pixels in counts]
    return " → ".join(areas) + "\u00a0cm²"
