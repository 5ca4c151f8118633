"""A scan inside a project: its voxels as NIfTI, and beside it what a NIfTI file cannot say.

- `scan.nii.gz`: the stored values on the canonical grid (L, P, S); slope and intercept in the
  header lead to HU.
- `scan.json`: what the values mean, and how the scan's own file lay, so that results go back to it
  as before. Name and DICOM identifiers only where they were asked for.
- `true_lung.nii.gz`, `true_infection.nii.gz`: true masks, where there are any.
"""

from __future__ import annotations

import io
import re
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, get_args

import nibabel as nib
import numpy as np
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError

from core.config import CHANNELS, LoadLimits, read_json, whole_number
from core.correction.project.mask_file import mask_bytes, read_mask
from core.correction.project.state import check_version
from core.errors import LungLensError, ProjectError
from core.system import (
    DAMAGED_GZIP,
    OnProgress,
    ignore_progress,
    json_text,
    open_gzip,
    write_bytes,
    write_gzip,
    write_text,
)
from core.volume import (
    Array,
    DicomInstance,
    DicomOrigin,
    Intensity,
    LengthUnit,
    MaskPair,
    NiftiForms,
    Source,
    SourceFormat,
    Study,
    Unit,
    Volume,
    check_affine,
    to_file_order,
)

SCAN_NAME, SCAN_JSON = "scan.nii.gz", "scan.json"
SCAN_FILES = (SCAN_NAME, SCAN_JSON, "true_lung.nii.gz", "true_infection.nii.gz")
_VERSION = 1
_MOST_TEXTS, _MOST_CHARACTERS = 200, 2000
_UNNAMED = "scan"
_HEADER_BYTES = 352
_DAMAGED = (
    *(OSError, KeyError, TypeError, ValueError, LungLensError, HeaderDataError, WrapStructError),
    *DAMAGED_GZIP,
)
_KINDS = ("int16", "uint8", "float32")
_PLAIN = ("format", "trailing_axes", "file_unit", "seems_turned", "other_orientation")


def write_scan(folder: Path, study: Study, *, identity: bool) -> None:
    """Writes a scan with its true masks.

    Args:
        identity: whether the file's name and the identifiers of a DICOM series are written too.

    Raises:
        SaveError: it cannot be written.
    """
    volume = study.volume
    write_bytes(folder / SCAN_NAME, _nifti(volume))
    for channel in CHANNELS:
        mask = None if study.truth is None else getattr(study.truth, channel)
        if mask is not None:
            write_bytes(folder / f"true_{channel}.nii.gz", mask_bytes(mask, volume, "true mask"))
    values = {
        "version": _VERSION,
        "affine": volume.affine.tolist(),
        "intensity": asdict(volume.intensity),
        "spacing_nominal": volume.spacing_nominal,
        "warnings": list(volume.warnings),
        "synthetic": study.synthetic,
        "case_id": study.case_id if identity or study.synthetic else "",
        "source": _source_json(volume.source, identity=identity or study.synthetic),
    }
    write_text(folder / SCAN_JSON, json_text(values) + "\n")


def has_scan(folder: Path) -> bool:
    """Whether a project holds its scan."""
    return (folder / SCAN_JSON).is_file()


def delete_scan(folder: Path) -> None:
    """Deletes the scan of a project, its description first: without that there is none."""
    for name in (SCAN_JSON, *SCAN_FILES):
        (folder / name).unlink(missing_ok=True)


def read_scan(
    folder: Path, *, fingerprint: str, on_progress: OnProgress = ignore_progress
) -> Study:
    """The scan of a project, as it was when it was kept.

    Raises:
        ProjectError: it is damaged, or not the one that the project is of.
    """
    try:
        found = read_json(folder / SCAN_JSON)
        check_version(found["version"], _VERSION)
        volume = _volume(found, folder / SCAN_NAME, on_progress)
        _check_meaning(volume)
    except _DAMAGED as error:
        raise ProjectError("The scan of a project cannot be read", got="damaged files") from error
    if volume.digest != fingerprint:
        raise ProjectError(
            "The scan in a project is not the one that was corrected", got="another fingerprint"
        )
    truth = {
        channel: read_mask(folder / f"true_{channel}.nii.gz", volume.shape) for channel in CHANNELS
    }
    known = any(mask is not None for mask in truth.values())
    return Study(
        volume,
        truth=MaskPair(truth["lung"], truth["infection"]) if known else None,
        case_id=str(found["case_id"]),
        synthetic=bool(found["synthetic"]),
    )


def _nifti(volume: Volume) -> bytes:
    """Built here, because nibabel would write other values than the stored ones."""
    header: Any = nib.Nifti1Header()
    header.set_data_dtype(volume.array.dtype)
    header.set_data_shape(volume.shape)
    header.set_sform(volume.affine, code="scanner")
    header.set_xyzt_units("mm")
    header["scl_slope"], header["scl_inter"] = volume.intensity.slope, volume.intensity.intercept
    header["vox_offset"], header["magic"] = _HEADER_BYTES, b"n+1"
    header["descrip"] = b"LungLens scan"
    head = header.binaryblock + bytes(_HEADER_BYTES - len(header.binaryblock))
    packed = io.BytesIO()
    little = np.asfortranarray(volume.array).astype(volume.array.dtype.newbyteorder("<"))
    write_gzip(packed, head, little.tobytes(order="F"))
    return packed.getvalue()


