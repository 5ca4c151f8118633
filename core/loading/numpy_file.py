"""NumPy arrays as volumes: voxels without spacing and position."""

from __future__ import annotations

import io
import math
import re
import zipfile
import zlib
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from core.config import LoadLimits
from core.errors import LoadError, shown_name
from core.loading.checks import DEFAULT_LIMITS, check_memory, check_size
from core.loading.volume_header import VolumeHeader, damaged_volume
from core.system import size_text

MAGIC = b"\x93NUMPY"
_MOST_ARRAYS = 8
_BLOCK_BYTES = 1 << 20
_LONGEST_NAME = 80
_SMALLEST_SLICE = 16
_NOT_KNOWN = (
    "A NumPy array holds values only: spacing, volumes in ml, left and right are not "
    "known. {order}, the first slice at the feet, the front of the body on top and the patient's "
    "right on the left are assumed."
)


def read_numpy_header(path: Path, *, limits: LoadLimits = DEFAULT_LIMITS) -> VolumeHeader:
    """The header of the one volume in a .npy or .npz file; nothing is unpickled.

    Raises:
        LoadError: it is damaged, holds objects, or not one array of three axes.
    """
    name = shown_name(path.name)
    try:
        member = _member(path, name)
        shape, _, dtype = _array_header(path, member)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error, KeyError) as error:
        raise damaged_volume(name, "no NumPy array", kind="NumPy") from error
    except (SyntaxError, RecursionError, MemoryError, TypeError) as error:
        raise damaged_volume(name, "a header that is not a NumPy header", kind="NumPy") from error
    if dtype.kind not in "iufb" or dtype.itemsize == 0:
        raise LoadError(
            f"{name} does not hold one number per voxel",
            got="Python objects" if dtype.hasobject else f"voxels of type {dtype}",
            expected="an array of integers or floating point numbers",
            next_step="save the array itself",
        )
    if len(shape) > 3:  # networks keep a batch and a channel of one
        shape = tuple(side for side in shape if side != 1)
    if len(shape) not in (2, 3):
        raise LoadError(
            f"{name} is not a volume",
            got=f"size {size_text(shape) or 'of a single number'}",
            expected="an array of three axes",
            next_step="save one volume alone",
        )
    check_size(shape, limits, what=name)
    axes, order = _axes(shape)
    taken = (*shape, 1)[:3]
    check_memory(taken, dtype, what=name)
    voxels = partial(_open, path, member, name, taken, axes)
    if dtype.kind == "b":
        dtype = np.dtype(np.uint8)
    return VolumeHeader(
        format="numpy",
        format_fact="NumPy array" + (f" {shown_name(member[:-4])}" if member else ""),
        shape=(taken[axes[0]], taken[axes[1]], taken[axes[2]]),
        dtype=dtype,
        affine=np.diag([-1.0, -1.0, 1.0, 1.0]),
        open_data=voxels,
        compressed=bool(member),
        spacing_nominal=True,
        warnings=(_NOT_KNOWN.format(order=order),),
    )


def split_arrays(path: Path, folder: Path, *, limits: LoadLimits = DEFAULT_LIMITS) -> list[Path]:
    """The volumes of a .npz that holds several, each as a .npy in a folder; else none.

    Raises:
        LoadError: one is too large, or the file is damaged.
    """
    name = shown_name(path.name)
    try:
        if not zipfile.is_zipfile(path):
            return []
        volumes = _volumes(path)[:_MOST_ARRAYS]
        if len(volumes) < 2:
            return []
        return [
            _unpack(path, member, folder / f"{number}" / _file_name(member), limits=limits)
            for number, member in enumerate(volumes)
        ]
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error, KeyError) as error:
        raise damaged_volume(name, "no NumPy array", kind="NumPy") from error


