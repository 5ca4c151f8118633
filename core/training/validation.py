"""How a network under training is validated after each epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

import keras
import numpy as np
import numpy.typing as npt

from core.config import CHANNELS
from core.evaluation import Overlap, compute_overlap
from core.training.scans import TrainingScan


def validate(
    model: keras.Model,
    scans: Sequence[TrainingScan],
    *,
    batch_size: int,
    infection_threshold: float = 0.5,
) -> dict[str, float]:
    """Measurements on the network's grid, without clean-up; lung at threshold 0.5.

    Overlaps of cases are of the volume, then the mean over scans. Shares are infected over lung
    pixels as predicted, over all slices of a kind.
    """
    overlaps: dict[str, list[Overlap]] = {channel: [] for channel in CHANNELS}
    picture_dice: list[float] = []
    marked: dict[str, list[int]] = {"negative": [0, 0], "healthy": [0, 0]}
    for scan in scans:
        lung, infection = predict_masks(
            model, scan.images, batch_size=batch_size, infection_threshold=infection_threshold
        )
        if scan.role == "case" and scan.lung is not None:
            overlaps["lung"].append(compute_overlap(scan.lung > 0, lung))
            overlaps["infection"].append(compute_overlap(scan.infection > 0, infection))
        elif scan.role == "picture":
            picture_dice.append(compute_overlap(scan.infection > 0, infection).dice)
        elif scan.role in marked:
            marked[scan.role][0] += int((infection & lung).sum())
            marked[scan.role][1] += int(lung.sum())
    return {
        **{
            f"{channel}_{measure.name}": _mean([getattr(found, measure.name) for found in cases])
            for channel, cases in overlaps.items()
            for measure in fields(Overlap)
        },
        "picture_infection_dice": _mean(picture_dice),
        "negative_share": _share(marked["negative"]),
        "healthy_share": _share(marked["healthy"]),
    }


def predict_masks(
    model: keras.Model,
    images: npt.NDArray[np.uint8],
    *,
    batch_size: int,
    infection_threshold: float,
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Lung and infection of images (n, rows, columns) uint8, each of that shape."""
    parts = []
    for start in range(0, len(images), batch_size):
        batch = images[start : start + batch_size]
        count = len(batch)
        if count < batch_size:  # one shape only, so that the network is traced once
            batch = np.concatenate([batch, np.zeros_like(images[:1]).repeat(batch_size - count, 0)])
        scaled = batch[..., None].astype(np.float32) / 255.0
        parts.append(np.asarray(model.predict_on_batch(scaled))[:count])
    probabilities = np.concatenate(parts)
    return probabilities[..., 0] >= 0.5, probabilities[..., 1] >= infection_threshold


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def _share(counts: Sequence[int]) -> float:
    return counts[0] / counts[1] if counts[1] else float("nan")