def _volume(found: dict[str, Any], path: Path, on_progress: OnProgress) -> Volume:
    with open_gzip(path) as file:
        head = file.read(_HEADER_BYTES)
        header: Any = nib.Nifti1Header(head[:348])
        shape = tuple(int(count) for count in header.get_data_shape())
        kind = header.get_data_dtype()
        voxels = int(np.prod(shape, dtype=np.int64))
        if len(shape) != 3 or kind.name not in _KINDS or voxels > LoadLimits().max_voxels:
            raise ValueError("another array")
        size = voxels * kind.itemsize
        pieces = []
        for k in range(shape[2]):
            on_progress("reading slices", k, shape[2])
            pieces.append(file.read(size // shape[2]))
        pieces.append(file.read(1))
    content = b"".join(pieces)
    if len(content) != size:
        raise ValueError("another number of voxels")
    array: Array = np.frombuffer(content, dtype=kind).reshape(shape, order="F")
    source = _source(found["source"])
    return Volume(
        array=array,
        affine=_matrix(found["affine"]),
        intensity=Intensity(**found["intensity"]),
        source=source,
        spacing_nominal=bool(found["spacing_nominal"]),
        warnings=tuple(map(str, found["warnings"])),
    )


def _check_meaning(volume: Volume) -> None:
    """What the rest of the program relies on of any scan, and anybody may have written here.

    Raises:
        ValueError, GeometryError: it does not hold.
    """
    source, intensity = volume.source, volume.intensity
    known = (
        source.format in get_args(SourceFormat)
        and source.file_unit in get_args(LengthUnit)
        and intensity.unit in get_args(Unit)
        and isinstance(intensity.reason, str)
        and isinstance(source.other_orientation, str)
        and re.fullmatch("[LRAPSI]{3}|", source.other_orientation)
        and isinstance(source.seems_turned, bool)
    )
    slices = source.file_shape[2]
    texts = [*volume.warnings, intensity.reason, *(text for fact in source.facts for text in fact)]
    fits = (
        len(source.slice_weights) in (0, slices)
        and len(source.steps_mm) in (0, slices - 1)
        and all(0 < one < 1e6 for one in (*source.slice_weights, *source.steps_mm))
        and 0 < abs(float(intensity.slope)) < 1e6
        and abs(float(intensity.intercept)) < 1e9
        and (source.dicom is None or len(source.dicom.instances) == slices)
        and len(texts) <= _MOST_TEXTS
        and all(len(text) <= _MOST_CHARACTERS for text in texts)
    )
    whole_number(source.trailing_axes, most=4)
    if not known or not fits:
        raise ValueError("a scan that contradicts itself")
    to_file_order(np.broadcast_to(np.False_, volume.shape), source)


def _source_json(source: Source, *, identity: bool) -> dict[str, Any]:
    values: dict[str, Any] = {name: getattr(source, name) for name in _PLAIN}
    values["name"] = source.name if identity else _UNNAMED
    values["file_shape"] = list(source.file_shape)
    values["file_affine"] = source.file_affine.tolist()
    values["facts"] = [list(fact) for fact in source.facts]
    values["steps_mm"] = list(source.steps_mm)
    values["slice_weights"] = list(source.slice_weights)
    values["stored_affine"] = (
        None if source.stored_affine is None else source.stored_affine.tolist()
    )
    values["forms"] = (
        None
        if source.forms is None
        else {"affine": source.forms.affine.tolist(), "fields": source.forms.fields}
    )
    values["dicom"] = asdict(source.dicom) if identity and source.dicom is not None else None
    return values


def _source(found: dict[str, Any]) -> Source:
    stored, forms, dicom = found["stored_affine"], found["forms"], found["dicom"]
    a, b, c = (int(count) for count in found["file_shape"])
    return Source(
        name=str(found["name"])[:200],
        file_shape=(a, b, c),
        file_affine=_matrix(found["file_affine"]),
        facts=tuple((str(label), str(value)) for label, value in found["facts"]),
        steps_mm=tuple(map(float, found["steps_mm"])),
        slice_weights=tuple(map(float, found["slice_weights"])),
        stored_affine=None if stored is None else _matrix(stored),
        forms=None if forms is None else _forms(forms),
        dicom=None if dicom is None else _dicom(dicom),
        **{name: found[name] for name in _PLAIN},
    )


def _matrix(found: Any) -> Any:
    affine = np.array(found, dtype=np.float64)
    check_affine(affine)
    return affine


def _forms(found: dict[str, Any]) -> NiftiForms:
    fields_found = tuple((str(name), tuple(map(float, row))) for name, row in found["fields"])
    return NiftiForms(_matrix(found["affine"]), fields_found)


def _dicom(found: dict[str, Any]) -> DicomOrigin:
    values = {one.name: _tuples(found[one.name]) for one in fields(DicomOrigin)}
    values["instances"] = tuple(
        DicomInstance(**{name: _tuples(value) for name, value in one.items()})
        for one in found["instances"]
    )
    return DicomOrigin(**values)


def _tuples(value: Any) -> Any:
    """Lists of numbers as the tuples that they were."""
    return tuple(value) if isinstance(value, list) else value
