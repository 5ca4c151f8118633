"""Batches drawn from sets of very different size, each set by its share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from core.config import CHANNELS, MixtureConfig
from core.errors import DatasetError
from core.segmentation.models import PIXELS, PRESENCE
from core.system import cpu_count
from core.training.losses import UNKNOWN
from core.training.mixture.degradation import degrade
from core.training.mixture.frames import Frame, draw_frame
from core.training.mixture.losses import UNVERIFIED
from core.training.mixture.sources import SOURCES, LabelledScan, SourceName

_MOST_WORKERS = 16
_FEWEST_PIXELS = 12
"""A slice that shows fewer pixels of something neither holds it for sure nor is free of it."""
_CHEST_SOURCES: tuple[SourceName, ...] = ("pictures", "reviewed", "unreviewed")
"""Where no lung is drawn, and yet every slice shows some."""

Floats = npt.NDArray[np.float32]
Truth = dict[str, Floats]


class MixtureBatches(keras.utils.PyDataset):
    """Batches of drawn and degraded frames; every epoch draws anew, by seed and epoch alone.

    Gives images (n, rows, columns, 1) float32 in [0, 1]; truth under `PIXELS` (n, rows, columns,
    channels) with 0, 1, `UNKNOWN` or `UNVERIFIED`, and under `PRESENCE` (n, channels) with 0, 1 or
    `UNKNOWN`.
    """

    def __init__(
        self, scans: Sequence[LabelledScan], config: MixtureConfig, *, epoch: int = 0
    ) -> None:
        """
        Args:
            epoch: the first one to draw.
        """
        # Threads: nearly all of the work is OpenCV's and NumPy's, which let others run meanwhile.
        workers = max(1, min(_MOST_WORKERS, cpu_count() - 1))
        super().__init__(workers=workers, use_multiprocessing=False, max_queue_size=4 * workers)
        self._config = config
        self._epoch = epoch
        pools = {
            source: [scan for scan in scans if scan.source == source]
            for source in SOURCES
            if getattr(config.shares, source) > 0
        }
        self._pools = {source: pool for source, pool in pools.items() if pool}
        if not self._pools:
            raise DatasetError(
                "Nothing is left to learn from",
                got=f"{len(scans)} scans",
                expected="scans of a set with a share above 0",
            )
        shares = np.array([getattr(config.shares, source) for source in self._pools])
        self._shares = shares / shares.sum()

    def __len__(self) -> int:
        return self._config.steps_per_epoch

    def on_epoch_end(self) -> None:
        self._epoch += 1

    def __getitem__(self, number: int) -> tuple[Floats, Truth]:
        generator = np.random.default_rng([self._config.seed, self._epoch, number])
        rows, columns = self._config.preprocess.rows, self._config.preprocess.columns
        count = self._config.batch_size
        images: Floats = np.empty((count, rows, columns, 1), dtype=np.float32)
        pixels: Floats = np.empty((count, rows, columns, len(CHANNELS)), dtype=np.float32)
        presence: Floats = np.empty((count, len(CHANNELS)), dtype=np.float32)
        names = list(self._pools)
        for row, index in enumerate(generator.choice(len(names), count, p=self._shares)):
            scan = self._draw_scan(self._pools[names[index]], generator)
            k = int(generator.integers(len(scan.images)))
            frame = draw_frame(scan, k, rows=rows, columns=columns, generator=generator)
            images[row, ..., 0] = degrade(frame.image, generator)
            pixels[row], presence[row] = truth_of(frame, scan)
        images /= np.float32(255.0)
        truth = {PIXELS: pixels}
        if self._config.model.slice_head:
            truth[PRESENCE] = presence
        return images, truth

    @staticmethod
    def _draw_scan(pool: Sequence[LabelledScan], generator: np.random.Generator) -> LabelledScan:
        """Long scans oftener than short ones, but not in proportion."""
        weights = np.sqrt([len(scan.images) for scan in pool])
        return pool[int(generator.choice(len(pool), p=weights / weights.sum()))]


def truth_of(frame: Frame, scan: LabelledScan) -> tuple[Any, Any]:
    """(rows, columns, channels) and (channels,) float32 of one frame."""
    pixels = np.full((*frame.image.shape, len(CHANNELS)), UNKNOWN, dtype=np.float32)
    presence = np.full(len(CHANNELS), UNKNOWN, dtype=np.float32)
    for channel, mask in enumerate((frame.lung, frame.infection)):
        if mask is None:
            continue
        pixels[..., channel] = mask
        area = int(np.count_nonzero(mask))
        if area == 0 or area >= _FEWEST_PIXELS:
            presence[channel] = float(area > 0)
    if scan.lung is None and scan.source in _CHEST_SOURCES:
        presence[0] = 1.0
    if scan.infection_unverified:
        pixels[..., 1] = UNVERIFIED
        presence[1] = UNKNOWN
    return pixels, presence
