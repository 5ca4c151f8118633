"""The one path from scans and pictures to masks, for the app, the command line and the tests:
plan → model input → predict → restore."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import accumulate, pairwise

import numpy as np

from core.config import EXCHANGED_NOTE, PreprocessConfig, SegmentConfig
from core.preprocessing import SpatialRecord, build_model_input, plan_spatial
from core.preprocessing.roi import find_body_box
from core.segmentation.air import clear_gas, clear_outside_body
from core.segmentation.engines import Engine, Prediction
from core.segmentation.noise import measure_noise
from core.segmentation.postprocess import (
    Probabilities,
    blend_neighbours,
    blend_presence,
    clean_lung,
    clear_empty_slices,
    clear_open_air,
    restore_cleaned,
    share_of_neighbours,
)
from core.segmentation.result import ScanFacts, Segmentation
from core.segmentation.turning import find_quarter_turns
from core.system import OnProgress, ShouldCancel, ignore_progress, never_cancel, raise_if_cancelled
from core.volume import MaskPair, Volume

_PREPROCESS_CHUNK = 16


def segment_volume(
    volume: Volume,
    segmenter: Engine,
    *,
    config: SegmentConfig | None = None,
    on_progress: OnProgress = ignore_progress,
    should_cancel: ShouldCancel = never_cancel,
) -> Segmentation:
    """Marks lung and infection in a scan or in a stack of pictures.

    Args:
        volume: any loaded scan.
        segmenter: of `load_segmenter`.
        config: batch size, pre- and post-processing; none takes those that the weights were
            evaluated with.
        on_progress: called with "preparing slices", "marking slices" and "restoring masks".
        should_cancel: asked between batches.

    Returns:
        Masks on the canonical grid of `volume`.

    Raises:
        Cancelled: the person asked to stop.
    """
    (segmentation,) = segment_volumes(
        [volume], segmenter, config=config, on_progress=on_progress, should_cancel=should_cancel
    )
    return segmentation


def segment_volumes(
    volumes: Sequence[Volume],
    segmenter: Engine,
    *,
    config: SegmentConfig | None = None,
    on_progress: OnProgress = ignore_progress,
    should_cancel: ShouldCancel = never_cancel,
) -> tuple[Segmentation, ...]:
    """`segment_volume` for several, each by itself; the network runs on all of them together, and
    once before to find how pictures stand."""
    config = config or SegmentConfig(
        weights_id=segmenter.weights_id, postprocess=segmenter.info.postprocess
    )
    preprocess = config.preprocess or segmenter.preprocess
    clock = _StepClock()
    turns = _quarter_turns(volumes, segmenter, config, clock, should_cancel)
    records = [
        plan_spatial(volume, preprocess, quarter_turns=turn)
        for volume, turn in zip(volumes, turns, strict=True)
    ]
    frames = _build_frames(volumes, records, preprocess, on_progress, should_cancel)
    own_frames = [frames[start:stop] for start, stop in _slice_ranges(volumes)]
    facts = [
        _scan_facts(volume, own, preprocess)
        for volume, own in zip(volumes, own_frames, strict=True)
    ]
    clock.end("preprocess")
    predicted = segmenter.predict(
        frames, batch_size=config.batch_size, on_progress=on_progress, should_cancel=should_cancel
    )
    clock.end("predict")
    blended = [
        _blend(volume, own, slices, record, config, shows_air=_shows_air(preprocess))
        for volume, own, slices, record in zip(
            volumes, _split(predicted, volumes), own_frames, records, strict=True
        )
    ]
    masks = _restore(blended, records, config, clock, on_progress, should_cancel)
    return tuple(
        Segmentation(
            masks=pair,
            probabilities=own.pixels,
            presence=own.presence,
            record=record,
            seconds=clock.seconds,
            device=segmenter.device,
            weights_id=segmenter.weights_id,
            config=config,
            fallback_reason=segmenter.fallback_reason,
            scan=scan,
        )
        for scan, pair, own, record in zip(facts, masks, blended, records, strict=True)
    )


def _quarter_turns(
    volumes: Sequence[Volume],
    segmenter: Engine,
    config: SegmentConfig,
    clock: _StepClock,
    should_cancel: ShouldCancel,
) -> Sequence[int]:
    """Quarter turns that put each volume upright: 0 but for pictures."""
    if not (config.turn_pictures and any(map(_is_of_pictures, volumes))):
        return [0] * len(volumes)
    turns = find_quarter_turns(volumes, segmenter, should_cancel=should_cancel)
    clock.end("turn")
    return turns


def _build_frames(
    volumes: Sequence[Volume],
    records: Sequence[SpatialRecord],
    preprocess: PreprocessConfig,
    on_progress: OnProgress,
    should_cancel: ShouldCancel,
) -> Probabilities:
    """Model input of all slices of all volumes: (n, rows, columns) uint8."""
    total = sum(volume.shape[2] for volume in volumes)
    frames = np.empty((total, preprocess.rows, preprocess.columns), dtype=np.uint8)
    done = 0
    for volume, record in zip(volumes, records, strict=True):
        count = volume.shape[2]
        for start in range(0, count, _PREPROCESS_CHUNK):
            raise_if_cancelled(should_cancel, "preparing slices")
            part = range(start, min(start + _PREPROCESS_CHUNK, count))
            frames[done : done + len(part)] = build_model_input(volume, record, preprocess, part)
            done += len(part)
            on_progress("preparing slices", done, total)
    return frames


def _blend(
    volume: Volume,
    predicted: Prediction,
    frames: Probabilities,
    record: SpatialRecord,
    config: SegmentConfig,
    *,
    shows_air: bool,
) -> Prediction:
    """The prediction for one volume with its neighbouring slices, air that is no lung and its
    empty slices taken into account.

    Args:
        frames: the network's input.
        shows_air: whether their greys tell what is air.
    """
    postprocess = config.postprocess
    pixels, presence = predicted.pixels, predicted.presence
    share = share_of_neighbours(volume, postprocess)
    pixels = blend_neighbours(pixels, share)
    if presence is not None:
        presence = blend_presence(presence, share)
    if shows_air and not _is_of_pictures(volume):
        pixels = clear_open_air(pixels, frames, record)
        pixels = clear_outside_body(pixels, frames, record)
        pixels = clear_gas(pixels, frames)
    if presence is not None:
        pixels = clear_empty_slices(pixels, presence, postprocess)
    return Prediction(pixels, presence)


def _restore(
    blended: Sequence[Prediction],
    records: Sequence[SpatialRecord],
    config: SegmentConfig,
    clock: _StepClock,
    on_progress: OnProgress,
    should_cancel: ShouldCancel,
) -> list[MaskPair]:
    """Cleaned masks of each volume on its own grid."""
    lungs = [clean_lung(own.pixels[0], config.postprocess) for own in blended]
    clock.end("postprocess")
    total = sum(map(len, lungs))
    done = 0
    masks = []
    for lung, own, record in zip(lungs, blended, records, strict=True):
        masks.append(
            restore_cleaned(
                lung,
                own.pixels[1],
                record,
                config.postprocess,
                on_progress=_part_of(on_progress, done, total),
                should_cancel=should_cancel,
            )
        )
        done += len(lung)
    clock.end("restore")
    return masks


def _slice_ranges(volumes: Sequence[Volume]) -> list[tuple[int, int]]:
    """Where the slices of each volume lie among those of all, half-open."""
    return list(pairwise(accumulate((volume.shape[2] for volume in volumes), initial=0)))


def _shows_air(preprocess: PreprocessConfig) -> bool:
    """Whether greys stand for HU as the rules on air and noise know them: under the usual window,
    not enhanced."""
    usual = PreprocessConfig()
    own = (preprocess.window_center, preprocess.window_width, preprocess.enhance.method)
    return own == (usual.window_center, usual.window_width, "window")


def _split(predicted: Prediction, volumes: Sequence[Volume]) -> list[Prediction]:
    """The prediction of each volume."""
    return [
        Prediction(
            predicted.pixels[:, start:stop],
            None if predicted.presence is None else predicted.presence[:, start:stop],
        )
        for start, stop in _slice_ranges(volumes)
    ]


def _scan_facts(
    volume: Volume, frames: Probabilities, preprocess: PreprocessConfig
) -> ScanFacts | None:
    if _is_of_pictures(volume):
        return None
    is_hu, noise_hu = volume.unit == "HU", float("nan")
    if _shows_air(preprocess):
        noise_hu = measure_noise(frames, preprocess, estimate_scale=not is_hu)
    width_mm = float("nan")
    if not volume.spacing_nominal:
        body = find_body_box(volume, margin_mm=0.0)
        width_mm = (body.i_stop - body.i_start) * volume.spacing_mm[0]
    return ScanFacts(
        spacing_mm=None if volume.spacing_nominal else volume.spacing_mm,
        noise_hu=noise_hu,
        noise_is_estimated=not is_hu,
        seems_turned=volume.source.seems_turned,
        seems_exchanged=EXCHANGED_NOTE in volume.warnings,
        width_mm=width_mm,
    )


def _is_of_pictures(volume: Volume) -> bool:
    return volume.source.format == "pictures"


def _part_of(on_progress: OnProgress, before: int, total: int) -> OnProgress:
    """Progress of one volume as a part of that of all."""
    return lambda stage, done, _: on_progress(stage, before + done, total)


class _StepClock:
    """Seconds of each step, one after another."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._started = time.perf_counter()

    def end(self, step: str) -> None:
        """Notes the time since the step before ended."""
        now = time.perf_counter()
        self.seconds[step] = now - self._started
        self._started = now
