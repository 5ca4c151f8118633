"""Lesions: connected pieces of infection."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from skimage.measure import label

from core.measuring.biomarkers.config import BiomarkerConfig
from core.measuring.biomarkers.sides import bounding_box
from core.system import ShouldCancel, never_cancel, raise_if_cancelled
from core.volume import BoolArray, Volume


@dataclass(frozen=True)
class Lesions:
    """How many lesions there are and how large; sizes are nan where millimetres are not known.

    `small`, `medium` and `large` add up to `count`; `specks` are pieces too small to count.
    """

    count: int
    specks: int
    median_ml: float
    largest_ml: float
    small: float
    medium: float
    large: float


def measure_lesions(
    infection: BoolArray,
    volume: Volume,
    config: BiomarkerConfig,
    *,
    should_cancel: ShouldCancel = never_cancel,
) -> Lesions:
    """Pieces of infection (faces, edges and corners connect), inside the lung or not.

    Raises:
        Cancelled: the person asked to stop.
    """
    nan = float("nan")
    sizes = _piece_sizes(infection, volume.slice_weights, should_cancel)
    if volume.spacing_nominal:
        counted = sizes[sizes >= config.min_lesion_voxels]
        return Lesions(len(counted), len(sizes) - len(counted), nan, nan, nan, nan, nan)
    sizes_ml = sizes * volume.voxel_volume_ml
    # A size that equals a cut-off but for rounding lies on it.
    ends = np.array([config.min_lesion_ml, *config.lesion_sizes_ml]) * (1 - 1e-9)
    specks, small, medium, large = np.bincount(
        np.searchsorted(ends, sizes_ml, side="right"), minlength=4
    ).tolist()
    counted = sizes_ml[sizes_ml >= ends[0]]
    return Lesions(
        count=len(counted),
        specks=specks,
        median_ml=float(np.median(counted)) if len(counted) else nan,
        largest_ml=float(counted.max()) if len(counted) else nan,
        small=small,
        medium=medium,
        large=large,
    )


def _piece_sizes(
    infection: BoolArray,
    weights: npt.NDArray[np.float64] | None,
    should_cancel: ShouldCancel,
) -> npt.NDArray[np.int64] | npt.NDArray[np.float64]:
    """Voxels of each piece, each as its slice is thick where weights are given."""
    box = bounding_box(infection)
    if box is None:
        return np.zeros(0, dtype=np.int64)
    # Slices first, as they lie in memory: six times as fast.
    labels, count = label(infection[box].T, connectivity=3, return_num=True)
    raise_if_cancelled(should_cancel, "counting lesions")
    sizes = np.zeros(count + 1, dtype=np.int64 if weights is None else np.float64)
    # Slice by slice, because counting takes a copy in 64 bits.
    of_slices = np.ones(len(labels), dtype=np.int64) if weights is None else weights[box[2]]
    for picture, weight in zip(labels, of_slices, strict=True):
        sizes += np.bincount(picture.ravel(), minlength=count + 1) * weight
    return sizes[1:]
