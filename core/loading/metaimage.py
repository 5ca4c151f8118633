"""Headers of MetaImage files (ITK's format): .mha, or .mhd with its voxels in a file beside."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import numpy.typing as npt

from core.config import LoadLimits
from core.errors import LoadError, shown_name
from core.loading.beside import file_beside
from core.loading.checks import DEFAULT_LIMITS, check_size
from core.loading.packed_stream import Inflating
from core.loading.volume_header import VolumeHeader, damaged_volume, three_axes
from core.volume import check_affine

_MAX_HEADER_LINES = 500
_MAX_LINE_BYTES = 4096
_DEFLATE_MAX_RATIO = 1040
_TYPES = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_LONG": "i4",
    "MET_ULONG": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}


def looks_like_metaimage(start: bytes) -> bool:
    """Whether a file begins with fields that only this format has."""
    return any(
        line.partition(b"=")[0].strip() in (b"ObjectType", b"NDims")
        for line in start.split(b"\n")[:5]
    )


def read_metaimage_header(path: Path, *, limits: LoadLimits = DEFAULT_LIMITS) -> VolumeHeader:
    """The checked header of a MetaImage file; takes no memory for voxels.

    Raises:
        LoadError: it is damaged, of several channels, or its voxels are missing.
        GeometryError: its directions are unusable.
    """
    name = shown_name(path.name)
    fields, begin = _fields(path, name)
    shape, trailing = _shape(fields, name)
    check_size(shape, limits, what=name)
    dtype = _dtype(fields, name)
    data = path
    if fields["ElementDataFile"].upper() != "LOCAL":
        data, begin = file_beside(path, fields["ElementDataFile"]), 0
    packed = _is_true(fields.get("CompressedData"))
    needed, size = math.prod(shape) * dtype.itemsize, data.stat().st_size
    skip = _header_size(fields, name)
    begin = max(size - needed, begin) if skip == -1 else begin + skip
    if needed > (size - begin) * (_DEFLATE_MAX_RATIO if packed else 1):
        raise damaged_volume(
            name, f"{size} bytes where the header declares {needed + begin}", kind="MetaImage"
        )
    affine, nominal, warnings = _geometry(fields, name)
    return VolumeHeader(
        format="metaimage",
        format_fact="MetaImage, compressed" if packed else "MetaImage",
        shape=shape,
        trailing_axes=trailing,
        dtype=dtype,
        affine=affine,
        open_data=partial(_open, data, begin, packed=packed),
        compressed=packed,
        spacing_nominal=nominal,
        warnings=warnings,
    )


def _open(path: Path, begin: int, *, packed: bool) -> BinaryIO:
    file = path.open("rb")
    file.seek(begin)
    return cast(BinaryIO, Inflating(file)) if packed else file


def _fields(path: Path, name: str) -> tuple[dict[str, str], int]:
    """Fields by their names, and where the header ends."""
    fields: dict[str, str] = {}
    with path.open("rb") as file:
        for _ in range(_MAX_HEADER_LINES):
            line = file.readline(_MAX_LINE_BYTES)
            field, equals, value = line.decode("latin-1").partition("=")
            if not equals:
                break
            fields[field.strip()] = value.strip()
            if field.strip() == "ElementDataFile":
                return fields, file.tell()
    raise damaged_volume(name, "a header without ElementDataFile", kind="MetaImage")


def _shape(fields: dict[str, str], name: str) -> tuple[tuple[int, int, int], int]:
    try:
        sizes = [int(size) for size in fields.get("DimSize", "").split()]
        wanted = int(fields.get("NDims", "0"))
        channels = int(fields.get("ElementNumberOfChannels", "1"))
    except ValueError:
        sizes, wanted, channels = [], 0, 1
    if not sizes or len(sizes) != wanted:
        raise damaged_volume(name, "sizes that are not those of its axes", kind="MetaImage")
    sizes, trailing = three_axes(sizes)
    if len(sizes) != 3 or channels != 1:
        raise LoadError(
            f"{name} holds several frames or channels",
            got=f"sizes {' × '.join(map(str, sizes))}, {channels} numbers per voxel",
            expected="one volume of three axes, one number per voxel",
            next_step="split it and open one of them",
        )
    return (sizes[0], sizes[1], sizes[2]), trailing


def _dtype(fields: dict[str, str], name: str) -> np.dtype[Any]:
    code = _TYPES.get(fields.get("ElementType", "").upper())
    if code is None or not _is_true(fields.get("BinaryData", "True")):
        raise LoadError(
            f"{name} has an unknown voxel type",
            got=shown_name(fields.get("ElementType", "none")) if code is None else "text",
            expected="binary integers or floating point numbers",
            next_step="export the scan again",
        )
    big = fields.get("BinaryDataByteOrderMSB", fields.get("ElementByteOrderMSB"))
    return np.dtype((">" if _is_true(big) else "<") + code)


def _header_size(fields: dict[str, str], name: str) -> int:
    try:
        skip = int(fields.get("HeaderSize", "0"))
    except ValueError:
        skip = -2
    if skip < -1:
        raise damaged_volume(name, "an impossible HeaderSize", kind="MetaImage")
    return skip


def _is_true(value: str | None) -> bool:
    return (value or "").strip().lower() in ("true", "1")


def _geometry(
    fields: dict[str, str], name: str
) -> tuple[npt.NDArray[np.float64], bool, tuple[str, ...]]:
    """Affine in RAS mm, whether the spacing is nominal, and warnings."""
    count = int(fields["NDims"])
    matrix = _numbers(fields, ("TransformMatrix", "Rotation", "Orientation"), count * count, name)
    spacing = _numbers(fields, ("ElementSpacing", "ElementSize"), count, name)
    origin = _numbers(fields, ("Offset", "Position", "Origin"), count, name)
    axes, steps, start = np.eye(3), np.ones(3), np.zeros(3)
    kept = min(count, 3)
    if matrix is not None:
        # Each row of the file is the direction of one axis.
        axes[:kept, :kept] = matrix.reshape(count, count)[:kept, :kept].T
    if spacing is not None:
        steps[:kept] = spacing[:kept]
    if origin is not None:
        start[:kept] = origin[:kept]
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = axes * steps, start
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
    check_affine(affine)
    warnings: tuple[str, ...] = ()
    if matrix is None:
        warnings = (
            "The file does not give its orientation in the patient: left and right, front and back "
            "are assumed.",
        )
    return affine, spacing is None, warnings


def _numbers(
    fields: dict[str, str], names: tuple[str, ...], count: int, name: str
) -> npt.NDArray[np.float64] | None:
    text = next((fields[field] for field in names if field in fields), None)
    if text is None:
        return None
    try:
        values = np.array([float(part) for part in text.split()])
    except ValueError:
        values = np.array([])
    if values.size != count or not np.isfinite(values).all():
        raise damaged_volume(name, f"{names[0]} that is not {count} numbers", kind="MetaImage")
    return values
