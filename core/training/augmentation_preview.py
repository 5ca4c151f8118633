"""Preview of augmentation: a few slices as training would use them, with their masks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from core.config import AugmentConfig
from core.training.augmentation import augment, build_augmentation
from core.volume import BoolArray

Slices = npt.NDArray[np.uint8]


def preview_augmentation(
    images: Slices, masks: BoolArray, config: AugmentConfig, *, seed: int
) -> tuple[Slices, BoolArray]:
    """Augments slices as training does, but draws for each slice whether it stays sharp.

    Args:
        images: (n, rows, columns) uint8.
        masks: (n, rows, columns, c).
        seed: same seed, config and slices, same changes.

    Returns:
        Both of the same shapes as given.
    """
    is_sharp = np.random.default_rng(seed).random(len(images)) < config.sharp_share
    changed, moved = np.empty_like(images), np.empty_like(masks)
    for sharp in (False, True):
        chosen = np.flatnonzero(is_sharp == sharp)
        if not len(chosen):
            continue
        scaled, truth = augment(
            build_augmentation(config, seed=seed, sharp=sharp),
            images[chosen, ..., None].astype(np.float32) / np.float32(255.0),
            masks[chosen].astype(np.float32),
        )
        changed[chosen] = np.rint(np.clip(scaled[..., 0], 0.0, 1.0) * 255.0).astype(np.uint8)
        moved[chosen] = truth > 0.5
    return changed, moved
