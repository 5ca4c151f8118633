"""The file of voxels that a header names, found beside it and nowhere else."""

from __future__ import annotations

import re
from pathlib import Path

from core.errors import LoadError, shown_name
from core.loading.checks import may_be_read


def file_beside(header: Path, named: str) -> Path:
    """The file of that name in the folder of the header, whatever folder the header gives.

    Raises:
        LoadError: there is none, or the header names a list of files.
    """
    base = re.split(r"[\\/]", named.strip())[-1]
    if base.upper().startswith("LIST") or "%" in base:
        raise LoadError(
            f"{shown_name(header.name)} stores its voxels in several files",
            got="a list of files",
            expected="one file of voxels",
            next_step="convert the scan to .nii.gz",
        )
    path = header.parent / base
    if not base or base in (".", "..") or not may_be_read(path):
        raise LoadError(
            f"{shown_name(header.name)} is a header without its voxels",
            got=f"no file {shown_name(base)} beside it" if base else "no file named",
            expected="the header and the file of voxels in one folder",
            next_step="open both files together",
        )
    return path
