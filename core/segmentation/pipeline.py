"""The one path from a scan to masks, for the app, the command line and the tests."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np

from core.config import (
    EngineName,
    PostprocessConfig,
    PreprocessConfig,
    SegmentConfig,
)
from core.errors import ConfigError, LungLensError
from core.measuring.quality import slice_ranges
from core.preprocessing import SpatialRecord, build_model_input, plan_spatial, uprightness
from core.segmentation.empty_slices import EmptySliceGate, find_gate
from core.segmentation.engines import Engine, default_engine, load_engine
from core.segmentation.postprocess import (
    Probabilities,
    blend_neighbours,
    clean_lung,
    clear_open_air,
    restore_cleaned,
    restore_masks,
)
from core.segmentation.weights import WeightsInfo, find_weights
from core.system import OnProgress, ShouldCancel, ignore_progress, never_cancel, raise_if_cancelled
from core.volume import MaskPair, Volume, turn_masks, turn_volume

_loading = threading.Lock()
_segmenters: dict[tuple[str, str, str], Engine] = {}
_MAX_SEGMENTERS = 2
_PREPROCESS_CHUNK = 16
_STORED_BONUS = 0.01
"""By so much another position must look more upright: more pictures are stored upright than not."""
_MAX_TURN_SLICES = 6


@dataclass(frozen=True, eq=False)
class Segmentation:
    """What the network said of a scan, and how it came to it.

    `probabilities` (2, n, rows, columns) uint8 on the network's grid, neighbours blended in, are
    kept, small as they are, so that thresholds can move without another run.
    """

    masks: MaskPair
    probabilities: Probabilities
    record: SpatialRecord
    quarter_turns: int
    seconds: dict[str, float]
    device: str
    weights_id: str
    config: SegmentConfig
    warnings: tuple[str, ...] = ()


def load_segmenter(weights_id: str | None = None, *, engine: EngineName | None = None) -> Engine:
    """The trained network of that id, or the default one, loaded and warmed once per process.

    Args:
        engine: what computes it; none takes what the environment asks for, else what is fastest.

    Raises:
        WeightsError: weights are missing, damaged or unknown.
        ConfigError: the engine asked for is not installed.
        EngineUnfit: the engine asked for does not start here, or cannot run this network.
    """
    info = find_weights(weights_id)
    engine = engine or default_engine()
    with _loading:
        key = (str(info.folder), info.sha256, engine)
        if key not in _segmenters:
            with _quiet_start_up():
                segmenter = load_engine(info, engine)
                segmenter.warm_up(SegmentConfig().batch_size)
            while len(_segmenters) >= _MAX_SEGMENTERS:
                del _segmenters[next(iter(_segmenters))]
            _segmenters[key] = segmenter
        return _segmenters[key]


@contextmanager
def _quiet_start_up() -> Iterator[None]:
    """Sends what TensorFlow's native code writes to standard error while it starts to nowhere.

    On every machine without a GPU that is a dozen alarming lines, written before any of its own
    settings is read. They are shown after all if a bug stops it, and with `LUNGLENS_VERBOSE=1`.
    """
    try:
        kept = os.dup(2)
    except OSError:  # no standard error at all, as in a windowed Python
        yield
        return
    with tempfile.TemporaryFile() as written:
        os.dup2(written.fileno(), 2)
        failed = True
        try:
            yield
            failed = False
        except LungLensError:  # told in a sentence, which needs no notes beside it
            failed = False
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            if failed or os.environ.get("LUNGLENS_VERBOSE"):
                written.seek(0)
                os.write(2, written.read())


def segment_volume(
    volume: Volume,
    segmenter: Engine,
    *,
    config: SegmentConfig | None = None,
    on_progress: OnProgress = ignore_progress,
    should_cancel: ShouldCancel = never_cancel,
) -> Segmentation:
    """Marks lung and infection in a scan.

    Args:
        volume: any loaded scan.
        segmenter: of `load_segmenter`.
        config: batch size, pre- and post-processing; none takes those the weights were judged
            with.
        on_progress: told "preparing slices", "marking slices" and "restoring masks".
        should_cancel: asked between batches.

    Returns:
        Masks on the canonical grid of `volume`.

    Raises:
        Cancelled: the person asked to stop.
        ConfigError: empty slices are to be cleared and no gate was fitted for these weights.
    """
    if config is None:
        config = SegmentConfig(
            weights_id=segmenter.weights_id, postprocess=segmenter.info.postprocess
        )
    seconds: dict[str, float] = {}
    turns = 0
    upright = volume
    started = time.perf_counter()
    if volume.source.format == "pictures" and config.turn_pictures:
        turns = find_quarter_turns(volume, segmenter)
        upright = turn_volume(volume, turns)
        seconds["turn"] = time.perf_counter() - started
    started = time.perf_counter()
    preprocess = config.preprocess or segmenter.preprocess
    record = plan_spatial(upright, preprocess)
    frames = _prepare(upright, record, preprocess, on_progress, should_cancel)
    seconds["preprocess"] = time.perf_counter() - started
    started = time.perf_counter()
    probabilities = segmenter.predict(
        frames, batch_size=config.batch_size, on_progress=on_progress, should_cancel=should_cancel
    )
    seconds["predict"] = time.perf_counter() - started
    started = time.perf_counter()
    if volume.source.format != "pictures":  # which may be of anything, in any order
        probabilities = blend_neighbours(probabilities, config.postprocess.neighbour_share)
        probabilities = clear_open_air(probabilities, frames, record)
    if config.clear_empty:
        probabilities = require_gate(segmenter.info).clear(probabilities)
    lung_probability = clean_lung(probabilities[0], config.postprocess)
    seconds["postprocess"] = time.perf_counter() - started
    started = time.perf_counter()
    masks = restore_cleaned(
        lung_probability,
        probabilities[1],
        record,
        config.postprocess,
        on_progress=on_progress,
        should_cancel=should_cancel,
    )
    seconds["restore"] = time.perf_counter() - started
    return Segmentation(
        masks=turn_masks(masks, -turns),
        probabilities=probabilities,
        record=record,
        quarter_turns=turns,
        seconds=seconds,
        device=segmenter.device,
        weights_id=segmenter.weights_id,
        config=config,
        warnings=_result_warnings(masks, turns, record),
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
            "Slices without infection cannot be told with these weights",
            got=f"no gate for {info.weights_id}",
            expected="one in weights/ that was fitted for them",
            next_step="run without it, or fit one with 'python -m core train-classifier "
            "--empty-slices'",
        )
    return gate


def apply_thresholds(segmentation: Segmentation, postprocess: PostprocessConfig) -> Segmentation:
    """The same run with other thresholds or clean-up; the network is not asked again."""
    if postprocess == segmentation.config.postprocess:
        return segmentation
    masks = restore_masks(segmentation.probabilities, segmentation.record, postprocess)
    return replace(
        segmentation,
        masks=turn_masks(masks, -segmentation.quarter_turns),
        config=replace(segmentation.config, postprocess=postprocess),
        warnings=_result_warnings(masks, segmentation.quarter_turns, segmentation.record),
    )


def find_quarter_turns(volume: Volume, segmenter: Engine) -> int:
    """How often pictures must be turned clockwise by 90° to stand upright, as the network sees it.

    Pictures carry no orientation, and some public sets lie on their side. Up to six slices are
    shown to the network in all four positions; the one that looks most upright wins, unless the
    stored position looks nearly so.
    """
    count = volume.shape[2]
    chosen = np.unique(np.linspace(0, count - 1, min(count, _MAX_TURN_SLICES)).round().astype(int))
    positions = []
    for turns in range(4):
        turned = turn_volume(volume, turns)
        record = plan_spatial(turned, segmenter.preprocess)
        positions.append(build_model_input(turned, record, segmenter.preprocess, chosen))
    frames = np.concatenate(positions)
    lung = segmenter.predict(frames, batch_size=SegmentConfig().batch_size)[0]
    scores = list(map(uprightness, positions, np.split(lung, 4)))
    scores[0] += _STORED_BONUS
    return int(np.argmax(scores))


def _prepare(
    volume: Volume,
    record: SpatialRecord,
    preprocess: PreprocessConfig,
    on_progress: OnProgress,
    should_cancel: ShouldCancel,
) -> Probabilities:
    count = volume.shape[2]
    frames = np.empty((count, record.rows, record.columns), dtype=np.uint8)
    for start in range(0, count, _PREPROCESS_CHUNK):
        raise_if_cancelled(should_cancel, "preparing slices")
        stop = min(start + _PREPROCESS_CHUNK, count)
        frames[start:stop] = build_model_input(volume, record, preprocess, range(start, stop))
        on_progress("preparing slices", stop, count)
    return frames


def _result_warnings(masks: MaskPair, turns: int, record: SpatialRecord) -> tuple[str, ...]:
    warnings = []
    if turns:
        warnings.append(
            f"The picture seems to lie on its side: it was turned by {90 * turns}° clockwise for "
            "the network, and the masks were turned back."
        )
    if record.stretch is not None:
        off = record.stretch.slices_off
        which, verb = ("Slice", "looks") if len(off) == 1 else ("Slices", "look")
        warnings.append(
            f"{which} {slice_ranges(off)} {verb} darker or brighter throughout than the rest of "
            "the scan, and for the network alone this was adjusted. Figures made of grey values "
            "or HU, also those of the whole scan, are not reliable."
        )
    if masks.lung is not None and not masks.lung.any():
        warnings.append("No lung was found: this may not be an axial chest CT.")
    return tuple(warnings)
