"""Batches of changed lungs for training."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
import numpy.typing as npt

from core.config import LobeTrainingConfig
from core.segmentation.lobes.grid import network_input
from core.system import cpu_count
from core.training.lobes.deformation import Sample, draw_sample
from core.training.lobes.sources import LabelledLungs

_MOST_WORKERS = 8
_WEIGHT_AROUND = 0.05
"""Outside the lungs, beside 1 inside: rough masks reach there."""

Floats = npt.NDArray[np.float32]


class LobeBatches(keras.utils.PyDataset):
    """Batches drawn anew in every epoch, by seed and epoch alone.

    Gives (n, *grid, 4) of `network_input` and (n, *grid, 2) float32: number of the lobe from 0, and
    how much the point counts.
    """

    def __init__(
        self, lungs: Sequence[LabelledLungs], config: LobeTrainingConfig, *, epoch: int = 0
    ) -> None:
        """
        Args:
            epoch: the first one to draw.
        """
        workers = max(1, min(_MOST_WORKERS, cpu_count() - 1))
        super().__init__(workers=workers, use_multiprocessing=False, max_queue_size=2 * workers)
        self._lungs = lungs
        self._config = config
        self._epoch = epoch

    def __len__(self) -> int:
        return self._config.steps_per_epoch

    def on_epoch_end(self) -> None:
        self._epoch += 1

    def __getitem__(self, number: int) -> tuple[Floats, Floats]:
        generator = np.random.default_rng([self._config.seed, self._epoch, number])
        grid = self._config.network.grid
        chosen = generator.choice(len(self._lungs), self._config.batch_size)
        samples = [draw_sample(self._lungs[at], grid, generator) for at in chosen]
        return (
            np.stack([network_input(sample.mask) for sample in samples]),
            np.stack([truth_of(sample) for sample in samples]),
        )


def truth_of(sample: Sample) -> Floats:
    """(*grid, 2): number of the lobe from 0, and the weight of the point."""
    weight = np.where(sample.lungs | sample.mask, np.float32(1.0), np.float32(_WEIGHT_AROUND))
    return np.stack([sample.lobes.astype(np.float32) - 1, weight], axis=-1)
