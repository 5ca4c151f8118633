"""Masks inside a project: NIfTI on the scan's canonical grid (L, P, S)."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from core.errors import ProjectError
from core.system import write_gzip
from core.volume import BoolArray, Volume


def mask_bytes(mask: BoolArray, volume: Volume, what: str) -> bytes:
    """A mask as the bytes of a `.nii.gz` file.

    Args:
        what: for the header's description, ASCII.
    """
    image = nib.Nifti1Image(mask.astype(np.uint8), volume.affine)
    image.header["descrip"] = f"LungLens {what}".encode("ascii")
    packed = io.BytesIO()
    write_gzip(packed, image.to_bytes())
    return packed.getvalue()


def read_mask(path: Path, shape: tuple[int, int, int]) -> BoolArray | None:
    """A mask of a project, in Fortran order; none where there is no such file.

    Raises:
        ProjectError: it is damaged, or of another shape.
    """
    if not path.exists():
        return None
    try:
        image: Any = nib.load(path)
        stored = image.dataobj
        if image.shape != shape or stored.dtype != np.uint8 or not stored.slope == 1:
            raise ValueError("another kind of array")  # larger than it seems, or no mask
        found: BoolArray = np.asfortranarray(np.asanyarray(image.dataobj) > 0)
    except Exception as error:  # nibabel and gzip raise of every kind on damaged files
        raise ProjectError(
            "A mask of a project cannot be read", got=f"a damaged {path.name}"
        ) from error
    return found
