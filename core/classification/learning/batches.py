"""Batches for training, balanced by set and by class."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from core.classification.learning.lower import LowerFeatures
from core.classification.learning.pack import Pictures


class PictureBatches(keras.utils.PyDataset):
    """What the upper stages are shown, with labels (n, 1), softened where two pictures are mixed.

    Every set has the same share of a batch, and in it every class, however many pictures it has.
    Two pictures are mixed behind the lower stages (manifold mixup, Verma et al. 2019). A batch
    depends on its number and the seed alone.
    """

    def __init__(
        self,
        features: LowerFeatures,
        pictures: Pictures,
        kept: npt.NDArray[np.bool_],
        *,
        mixup: float,
        batch_size: int,
        steps: int,
        seed: int,
    ) -> None:
        """Args:
        kept: (n,) pictures to learn from.
        mixup: parameter of the Beta distribution; 0 mixes nothing.
        steps: batches of an epoch.
        """
        super().__init__()
        self._features, self._mixup = features, mixup
        self._batch_size, self._steps, self._seed = batch_size, steps, seed
        self._labels = pictures.labels[features.picture].astype(np.float32)
        own, sources = kept[features.picture], pictures.sources[features.picture]
        of_class = (
            np.flatnonzero(own & (sources == source) & (self._labels == label))
            for source in sorted(set(pictures.sources.tolist()))
            for label in (0, 1)
        )
        self._classes = [rows for rows in of_class if len(rows)]
        self._epoch = 0

    def __len__(self) -> int:
        return self._steps

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        generator = np.random.default_rng((self._seed, self._epoch, index))
        chosen = self._choose(generator)
        inputs, targets = self._features.inputs(chosen), self._labels[chosen][:, None]
        if self._mixup > 0:
            share = generator.beta(self._mixup, self._mixup, len(chosen)).astype(np.float32)
            share = np.maximum(share, 1 - share)
            share[generator.random(len(chosen)) < 0.5] = 1
            partner = generator.permutation(len(chosen))
            part = share[:, None, None, None]
            inputs = tuple(part * one + (1 - part) * one[partner] for one in inputs)
            targets = share[:, None] * targets + (1 - share[:, None]) * targets[partner]
        return inputs, targets

    def on_epoch_end(self) -> None:
        """Draws other pictures in the next epoch."""
        self._epoch += 1

    def _choose(self, generator: np.random.Generator) -> npt.NDArray[np.int64]:
        rows = [self._classes[n % len(self._classes)] for n in range(self._batch_size)]
        return np.array([own[generator.integers(len(own))] for own in rows])
