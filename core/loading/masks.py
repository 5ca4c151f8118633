"""Mask files, brought to the canonical grid of the scan they belong to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from nibabel.orientations import axcodes2ornt, inv_ornt_aff, io_orientation, ornt_transform

from core.config import LoadLimits
from core.errors import GeometryError, LoadError, shown_name
from core.loading.archive import is_archive
from core.loading.checks import DEFAULT_LIMITS, check_file
from core.loading.label_codings import INFECTION_LABEL, Role, check_labels, read_labels
from core.loading.nifti import read_voxels
from core.loading.picture_masks import is_picture_folder, load_picture_masks
from core.loading.pictures import is_picture
from core.loading.straight_grid import StraightGrid, straight_grid
from core.loading.volume_files import read_volume_header, volume_format
from core.loading.volume_header import VolumeHeader
from core.system import size_text
from core.volume import CANONICAL_AXES, Array, BoolArray, MaskPair, Volume, to_canonical

_MAX_SHIFT_VOXELS = 0.1
_MAX_STRETCH = 1.5e-3
"""Of a spacing that was rounded in its fourth digit, or of an angle."""
_MAX_CORNER_VOXELS = 1.0


@dataclass(frozen=True, eq=False)
class _Labels:
    array: Array
    """(i, j, k) whole numbers on the scan's canonical grid."""
    assumed_grid: bool
    """True where the file's own affine was set aside."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class MaskReading:
    """A mask, and what a person should know of how it was read."""

    mask: BoolArray
    """(i, j, k) on the scan's canonical grid."""
    notes: tuple[str, ...]


def load_mask(
    path: Path | str,
    volume: Volume,
    *,
    trust_shape: bool = False,
    limits: LoadLimits = DEFAULT_LIMITS,
) -> BoolArray:
    """A mask file as (i, j, k) booleans on the canonical grid of `volume`: any label is true.

    Args:
        path: a NIfTI file on the scan's grid, in any orientation; beside a picture or a stack of
            them also what `load_picture_masks` takes, white where true.
        trust_shape: takes a mask of the file's very shape although its affine differs, for sets
            known to write masks without geometry.

    Raises:
        LoadError: the file is not there or no mask (more labels than a mask has).
        GeometryError: its shape or affine is not the scan's.
    """
    labels = _load(Path(path), volume, trust_shape=trust_shape, limits=limits)
    mask: BoolArray = labels.array != 0
    return mask


def load_role_mask(
    path: Path | str,
    volume: Volume,
    role: Role,
    *,
    trust_shape: bool = False,
    infection_labels: tuple[int, ...] = (),
    limits: LoadLimits = DEFAULT_LIMITS,
) -> MaskReading:
    """The lung or the infection that a mask file marks, by the coding of its labels.

    Args:
        path, trust_shape: as for `load_mask`.
        infection_labels: which labels are infection, where a person says so.

    Raises:
        LoadError: as `load_mask`, or the labels are of no known coding.
        GeometryError: its shape or affine is not the scan's.
    """
    path = Path(path)
    labels = _load(path, volume, trust_shape=trust_shape, limits=limits)
    chosen, notes = read_labels(
        labels.array,
        volume,
        role,
        infection_labels=infection_labels,
        name=shown_name(path.name),
    )
    notes = labels.notes + notes
    if labels.assumed_grid:
        notes += (
            f"The {role} mask was placed on the scan voxel by voxel: its own position, "
            "which differs from the scan's, was ignored.",
        )
    return MaskReading(chosen, notes)


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
    """Whether a mask file lies on the scan's grid by its own affine."""
    header = read_volume_header(Path(path))
    return _same_grid(*_canonical_grid(header.shape, header.affine), volume)


def _load(path: Path, volume: Volume, *, trust_shape: bool, limits: LoadLimits) -> _Labels:
    is_folder = is_picture_folder(path)
    if not is_folder:
        check_file(path, expected="a mask")
        _refuse_archive(path)
    if is_folder or is_picture(path):
        array, notes = load_picture_masks(path, volume, limits=limits)
        return _Labels(array, assumed_grid=False, notes=notes)
    name = shown_name(path.name)
    header = read_volume_header(path, limits=limits)
    straight = _straightened(header, volume)
    if straight is not None:
        array, notes = check_labels(name, read_voxels(path, header, of_labels=True)[0])
        array = straight.take_back(array, volume.source.file_shape)
        return _Labels(to_canonical(array, volume.source.file_affine), False, notes)
    corrected = _own_of_corrected(header, volume)
    shape, affine = _canonical_grid(header.shape, corrected)
    file_affine, assumed = corrected, False
    if trust_shape and header.shape == volume.source.file_shape:
        assumed = not _same_grid(shape, affine, volume)
        if assumed:
            file_affine = volume.source.file_affine
    start = None if assumed else _start_on_lattice(shape, affine, volume)
    if not assumed and start is None:
        _check_grid(name, shape, affine, volume)
    array, notes = check_labels(name, read_voxels(path, header, of_labels=True)[0])
    array = to_canonical(array, file_affine)
    if start is None:
        return _Labels(array, assumed, notes)
    notes += (
        f"Mask {name} covers {size_text(shape)} voxels on the scan's grid: what lies outside "
        "counts as not marked.",
    )
    return _Labels(_laid_on(array, start, volume.shape), False, notes)


