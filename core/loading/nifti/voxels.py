"""The voxels of a volume file, read slice by slice and scaled.

No more bytes are unpacked than the header declares. Voxels arrive as uint8, int16 or float32,
whichever holds the scaled values exactly; float64 exists for one slice at a time only.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any, BinaryIO

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
from core.volume import Array

_MAX_TRAILING_BYTES = 1024**2
_MAX_NONFINITE_SHARE = 0.001
_INT16 = np.iinfo(np.int16)
_FLOAT32_MAX = float(np.finfo(np.float32).max)


def read_voxels(
    path: Path,
    header: VolumeHeader,
    *,
    on_progress: OnProgress = ignore_progress,
    should_cancel: ShouldCancel = never_cancel,
) -> tuple[Array, int]:
    """Scaled voxels in file order (Fortran), and how many were not finite and were replaced.

    uint8 stays uint8 where no scaling applies; else int16 where that is exact; else float32.

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
                path, header, np.dtype(wanted), on_progress=on_progress, should_cancel=should_cancel
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
    on_progress: OnProgress,
    should_cancel: ShouldCancel,
) -> tuple[Array, int] | None:
    """Voxels as `wanted`, or none where that type cannot hold them exactly."""
    name = shown_name(path.name)
    columns, rows, slices = header.shape
    check_memory(header.shape, wanted, what=name)
    out = np.empty(header.shape, dtype=wanted, order="F")
    slice_bytes = columns * rows * header.dtype.itemsize
    bad: list[tuple[int, npt.NDArray[np.intp]]] = []
    n_bad = 0
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
                if where.size:
                    bad.append((k, where))
                    n_bad += where.size
                    _refuse_nonfinite(n_bad, out.size, name)
                    values.flat[where] = 0.0
                out[:, :, k] = values
            on_progress("reading slices", k + 1, slices)
        _refuse_more(stream, header, slice_bytes, name)
    _fill_with_lowest(out, bad)
    return out, n_bad


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


def _not_numbers(values: Array) -> npt.NDArray[np.intp]:
    """Flat indices of NaN, infinity and what float32 would turn into infinity."""
    if values.dtype.kind != "f":
        return np.empty(0, dtype=np.intp)
    return np.flatnonzero(~(np.abs(values) <= _FLOAT32_MAX))


def _refuse_nonfinite(count: int, total: int, name: str) -> None:
    if count > _MAX_NONFINITE_SHARE * total:
        raise LoadError(
            f"{name} has too many voxels that are not numbers",
            got=f"at least {count} NaN or infinite of {total}",
            expected=f"at most {percent_text(_MAX_NONFINITE_SHARE)}",
            next_step="set them to -1024 (air) and save the scan again",
        )


def _fill_with_lowest(out: Array, bad: list[tuple[int, npt.NDArray[np.intp]]]) -> None:
    """Gives voxels that were not finite the lowest finite value of the scan."""
    if not bad:
        return
    finite = np.ones(out.shape, dtype=bool, order="F")
    for k, where in bad:
        finite[:, :, k].flat[where] = False
    lowest = out[finite].min()
    for k, where in bad:
        out[:, :, k].flat[where] = lowest
