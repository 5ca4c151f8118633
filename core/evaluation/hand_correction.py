"""What a person has changed in the network's masks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.config import CHANNELS, Channel, Plane
from core.evaluation.metrics import check_shapes, compute_overlap, compute_overlap_per_slice
from core.volume import PLANE_AXIS, BoolArray, MaskPair, Volume, pixel_size_mm


@dataclass(frozen=True, eq=False)
class Difference:
    """One mask corrected by hand against the network's.

    Attributes:
        dice: of both over the whole scan; nan where both are empty.
        added_ml, removed_ml: marked by hand alone, by the network alone; nan where the spacing is
            nominal.
        slice_dice: (slices,) the same for each slice of the plane.
        added_mm2, removed_mm2: (slices,) the areas.
    """

    dice: float
    added_ml: float
    removed_ml: float
    slice_dice: npt.NDArray[np.float64]
    added_mm2: npt.NDArray[np.float64]
    removed_mm2: npt.NDArray[np.float64]


def compute_differences(
    network: MaskPair, corrected: MaskPair, volume: Volume, *, plane: Plane = "axial"
) -> dict[Channel, Difference]:
    """Every mask that both hold, by name.

    Raises:
        GeometryError: masks of different shapes.
    """
    found: dict[Channel, Difference] = {}
    for channel in CHANNELS:
        before, after = getattr(network, channel), getattr(corrected, channel)
        if before is not None and after is not None:
            check_shapes(before, after)
            found[channel] = _difference(before, after, volume, plane)
    return found


def _difference(before: BoolArray, after: BoolArray, volume: Volume, plane: Plane) -> Difference:
    axis = PLANE_AXIS[plane]
    added, removed = after & ~before, before & ~after
    height, width = pixel_size_mm(volume, plane)
    area = float("nan") if volume.spacing_nominal else height * width
    return Difference(
        dice=compute_overlap(before, after).dice,
        added_ml=_volume_ml(added, volume),
        removed_ml=_volume_ml(removed, volume),
        slice_dice=compute_overlap_per_slice(before, after, axis=axis)["dice"],
        added_mm2=_counts(added, axis) * area,
        removed_mm2=_counts(removed, axis) * area,
    )


def _counts(mask: BoolArray, axis: int) -> npt.NDArray[np.float64]:
    others = tuple(other for other in range(3) if other != axis)
    counts: npt.NDArray[np.float64] = np.count_nonzero(mask, axis=others).astype(np.float64)
    return counts


def _volume_ml(mask: BoolArray, volume: Volume) -> float:
    if volume.spacing_nominal:
        return float("nan")
    counts, weights = _counts(mask, 2), volume.slice_weights
    voxels = counts.sum() if weights is None else counts @ weights
    return float(voxels) * volume.voxel_volume_ml
