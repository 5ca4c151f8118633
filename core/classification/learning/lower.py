"""What the lower, unchanged stages of the network give for every picture and its variations.

They are computed once, so that training the upper stages takes minutes on two cores.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from core.classification.classifier import Network
from core.classification.config import CELL
from core.classification.frames import Frames
from core.classification.learning.augment import VariationConfig, augment
from core.classification.learning.pack import Pictures
from core.classification.pooling import mask_cells
from core.system import OnProgress, ignore_progress

_CHUNK = 256


@dataclass(frozen=True, eq=False)
class LowerFeatures:
    """Of n variations of pictures.

    Attributes:
        picture: (n,) number of the picture.
        lower: (n, height, width, filters) float16.
        small: (n, height, width, 3) float16: grey, lung, infection.
        cells: (n, rows, columns, 2) float16: lung and infected lung.
    """

    picture: npt.NDArray[np.int64]
    lower: npt.NDArray[np.float16]
    small: npt.NDArray[np.float16]
    cells: npt.NDArray[np.float16]

    def inputs(self, chosen: Any) -> tuple[Any, Any, Any]:
        """What the upper stages are shown of some of them, float32."""
        return (
            self.lower[chosen].astype(np.float32),
            self.small[chosen].astype(np.float32),
            self.cells[chosen].astype(np.float32),
        )


def compute_lower(
    pictures: Pictures,
    network: Network,
    *,
    channels: int,
    counts: Sequence[int],
    config: VariationConfig,
    seed: int,
    on_progress: OnProgress = ignore_progress,
) -> LowerFeatures:
    """Runs the lower stages on variations of every picture.

    Args:
        network: gives the maps of `core.classification.network.lower_maps`.
        channels: of its input.
        counts: (n,) variations of each picture; 0 stands for the picture as it is.
    """
    number = np.repeat(np.arange(len(counts)), np.maximum(counts, 1))
    found: list[tuple[Any, ...]] = []
    for start in range(0, len(number), _CHUNK):
        on_progress("varying pictures", start, len(number))
        part = number[start : start + _CHUNK]
        frames = np.empty((len(part), *pictures.frames.shape[1:]), dtype=np.uint8)
        for place, n in enumerate(part.tolist()):
            frames[place] = pictures.frames[n]
            if counts[n]:
                generator = np.random.default_rng((seed, start + place))
                varied = augment(pictures.frames[n], config, generator)
                frames[place] = np.rint(varied * 255)
        found.append(_lower_of(frames, network, channels))
    lower, small, cells = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return LowerFeatures(number, lower, small, cells)


def _lower_of(frames: Frames, network: Network, channels: int) -> tuple[Any, Any, Any]:
    shown = np.ascontiguousarray(frames[..., :channels])
    lower = np.stack(
        [np.moveaxis(maps[0], 0, -1).astype(np.float16) for maps in network.maps(shown)]
    )
    rows, columns = lower.shape[1:3]
    small = [
        cv2.resize(frame, (columns, rows), interpolation=cv2.INTER_AREA) / np.float32(255)
        for frame in frames
    ]
    shape = (frames.shape[1] // CELL, frames.shape[2] // CELL)
    cells = [np.stack(mask_cells(frame[..., 1:], shape), axis=-1) for frame in frames]
    return lower, np.stack(small).astype(np.float16), np.stack(cells).astype(np.float16)
