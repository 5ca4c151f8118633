"""By how many quarter turns pictures must be turned to stand upright, as the network sees it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.config import SegmentConfig
from core.preprocessing import build_model_input, plan_spatial, uprightness
from core.segmentation.engines import Engine
from core.system import ShouldCancel, never_cancel
from core.volume import Volume

_STORED_BONUS = 0.5
"""By so much another position must look more upright: more pictures are stored upright than not."""
_MAX_SLICES = 6
_AT_ONCE = 32
"""Pictures in one call: their slices in four positions are held in memory together."""


def find_quarter_turns(
    volumes: Sequence[Volume], segmenter: Engine, *, should_cancel: ShouldCancel = never_cancel
) -> tuple[int, ...]:
    """How often each volume must be turned clockwise by 90°; 0 for all but pictures.

    Pictures carry no orientation, and some public sets lie on their side. Up to six slices of
    each are shown to the network in all four positions, many pictures in one call. The position
    that looks most upright wins, unless the stored one looks nearly so.

    Raises:
        Cancelled: the person asked to stop.
    """
    turns = [0] * len(volumes)
    pictures = [n for n, volume in enumerate(volumes) if volume.source.format == "pictures"]
    for start in range(0, len(pictures), _AT_ONCE):
        group = pictures[start : start + _AT_ONCE]
        found = _best_turns([volumes[n] for n in group], segmenter, should_cancel)
        for n, best in zip(group, found, strict=True):
            turns[n] = best
    return tuple(turns)


def _best_turns(
    pictures: Sequence[Volume], segmenter: Engine, should_cancel: ShouldCancel
) -> list[int]:
    positions = [
        build_model_input(
            volume,
            plan_spatial(volume, segmenter.preprocess, quarter_turns=turns),
            segmenter.preprocess,
            _sample(volume.shape[2]),
        )
        for volume in pictures
        for turns in range(4)
    ]
    lung = segmenter.predict(
        np.concatenate(positions),
        batch_size=SegmentConfig().batch_size,
        should_cancel=should_cancel,
    ).pixels[0]
    ends = np.cumsum([len(frames) for frames in positions])[:-1]
    scores = np.array(list(map(uprightness, positions, np.split(lung, ends)))).reshape(-1, 4)
    scores[:, 0] += _STORED_BONUS
    return [int(best) for best in scores.argmax(axis=1)]


def _sample(count: int) -> list[int]:
    """Some slices of all, evenly spaced."""
    evenly = np.linspace(0, count - 1, min(count, _MAX_SLICES))
    return [int(k) for k in np.unique(evenly.round())]
