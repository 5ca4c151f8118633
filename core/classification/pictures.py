"""Many pictures at once: opened whatever they are, marked in batches, each by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from core.config import SegmentConfig
from core.errors import LoadError
from core.loading import grey_intensity, load_pictures, load_unfit_picture
from core.preprocessing import build_model_input, plan_spatial, uprightness
from core.segmentation import Probabilities, Segmentation, clean_lung, restore_cleaned
from core.segmentation.engines import Engine
from core.volume import Volume, turn_masks, turn_volume, volume_from_file

_CLEARLY_BETTER = 0.02
"""By so much a turned picture must look more upright to be turned."""


@dataclass(frozen=True, eq=False)
class OpenedPicture:
    """A picture as a volume of one slice, and what is wrong with it as a CT slice."""

    volume: Volume
    complaint: str = ""


def open_picture(path: Path) -> OpenedPicture:
    """A picture for classification. One that can be read but is no CT slice (colour, one grey
    level, several pages, tiny) comes with a complaint instead of an error.

    Raises:
        LoadError: it cannot be read at all.
    """
    try:
        return OpenedPicture(load_pictures([path]))
    except LoadError as error:
        grey = load_unfit_picture(path)
        if grey is None:
            raise
        volume = volume_from_file(
            np.asfortranarray(grey.T[:, :, None]),
            np.diag([-1.0, -1.0, 1.0, 1.0]),
            intensity=grey_intensity(),
            name=path.stem,
            format="pictures",
            spacing_nominal=True,
        )
        return OpenedPicture(volume, complaint=str(error))


def segment_pictures(
    volumes: Sequence[Volume], segmenter: Engine, *, config: SegmentConfig | None = None
) -> tuple[Segmentation, ...]:
    """Marks lung and infection in pictures, each by itself, all of them in few calls.

    As `segment_volume` does for one, but a picture is turned only if it looks clearly more
    upright then: most pictures are stored upright.
    """
    if config is None:
        config = SegmentConfig(
            weights_id=segmenter.weights_id, postprocess=segmenter.info.postprocess
        )
    turns = [0] * len(volumes)
    frames, found = _predict(volumes, segmenter, config)
    upright = [uprightness(frames[n : n + 1], found[0, n : n + 1]) for n in range(len(volumes))]
    best = [score + _CLEARLY_BETTER for score in upright]
    for turn in (1, 2, 3):
        turned_frames, turned = _predict(
            [turn_volume(volume, turn) for volume in volumes], segmenter, config
        )
        for n in range(len(volumes)):
            score = uprightness(turned_frames[n : n + 1], turned[0, n : n + 1])
            if score > best[n]:
                best[n], turns[n] = score, turn
                found[:, n] = turned[:, n]
    return tuple(
        _finish(volume, found[:, n : n + 1], turns[n], segmenter, config)
        for n, volume in enumerate(volumes)
    )


def _predict(
    volumes: Sequence[Volume], segmenter: Engine, config: SegmentConfig
) -> tuple[Probabilities, Probabilities]:
    preprocess = config.preprocess or segmenter.preprocess
    frames = np.zeros((len(volumes), preprocess.rows, preprocess.columns), dtype=np.uint8)
    for frame, volume in zip(frames, volumes, strict=True):
        frame[...] = build_model_input(volume, plan_spatial(volume, preprocess), preprocess, [0])[0]
    if not len(volumes):
        return frames, np.zeros((2, *frames.shape), dtype=np.uint8)
    return frames, segmenter.predict(frames, batch_size=config.batch_size)


def _finish(
    volume: Volume,
    probabilities: Probabilities,
    turns: int,
    segmenter: Engine,
    config: SegmentConfig,
) -> Segmentation:
    record = plan_spatial(turn_volume(volume, turns), config.preprocess or segmenter.preprocess)
    masks = restore_cleaned(
        clean_lung(probabilities[0], config.postprocess),
        probabilities[1],
        record,
        config.postprocess,
    )
    return Segmentation(
        masks=turn_masks(masks, -turns),
        probabilities=probabilities,
        record=record,
        quarter_turns=turns,
        seconds={},
        device=segmenter.device,
        weights_id=segmenter.weights_id,
        config=replace(config, weights_id=segmenter.weights_id),
    )
