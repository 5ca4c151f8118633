"""Headers of NRRD files (3D Slicer's format), with the voxels inside or in a file beside."""

from __future__ import annotations

import bz2
import math
import re
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import numpy.typing as npt

from core.config import LoadLimits
from core.errors import GeometryError, LoadError, shown_name
from core.loading.beside import file_beside
from core.loading.checks import DEFAULT_LIMITS, check_size
from core.loading.packed_stream import Inflating
from core.loading.volume_header import VolumeHeader, damaged_volume, three_axes
from core.volume import check_affine

MAGIC = b"NRRD000"
_MAX_HEADER_BYTES = 1024**2
_MAX_RATIO = {"raw": 1, "gzip": 1040, "bzip2": 100_000}
_ENCODINGS = {"raw": "raw", "gz": "gzip", "gzip": "gzip", "bz2": "bzip2", "bzip2": "bzip2"}
_TYPES = {
    **dict.fromkeys(("signed char", "int8", "int8_t"), "i1"),
    **dict.fromkeys(("uchar", "unsigned char", "uint8", "uint8_t"), "u1"),
    **dict.fromkeys(("short", "short int", "signed short", "signed short int", "int16"), "i2"),
    **dict.fromkeys(("int16_t",), "i2"),
    **dict.fromkeys(("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"), "u2"),
    **dict.fromkeys(("int", "signed int", "int32", "int32_t"), "i4"),
    **dict.fromkeys(("uint", "unsigned int", "uint32", "uint32_t"), "u4"),
    **dict.fromkeys(("longlong", "long long", "long long int", "int64", "int64_t"), "i8"),
    **dict.fromkeys(("signed long long", "signed long long int"), "i8"),
    **dict.fromkeys(("ulonglong", "unsigned long long", "uint64", "uint64_t"), "u8"),
    "float": "f4",
    "double": "f8",
}
_TO_RAS = {
    **dict.fromkeys(("right-anterior-superior", "ras"), (1.0, 1.0, 1.0)),
    **dict.fromkeys(("left-anterior-superior", "las"), (-1.0, 1.0, 1.0)),
    **dict.fromkeys(("left-posterior-superior", "lps"), (-1.0, -1.0, 1.0)),
}


def read_nrrd_header(path: Path, *, limits: LoadLimits = DEFAULT_LIMITS) -> VolumeHeader:
    """The checked header of an NRRD file; takes no memory for voxels.

    Raises:
        LoadError: it is damaged, of several channels or of an encoding that is not read here.
        GeometryError: its directions are unusable.
    """
    name = shown_name(path.name)
    fields, begin = _fields(path, name)
    shape, trailing = _shape(fields, name)
    check_size(shape, limits, what=name)
    dtype = _dtype(fields, name)
    encoding = _ENCODINGS.get(fields.get("encoding", "").lower())
    if encoding is None:
        raise LoadError(
            f"{name} uses an unsupported encoding",
            got=f"encoding {shown_name(fields.get('encoding', '') or 'not given')}",
            expected="raw, gzip or bzip2",
            next_step="save the scan again, as .nii.gz or plain NRRD",
        )
    data = path
    if "data file" in fields:
        data, begin = file_beside(path, fields["data file"]), 0
    needed = math.prod(shape) * dtype.itemsize
    size = data.stat().st_size
    begin = _begin(fields, begin, data, needed, encoding, name)
    if needed > (size - begin) * _MAX_RATIO[encoding]:
        raise damaged_volume(
            name, f"{size} bytes where the header declares {needed + begin}", kind="NRRD"
        )
    affine, nominal, warnings = _geometry(fields, name)
    return VolumeHeader(
        format="nrrd",
        format_fact="NRRD" if encoding == "raw" else f"NRRD, {encoding}",
        shape=shape,
        trailing_axes=trailing,
        dtype=dtype,
        affine=affine,
        open_data=partial(_open, data, begin, encoding),
        compressed=encoding != "raw",
        spacing_nominal=nominal,
        warnings=warnings,
    )


def _open(path: Path, begin: int, encoding: str) -> BinaryIO:
    file = path.open("rb")
    file.seek(begin)
    if encoding == "gzip":
        return cast(BinaryIO, Inflating(file))
    return cast(BinaryIO, bz2.BZ2File(file)) if encoding == "bzip2" else file


