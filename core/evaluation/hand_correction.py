"""What a person has changed in the network's masks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.config import CHANNELS, Channel, Plane
from core.evaluation.metrics import check_shapes, ratios
from core.measuring.biomarkers import count_by_slice
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
    """From the voxels that differ, which are few: the whole masks are only compared and counted."""
    axis = PLANE_AXIS[plane]
    places = _places_where_different(before, after)
    is_added = after[places]
    sides = [tuple(at[chosen] for at in places) for chosen in (is_added, ~is_added)]
    added, removed = (_counts(side[axis], volume.shape[axis]) for side in sides)
    in_network = count_by_slice(before, axis).astype(np.float64)
    both = in_network - removed
    height, width = pixel_size_mm(volume, plane)
    area = float("nan") if volume.spacing_nominal else height * width
    marked = 2 * both + added + removed
    return Difference(
        dice=float(ratios(2 * both.sum(), marked.sum())),
        added_ml=_volume_ml(sides[0][2], volume),
        removed_ml=_volume_ml(sides[1][2], volume),
        slice_dice=ratios(2 * both, marked),
        added_mm2=added * area,
        removed_mm2=removed * area,
    )


def _places_where_different(
    before: BoolArray, after: BoolArray
) -> tuple[npt.NDArray[np.intp], ...]:
    """(i, j, k) of each voxel that one mask holds alone."""
    if before is after:
        return tuple(np.empty(0, np.intp) for _ in before.shape)
    # As one row in the order of the memory, in which NumPy finds the few of them ten times faster.
    numbers = np.flatnonzero(np.ravel(before != after, order="F"))
    return np.unravel_index(numbers, before.shape, order="F")


def _counts(slices: npt.NDArray[np.intp], count: int) -> npt.NDArray[np.float64]:
    """(count,) how many voxels lie in each slice."""
    return np.bincount(slices, minlength=count).astype(np.float64)


def _volume_ml(axial: npt.NDArray[np.intp], volume: Volume) -> float:
    """Of voxels in these axial slices."""
    if volume.spacing_nominal:
        return float("nan")
    weights = volume.slice_weights
    voxels = axial.size if weights is None else weights[axial].sum()
    return float(voxels) * volume.voxel_volume_ml
