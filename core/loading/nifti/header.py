"""The header of a NIfTI file, checked before memory is taken for voxels."""

from __future__ import annotations

import math
import struct
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import nibabel as nib
import numpy as np
import numpy.typing as npt
from nibabel.spatialimages import HeaderDataError

from core.config import LoadLimits
from core.errors import GeometryError, LoadError, shown_name
from core.loading.checks import DEFAULT_LIMITS, check_size
from core.loading.nifti.forms import choose_form, form_fields, mend_voxel_sizes
from core.loading.volume_header import VolumeHeader, damaged_volume
from core.system import DAMAGED_GZIP, open_gzip, size_text
from core.volume import MM_PER_UNIT, LengthUnit, NiftiForms, check_affine, spacing_mm

_GZIP_MAGIC = b"\x1f\x8b"
_DEFLATE_MAX_RATIO = 1040
"""Deflate cannot shrink further than about 1032:1."""
_MAX_EXTENSION_BYTES = 64 * 1024**2
_LENGTH_UNITS: dict[int, LengthUnit] = {1: "meter", 2: "mm", 3: "micron"}
"""NIfTI's codes for units of length; any other is taken for mm."""
_POSSIBLE_SPACING_MM = (0.01, 100.0)
_FARTHEST_MM = 100_000.0
_HALVES = (".hdr", ".img", ".hdr.gz", ".img.gz")


def read_header(path: Path, *, limits: LoadLimits = DEFAULT_LIMITS) -> VolumeHeader:
    """The checked header of a NIfTI file or of a pair of .hdr and .img; takes no memory for voxels.

    Raises:
        LoadError: not a NIfTI file, or one that cannot be opened here.
        GeometryError: spacing or affine are unusable.
    """
    name = shown_name(path.name)
    header_path, data_path = halves_of(path)
    try:
        with open_nifti(header_path) as stream:
            raw = _parse_header(stream, name, pair=data_path != header_path)
        size_bytes = data_path.stat().st_size
        compressed = _is_gzipped(data_path)
    except DAMAGED_GZIP as error:
        raise damaged_volume(name, "the gzip stream ends in the header") from error
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
    offset = _data_offset(raw, dtype, name, pair=data_path != header_path)
    declared = offset + math.prod(shape) * dtype.itemsize
    most = size_bytes * _DEFLATE_MAX_RATIO if compressed else size_bytes
    if declared > most:
        raise damaged_volume(name, f"{size_bytes} bytes where the header declares {declared}")
    slope, intercept = _scaling(raw, name)
    is_nifti = isinstance(raw, nib.Nifti1Header)
    affine, forms, unit, nominal, warnings = (
        _geometry(raw, name) if is_nifti else _analyze_geometry(raw, name)
    )
    fact = "NIfTI" if is_nifti else "Analyze"
    if data_path != header_path:
        fact += ", a pair of .hdr and .img"
    return VolumeHeader(
        format="nifti" if is_nifti else "analyze",
        format_fact=f"{fact}, gzipped" if compressed else fact,
        shape=shape,
        trailing_axes=max(0, int(raw["dim"][0]) - 3),
        dtype=dtype,
        slope=slope,
        intercept=intercept,
        affine=affine,
        open_data=partial(_open_voxels, data_path, offset, name),
        forms=forms,
        file_unit=unit,
        spacing_nominal=nominal,
        compressed=compressed,
        warnings=warnings,
    )


