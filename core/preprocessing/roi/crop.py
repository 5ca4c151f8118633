"""Cutting a box out of a scan and putting it back: exact inverses, affine included."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from core.errors import GeometryError
from core.preprocessing.roi.boxes import VolumeBox
from core.volume import Array, Source, Volume

Affine = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class CropRecord:
    """What was cut out, and where: all that is needed to put it back."""

    box: VolumeBox
    shape: tuple[int, int, int]
    affine: Affine
    source: Source


def crop_volume(volume: Volume, box: VolumeBox) -> tuple[Volume, CropRecord]:
    """The voxels of a box as a scan of its own, which keeps its position in space.

    Affine and file affine move with the voxels, so that the cropped scan, saved, opens in the
    right place over the original.

    Raises:
        GeometryError: the box reaches beyond the scan.
    """
    _check_inside(box, volume.shape)
    array = np.asfortranarray(volume.array[box.slices])
    array.flags.writeable = False
    file_box = _box_in_file(volume, box)
    source = replace(
        volume.source,
        file_shape=tuple(stop - start for start, stop in file_box),  # type: ignore[arg-type]
        file_affine=_moved(volume.source.file_affine, [start for start, _ in file_box]),
        facts=(),
        stored_affine=None,
        dicom=None,  # which had another position and other slices
    )
    cropped = replace(volume, array=array, affine=_moved(volume.affine, box.start), source=source)
    return cropped, CropRecord(box, volume.shape, volume.affine, volume.source)


def uncrop_array(array: Array, record: CropRecord, *, outside: float = 0) -> Array:
    """An array of the cropped grid back on the scan's own.

    Args:
        array: such as a mask, of the shape of the box.
        outside: the value where nothing was cut out.

    Raises:
        GeometryError: the array has not the shape of the box.
    """
    if array.shape != record.box.shape:
        raise GeometryError(
            "An array does not fit the box it is put back into",
            got=f"shape {array.shape}",
            expected=f"{record.box.shape}",
        )
    whole = np.full(record.shape, outside, dtype=array.dtype, order="F")
    whole[record.box.slices] = array
    return whole


def uncrop_volume(cropped: Volume, record: CropRecord, *, outside: float) -> Volume:
    """A cropped scan back in the frame it was cut from, with the affine it had there.

    Args:
        outside: value, as stored in the scan, of the voxels that were not cut out.
    """
    array = uncrop_array(cropped.array, record, outside=outside)
    array.flags.writeable = False
    return replace(cropped, array=array, affine=record.affine, source=record.source)


def _check_inside(box: VolumeBox, shape: tuple[int, int, int]) -> None:
    stops = [part.stop for part in box.slices]
    if any(stop > length for stop, length in zip(stops, shape, strict=True)):
        raise GeometryError(
            "A box reaches beyond its scan",
            got=f"up to {tuple(stops)}",
            expected=f"at most {shape}",
        )


def _moved(affine: Affine, start: npt.ArrayLike) -> Affine:
    """The affine of an array that begins at voxel `start` of the affine's own."""
    moved = affine.copy()
    moved[:3, 3] += affine[:3, :3] @ np.asarray(start, dtype=np.float64)
    return moved


def _box_in_file(volume: Volume, box: VolumeBox) -> list[tuple[int, int]]:
    """Start and stop along the axes of the scan's own file, which may run in other directions."""
    first = np.asarray(box.start)
    last = first + np.asarray(box.shape) - 1
    to_file = np.linalg.inv(volume.source.file_affine) @ volume.affine
    ends = np.rint(to_file[:3, :3] @ np.stack([first, last], axis=1) + to_file[:3, 3:])
    starts, lasts = ends.min(axis=1).astype(int), ends.max(axis=1).astype(int)
    return [(int(start), int(last) + 1) for start, last in zip(starts, lasts, strict=True)]
