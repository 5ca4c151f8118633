"""Checks and facts that every kind of input shares, and the last step to a `Volume`."""

from __future__ import annotations

import math
import os
import stat
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from nibabel.orientations import aff2axcodes

from core.config import LoadLimits
from core.errors import LoadError, shown_name
from core.loading.intensity import Hint, settle_intensity
from core.system import free_memory_bytes, short_text, size_text
from core.volume import (
    Array,
    Intensity,
    SourceFormat,
    Volume,
    check_affine,
    spacing_mm,
    volume_from_file,
)

DEFAULT_LIMITS = LoadLimits()

_FEWEST_ALTERNATING = 12
_LOOKED_AT = 48
"""Slices in the middle of the scan."""
_COARSE_SIDE = 48
_CHEST_HU = (-1000.0, 400.0)
_MORE_ALIKE = 1.1
_MOST_ALTERNATE = 0.7
"""Share of the slices; of 27 scans looked at none has more than 0.06."""
_PLAUSIBLE_PIXEL_MM = (0.1, 6.0)
_PLAUSIBLE_STEP_MM = (0.1, 30.0)
_NARROWEST_MM = 45.0
"""Of a picture that shows a chest; lengths in cm that are taken for mm give less."""


def may_be_read(path: Path | str) -> bool:
    """Whether a path found in a folder is a regular file, or one that hides what it is.

    Pipes, sockets and devices would block or never end. A file whose folder forbids to ask
    counts, so that reading it gives an error instead of leaving it out silently.
    """
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except PermissionError:
        return True
    except (OSError, ValueError):  # links to nowhere, names too long or with a null character
        return False


def check_file(path: Path | str, *, expected: str = "a scan") -> None:
    """Raises `LoadError` for a file that is not there, not regular, not readable or empty."""
    path = Path(path)
    name = shown_name(path)
    if not exists(path):
        raise LoadError(
            f"{name} is not there",
            got="no such file or folder",
            expected=expected,
            next_step="check the path",
        )
    try:
        if not may_be_read(path):
            kind = "a folder" if os.path.isdir(path) else "a pipe or device"
            raise LoadError(
                f"{name} is not a file",
                got=kind,
                expected=f"a regular file with {expected}",
                next_step="choose the file itself",
            )
        with path.open("rb") as file:
            start = file.read(1)
    except OSError as error:
        raise LoadError(
            f"{name} cannot be opened",
            got=error.strerror or "a read error",
            expected="a readable file",
            next_step="check its permissions",
        ) from error
    if not start:
        raise LoadError(
            f"{name} is empty",
            got="0 bytes",
            expected=expected,
            next_step="copy or download it again",
        )


def exists(path: Path | str) -> bool:
    """Whether something lies at a path; true as well where only permission is missing."""
    try:
        os.stat(path)
    except PermissionError:
        return True
    except (OSError, ValueError):
        return False
    return True


def check_size(shape: tuple[int, ...], limits: LoadLimits, *, what: str) -> None:
    """Raises `LoadError` where a header claims more than `limits`; call before taking memory."""
    voxels = math.prod(shape)
    shown = size_text(shape)
    if any(n < 1 for n in shape):
        raise LoadError(
            f"{what} has an empty axis",
            got=f"size {shown}",
            expected="at least one voxel along each axis",
            next_step="export the scan again",
        )
    if voxels > limits.max_voxels:
        raise LoadError(
            f"{what} is too large to open",
            got=f"{shown} = {voxels:.3g} voxels",
            expected=f"at most {limits.max_voxels:.3g}",
            next_step="check the header, or crop the scan to the chest",
        )
    if max(shape) > limits.max_side:
        raise LoadError(
            f"{what} is too long along one axis",
            got=f"size {shown}",
            expected=f"at most {limits.max_side} voxels along any axis",
            next_step="check the header, or resample the scan",
        )


def check_memory(shape: tuple[int, ...], dtype: npt.DTypeLike, *, what: str) -> None:
    """Raises `LoadError` where the voxels of a scan do not fit into memory that is free."""
    needed = math.prod(shape) * np.dtype(dtype).itemsize
    free = free_memory_bytes()
    if free is not None and needed > free:
        raise LoadError(
            f"{what} does not fit into memory",
            got=f"{free / 1024**3:.1f} GiB free",
            expected=f"{needed / 1024**3:.1f} GiB for {size_text(shape)} voxels",
            next_step="close other programs, or crop the scan to the chest",
        )


