"""What a NIfTI header says, judged before memory is taken for voxels."""

from __future__ import annotations

import gzip
import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import nibabel as nib
import numpy as np
import numpy.typing as npt
from nibabel.spatialimages import HeaderDataError

from core.config import LoadLimits
from core.errors import GeometryError, LoadError, shown_name
from core.loading.checks import DEFAULT_LIMITS, check_size
from core.loading.nifti.forms import choose_form, form_fields
from core.system import DAMAGED_GZIP, open_gzip, size_text
from core.volume import MM_PER_UNIT, LengthUnit, NiftiForms, check_affine, spacing_mm

_GZIP_MAGIC = b"\x1f\x8b"
_DEFLATE_MAX_RATIO = 1040
"""Deflate cannot shrink further than about 1032:1."""
_MAX_EXTENSION_BYTES = 64 * 1024**2
_LENGTH_UNITS: dict[int, LengthUnit] = {1: "meter", 2: "mm", 3: "micron"}
"""NIfTI's codes for units of length; any other is taken for mm."""
_POSSIBLE_SPACING_MM = (0.01, 100.0)


@dataclass(frozen=True, eq=False)
class NiftiHeader:
    """What a header says, checked."""

    shape: tuple[int, int, int]
    trailing_axes: int
    """Axes of length one behind `shape`."""
    dtype: np.dtype[Any]
    slope: float
    intercept: float
    offset: int
    """Position of the first voxel in the unpacked file, in bytes."""
    affine: npt.NDArray[np.float64]
    """(4, 4), voxel index in file order → RAS mm, whatever the file's unit."""
    forms: NiftiForms | None
    """The header's own fields of position; none where the form in use is not one of them."""
    file_unit: LengthUnit
    spacing_nominal: bool
    compressed: bool
    warnings: tuple[str, ...]


def read_header(path: Path, *, limits: LoadLimits = DEFAULT_LIMITS) -> NiftiHeader:
    """The checked header of a NIfTI file; takes no memory for voxels.

    Raises:
        LoadError: not a NIfTI file, or one that cannot be opened here.
        GeometryError: spacing or affine are unusable.
    """
    name = shown_name(path.name)
    try:
        size_bytes = path.stat().st_size
        with open_nifti(path) as stream:
            compressed = isinstance(stream, gzip.GzipFile)
            raw = _parse_header(stream, name)
    except DAMAGED_GZIP as error:
        raise damaged_nifti(name, "the gzip stream ends in the header") from error
    except OSError as error:
        raise LoadError(
            f"{name} cannot be opened",
            got=error.strerror or "a read error",
            expected="a readable NIfTI file",
            next_step="check its path and permissions",
        ) from error
    shape = _three_axes(raw, name)
    check_size(shape, limits, what=name)
    dtype = _voxel_type(raw, name)
    offset = _data_offset(raw, name)
    declared = offset + math.prod(shape) * dtype.itemsize
    most = size_bytes * _DEFLATE_MAX_RATIO if compressed else size_bytes
    if declared > most:
        raise damaged_nifti(name, f"{size_bytes} bytes where the header declares {declared}")
    slope, intercept = _scaling(raw, name)
    affine, forms, unit, nominal, warnings = _geometry(raw, name)
    return NiftiHeader(
        shape=shape,
        trailing_axes=int(raw["dim"][0]) - 3,
        dtype=dtype,
        slope=slope,
        intercept=intercept,
        offset=offset,
        affine=affine,
        forms=forms,
        file_unit=unit,
        spacing_nominal=nominal,
        compressed=compressed,
        warnings=warnings,
    )


def open_nifti(path: Path) -> BinaryIO:
    """The file, unpacked on the way where it is gzipped."""
    with path.open("rb") as file:
        start = file.read(2)
    if start == _GZIP_MAGIC:
        return open_gzip(path)
    return path.open("rb")


def half_of_a_pair(name: str) -> LoadError:
    """The error for a header or voxels that come in a file of their own."""
    return LoadError(
        f"{name} is one half of a .hdr/.img pair",
        got="a header and voxels in two files",
        expected="a single .nii or .nii.gz file",
        next_step="convert the pair to .nii",
    )


def damaged_nifti(name: str, got: str) -> LoadError:
    """The error for a file whose content ends early or makes no sense."""
    return LoadError(
        f"{name} is damaged or cut short",
        got=got,
        expected="a complete NIfTI file",
        next_step="copy or download it again",
    )


def _parse_header(stream: BinaryIO, name: str) -> Any:
    """nibabel's header object, unchecked but with a valid magic number."""
    start = stream.read(4)
    if not start:
        raise LoadError(
            f"{name} is empty",
            got="0 bytes",
            expected="a NIfTI file",
            next_step="copy or download it again",
        )
    for endianness in "<>":
        size = struct.unpack(f"{endianness}i", start)[0] if len(start) == 4 else 0
        if size not in (348, 540):
            continue
        block = start + stream.read(size - 4)
        if len(block) < size:
            raise damaged_nifti(name, f"{len(block)} bytes of a {size}-byte header")
        magic = block[344:348] if size == 348 else block[4:8]
        if magic in (b"ni1\0", b"ni2\0"):
            raise half_of_a_pair(name)
        if magic == (b"n+1\0" if size == 348 else b"n+2\0"):
            kind: Any = nib.Nifti1Header if size == 348 else nib.Nifti2Header
            return kind(block, endianness=endianness, check=False)
    looks = "text" if _is_text(start + stream.read(60)) else "other content"
    raise LoadError(
        f"{name} is not a NIfTI image",
        got=f"{looks} where the NIfTI header should be",
        expected="a .nii or .nii.gz file",
        next_step="convert the original DICOM, or open another file",
    )