def _is_gzipped(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == _GZIP_MAGIC


def _open_voxels(path: Path, offset: int, name: str) -> BinaryIO:
    stream = open_nifti(path)
    if len(stream.read(offset)) < offset:
        stream.close()
        raise damaged_volume(name, "no voxels")
    return stream


def halves_of(path: Path) -> tuple[Path, Path]:
    """The file of the header and that of the voxels: of a pair two, else twice the same.

    Raises:
        LoadError: the other half of a pair is missing.
    """
    ending = next((e for e in _HALVES if path.name.lower().endswith(e)), None)
    if ending is None:
        return path, path
    stem = path.name[: -len(ending)].lower()
    wanted = {f"{stem}{other}" for other in _HALVES if (".img" in other) != (".img" in ending)}
    try:
        found = [child for child in path.parent.iterdir() if child.name.lower() in wanted]
    except OSError:
        found = []
    if not found:
        raise half_of_a_pair(shown_name(path.name))
    other = sorted(found)[0]
    return (other, path) if ".img" in ending else (path, other)


def open_nifti(path: Path) -> BinaryIO:
    """The file, unpacked on the way where it is gzipped."""
    with path.open("rb") as file:
        start = file.read(2)
    if start == _GZIP_MAGIC:
        return open_gzip(path)
    return path.open("rb")


def half_of_a_pair(name: str) -> LoadError:
    """The error for a header or voxels whose other half is missing."""
    return LoadError(
        f"{name} is one half of a .hdr/.img pair",
        got="a header or voxels alone",
        expected="both files, of one name, in one place",
        next_step="open them together, or convert the pair to .nii",
    )


def _parse_header(stream: BinaryIO, name: str, *, pair: bool) -> Any:
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
            raise damaged_volume(name, f"{len(block)} bytes of a {size}-byte header")
        magic = block[344:348] if size == 348 else block[4:8]
        in_two = magic in (b"ni1\0", b"ni2\0")
        if in_two and not pair:
            raise half_of_a_pair(name)
        if pair and size == 348 and not in_two:
            return nib.Spm99AnalyzeHeader(block, endianness=endianness, check=False)
        if in_two or magic == (b"n+1\0" if size == 348 else b"n+2\0"):
            kind: Any = nib.Nifti1Header if size == 348 else nib.Nifti2Header
            return kind(block, endianness=endianness, check=False)
    start += stream.read(128)
    looks = "text" if _is_text(start[:64]) else "other content"
    step = "convert the original DICOM, or open another file"
    if start[:2] == _GZIP_MAGIC:
        looks, step = "a second layer of gzip", "unpack it once"
    elif start[128:132] == b"DICM":
        looks, step = "a packed DICOM file", "unpack it and open what is inside"
    elif name.lower().endswith(".gz") and not name.lower().endswith(".nii.gz"):
        step = "unpack it and open what is inside"
    raise LoadError(
        f"{name} is not a NIfTI image",
        got=f"{looks} where the NIfTI header should be",
        expected="a .nii or .nii.gz file",
        next_step=step,
    )


def _is_text(start: bytes) -> bool:
    return all(32 <= byte < 127 or byte in b"\t\r\n" or byte >= 0xC2 for byte in start)


def _three_axes(raw: Any, name: str) -> tuple[int, int, int]:
    """(a, b, c) with trailing axes of length one dropped; a single slice may have two axes."""
    count = int(raw["dim"][0])
    dims = [int(n) for n in raw["dim"][1 : 1 + count]] if 1 <= count <= 7 else []
    shown = size_text(dims) or f"{count} axes"
    if len(dims) == 2:
        return dims[0], dims[1], 1
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


def _data_offset(raw: Any, dtype: np.dtype[Any], name: str, *, pair: bool) -> int:
    """Where voxels begin: behind the header and its four bytes of extension, on whole voxels."""
    value = float(raw["vox_offset"])
    smallest = 0 if pair else int(raw["sizeof_hdr"]) + 4
    step = min(dtype.itemsize, 4)
    fits = math.isfinite(value) and smallest <= value <= _MAX_EXTENSION_BYTES
    if not fits or value % step:
        raise damaged_volume(name, f"voxels declared to begin at byte {value:g}")
    return int(value)


def _scaling(raw: Any, name: str) -> tuple[float, float]:
    if not isinstance(raw, nib.Nifti1Header):
        slope = float(raw["scl_slope"])
        return (slope if math.isfinite(slope) and slope else 1.0), 0.0
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
    if int(raw["dim"][0]) == 2 and not raw["pixdim"][3]:
        raw["pixdim"][3] = 1.0
    mended = mend_voxel_sizes(raw)
    pixdim = np.asarray(raw["pixdim"][1:4], dtype=np.float64)
    if not np.isfinite(pixdim).all() or (pixdim == 0).any():
        raise GeometryError(
            f"{name} has no usable spacing",
            got=size_text(f"{s:g}" for s in pixdim) + " mm",
            expected="three distances above zero",
            next_step="repair the header or convert the original DICOM again",
        )
    found = choose_form(raw, name)
    affine, warnings = found.affine, mended + found.warnings
    unit, unit_warnings = _length_unit(raw, affine)
    warnings += unit_warnings
    affine[:3] *= MM_PER_UNIT[unit]
    check_affine(affine)
    _refuse_impossible(affine, name)
    forms = NiftiForms(affine, form_fields(raw)) if found.repeatable else None
    if int(raw["sform_code"]) <= 0 and int(raw["qform_code"]) <= 0:
        spacing = np.array(spacing_mm(affine))
        is_given = not np.allclose(spacing, 1.0)
        also = "" if is_given else ", and the spacing,"
        warning = (
            f"The file does not give its orientation in the patient: left and right{also} are "
            "assumed."
        )
        return affine, forms, unit, not is_given, (*warnings, warning)
    spacing = np.array(spacing_mm(affine))
    if np.allclose(spacing, 1.0) and not affine[:3, 3].any():
        warning = "The header was left at 1 × 1 × 1 mm: volumes in ml are not known."
        return affine, forms, unit, True, (*warnings, warning)
    if not np.allclose(spacing, pixdim * MM_PER_UNIT[unit], rtol=0.01):
        warnings += ("The header gives two spacings; that of the affine is used.",)
    return affine, forms, unit, False, warnings


def _analyze_geometry(
    raw: Any, name: str
) -> tuple[npt.NDArray[np.float64], None, LengthUnit, bool, tuple[str, ...]]:
    """As `_geometry`, of a format that has a spacing and no position."""
    spacing = np.abs(np.asarray(raw["pixdim"][1:4], dtype=np.float64))
    known = bool(np.isfinite(spacing).all() and (spacing > 0).all())
    affine = np.diag([*(np.array([-1.0, 1.0, 1.0]) * (spacing if known else 1.0)), 1.0])
    _refuse_impossible(affine, name)
    warning = (
        "An Analyze file gives no orientation in the patient: left and right, front and back "
        "are assumed."
    )
    return affine, None, "mm", not known, (warning,)


def _refuse_impossible(affine: npt.NDArray[np.float64], name: str) -> None:
    spacing = spacing_mm(affine)
    low, high = _POSSIBLE_SPACING_MM
    if not all(low <= s <= high for s in spacing):
        raise GeometryError(
            f"{name} has a spacing that no CT has",
            got=size_text(f"{s:.3g}" for s in spacing) + " mm",
            expected=f"{low:g} to {high:g} mm",
            next_step="repair the header or convert the original DICOM again",
        )
    if np.abs(affine[:3, 3]).max() > _FARTHEST_MM:
        raise GeometryError(
            f"{name} lies impossibly far from the scanner's centre",
            got=f"an origin {np.abs(affine[:3, 3]).max():.3g} mm away",
            expected=f"at most {_FARTHEST_MM:g} mm",
            next_step="repair the header or convert the original DICOM again",
        )


def _length_unit(raw: Any, affine: npt.NDArray[np.float64]) -> tuple[LengthUnit, tuple[str, ...]]:
    """The header's unit of length; mm where only mm is possible for a chest."""
    unit = _LENGTH_UNITS.get(int(raw["xyzt_units"]) & 0x07, "mm")
    low, high = _POSSIBLE_SPACING_MM
    spacing = np.array(spacing_mm(affine))
    scaled = spacing * MM_PER_UNIT[unit]
    declared_fits = bool(((scaled >= low) & (scaled <= high)).all())
    if not declared_fits and bool(((spacing >= low) & (spacing <= high)).all()):
        warning = (
            f"The header gives lengths in {unit}, which is impossible for a chest: mm is assumed."
        )
        return "mm", (warning,)
    return unit, ()
