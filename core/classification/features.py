"""From the encoder's maps to one row of features per slice.

At every level of the encoder and for every filter: mean and standard deviation over the slice,
over its lung, and the mean over what is marked as infected. The first two are what global
pooling gives; the others are pooling with the predicted masks as weights, so that they describe
the lung however the picture was cropped.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

Map = npt.NDArray[np.float32]
Row = npt.NDArray[np.float32]

GLOBAL_STATISTICS = ("mean", "deviation")
MASK_STATISTICS = ("lung_mean", "lung_deviation", "infection_mean")
_LEAST_WEIGHT = 4.0
"""Weight, in pixels of a level, of the slice's own statistics in those of a mask."""


def pool_features(maps: Sequence[Map], masks: npt.NDArray[np.uint8] | None) -> Row:
    """One row of features.

    Args:
        maps: (filters, height, width) of each level, finest first.
        masks: (side, side, 2) probabilities of lung and infection times 255; none leaves their
            statistics out.
    """
    row: list[Row] = []
    for level in maps:
        filters, height, width = level.shape
        flat = level.reshape(filters, -1)
        mean = flat.mean(axis=1)
        squares = np.einsum("fp,fp->f", flat, flat) / np.float32(flat.shape[1])
        row += [mean, _deviation(mean, squares)]
        if masks is None:
            continue
        lung, infection = _weights(masks, (width, height))
        lung_mean = _weighted(flat, lung, mean)
        lung_squares = _weighted(flat * flat, lung, squares)
        row += [
            lung_mean,
            _deviation(lung_mean, lung_squares),
            _weighted(flat, infection, lung_mean),
        ]
    if masks is not None:
        row.append(mask_statistics(masks))
    return np.concatenate(row).astype(np.float32)


def mask_statistics(masks: npt.NDArray[np.uint8]) -> Row:
    """Share of the picture that is lung, shares of the lung that are infected at three levels of
    certainty, and the difference between the two halves."""
    lung = masks[..., 0].astype(np.float32) / np.float32(255)
    infected = lung * (masks[..., 1].astype(np.float32) / np.float32(255))
    total = lung.sum() + np.float32(1)
    half = masks.shape[1] // 2
    left = infected[:, :half].sum() / (lung[:, :half].sum() + np.float32(1))
    right = infected[:, half:].sum() / (lung[:, half:].sum() + np.float32(1))
    shares = [infected.sum() / total] + [
        (infected >= level).sum(dtype=np.float32) / total for level in (0.25, 0.75)
    ]
    return np.array([lung.mean(), *np.sqrt(shares), np.sqrt(abs(left - right))], dtype=np.float32)


def global_columns(filters: Sequence[int]) -> npt.NDArray[np.int64]:
    """Columns of rows with masks that rows without masks hold, in their order."""
    statistics = len(GLOBAL_STATISTICS) + len(MASK_STATISTICS)
    starts = statistics * np.concatenate([[0], np.cumsum(filters)[:-1]])
    return np.concatenate(
        [
            np.arange(start, start + len(GLOBAL_STATISTICS) * count)
            for start, count in zip(starts, filters, strict=True)
        ]
    ).astype(np.int64)


def bottom_mean_weights(
    weights: npt.NDArray[np.float64], filters: Sequence[int], *, with_masks: bool
) -> npt.NDArray[np.float64]:
    """Weights of a linear head on the means of the coarsest level's filters: (filters,).

    The gradient of a deviation, averaged over the map, is zero, and that of a weighted mean is
    its weight over the number of pixels, whatever the mask. So this is, but for a factor, the
    averaged gradient of Grad-CAM.
    """
    statistics = len(GLOBAL_STATISTICS) + (len(MASK_STATISTICS) if with_masks else 0)
    start = statistics * sum(filters[:-1])
    bottom = filters[-1]
    own = weights[start : start + statistics * bottom].reshape(statistics, bottom)
    means = own[[0, 2, 4]] if with_masks else own[[0]]
    summed: npt.NDArray[np.float64] = means.sum(axis=0)
    return summed


def _weights(masks: npt.NDArray[np.uint8], size: tuple[int, int]) -> tuple[Map, Map]:
    small = cv2.resize(masks, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    small *= np.float32(1 / 255)
    lung = small[..., 0].ravel()
    return lung, small[..., 1].ravel() * lung


def _weighted(flat: Map, weights: Map, usual: Row) -> Row:
    least = np.float32(_LEAST_WEIGHT)
    pooled: Row = (flat @ weights + least * usual) / (weights.sum() + least)
    return pooled


def _deviation(mean: Row, squares: Row) -> Row:
    deviation: Row = np.sqrt(np.maximum(squares - mean * mean, np.float32(0)))
    return deviation
