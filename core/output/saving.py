"""Masks back to files that lie exactly as the scan's own file did."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import cv2
import nibabel as nib
import numpy as np

from core.errors import GeometryError
from core.system import write_bytes, write_gzip
from core.volume import MM_PER_UNIT, Array, Source, Volume, to_file_order


def mask_nifti_bytes(mask: Array, volume: Volume) -> bytes:
    """A mask or label map as the bytes of a `.nii.gz` file.

    Args:
        mask: (i, j, k) on the canonical grid of `volume`; booleans or labels 0 to 255.

    Returns:
        uint8 in the shape (with trailing axes of length one), orientation, affine and unit of
        length of the scan's own file, with sform and qform set. The same mask always gives the
        same bytes.

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
    return _pack(labels, volume.source, cal_max=top, description=b"LungLens mask")


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
    image.set_sform(affine, code="scanner")
    if _is_rigid(affine):
        image.set_qform(affine, code="scanner")
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


def save_mask_png(mask_slice: Array, path: Path | str) -> Path:
    """Writes `mask_png_bytes` to a file.

    Raises:
        SaveError: the file cannot be written.
    """
    write_bytes(Path(path), mask_png_bytes(mask_slice))
    return Path(path)


def _is_rigid(affine: Array) -> bool:
    """Whether a quaternion can say it: a sheared affine (gantry tilt) has an sform only."""
    columns = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return bool(np.allclose(columns.T @ columns, np.eye(3), atol=1e-5))