def _start_on_lattice(
    shape: tuple[int, ...], affine: npt.NDArray[np.float64], volume: Volume
) -> tuple[int, int, int] | None:
    """Where a mask of another size begins on the scan's grid, in whole voxels, if its voxels are
    voxels of that grid, as those of programs that save a mask cropped or padded."""
    if shape == volume.shape or volume.spacing_nominal:
        return None
    between = np.linalg.inv(volume.affine) @ affine
    start = np.rint(between[:3, 3])
    if not start.any():  # a program that crops moves the origin; who forgot it has other voxels
        return None
    if not (np.abs(start) < max(volume.shape)).all():
        return None
    moved = between.copy()
    moved[:3, 3] -= start
    ends = np.array([*(np.array(shape) - 1.0), 1.0])
    off = np.abs(moved[:3] @ ends - ends[:3])
    askew = np.abs(moved[:3, :3] - np.eye(3)).max()
    if askew > _MAX_STRETCH or max(off.max(), np.abs(moved[:3, 3]).max()) > _MAX_SHIFT_VOXELS:
        return None
    if not all(-n < first < m for first, n, m in zip(start, shape, volume.shape, strict=True)):
        return None
    return int(start[0]), int(start[1]), int(start[2])


def _laid_on(array: Array, start: tuple[int, int, int], shape: tuple[int, ...]) -> Array:
    """(i, j, k) of a mask on the whole grid; 0 where it does not reach, Fortran order."""
    out = np.zeros(shape, dtype=array.dtype, order="F")
    here, there = [], []
    for first, own, whole in zip(start, array.shape, shape, strict=True):
        low, high = max(first, 0), min(first + own, whole)
        here.append(slice(low, high))
        there.append(slice(low - first, high - first))
    out[tuple(here)] = array[tuple(there)]
    return out


def _refuse_archive(path: Path) -> None:
    if is_archive(path) and volume_format(path) is None:
        raise LoadError(
            f"Mask {shown_name(path.name)} is an archive",
            got="a zip or tar",
            expected="the mask file itself",
            next_step="unpack it, or open scan and mask together in one archive",
        )


def _own_of_corrected(header: VolumeHeader, volume: Volume) -> npt.NDArray[np.float64]:
    """The mask's affine, corrected as the scan's where it repeats what the scan's file claims."""
    source = volume.source
    if source.stored_affine is None or header.shape != source.file_shape:
        return header.affine
    same = np.allclose(header.affine, source.stored_affine, atol=1e-2)
    return source.file_affine if same else header.affine


def _straightened(header: VolumeHeader, volume: Volume) -> StraightGrid | None:
    """The straight grid of a sheared scan, where the mask lies on it, as ours are written."""
    source = volume.source
    straight = straight_grid(source.file_affine, source.file_shape)
    if straight is None or header.shape != straight.shape:
        return None
    return straight if np.allclose(header.affine, straight.affine, atol=1e-2) else None


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


def _same_grid(shape: tuple[int, ...], affine: npt.NDArray[np.float64], volume: Volume) -> bool:
    """Whether voxels lie in the same place but for what writing and rounding headers cost.

    Somewhere on the grid the two must agree within a tenth of a voxel; from there, a spacing that
    was rounded in its fourth digit may move the far end by up to one voxel.
    """
    if shape != volume.shape:
        return False
    # Column by column, where the axes of the mask lie in voxels of the scan: ideally the identity.
    between = np.linalg.inv(volume.affine) @ affine
    if np.abs(between[:3, :3] - np.eye(3)).max() > _MAX_STRETCH:
        return False
    ends = np.array(shape) - 1.0
    points = [(i, j, k, 1.0) for i in (0, 1) for j in (0, 1) for k in (0, 1)]
    places = np.array([*points, (0.5, 0.5, 0.5, 1.0)])
    places[:, :3] *= ends
    off = np.abs((places @ (between - np.eye(4)).T)[:, :3]).max(axis=1)
    # Headers keep 32 bits: what is a tenth of a voxel in them may be a little more here.
    return bool(off.min() <= _MAX_SHIFT_VOXELS * 1.02 and off.max() <= _MAX_CORNER_VOXELS)


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
    if not _same_grid(shape, affine, volume):
        shift = _corner_shift_mm(affine, volume)
        raise GeometryError(
            f"Mask {name} lies elsewhere in the patient than the scan",
            got=f"an affine that moves a corner by {shift:.3g} mm",
            expected="the scan's affine, within a tenth of a voxel",
            next_step="open the mask that was drawn on this scan, resample it to the scan, or ask "
            "for the same grid (--same-grid) if its voxels are those of the scan",
        )
