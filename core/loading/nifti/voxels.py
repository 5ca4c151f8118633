"""The voxels of a volume file, read slice by slice and scaled.

No more bytes are unpacked than the header declares. Voxels arrive as uint8, int16 or float32,
whichever holds the scaled values exactly; float64 exists for one slice at a time only.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np
import numpy.typing as npt

from core.errors import LoadError, shown_name
from core.loading.checks import check_memory
from core.loading.volume_header import VolumeHeader, damaged_volume
from core.system import (
    DAMAGED_GZIP,
    OnProgress,
    ShouldCancel,
    ignore_progress,
    never_cancel,
    percent_text,
    raise_if_cancelled,
)
from core.volume import Array, BoolArray

_MAX_TRAILING_BYTES = 1024**2
_MAX_NONFINITE_SHARE = 0.001
_MAX_OUTSIDE_SHARE = 0.9
_INT16 = np.iinfo(np.int16)
_FLOAT32_MAX = float(np.finfo(np.float32).max)


def read_voxels(
    path: Path,
    header: VolumeHeader,
    *,
    of_labels: bool = False,
    on_progress: OnProgress = ignore_progress,
    should_cancel: ShouldCancel = never_cancel,
) -> tuple[Array, tuple[str, ...]]:
    """Scaled voxels in file order (Fortran), and notes on those that were not finite.

    uint8 stays uint8 where no scaling applies; else int16 where that is exact; else float32.
    Voxels that are not finite take the lowest value: those that reach the edge of their slice,
    as resampling leaves them, and up to 0.1 % of others. Those of labels are 0, wherever they are.

    Raises:
        LoadError: the data end early or are damaged, or too many voxels are not finite.
    """
    name = shown_name(path.name)
    types: tuple[type[np.generic], ...] = (np.int16, np.float32)
    if header.dtype == np.uint8 and header.slope == 1.0 and header.intercept == 0.0:
        types = (np.uint8,)
    for wanted in types:
        try:
            result = _read_as(
                path,
                header,
                np.dtype(wanted),
                of_labels=of_labels,
                on_progress=on_progress,
                should_cancel=should_cancel,
            )
        except (*DAMAGED_GZIP, zlib.error) as error:
            raise damaged_volume(
                name, "a gzip stream that ends early or fails its checksum"
            ) from error
        except OSError as error:
            raise LoadError(
                f"{name} cannot be read",
                got=error.strerror or "a read error",
                expected="a readable NIfTI file",
                next_step="copy it to another disk and try again",
            ) from error
        if result is not None:
            return result
    raise AssertionError("float32 holds any scaled value")


def _read_as(
    path: Path,
    header: VolumeHeader,
    wanted: np.dtype[Any],
    *,
    of_labels: bool,
    on_progress: OnProgress,
    should_cancel: ShouldCancel,
) -> tuple[Array, tuple[str, ...]] | None:
    """Voxels as `wanted`, or none where that type cannot hold them exactly."""
    name = shown_name(path.name)
    columns, rows, slices = header.shape
    check_memory(header.shape, wanted, what=name)
    out = np.empty(header.shape, dtype=wanted, order="F")
    slice_bytes = columns * rows * header.dtype.itemsize
    holes = _Holes(name, out.size)
    with header.open_data() as stream:
        for k in range(slices):
            raise_if_cancelled(should_cancel, "reading slices")
            block = stream.read(slice_bytes)
            if len(block) < slice_bytes:
                raise damaged_volume(name, f"{k} of {slices} slices")
            raw = np.frombuffer(block, dtype=header.dtype).reshape((columns, rows), order="F")
            if wanted == np.uint8:
                out[:, :, k] = raw
            else:
                values = _scale(raw, header)
                if wanted == np.int16 and not _fits_int16(values):
                    return None
                where = _not_numbers(values)
                if where is not None:
                    if not of_labels:
                        holes.add(k, where)
                    values[where] = 0.0
                out[:, :, k] = values
            on_progress("reading slices", k + 1, slices)
        _refuse_more(stream, header, slice_bytes, name)
    holes.fill(out)
    return out, holes.notes()


def _refuse_more(stream: BinaryIO, header: VolumeHeader, slice_bytes: int, name: str) -> None:
    """Behind the last slice there may be padding, but no further slices."""
    rest = stream.read(_MAX_TRAILING_BYTES)
    if len(rest) == _MAX_TRAILING_BYTES or (len(rest) >= slice_bytes and any(rest)):
        holds = "unpacks to" if header.compressed else "holds"
        raise LoadError(
            f"{name} {holds} more than its header declares",
            got="further data behind the last slice",
            expected=f"{header.shape[2]} slices",
            next_step="export the scan again",
        )


def _scale(raw: Array, header: VolumeHeader) -> Array:
    """Scaled values of one slice: integers where all are, else float64."""
    identity = header.slope == 1.0 and header.intercept == 0.0
    if raw.dtype.kind in "iu":
        if identity:
            return raw
        if header.slope.is_integer() and header.intercept.is_integer():
            limit = 2**30  # beyond this the result below could leave int64
            if raw.dtype.itemsize <= 4 and max(abs(header.slope), abs(header.intercept)) < limit:
                return raw.astype(np.int64) * int(header.slope) + int(header.intercept)
    values = raw.astype(np.float64)
    if not identity:
        values *= header.slope
        values += header.intercept
    return values


def _fits_int16(values: Array) -> bool:
    if values.dtype.kind == "f" and not (
        np.isfinite(values).all() and bool((np.rint(values) == values).all())
    ):
        return False
    return bool(values.min() >= _INT16.min and values.max() <= _INT16.max)


def _not_numbers(values: Array) -> BoolArray | None:
    """Where a slice holds NaN, infinity and what float32 would turn into infinity."""
    if values.dtype.kind != "f":
        return None
    where: BoolArray = ~(np.abs(values) <= _FLOAT32_MAX)
    return where if where.any() else None


@dataclass(eq=False)
class _Holes:
    """Voxels of a scan that are not finite, slice by slice.

    Attributes:
        name: of the file.
        size: voxels of the scan.
        inside: how many do not reach the edge of their slice.
        outside: how many do.
    """

    name: str
    size: int
    inside: int = 0
    outside: int = 0
    # Packed, because more than half of a scan that was resampled may lie outside.
    _packed: list[tuple[int, npt.NDArray[np.uint8]]] = field(default_factory=list)

    def add(self, k: int, where: BoolArray) -> None:
        """Takes slice k, where it is not finite.

        Raises:
            LoadError: there are too many.
        """
        inside = int(np.count_nonzero(where & ~_reaching_edge(where)))
        self.inside += inside
        self.outside += int(np.count_nonzero(where)) - inside
        self._packed.append((k, np.packbits(where)))
        if self.inside > _MAX_NONFINITE_SHARE * self.size:
            raise LoadError(
                f"{self.name} has too many voxels that are not numbers",
                got=f"at least {self.inside} NaN or infinite of {self.size}, inside the slices",
                expected=f"at most {percent_text(_MAX_NONFINITE_SHARE)}",
                next_step="set them to −1024 (air) and save the scan again",
            )
        if self.outside > _MAX_OUTSIDE_SHARE * self.size:
            raise LoadError(
                f"{self.name} holds hardly any numbers",
                got=f"at least {self.outside} NaN or infinite of {self.size}",
                expected="the values of a scan",
                next_step="export the scan again",
            )

    def fill(self, out: Array) -> None:
        """Gives them the lowest finite value of the scan."""
        if not self._packed:
            return
        plane = out.shape[:2]
        count = plane[0] * plane[1]
        masks = dict(self._packed)
        lowest = np.inf
        for k in range(out.shape[2]):
            finite = out[:, :, k]
            if k in masks:
                finite = finite[~np.unpackbits(masks[k], count=count).reshape(plane).view(bool)]
            lowest = min(lowest, float(finite.min(initial=np.inf)))
        for k, packed in self._packed:
            out[:, :, k][np.unpackbits(packed, count=count).reshape(plane).view(bool)] = lowest

    def notes(self) -> tuple[str, ...]:
        """What a person should know of them."""
        found: tuple[str, ...] = ()
        if self.inside:
            found += (f"{self.inside} voxels were not numbers and were set to the lowest value.",)
        if self.outside:
            found += (
                f"{percent_text(self.outside / self.size)} of the voxels, at the edge of the "
                "slices, were not numbers and were set to the lowest value.",
            )
        return found


def _reaching_edge(where: BoolArray) -> BoolArray:
    """Those pieces of a mask that reach the edge of the slice."""
    _, labels = cv2.connectedComponents(where.astype(np.uint8), connectivity=4)
    edge = (labels[0], labels[-1], labels[:, 0], labels[:, -1])
    touching = np.unique(np.concatenate(edge))
    reaching: BoolArray = np.isin(labels, touching[touching > 0])
    return reaching
