"""Which files beside scans are masks, recognised by name and header."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

from core.system import DAMAGED_GZIP, open_gzip

NIFTI_ENDINGS = (".nii", ".nii.gz")
_MASK_NAME = re.compile(
    r"(^|[_.\- ])(masks?|labels?|label_?maps?|seg|segmentations?)"
    r"\.(nii(\.gz)?|hdr(\.gz)?|nrrd|nhdr|mha|mhd)$",
    re.IGNORECASE,
)
_MASK_PICTURE = re.compile(r"(^|_)(lung|infection|mask)\.\w+$", re.IGNORECASE)
_OWN_MASK = b"LungLens mask"
"""What `core.output.saving` writes into the header of masks."""
_DESCRIPTION = slice(148, 148 + len(_OWN_MASK))
_HEADER_BYTES = 348


def is_mask_name(name: str) -> bool:
    """Whether a volume file is called a mask or a label map."""
    return _MASK_NAME.search(name) is not None


def is_mask_picture(name: str) -> bool:
    """Whether a picture is called a mask."""
    return _MASK_PICTURE.search(name) is not None


def is_own_mask(path: Path) -> bool:
    """Whether this program wrote a NIfTI file as a mask."""
    try:
        opened: Callable[[Path], Any] = (
            open_gzip if path.name.lower().endswith(".gz") else lambda p: p.open("rb")
        )
        with opened(path) as file:
            start: bytes = file.read(_HEADER_BYTES)
    except (OSError, *DAMAGED_GZIP):
        return False  # opening it as a scan says what is wrong
    return start[_DESCRIPTION] == _OWN_MASK


def holds_masks_only(path: Path) -> bool:
    """Whether a zip holds volumes that are all called masks."""
    try:
        with ZipFile(path) as archive:
            names = [name.rsplit("/")[-1] for name in archive.namelist()]
    except (OSError, BadZipFile, ValueError, RuntimeError, NotImplementedError):
        return False
    niftis = [name for name in names if name.lower().endswith(NIFTI_ENDINGS)]
    dicom = any(
        name.lower().endswith((".dcm", ".ima")) or "." not in name for name in names if name
    )
    return bool(niftis) and not dicom and all(is_mask_name(name) for name in niftis)
