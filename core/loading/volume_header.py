"""The header of a file that holds a whole volume, read before its voxels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from core.errors import LoadError
from core.volume import LengthUnit, NiftiForms, VolumeFormat


@dataclass(frozen=True, eq=False)
class VolumeHeader:
    """A header of whatever format, checked."""

    format: VolumeFormat
    format_fact: str
    """For people, such as "NIfTI, gzipped"."""
    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    affine: npt.NDArray[np.float64]
    """(4, 4), voxel index in file order → RAS mm, whatever the file's unit."""
    open_data: Callable[[], BinaryIO]
    """Opens the file, unpacked on the way, at its first voxel; voxels lie in Fortran order."""
    compressed: bool
    slope: float = 1.0
    intercept: float = 0.0
    trailing_axes: int = 0
    """Axes of length one behind `shape`."""
    forms: NiftiForms | None = None
    """A NIfTI header's own fields of position; none where the form in use is not one of them."""
    file_unit: LengthUnit = "mm"
    spacing_nominal: bool = False
    warnings: tuple[str, ...] = ()


def damaged_volume(name: str, got: str, *, kind: str = "NIfTI") -> LoadError:
    """The error for a file whose content ends early or makes no sense."""
    return LoadError(
        f"{name} is damaged or cut short",
        got=got,
        expected=f"a complete {kind} file",
        next_step="copy or download it again",
    )


def three_axes(sizes: Sequence[int]) -> tuple[list[int], int]:
    """Sizes without axes of length one behind the third, and how many these were; one slice counts
    as a volume. More than three are left where the others are longer."""
    kept, trailing = list(sizes), 0
    while len(kept) > 3 and kept[-1] == 1:
        kept.pop()
        trailing += 1
    return (kept if len(kept) != 2 else [*kept, 1]), trailing
