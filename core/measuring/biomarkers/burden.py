"""How much lung, how much of it infected.

Millilitres and square millimetres are nan where the scan's spacing is nominal; shares of voxels
need no spacing and stay. A share of no lung is undefined, hence nan.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.config import Plane
from core.volume import PLANE_AXIS, BoolArray, MaskPair, Volume

FloatVector = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Burden:
    """Lung and infection of a whole scan.

    infection_fraction = infected lung voxels / lung voxels, in [0, 1], each voxel as its slice is
    thick.
    """

    lung_voxels: int
    infection_voxels: int
    lung_volume_ml: float
    infection_volume_ml: float
    infection_fraction: float
    infected_slices: int
    """Axial slices that hold any infection."""


@dataclass(frozen=True, eq=False)
class SliceBurden:
    """The same for every slice of a plane; each (slices,) float64."""

    lung_area_mm2: FloatVector
    infection_area_mm2: FloatVector
    lung_pixels: FloatVector
    infection_pixels: FloatVector
    infection_fraction: FloatVector

    @property
    def most_infected(self) -> int | None:
        """Slice with the largest infected area; none where there is no infection."""
        index = int(np.argmax(self.infection_pixels))
        return index if self.infection_pixels[index] > 0 else None


def compute_burden(masks: MaskPair, volume: Volume) -> Burden:
    """Volumes and infected share of a scan; masks on its canonical grid.

    Infection outside the lung mask counts in no share. Where the lung is unknown, its values
    are 0 voxels and nan.
    """
    lung_voxels = 0 if masks.lung is None else int(np.count_nonzero(masks.lung))
    infection_voxels = 0 if masks.infection is None else int(np.count_nonzero(masks.infection))
    infected_lung = 0
    infected_slices = 0
    if masks.infection is not None:
        infected_slices = int(np.count_nonzero(masks.infection.any(axis=(0, 1))))
        if masks.lung is not None:
            infected_lung = int(np.count_nonzero(masks.lung & masks.infection))
    voxel_ml = float("nan") if volume.spacing_nominal else volume.voxel_volume_ml
    known_share = masks.infection is not None and lung_voxels > 0
    lung_part: float = lung_voxels
    infection_part: float = infection_voxels
    infected_part: float = infected_lung
    if volume.slice_weights is not None:
        lung_part, infection_part, infected_part = _weighted(masks, volume.slice_weights)
    return Burden(
        lung_voxels=lung_voxels,
        infection_voxels=infection_voxels,
        lung_volume_ml=float("nan") if masks.lung is None else lung_part * voxel_ml,
        infection_volume_ml=(
            float("nan") if masks.infection is None else infection_part * voxel_ml
        ),
        infection_fraction=infected_part / lung_part if known_share else float("nan"),
        infected_slices=infected_slices,
    )


def _weighted(masks: MaskPair, weights: FloatVector) -> tuple[float, float, float]:
    """Voxels of lung, of infection and of both, each as its slice is thick."""
    lung, infection, both = 0.0, 0.0, 0.0
    if masks.lung is not None:
        lung = float(count_by_slice(masks.lung) @ weights)
    if masks.infection is not None:
        infection = float(count_by_slice(masks.infection) @ weights)
    if masks.lung is not None and masks.infection is not None:
        both = float(count_by_slice(masks.lung & masks.infection) @ weights)
    return lung, infection, both


def compute_slice_burden(masks: MaskPair, volume: Volume, *, plane: Plane = "axial") -> SliceBurden:
    """Areas and infected share slice by slice along the normal of `plane`."""
    axis = PLANE_AXIS[plane]
    others = tuple(n for n in range(3) if n != axis)
    unknown = np.full(volume.shape[axis], np.nan)
    both = None
    if masks.lung is not None and masks.infection is not None:
        both = masks.lung & masks.infection
    lung, infection, inside = (
        unknown if mask is None else count_by_slice(mask, axis).astype(np.float64)
        for mask in (masks.lung, masks.infection, both)
    )
    # The cross product, because slices stacked askew (gantry tilt) make pixels parallelograms.
    one, other = (volume.affine[:3, n] for n in others)
    pixel_mm2 = float(np.linalg.norm(np.cross(one, other)))
    if volume.spacing_nominal:
        pixel_mm2 = float("nan")
    with np.errstate(invalid="ignore", divide="ignore"):
        fraction = np.where(lung > 0, inside / lung, np.nan)
    return SliceBurden(
        lung_area_mm2=lung * pixel_mm2,
        infection_area_mm2=infection * pixel_mm2,
        lung_pixels=lung,
        infection_pixels=infection,
        infection_fraction=fraction,
    )


def count_by_slice(mask: BoolArray, axis: int = 2) -> npt.NDArray[np.int64]:
    """(slices,) how many voxels each slice across an axis holds; quickest for axial slices of masks
    on the canonical grid, which lie in one piece each."""
    if axis == 2:
        return np.array([np.count_nonzero(mask[:, :, k]) for k in range(mask.shape[2])], np.int64)
    others = tuple(other for other in range(mask.ndim) if other != axis)
    counts: npt.NDArray[np.int64] = np.count_nonzero(mask, axis=others).astype(np.int64)
    return counts
