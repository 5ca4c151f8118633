"""How a network under training is validated after each epoch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from itertools import islice

import keras
import numpy as np
import numpy.typing as npt

from core.config import CHANNELS
from core.evaluation import Overlap, compute_overlap
from core.training.scans import TrainingScan

Masks = tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]


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
    predicted = predict_scans(
        model, scans, batch_size=batch_size, infection_threshold=infection_threshold
    )
    for scan, (lung, infection) in zip(scans, predicted, strict=True):
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


def predict_scans(
    model: keras.Model,
    scans: Sequence[TrainingScan],
    *,
    batch_size: int,
    infection_threshold: float,
) -> Iterator[Masks]:
    """Lung and infection of each scan, both (slices, rows, columns).

    A batch goes on from one scan to the next: a picture alone would otherwise cost a whole batch.
    """
    slices = (image for scan in scans for image in scan.images)
    predicted = _predict_slices(
        model, slices, batch_size=batch_size, infection_threshold=infection_threshold
    )
    for scan in scans:
        lung, infection = zip(*islice(predicted, len(scan.images)), strict=True)
        yield np.stack(lung), np.stack(infection)


def predict_masks(
    model: keras.Model,
    images: npt.NDArray[np.uint8],
    *,
    batch_size: int,
    infection_threshold: float,
) -> Masks:
    """Lung and infection of images (n, rows, columns) uint8, each of that shape; n at least 1."""
    predicted = _predict_slices(
        model, images, batch_size=batch_size, infection_threshold=infection_threshold
    )
    lung, infection = zip(*predicted, strict=True)
    return np.stack(lung), np.stack(infection)


def _predict_slices(
    model: keras.Model,
    slices: Iterable[npt.NDArray[np.uint8]],
    *,
    batch_size: int,
    infection_threshold: float,
) -> Iterator[Masks]:
    """Lung and infection of each slice (rows, columns) uint8, each of that shape."""
    left = iter(slices)
    while chosen := list(islice(left, batch_size)):
        batch = np.zeros((batch_size, *chosen[0].shape, 1), dtype=np.float32)
        # One shape only, the last batch filled up, so that the network is traced once.
        batch[: len(chosen), ..., 0] = np.stack(chosen).astype(np.float32) / 255.0
        probabilities = np.asarray(model.predict_on_batch(batch))[: len(chosen)]
        yield from zip(
            probabilities[..., 0] >= 0.5, probabilities[..., 1] >= infection_threshold, strict=True
        )


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def _share(counts: Sequence[int]) -> float:
    return counts[0] / counts[1] if counts[1] else float("nan")