def _is_text(start: bytes) -> bool:
    return all(32 <= byte < 127 or byte in b"\t\r\n" or byte >= 0xC2 for byte in start)


def _three_axes(raw: Any, name: str) -> tuple[int, int, int]:
    """(a, b, c) with trailing axes of length one dropped."""
    count = int(raw["dim"][0])
    dims = [int(n) for n in raw["dim"][1 : 1 + count]] if 1 <= count <= 7 else []
    shown = size_text(dims) or f"{count} axes"
    if len(dims) < 3:
        raise LoadError(
            f"{name} is not a volume",
            got=f"size {shown}" if dims else shown,
            expected="three axes",
            next_step="export the whole scan, or open a picture as PNG",
        )
    if any(n > 1 for n in dims[3:]):
        raise LoadError(
            f"{name} holds several frames or channels",
            got=f"size {shown}",
            expected="one volume of three axes",
            next_step="split it and open one frame",
        )
    return dims[0], dims[1], dims[2]


def _voxel_type(raw: Any, name: str) -> np.dtype[Any]:
    try:
        dtype: np.dtype[Any] = raw.get_data_dtype()
    except (HeaderDataError, KeyError, ValueError) as error:
        raise LoadError(
            f"{name} has an unknown voxel type",
            got=f"code {int(raw['datatype'])}",
            expected="integers or floating point numbers",
            next_step="export the scan again",
        ) from error
    if dtype.kind not in "iuf" or dtype.itemsize == 0:
        got = "RGB colours" if dtype.names else f"voxels of type {dtype}"
        raise LoadError(
            f"{name} does not hold one number per voxel",
            got=got,
            expected="integers or floating point numbers",
            next_step="export the CT itself, not a rendering of it",
        )
    return dtype


def _data_offset(raw: Any, name: str) -> int:
    value = float(raw["vox_offset"])
    smallest = int(raw["sizeof_hdr"])
    if not math.isfinite(value) or not smallest <= value <= _MAX_EXTENSION_BYTES:
        raise damaged_nifti(name, f"voxels declared to begin at byte {value:g}")
    return int(value)


def _scaling(raw: Any, name: str) -> tuple[float, float]:
    try:
        slope, intercept = raw.get_slope_inter()
    except HeaderDataError as error:
        raise LoadError(
            f"{name} has an unusable scaling",
            got=f"slope {float(raw['scl_slope']):g}, intercept {float(raw['scl_inter']):g}",
            expected="finite numbers",
            next_step="repair the header",
        ) from error
    return (1.0 if slope is None else float(slope), 0.0 if intercept is None else float(intercept))


def _geometry(
    raw: Any, name: str
) -> tuple[npt.NDArray[np.float64], NiftiForms | None, LengthUnit, bool, tuple[str, ...]]:
    """Affine in mm, the forms to repeat, the file's unit, whether the spacing is nominal, and
    warnings."""
    # nibabel reads a spacing of zero as one, so the header itself is looked at.
    pixdim = np.asarray(raw["pixdim"][1:4], dtype=np.float64)
    if not np.isfinite(pixdim).all() or (pixdim == 0).any():
        raise GeometryError(
            f"{name} has no usable spacing",
            got=size_text(f"{s:g}" for s in pixdim) + " mm",
            expected="three distances above zero",
            next_step="repair the header or convert the original DICOM again",
        )
    found = choose_form(raw, name)
    affine, warnings = found.affine, found.warnings
    unit, unit_warnings = _length_unit(raw, affine)
    warnings += unit_warnings
    affine[:3] *= MM_PER_UNIT[unit]
    check_affine(affine)
    forms = NiftiForms(affine, form_fields(raw)) if found.repeatable else None
    if int(raw["sform_code"]) <= 0 and int(raw["qform_code"]) <= 0:
        warning = (
            "The file does not say how it lies in the patient: left and right, and the "
            "spacing, are assumed."
        )
        return affine, forms, unit, True, (*warnings, warning)
    spacing = np.array(spacing_mm(affine))
    if np.allclose(spacing, 1.0) and not affine[:3, 3].any():
        warning = "The header was left at 1 × 1 × 1 mm: volumes in ml are not known."
        return affine, forms, unit, True, (*warnings, warning)
    if not np.allclose(spacing, np.abs(pixdim) * MM_PER_UNIT[unit], rtol=0.01):
        warnings += ("The header gives two spacings; that of the affine is used.",)
    return affine, forms, unit, False, warnings


def _length_unit(raw: Any, affine: npt.NDArray[np.float64]) -> tuple[LengthUnit, tuple[str, ...]]:
    """The header's unit of length; mm where only mm is possible for a chest."""
    unit = _LENGTH_UNITS.get(int(raw["xyzt_units"]) & 0x07, "mm")
    low, high = _POSSIBLE_SPACING_MM
    spacing = np.array(spacing_mm(affine))
    scaled = spacing * MM_PER_UNIT[unit]
    declared_fits = bool(((scaled >= low) & (scaled <= high)).all())
    if not declared_fits and bool(((spacing >= low) & (spacing <= high)).all()):
        warning = (
            f"The header gives lengths in {unit}, which is impossible for a chest: mm are assumed."
        )
        return "mm", (warning,)
    return unit, ()
