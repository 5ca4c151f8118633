"""A CT from a NIfTI-1 or NIfTI-2 file, plain or gzipped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from core.config import LoadLimits
from core.errors import shown_name
from core.loading.checks import DEFAULT_LIMITS, assemble_volume
from core.loading.nifti.header import read_header
from core.loading.nifti.voxels import read_voxels
from core.loading.volume_header import VolumeHeader
from core.system import OnProgress, ShouldCancel, ignore_progress, never_cancel
from core.volume import Volume

_ENDINGS = (
    *(".nii.gz", ".nii", ".hdr.gz", ".img.gz", ".gz", ".hdr", ".img"),
    *(".seg.nrrd", ".nrrd", ".nhdr", ".mha", ".mhd", ".npy", ".npz"),
)


def load_nifti(
    path: Path | str,
    *,
    limits: LoadLimits = DEFAULT_LIMITS,
    window: tuple[float, float] | None = None,
    on_progress: OnProgress = ignore_progress,
    should_cancel: ShouldCancel = never_cancel,
) -> Volume:
    """A CT from a `.nii` or `.nii.gz` file; slope and intercept applied.

    NaN or infinite voxels that reach the edge of their slice, and up to 0.1 % of others, are set
    to the lowest value of the scan, with a warning; more are refused.

    Raises:
        LoadError: the file is damaged, too large, of several frames or colours, or not CT.
        GeometryError: spacing or affine are unusable.
    """
    path = Path(path)
    return volume_of(
        path,
        read_header(path, limits=limits),
        limits=limits,
        window=window,
        on_progress=on_progress,
        should_cancel=should_cancel,
    )


def volume_of(
    path: Path,
    header: VolumeHeader,
    *,
    limits: LoadLimits = DEFAULT_LIMITS,
    window: tuple[float, float] | None = None,
    on_progress: OnProgress = ignore_progress,
    should_cancel: ShouldCancel = never_cancel,
) -> Volume:
    """A CT from a file whose header has been read, of whatever format."""
    array, notes = read_voxels(path, header, on_progress=on_progress, should_cancel=should_cancel)
    facts: tuple[tuple[str, str], ...] = ()
    if header.file_unit != "mm":
        facts = (("Unit of the header", f"{header.file_unit}, converted to mm"),)
    volume = assemble_volume(
        array,
        header.affine,
        hint="nifti",
        name=nifti_stem(path),
        format=header.format,
        format_fact=header.format_fact,
        limits=limits,
        spacing_nominal=header.spacing_nominal,
        window=window,
        warnings=header.warnings + notes,
        facts=facts,
    )
    source = replace(
        volume.source,
        trailing_axes=header.trailing_axes,
        file_unit=header.file_unit,
        forms=header.forms,
    )
    return replace(volume, source=source)


def nifti_stem(path: Path | str) -> str:
    """The file's name for people, without the endings of its format."""
    name = str(Path(path).name)
    for ending in _ENDINGS:
        if name.lower().endswith(ending):
            name = name[: -len(ending)]
            break
    return shown_name(name)
