"""From the network's maps of a slice to its logit, its heat and a description of it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from core.classification.config import (
    ATTENTION_BOUND,
    LEAST_LESION_CELLS,
    LEAST_LUNG_CELLS,
    ClassifierModelConfig,
)

Map = npt.NDArray[np.float32]
Row = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class PooledSlice:
    """What the maps of a slice add up to.

    Attributes:
        logit: before calibration.
        evidence: (height, width) what each cell adds to the logit; their sum is the logit.
    """

    logit: float
    evidence: Map


def pool_evidence(
    evidence: Map, masks: npt.NDArray[np.uint8], config: ClassifierModelConfig
) -> PooledSlice:
    """The same as `core.classification.network.build_training_network` computes.

    Args:
        evidence: (2 or 3, height, width): for the lung, for what is marked, attention.
        masks: (rows, columns, 2) probabilities of lung and infection times 255.
    """
    lung, lesion = mask_cells(masks, evidence.shape[1:])
    if not config.pools_masks:
        lung, lesion = np.ones_like(lung), np.zeros_like(lesion)
    weights = lung
    if config.attention:
        bound = np.float32(ATTENTION_BOUND)
        weights = lung * np.exp(bound * np.tanh(evidence[2] / bound))
    added: Map = evidence[0] * weights / (weights.sum() + np.float32(LEAST_LUNG_CELLS))
    added = added + evidence[1] * lesion / (lesion.sum() + np.float32(LEAST_LESION_CELLS))
    return PooledSlice(float(added.sum(dtype=np.float64)), added)


def mask_cells(masks: npt.NDArray[np.uint8], shape: tuple[int, ...]) -> tuple[Map, Map]:
    """Share of each cell (height, width) that is lung, and that is infected lung."""
    both = masks.astype(np.float32) * np.float32(1 / 255)
    both[..., 1] *= both[..., 0]
    cells = np.asarray(
        cv2.resize(both, (shape[1], shape[0]), interpolation=cv2.INTER_AREA), dtype=np.float32
    )
    return cells[..., 0], cells[..., 1]


def describe_slice(features: Map, masks: npt.NDArray[np.uint8]) -> Row:
    """A row that tells what kind of picture this is: mean and deviation of every feature over the
    slice, its mean over the lung, and of the lung its share of the frame and of each quarter.

    Args:
        features: (filters, height, width).
    """
    lung, _ = mask_cells(masks, features.shape[1:])
    flat = features.reshape(len(features), -1)
    weights = lung.ravel() / (lung.sum() + np.float32(LEAST_LUNG_CELLS))
    middle_row, middle_column = lung.shape[0] // 2, lung.shape[1] // 2
    quarters = [
        part.mean()
        for half in (lung[:middle_row], lung[middle_row:])
        for part in (half[:, :middle_column], half[:, middle_column:])
    ]
    surely = (masks[..., 0] >= 232).mean()
    doubtful = ((masks[..., 0] >= 24) & (masks[..., 0] < 232)).mean()
    return np.concatenate(
        [flat.mean(axis=1), flat.std(axis=1), flat @ weights, quarters, [surely, doubtful]]
    ).astype(np.float32)
