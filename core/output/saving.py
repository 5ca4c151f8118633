"""Masks back to files that lie exactly as the scan's own file did."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import nibabel as nib
import numpy as np

from core.errors import GeometryError
from core.loading.straight_grid import StraightGrid, right_angled, straight_grid
from core.system import write_bytes, write_gzip
from core.volume import MM_PER_UNIT, Array, NiftiForms, Source, Volume, to_file_order


def mask_nifti_bytes(mask: Array, volume: Volume, *, note: str = "") -> bytes:
    """A mask or label map as the bytes of a `.nii.gz` file.

    Args:
        mask: (i, j, k) on the canonical grid of `volume`; booleans or labels 0 to 255.
        note: what the header's description says of it, ASCII, such as "corrected by hand".

    Returns:
        uint8 in the shape (with trailing axes of length one), orientation, unit of length, sform
        and qform (codes included) of the scan's own file, so that every program puts it where it
        puts the scan. The mask of a sheared scan without a qform is put straight (see
        `core.loading.straight_grid`): ITK opens no other. The same mask always gives the same
        bytes.

    Raises:
        GeometryError: the mask has not the shape of the scan.
    """
    if mask.shape != volume.shape:
        raise GeometryError(
            "A mask does not fit its scan", got=f"shape {mask.shape}", expected=f"{volume.shape}"
        )
    # Any cast makes the boolean view a file of its own; Fortran order is that of the file.
    labels = np.asfortranarray(to_file_order(mask, volume.source).astype(np.uint8))
    top = max(1, int(labels.max()))
    source = _as_claimed(volume.source)
    straight = _straight(source)
    if straight is not None:
        labels = straight.place(labels)
        source = replace(source, file_shape=straight.shape, file_affine=straight.affine)
    description = f"LungLens mask, {note}" if note else "LungLens mask"
    return _pack(labels, source, cal_max=top, description=description.encode("ascii"))


def mask_file_notes(volume: Volume) -> tuple[str, ...]:
    """What a person should know of the masks of this scan as files."""
    notes: tuple[str, ...] = ()
    if volume.source.stored_affine is not None:
        notes = (
            "The orientation was corrected: the mask files repeat the position that the scan's own "
            "file claims, so that they lie on it.",
        )
    source = _as_claimed(volume.source)
    if _straight(source) is not None:
        return (
            *notes,
            "The slices are tilted against their axis, which many programs cannot open: in the "
            "mask files each slice is moved within its plane onto a grid with right angles, which "
            "is larger than the scan's.",
        )
    if straight_grid(source.file_affine, source.file_shape) is not None:
        return (
            *notes,
            "The slices are tilted against their axis by the sform of the scan's file and upright "
            "by its qform: the mask files repeat both, so that they lie on the scan in every "
            "program. Programs that use ITK, such as 3D Slicer and ITK-SNAP, place scan and masks "
            "by the qform.",
        )
    return notes


def _as_claimed(source: Source) -> Source:
    """The source with the position that its own file claims, where a person has corrected it."""
    if source.stored_affine is None:
        return source
    return replace(source, file_affine=source.stored_affine)


def _straight(source: Source) -> StraightGrid | None:
    """The grid on which masks of a sheared scan are written.

    None where nothing is sheared, and where a qform stands beside the sheared sform: ITK opens
    such a file by its qform, and its masks, which repeat both, lie on it.
    """
    forms = source.forms
    if forms and _is_of(forms, source) and dict(forms.fields)["qform_code"][0] > 0:
        return None
    return straight_grid(source.file_affine, source.file_shape)


def volume_nifti_bytes(volume: Volume) -> bytes:
    """A scan as the bytes of a `.nii.gz` file in its own file's shape, orientation and affine."""
    turned = np.asfortranarray(to_file_order(volume.array, volume.source))
    return _pack(turned, volume.source, cal_max=0, description=b"LungLens scan")


def save_volume(volume: Volume, path: Path | str) -> Path:
    """Writes `volume_nifti_bytes` to a file.

    Raises:
        SaveError: the file cannot be written.
    """
    write_bytes(Path(path), volume_nifti_bytes(volume))
    return Path(path)


def _pack(array: Array, source: Source, *, cal_max: int, description: bytes) -> bytes:
    affine = source.file_affine.copy()
    affine[:3] /= MM_PER_UNIT[source.file_unit]
    full_shape = source.file_shape + (1,) * source.trailing_axes
    image = nib.Nifti1Image(array.reshape(full_shape, order="F"), affine)
    header: Any = image.header
    header.set_xyzt_units(source.file_unit)
    if source.forms is not None and _is_of(source.forms, source):
        _repeat_forms(header, source.forms)
    else:
        image.set_sform(affine, code="scanner")
        image.set_qform(right_angled(affine), code="scanner")
    header["cal_max"] = cal_max
    header["descrip"] = description
    packed = io.BytesIO()
    write_gzip(packed, image.to_bytes())
    return packed.getvalue()


def save_mask(mask: Array, volume: Volume, path: Path | str) -> Path:
    """Writes `mask_nifti_bytes` to a file; a half-written file never stays behind.

    Raises:
        GeometryError: the mask has not the shape of the scan.
        SaveError: the file cannot be written.
    """
    write_bytes(Path(path), mask_nifti_bytes(mask, volume))
    return Path(path)


def mask_png_bytes(mask_slice: Array) -> bytes:
    """(rows, columns) booleans or labels as an 8-bit PNG: 255 where true, else 0."""
    picture = np.where(np.asarray(mask_slice) != 0, np.uint8(255), np.uint8(0))
    done, packed = cv2.imencode(".png", np.ascontiguousarray(picture))
    if not done:
        raise GeometryError(
            "A mask cannot be written as PNG",
            got=f"shape {picture.shape}",
            expected="rows and columns",
        )
    return packed.tobytes()


def mask_picture_bytes(mask: Array) -> bytes:
    """(i, j, 1) the mask of a picture as `mask_png_bytes`, with the rows and columns of its file.

    Raises:
        GeometryError: it is a mask of several slices.
    """
    if mask.shape[2] != 1:
        raise GeometryError(
            "A mask cannot be written as one PNG", got=f"{mask.shape[2]} slices", expected="one"
        )
    return mask_png_bytes(mask[:, :, 0].T)


def save_mask_png(mask_slice: Array, path: Path | str) -> Path:
    """Writes `mask_png_bytes` to a file.

    Raises:
        SaveError: the file cannot be written.
    """
    write_bytes(Path(path), mask_png_bytes(mask_slice))
    return Path(path)


def _is_of(forms: NiftiForms, source: Source) -> bool:
    """Whether the forms are those of the grid that is written: not of a part cut out of it."""
    return np.array_equal(forms.affine, source.file_affine)


def _repeat_forms(header: Any, forms: NiftiForms) -> None:
    """Both forms of the scan's own header, with their codes."""
    for name, values in forms.fields:
        if name == "pixdim":
            header[name][: len(values)] = values
        else:
            header[name] = values if len(values) > 1 else values[0]
    if int(header["qform_code"]) == 0 < int(header["sform_code"]):
        sform = header.get_sform()
        straight = right_angled(sform)
        if not np.allclose(straight[:3, :3], sform[:3, :3], atol=1e-5):
            # ITK refuses an sform that is a little askew, unless a qform stands beside it.
            header.set_qform(straight, code=int(header["sform_code"]))
