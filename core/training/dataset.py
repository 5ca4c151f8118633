"""Batches of augmented training slices."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from core.config import TrainConfig
from core.training.augmentation import augment, build_augmentation
from core.training.losses import UNKNOWN
from core.training.scans import TRAINING_ROLES, TrainingScan


class SliceBatches(keras.utils.PyDataset):
    """Batches of augmented slices; order, extra slices and augmentation are drawn anew every epoch.

    Of the cases all slices come once, or a number of each patient; of the pictures and of the
    negatives a number is drawn. The config sets them; where there are fewer, some come twice.
    Yields images (n, rows, columns, 1) float32 in [0, 1] and truth (n, rows, columns, 2) float32:
    0, 1, or `UNKNOWN` throughout a lung channel that is not known.
    """

    def __init__(
        self,
        scans: Sequence[TrainingScan],
        config: TrainConfig,
        *,
        epoch: int,
        only_full: bool = False,
    ) -> None:
        """
        Args:
            epoch: the first one to draw.
            only_full: fills the last batch with slices of the first, for devices that share each
                batch evenly.
        """
        super().__init__(workers=1, use_multiprocessing=False, max_queue_size=4)
        self._only_full = only_full
        self._scans = tuple(scans)
        self._config = config
        self._start_epoch(epoch)

    def _start_epoch(self, epoch: int) -> None:
        self._epoch = epoch
        seed = self._config.seed * 100_003 + epoch
        generator = np.random.default_rng(seed)
        index: list[tuple[int, int]] = []
        by_role: dict[str, list[tuple[int, int]]] = {role: [] for role in TRAINING_ROLES}
        for number, scan in enumerate(self._scans):
            by_role[scan.role] += [(number, k) for k in range(len(scan.images))]
        index += self._draw_cases(by_role["case"], generator)
        for role, wanted in (
            ("picture", self._config.pictures_per_epoch),
            ("negative", self._config.negatives_per_epoch),
        ):
            pool = by_role[role]
            if pool and wanted:
                drawn = generator.choice(len(pool), wanted, replace=wanted > len(pool))
                index += [pool[n] for n in drawn]
        self._index = [index[n] for n in generator.permutation(len(index))]
        if self._only_full:
            missing = -len(self._index) % self._config.batch_size
            self._index += [self._index[n % len(index)] for n in range(missing)]
        layers_seed = seed % (2**31 - 100)
        self._augmentations = {
            sharp: build_augmentation(self._config.augment, seed=layers_seed, sharp=sharp)
            for sharp in (False, True)
        }
        self._is_sharp = generator.random(len(self)) < self._config.augment.sharp_share

    def _draw_cases(
        self, pool: Sequence[tuple[int, int]], generator: np.random.Generator
    ) -> list[tuple[int, int]]:
        wanted = self._config.slices_per_patient
        if wanted == 0:
            return list(pool)
        patients: dict[str, list[tuple[int, int]]] = {}
        for number, k in pool:
            patients.setdefault(self._scans[number].patient_id, []).append((number, k))
        drawn = []
        for slices in patients.values():
            chosen = generator.choice(len(slices), wanted, replace=wanted > len(slices))
            drawn += [slices[n] for n in chosen]
        return drawn

    def __len__(self) -> int:
        return ceil(len(self._index) / self._config.batch_size)

    def __getitem__(self, number: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        size = self._config.batch_size
        chosen = self._index[number * size : (number + 1) * size]
        images = np.stack([self._scans[s].images[k] for s, k in chosen])[..., None]
        masks = np.zeros((*images.shape[:3], 2), dtype=np.float32)
        for row, (s, k) in enumerate(chosen):
            lung = self._scans[s].lung
            if lung is not None:
                masks[row, ..., 0] = lung[k]
            masks[row, ..., 1] = self._scans[s].infection[k]
        changed, truth = augment(
            self._augmentations[bool(self._is_sharp[number])],
            images.astype(np.float32) / 255.0,
            masks,
        )
        for row, (s, _) in enumerate(chosen):
            if self._scans[s].lung is None:
                truth[row, ..., 0] = UNKNOWN
        return changed, truth

    def on_epoch_end(self) -> None:
        self._start_epoch(self._epoch + 1)
