"""Batches for training, balanced by set and by class."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from core.classification.learning.augment import AugmentConfig, augment
from core.classification.learning.pack import Pictures


class PictureBatches(keras.utils.PyDataset):
    """Augmented frames (n, rows, columns, 3) in [0, 1] with labels (n, 1), softened where two
    frames are mixed.

    Every set has the same share of a batch, and in it every class, however many pictures it has.
    A batch depends on its number and the seed alone.
    """

    def __init__(
        self,
        pictures: Pictures,
        config: AugmentConfig,
        *,
        batch_size: int,
        steps: int,
        seed: int,
        soft: npt.NDArray[np.float64] | None = None,
        workers: int = 1,
    ) -> None:
        """Args:
        steps: batches of an epoch.
        soft: (n,) probabilities to learn in place of the labels.
        """
        super().__init__(workers=workers, use_multiprocessing=False, max_queue_size=8)
        self._pictures, self._config = pictures, config
        self._batch_size, self._steps, self._seed = batch_size, steps, seed
        self._targets = (pictures.labels if soft is None else soft).astype(np.float32)
        of_class = (
            np.flatnonzero((pictures.sources == source) & (pictures.labels == label))
            for source in sorted(set(pictures.sources.tolist()))
            for label in (0, 1)
        )
        self._cells = [cell for cell in of_class if len(cell)]
        self._epoch = 0

    def __len__(self) -> int:
        return self._steps

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        generator = np.random.default_rng((self._seed, self._epoch, index))
        chosen = self._choose(generator)
        frames = np.stack(
            [augment(self._pictures.frames[n], self._config, generator) for n in chosen]
        )
        targets = self._targets[chosen][:, None]
        if self._config.mixup > 0:
            alpha = self._config.mixup
            share = generator.beta(alpha, alpha, len(chosen)).astype(np.float32)
            share = np.maximum(share, 1 - share)
            share[generator.random(len(chosen)) < 0.5] = 1
            partner = generator.permutation(len(chosen))
            part = share[:, None, None, None]
            frames = part * frames + (1 - part) * frames[partner]
            targets = share[:, None] * targets + (1 - share[:, None]) * targets[partner]
        return frames, targets

    def on_epoch_end(self) -> None:
        """Draws other pictures and other variations in the next epoch."""
        self._epoch += 1

    def _choose(self, generator: np.random.Generator) -> npt.NDArray[np.int64]:
        cells = [self._cells[n % len(self._cells)] for n in range(self._batch_size)]
        return np.array([cell[generator.integers(len(cell))] for cell in cells])
