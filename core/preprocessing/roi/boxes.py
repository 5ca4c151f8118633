"""Boxes of voxels, half-open, in an axial slice and in a scan."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from core.errors import GeometryError
from core.volume import Volume


@dataclass(frozen=True)
class BoundingBox:
    """Half-open index ranges in an axial slice: i in [i_start, i_stop), j in [j_start, j_stop)."""

    i_start: int
    i_stop: int
    j_start: int
    j_stop: int

    def __post_init__(self) -> None:
        if not (0 <= self.i_start < self.i_stop and 0 <= self.j_start < self.j_stop):
            raise GeometryError("A box is empty or negative", got=str(self))

    @property
    def width(self) -> int:
        """Voxels along i."""
        return self.i_stop - self.i_start

    @property
    def height(self) -> int:
        """Voxels along j."""
        return self.j_stop - self.j_start


@dataclass(frozen=True)
class VolumeBox:
    """A box of voxels of a scan: the same box in each axial slice k in [k_start, k_stop)."""

    in_slice: BoundingBox
    k_start: int
    k_stop: int

    def __post_init__(self) -> None:
        if not 0 <= self.k_start < self.k_stop:
            raise GeometryError("A box is empty or negative", got=str(self))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along i, j and k."""
        return self.in_slice.width, self.in_slice.height, self.k_stop - self.k_start

    @property
    def voxels(self) -> int:
        """Voxels in it."""
        return prod(self.shape)

    @property
    def start(self) -> tuple[int, int, int]:
        """The first voxel's index."""
        return self.in_slice.i_start, self.in_slice.j_start, self.k_start

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """The index of this box in a canonical array."""
        box = self.in_slice
        return (
            slice(box.i_start, box.i_stop),
            slice(box.j_start, box.j_stop),
            slice(self.k_start, self.k_stop),
        )


def whole_slice_box(volume: Volume) -> BoundingBox:
    """The box of the whole slice."""
    return BoundingBox(0, volume.shape[0], 0, volume.shape[1])


def whole_volume_box(volume: Volume) -> VolumeBox:
    """The box of the whole scan."""
    return VolumeBox(whole_slice_box(volume), 0, volume.shape[2])