def assemble_volume(
    file_array: Array,
    file_affine: npt.NDArray[np.float64],
    *,
    hint: Hint,
    name: str,
    format: SourceFormat,
    format_fact: str,
    limits: LoadLimits = DEFAULT_LIMITS,
    spacing_nominal: bool = False,
    window: tuple[float, float] | None = None,
    warnings: tuple[str, ...] = (),
    facts: tuple[tuple[str, str], ...] = (),
) -> Volume:
    """A checked `Volume` from voxels in the file's order.

    Decides what the values mean (may shift `file_array` in place), refuses slices too small
    to show a chest, and records the facts that were recognised.

    Args:
        file_array: (a, b, c) int16, uint8 or float32, finite and writable.
        file_affine: (4, 4), index of `file_array` → RAS mm.
        window: HU of black and white where the values are not HU and a person has named them.
        facts: further label and value pairs, shown after the common ones.

    Raises:
        LoadError: the values do not look like CT, or a slice is too small.
        GeometryError: the affine is singular or not finite.
    """
    check_affine(np.asarray(file_affine, dtype=np.float64))
    array, intensity, intensity_warnings = settle_intensity(file_array, hint=hint, window=window)
    volume = volume_from_file(
        array,
        file_affine,
        intensity=intensity,
        name=name,
        format=format,
        facts=_facts(array, file_affine, intensity, format_fact, spacing_nominal) + facts,
        spacing_nominal=spacing_nominal,
        warnings=warnings + intensity_warnings,
    )
    columns, rows, slices = volume.shape
    if min(columns, rows) < limits.min_side:
        raise LoadError(
            "The axial slices are too small to show a chest",
            got=f"{size_text((columns, rows))} pixels",
            expected=f"at least {size_text((limits.min_side, limits.min_side))}",
            next_step="open the scan in its full size",
        )
    more: tuple[str, ...] = ()
    if slices == 1 and format != "pictures":
        more += ("The scan is a single slice: measurements of the whole lung are meaningless.",)
    if not spacing_nominal:
        more += _spacing_warnings(volume.spacing_mm, volume.shape)
    if format != "pictures" and _alternates(volume):
        more += (
            "Each slice is more like the one after next than like the next: two acquisitions, such "
            "as two breathing phases, seem to be mixed, and the masks are then unreliable.",
        )
    return replace(volume, warnings=volume.warnings + more) if more else volume


def _alternates(volume: Volume) -> bool:
    """Whether slices look as if taken in turns from two scans."""
    count = min(volume.shape[2], _LOOKED_AT)
    if count < _FEWEST_ALTERNATING:
        return False
    first = (volume.shape[2] - count) // 2
    step = max(1, min(volume.shape[:2]) // _COARSE_SIDE)
    columns, rows = (side // step for side in volume.shape[:2])
    coarse = np.empty((count, columns, rows), dtype=np.float32)
    for k in range(count):
        blocks = volume.array[: columns * step, : rows * step, first + k]
        means = blocks.reshape(columns, step, rows, step).mean(axis=(1, 3))
        coarse[k] = np.clip(volume.hu(means), *_CHEST_HU)
    step_1 = np.abs(np.diff(coarse, axis=0)).mean(axis=(1, 2))
    step_2 = np.abs(coarse[2:] - coarse[:-2]).mean(axis=(1, 2))
    nearer = np.minimum(step_1[:-1], step_1[1:]) > _MORE_ALIKE * step_2
    return bool(np.mean(nearer) >= _MOST_ALTERNATE)


def _spacing_warnings(
    spacing: tuple[float, float, float], shape: tuple[int, int, int]
) -> tuple[str, ...]:
    low, high = _PLAUSIBLE_PIXEL_MM
    step_low, step_high = _PLAUSIBLE_STEP_MM
    pixels_fit = all(low <= s <= high for s in spacing[:2])
    width_mm = max(spacing[0] * shape[0], spacing[1] * shape[1])
    if pixels_fit and step_low <= spacing[2] <= step_high and width_mm >= _NARROWEST_MM:
        return ()
    shown = spacing_text(spacing)
    wide = f", a picture {short_text(round(width_mm))} mm wide," if width_mm < _NARROWEST_MM else ""
    return (f"The spacing of {shown}{wide} is unusual for a chest CT: volumes in ml may be wrong.",)


def spacing_text(spacing: tuple[float, float, float]) -> str:
    """Spacing for people, such as "0.75 × 0.75 × 2 mm"."""
    return size_text(f"{s:.3g}" for s in spacing) + " mm"


def _facts(
    array: Array,
    affine: npt.NDArray[np.float64],
    intensity: Intensity,
    format_fact: str,
    spacing_nominal: bool,
) -> tuple[tuple[str, str], ...]:
    spacing = spacing_text(spacing_mm(affine))
    scale = "HU" if intensity.unit == "HU" else "not HU"
    return (
        ("Format", format_fact),
        ("Size", size_text(array.shape)),
        ("Spacing", "not known" if spacing_nominal else spacing),
        ("Orientation", "".join(str(code) for code in aff2axcodes(affine))),
        ("Values", f"{short_text(array.min())} to {short_text(array.max())}"),
        ("Scale", f"{scale}: {intensity.reason}"),
    )
