"""The one path from scans and pictures to masks, for the app, the command line and the tests:
plan → model input → predict → restore."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import accumulate, pairwise

import numpy as np

from core.config import PreprocessConfig, SegmentConfig
from core.errors import ConfigError
from core.preprocessing import SpatialRecord, build_model_input, plan_spatial
from core.segmentation.air import clear_gas, clear_outside_body
from core.segmentation.empty_slices import EmptySliceGate, find_gate
from core.segmentation.engines import Engine
from core.segmentation.noise import LIMIT_HU, measure_noise, smooth_noise
from core.segmentation.postprocess import (
    Probabilities,
    blend_neighbours,
    clean_lung,
    clear_open_air,
    restore_cleaned,
)
from core.segmentation.result import ScanFacts, Segmentation
from core.segmentation.turning import find_quarter_turns
from core.segmentation.weights import WeightsInfo
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
        ConfigError: empty slices are to be cleared and no gate was fitted for these weights.
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
    gate = require_gate(segmenter.info) if config.clear_empty else None
    clock = _StepClock()
    turns = _quarter_turns(volumes, segmenter, config, clock, should_cancel)
    records = [
        plan_spatial(volume, preprocess, quarter_turns=turn)
        for volume, turn in zip(volumes, turns, strict=True)
    ]
    frames = _build_frames(volumes, records, preprocess, on_progress, should_cancel)
    noise = _smooth_noisy(volumes, frames, preprocess)
    clock.end("preprocess")
    probabilities = segmenter.predict(
        frames, batch_size=config.batch_size, on_progress=on_progress, should_cancel=should_cancel
    )
    clock.end("predict")
    blended = [
        _blend(
            volume,
            probabilities[:, start:stop],
            frames[start:stop] if _shows_air(preprocess) else None,
            record,
            config,
            gate,
        )
        for volume, record, (start, stop) in zip(
            volumes, records, _slice_ranges(volumes), strict=True
        )
    ]
    masks = _restore(blended, records, config, clock, on_progress, should_cancel)
    return tuple(
        Segmentation(
            masks=pair,
            probabilities=own,
            record=record,
            seconds=clock.seconds,
            device=segmenter.device,
            weights_id=segmenter.weights_id,
            config=config,
            fallback_reason=segmenter.fallback_reason,
            scan=_scan_facts(volume, noise_hu),
        )
        for volume, noise_hu, pair, own, record in zip(
            volumes, noise, masks, blended, records, strict=True
        )
    )


def require_gate(info: WeightsInfo) -> EmptySliceGate:
    """The gate for empty slices that was fitted for these weights.

    Raises:
        ConfigError: there is none.
        WeightsError: its manifest cannot be read.
    """
    gate = find_gate(info)
    if gate is None:
        raise ConfigError(
            "Slices without infection cannot be recognised with these weights",
            got=f"no gate for {info.weights_id}",
            expected="one in weights/ that was fitted for them",
            next_step="run without it, or fit one with 'python -m core train-classifier "
            "--empty-slices'",
        )
    return gate


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
    probabilities: Probabilities,
    frames: Probabilities | None,
    record: SpatialRecord,
    config: SegmentConfig,
    gate: EmptySliceGate | None,
) -> Probabilities:
    """Probabilities of one volume with its neighbouring slices, air that is no lung and its empty
    slices taken into account.

    Args:
        frames: the network's input; none where its greys do not tell what is air.
    """
    if not _is_of_pictures(volume):  # which may be of anything, in any order
        probabilities = blend_neighbours(probabilities, config.postprocess.neighbour_share)
        if frames is not None:
            probabilities = clear_open_air(probabilities, frames, record)
            probabilities = clear_outside_body(probabilities, frames, record)
            probabilities = clear_gas(probabilities, frames)
    return probabilities if gate is None else gate.clear(probabilities)


def _restore(
    blended: Sequence[Probabilities],
    records: Sequence[SpatialRecord],
    config: SegmentConfig,
    clock: _StepClock,
    on_progress: OnProgress,
    should_cancel: ShouldCancel,
) -> list[MaskPair]:
    """Cleaned masks of each volume on its own grid."""
    lungs = [clean_lung(own[0], config.postprocess) for own in blended]
    clock.end("postprocess")
    total = sum(map(len, lungs))
    done = 0
    masks = []
    for lung, own, record in zip(lungs, blended, records, strict=True):
        masks.append(
            restore_cleaned(
                lung,
                own[1],
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


def _smooth_noisy(
    volumes: Sequence[Volume], frames: Probabilities, preprocess: PreprocessConfig
) -> list[float]:
    """Smooths the frames of noisy scans in place; the noise of each in HU, nan where the scale is
    not known."""
    found = []
    for volume, (start, stop) in zip(volumes, _slice_ranges(volumes), strict=True):
        noise_hu = float("nan")
        if volume.unit == "HU" and not _is_of_pictures(volume) and _shows_air(preprocess):
            noise_hu = measure_noise(frames[start:stop], preprocess)
            if noise_hu > LIMIT_HU:
                frames[start:stop] = smooth_noise(frames[start:stop], noise_hu, preprocess)
        found.append(noise_hu)
    return found


def _scan_facts(volume: Volume, noise_hu: float) -> ScanFacts | None:
    if _is_of_pictures(volume):
        return None
    return ScanFacts(
        step_mm=None if volume.spacing_nominal else volume.spacing_mm[2], noise_hu=noise_hu
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