def _fields(path: Path, name: str) -> tuple[dict[str, str], int]:
    """Fields by their lower-case names, and where the header ends."""
    with path.open("rb") as file:
        start = file.read(_MAX_HEADER_BYTES)
    end = re.search(rb"\r?\n\r?\n", start)
    if end is None and b"data file:" not in start.lower() and b"datafile:" not in start.lower():
        raise damaged_volume(name, "a header without an end", kind="NRRD")
    text = start[: end.start() if end else None].decode("ascii", "replace")
    fields: dict[str, str] = {}
    for line in text.splitlines()[1:]:
        field, colon, value = line.partition(":")
        if colon and not line.startswith("#") and not value.startswith("="):
            fields[field.strip().lower()] = value.strip()
    for other in ("datafile", "byteskip", "lineskip"):
        if other in fields:
            fields[f"{other[:4]} {other[4:]}"] = fields.pop(other)
    return fields, end.end() if end else len(start)


def _shape(fields: dict[str, str], name: str) -> tuple[tuple[int, int, int], int]:
    try:
        sizes = [int(size) for size in fields.get("sizes", "").split()]
        wanted = int(fields.get("dimension", "0"))
    except ValueError:
        sizes, wanted = [], 0
    if not sizes or len(sizes) != wanted:
        raise damaged_volume(name, "sizes that are not those of its axes", kind="NRRD")
    sizes, trailing = three_axes(sizes)
    if len(sizes) != 3:
        raise LoadError(
            f"{name} holds several frames, channels or layers",
            got=f"sizes {' × '.join(map(str, sizes))}",
            expected="one volume of three axes",
            next_step="split it and open one of them",
        )
    return (sizes[0], sizes[1], sizes[2]), trailing


def _dtype(fields: dict[str, str], name: str) -> np.dtype[Any]:
    code = _TYPES.get(" ".join(fields.get("type", "").lower().split()))
    order = {"little": "<", "big": ">"}.get(fields.get("endian", "little").lower())
    if code is None or order is None:
        raise LoadError(
            f"{name} has an unknown voxel type",
            got=shown_name(fields.get("type", "none")),
            expected="integers or floating point numbers",
            next_step="export the scan again",
        )
    return np.dtype(order + code)


def _begin(
    fields: dict[str, str], begin: int, data: Path, needed: int, encoding: str, name: str
) -> int:
    """The byte at which the voxels, packed or not, begin."""
    try:
        lines, skip = int(fields.get("line skip", "0")), int(fields.get("byte skip", "0"))
    except ValueError:
        lines, skip = -1, 0
    if lines < 0 or skip < -1 or (skip and encoding != "raw"):
        raise damaged_volume(name, "an impossible number of bytes to skip", kind="NRRD")
    if lines:
        with data.open("rb") as file:
            file.seek(begin)
            for _ in range(min(lines, 10_000)):
                file.readline(_MAX_HEADER_BYTES)
            begin = file.tell()
    size = data.stat().st_size
    return max(size - needed, begin) if skip == -1 else begin + skip


def _geometry(
    fields: dict[str, str], name: str
) -> tuple[npt.NDArray[np.float64], bool, tuple[str, ...]]:
    """Affine in RAS mm, whether the spacing is nominal, and warnings."""
    space = fields.get("space", "").lower()
    affine = np.eye(4)
    vectors = re.findall(r"\(([^)]*)\)", fields.get("space directions", ""))
    if space in _TO_RAS and len(vectors) == 3:
        try:
            affine[:3, :3] = np.array([_numbers(vector, 3) for vector in vectors]).T
            origin = re.findall(r"\(([^)]*)\)", fields.get("space origin", "(0,0,0)"))
            affine[:3, 3] = _numbers(origin[0], 3)
        except (ValueError, IndexError) as error:
            raise _unusable(name) from error
        affine = np.diag([*_TO_RAS[space], 1.0]) @ affine
        check_affine(affine)
        return affine, False, ()
    warning = (
        "The file does not give its orientation in the patient: left and right, front and back are "
        "assumed."
    )
    affine = np.diag([-1.0, -1.0, 1.0, 1.0])
    try:
        spacings = _numbers(fields.get("spacings", "").replace(" ", ","), 3)
    except ValueError:
        return affine, True, (warning,)
    affine[:3, :3] *= spacings
    check_affine(affine)
    return affine, False, (warning,)


def _numbers(text: str, count: int) -> list[float]:
    values = [float(part) for part in text.split(",") if part.strip()]
    if len(values) != count or not all(map(math.isfinite, values)):
        raise ValueError(text)
    return values


def _unusable(name: str) -> GeometryError:
    return GeometryError(
        f"{name} has an unusable orientation",
        got="space directions or an origin that are not three numbers each",
        expected="three directions and an origin",
        next_step="save the scan again",
    )
