"""Mask files, brought to the canonical grid of the scan they belong to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from nibabel.orientations import axcodes2ornt, inv_ornt_aff, io_orientation, ornt_transform

from core.config import LoadLimits
from core.errors import GeometryError, LoadError, shown_name
from core.loading.checks import DEFAULT_LIMITS, check_file
from core.loading.nifti import read_header, read_voxels
from core.loading.pictures import is_picture, load_picture
from core.system import size_text
from core.volume import CANONICAL_AXES, Array, BoolArray, MaskPair, Volume, to_canonical

MAX_CORNER_SHIFT_MM = 0.05
"""How far a corner of a mask may lie from that of its scan; headers keep float32 only."""

INFECTION_LABEL = 3
"""In lung-and-infection masks: 1 and 2 are the lungs, 3 the infection inside them."""

_MAX_LABELS = 8


@dataclass(frozen=True, eq=False)
class _Labels:
    array: Array
    """(i, j, k) integers on the scan's canonical grid."""
    assumed_grid: bool
    """True where the file's own affine was set aside."""


def load_mask(
    path: Path | str,
    volume: Volume,
    *,
    trust_shape: bool = False,
    limits: LoadLimits = DEFAULT_LIMITS,
) -> BoolArray:
    """A mask file as (i, j, k) booleans on the canonical grid of `volume`: any label is true.

    Args:
        path: a NIfTI file on the scan's grid, in any orientation; beside a single picture also
            a picture of the same size, white where true.
        trust_shape: takes a mask of the file's very shape although its affine differs, for sets
            known to write masks without geometry.

    Raises:
        LoadError: the file is not there or no mask (fractions, or more labels than a mask has).
        GeometryError: its shape or affine is not the scan's.
    """
    labels = _load(Path(path), volume, trust_shape=trust_shape, limits=limits)
    mask: BoolArray = labels.array != 0
    return mask


def load_labels(
    path: Path | str,
    volume: Volume,
    *,
    trust_shape: bool = False,
    limits: LoadLimits = DEFAULT_LIMITS,
) -> MaskPair:
    """Lung and infection from a combined file: 1 and 2 lungs, 3 infection inside the lungs.

    Raises:
        LoadError: the file is no mask or has other labels.
        GeometryError: its shape or affine is not the scan's.
    """
    path = Path(path)
    labels = _load(path, volume, trust_shape=trust_shape, limits=limits).array
    if labels.max() > INFECTION_LABEL:
        raise LoadError(
            f"{shown_name(path.name)} is not a lung and infection mask",
            got=f"label {int(labels.max())}",
            expected="labels 0 to 3 (1 and 2 lungs, 3 infection)",
            next_step="open it as a lung or an infection mask",
        )
    return MaskPair(lung=labels != 0, infection=labels == INFECTION_LABEL)


def fits_grid(path: Path | str, volume: Volume) -> bool:
    """Whether a NIfTI mask lies on the scan's grid by its own affine."""
    header = read_header(Path(path))
    shape, affine = _canonical_grid(header.shape, header.affine)
    return shape == volume.shape and _corner_shift_mm(affine, volume) <= MAX_CORNER_SHIFT_MM


def _load(path: Path, volume: Volume, *, trust_shape: bool, limits: LoadLimits) -> _Labels:
    check_file(path, expected="a mask")
    if is_picture(path):
        return _Labels(_from_picture(path, volume, limits), assumed_grid=False)
    name = shown_name(path.name)
    header = read_header(path, limits=limits)
    shape, affine = _canonical_grid(header.shape, header.affine)
    file_affine, assumed = header.affine, False
    if trust_shape and header.shape == volume.source.file_shape:
        assumed = shape != volume.shape or _corner_shift_mm(affine, volume) > MAX_CORNER_SHIFT_MM
        if assumed:
            file_affine = volume.source.file_affine
    if not assumed:
        _check_grid(name, shape, affine, volume)
    array, _ = read_voxels(path, header)
    _check_labels(name, array)
    return _Labels(to_canonical(array, file_affine), assumed_grid=assumed)


def _canonical_grid(
    shape: tuple[int, int, int], affine: npt.NDArray[np.float64]
) -> tuple[tuple[int, ...], npt.NDArray[np.float64]]:
    """Shape and affine that an array of `shape` has once turned to canonical axes."""
    turn = ornt_transform(io_orientation(affine), axcodes2ornt(CANONICAL_AXES))
    canonical = [0, 0, 0]
    for axis, (target, _) in enumerate(turn):
        canonical[int(target)] = shape[axis]
    return tuple(canonical), affine @ inv_ornt_aff(turn, shape)


def _corner_shift_mm(affine: npt.NDArray[np.float64], volume: Volume) -> float:
    """Largest distance between corners of the scan's grid under `affine` and its own affine."""
    corners = np.array(
        [[i, j, k, 1.0] for i in (0, 1) for j in (0, 1) for k in (0, 1)], dtype=np.float64
    )
    corners[:, :3] *= np.array(volume.shape) - 1
    moved = corners @ (affine - volume.affine).T
    return float(np.linalg.norm(moved[:, :3], axis=1).max())


def _check_grid(
    name: str, shape: tuple[int, ...], affine: npt.NDArray[np.float64], volume: Volume
) -> None:
    if shape != volume.shape:
        raise GeometryError(
            f"Mask {name} has another shape than the scan",
            got=size_text(shape),
            expected=size_text(volume.shape),
            next_step="open the mask that was drawn on this scan",
        )
    shift = _corner_shift_mm(affine, volume)
    if shift > MAX_CORNER_SHIFT_MM:
        raise GeometryError(
            f"Mask {name} lies elsewhere in the patient than the scan",
            got=f"an affine that moves a corner by {shift:.3g} mm",
            expected=f"the scan's affine, within {MAX_CORNER_SHIFT_MM} mm",
            next_step="open the mask that was drawn on this scan, or resample it to the scan",
        )


def _check_labels(name: str, array: Array) -> None:
    if array.dtype.kind == "f":
        raise LoadError(
            f"{name} is not a mask",
            got="fractions",
            expected="whole numbers as labels",
            next_step="threshold it first",
        )
    low, high = int(array.min()), int(array.max())
    levels = [low, high]
    if low >= 0 and high <= 255:
        levels = np.flatnonzero(np.bincount(array.ravel(order="K"), minlength=1)).tolist()
    if low < 0 or high > 255 or len(levels) > _MAX_LABELS:
        raise LoadError(
            f"{name} is not a mask",
            got=f"values {low} to {high}",
            expected=f"at most {_MAX_LABELS} labels from 0 to 255",
            next_step="open it as a scan instead",
        )


def _from_picture(path: Path, volume: Volume, limits: LoadLimits) -> Array:
    """(i, j, 1) 0/1 from a picture; anything above half of white is true."""
    name = shown_name(path.name)
    grey = load_picture(path, limits=limits, min_side=1).array
    if volume.shape[2] != 1 or grey.T.shape != volume.shape[:2]:
        raise GeometryError(
            f"Mask {name} has another shape than the scan",
            got=size_text((grey.shape[1], grey.shape[0], 1)),
            expected=size_text(volume.shape),
            next_step="open the mask that was drawn on this picture",
        )
    # JPEG smears edges, and some sets write 1 for true: half of the brightest tells both.
    threshold = max(0.5, float(grey.max()) / 2)
    return (threshold < grey.T).astype(np.uint8)[:, :, np.newaxis]
