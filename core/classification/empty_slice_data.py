"""Slices to fit and validate the gate for empty slices with: predictions beside the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import cv2
import numpy as np
import numpy.typing as npt

from core.classification.grey_baseline import grey_statistics
from core.config import PostprocessConfig
from core.segmentation import Probabilities, blend_neighbours, probability_level, slice_shares
from core.segmentation.engines import Engine
from core.system import OnProgress
from core.training.scans import TrainingScan

_ERASED_MARGIN = 9
"""Side of the square, in pixels, that true infection is dilated with before it is erased."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class GateSlices:
    """Slices of one side of a split.

    Attributes:
        shares: (n, 6) of `slice_shares`; erased: the same after true infection and its
            surroundings were removed from the infection's probability.
        infected: (n,) truly infected share of the lung.
        marked: (n,) share of the predicted lung that is predicted as infected.
        overlap, marked_pixels, true_pixels: (n,) infected pixels in prediction and truth, in the
            prediction, in the truth.
        roles, scans: (n,) text; grey: (n, 23) of the grey-statistics baseline.
    """

    shares: Floats
    erased: Floats
    infected: Floats
    marked: Floats
    overlap: Floats
    marked_pixels: Floats
    true_pixels: Floats
    roles: npt.NDArray[np.str_]
    scans: npt.NDArray[np.str_]
    grey: npt.NDArray[np.float32]


def join_slices(parts: Sequence[GateSlices]) -> GateSlices:
    """One table of slices after another, as one."""
    return GateSlices(
        **{
            part.name: np.concatenate([getattr(one, part.name) for one in parts])
            for part in fields(GateSlices)
        }
    )


def predict_slices(
    scans: Sequence[TrainingScan], segmenter: Engine, on_progress: OnProgress
) -> GateSlices:
    """Segments scans and counts, slice by slice, what was predicted and what is true."""
    post = segmenter.info.postprocess
    shares, erased, counts, roles, names, grey = [], [], [], [], [], []
    for done, scan in enumerate(scans):
        on_progress("segmenting scans", done, len(scans))
        found = segmenter.predict(scan.images, batch_size=8)
        if len(scan.images) > 1:
            found = blend_neighbours(found, post.neighbour_share)
        shares.append(slice_shares(found))
        erased.append(slice_shares(_without_infection(found, scan)))
        counts.append(_counts(found, scan, post))
        roles += [scan.role] * len(scan.images)
        names += [scan.scan_id] * len(scan.images)
        grey.append(grey_statistics(scan.images))
    infected, marked_share, overlap, marked_pixels, true_pixels = np.concatenate(
        counts, axis=1
    ).astype(np.float64)
    return GateSlices(
        shares=np.concatenate(shares),
        erased=np.concatenate(erased),
        infected=infected,
        marked=marked_share,
        overlap=overlap,
        marked_pixels=marked_pixels,
        true_pixels=true_pixels,
        roles=np.array(roles),
        scans=np.array(names),
        grey=np.concatenate(grey),
    )


def _without_infection(found: Probabilities, scan: TrainingScan) -> Probabilities:
    """The probabilities with true infection and its surroundings set to 0."""
    erased = found.copy()
    kernel = np.ones((_ERASED_MARGIN, _ERASED_MARGIN), np.uint8)
    for k, mask in enumerate(scan.infection):
        erased[1, k][cv2.dilate(mask, kernel) > 0] = 0
    return erased


def _counts(
    found: Probabilities, scan: TrainingScan, post: PostprocessConfig
) -> npt.NDArray[np.floating]:
    """(5, n): true and predicted infected share, overlap, predicted and true pixels."""
    lung_level, infection_level = (
        probability_level(level) for level in (post.lung_threshold, post.infection_threshold)
    )
    lung = found[0] >= lung_level
    marked = lung & (found[1] >= infection_level)
    true = scan.infection > 0
    seen = lung | true if scan.lung is None else (scan.lung > 0) | true
    return np.stack(
        [
            true.sum(axis=(1, 2)) / np.maximum(seen.sum(axis=(1, 2)), 1),
            marked.sum(axis=(1, 2)) / np.maximum(lung.sum(axis=(1, 2)), 1),
            (marked & true).sum(axis=(1, 2)),
            marked.sum(axis=(1, 2)),
            true.sum(axis=(1, 2)),
        ]
    )