def _unpack(path: Path, member: str, target: Path, *, limits: LoadLimits) -> Path:
    shape, fortran, dtype = _array_header(path, member)
    check_size(tuple(side for side in shape if side != 1), limits, what=shown_name(member))
    check_memory(shape, dtype, what=shown_name(member))
    target.parent.mkdir()
    with zipfile.ZipFile(path) as archive, archive.open(member) as stream, target.open("wb") as out:
        _header_of(cast(BinaryIO, stream))
        np.lib.format.write_array_header_1_0(
            out,
            {
                "descr": np.lib.format.dtype_to_descr(dtype),
                "fortran_order": fortran,
                "shape": shape,
            },
        )
        left = math.prod(shape) * dtype.itemsize
        while left > 0 and (block := stream.read(min(left, _BLOCK_BYTES))):
            left -= out.write(block)
    return target


def _file_name(member: str) -> str:
    """The name of an array as that of a file."""
    return re.sub(r"[^\w. -]", "_", member.removesuffix(".npy"))[:_LONGEST_NAME] + ".npy"


def _volumes(path: Path) -> list[str]:
    """Names of the arrays of a .npz that are volumes; where none is, of those that are slices."""
    with zipfile.ZipFile(path) as archive:
        names = [info.filename for info in archive.infolist() if info.filename.endswith(".npy")]
    shapes = {found: _array_header(path, found)[0] for found in names[:200]}
    for axes in (3, 2):
        fitting = [found for found, shape in shapes.items() if _has_axes(shape, axes)]
        if fitting:
            return fitting
    return []


def _member(path: Path, name: str) -> str:
    """The array of a .npz that is a volume; empty for a .npy."""
    if not zipfile.is_zipfile(path):
        return ""
    volumes = _volumes(path)
    if len(volumes) != 1:
        listed = ", ".join(shown_name(found[:-4]) for found in volumes[:4])
        raise LoadError(
            f"{name} does not hold one volume",
            got=f"the arrays {listed}" if listed else "no array of slices",
            expected="one array of three axes",
            next_step="save the scan alone",
        )
    return volumes[0]


def _has_axes(shape: tuple[int, ...], count: int) -> bool:
    """Whether an array has so many axes, aside from those of length one; a matrix is no slice."""
    sides = [side for side in shape if side != 1]
    return len(sides) == count and sorted(sides)[-2] >= _SMALLEST_SLICE


def _array_header(path: Path, member: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    if member:
        with zipfile.ZipFile(path) as archive, archive.open(member) as stream:
            return _header_of(cast(BinaryIO, stream))
    with path.open("rb") as file:
        found = _header_of(file)
        left = path.stat().st_size - file.tell()
    declared = math.prod(found[0]) * found[2].itemsize
    if declared > left:
        raise damaged_volume(
            shown_name(path.name),
            f"{left} bytes where the header declares {declared}",
            kind="NumPy",
        )
    return found


def _header_of(stream: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(stream)
    read: Any = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    shape, fortran, dtype = read(stream)
    return tuple(map(int, shape)), bool(fortran), dtype


def _axes(shape: tuple[int, ...]) -> tuple[tuple[int, int, int], str]:
    """Which axis runs along columns, rows and slices, and how that is known.

    Slices are square more often than not: of three axes the odd one out counts them.
    """
    if len(shape) == 2:
        return (1, 0, 2), "Rows, then columns"
    first, second, third = shape
    if first == second != third:
        return (0, 1, 2), "Columns, rows, slices as the order of axes"
    return (2, 1, 0), "Slices, rows, columns as the order of axes"


def _open(
    path: Path, member: str, name: str, shape: tuple[int, ...], axes: tuple[int, int, int]
) -> BinaryIO:
    try:
        if member:
            with zipfile.ZipFile(path) as archive, archive.open(member) as stream:
                array = np.lib.format.read_array(cast(BinaryIO, stream), allow_pickle=False)
        else:
            array = np.load(path, allow_pickle=False, mmap_mode="r")
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise damaged_volume(name, "an array that ends early", kind="NumPy") from error
    return io.BytesIO(array.reshape(shape).transpose(axes).tobytes(order="F"))
