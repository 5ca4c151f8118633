"""Files that hold a whole volume, of whatever format: recognised, and opened as a CT."""

from __future__ import annotations

import zipfile
from pathlib import Path

from core.config import LoadLimits
from core.errors import LoadError, shown_name
from core.loading import metaimage, nrrd, numpy_file
from core.loading.checks import DEFAULT_LIMITS
from core.loading.metaimage import read_metaimage_header
from core.loading.nifti import read_header, volume_of
from core.loading.nrrd import read_nrrd_header
from core.loading.numpy_file import read_numpy_header
from core.loading.volume_header import VolumeHeader
from core.system import OnProgress, ShouldCancel, ignore_progress, never_cancel
from core.volume import Volume, VolumeFormat

VOLUME_ENDINGS = (
    *(".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd", ".hdr", ".hdr.gz", ".npy", ".npz"),
)
"""Of files that can be opened as a scan of their own."""

_START_BYTES = 512
_FORMATS_OF_ENDINGS: dict[str, VolumeFormat] = {
    ".nrrd": "nrrd",
    ".nhdr": "nrrd",
    ".mha": "metaimage",
    ".mhd": "metaimage",
    ".npy": "numpy",
    ".npz": "numpy",
}


def volume_format(path: Path) -> VolumeFormat | None:
    """The format by the first bytes of a file, where they tell one other than NIfTI."""
    try:
        with path.open("rb") as file:
            start = file.read(_START_BYTES)
    except OSError:
        return None
    if start.startswith(nrrd.MAGIC):
        return "nrrd"
    if start.startswith(numpy_file.MAGIC) or (start[:2] == b"PK" and _is_npz(path)):
        return "numpy"
    return "metaimage" if metaimage.looks_like_metaimage(start) else None


def _is_npz(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, RuntimeError, NotImplementedError):
        return path.name.lower().endswith(".npz")
    return bool(names) and all(name.endswith(".npy") for name in names)


def read_volume_header(path: Path, *, limits: LoadLimits = DEFAULT_LIMITS) -> VolumeHeader:
    """The checked header of a volume file of any format; takes no memory for voxels.

    Raises:
        LoadError: the file cannot be opened here.
        GeometryError: its position in space is unusable.
    """
    ending = path.suffix.lower()
    found = volume_format(path) or _FORMATS_OF_ENDINGS.get(ending)
    try:
        if found == "nrrd":
            _refuse_other(path, found)
            return read_nrrd_header(path, limits=limits)
        if found == "metaimage":
            return read_metaimage_header(path, limits=limits)
        if found == "numpy":
            return read_numpy_header(path, limits=limits)
    except OSError as error:
        raise LoadError(
            f"{shown_name(path.name)} cannot be opened",
            got=error.strerror or "a read error",
            expected="a readable file",
            next_step="check its permissions",
        ) from error
    return read_header(path, limits=limits)


def _refuse_other(path: Path, wanted: VolumeFormat) -> None:
    if volume_format(path) != wanted:
        raise LoadError(
            f"{shown_name(path.name)} is not an NRRD file",
            got="other content where its header should be",
            expected="a file that begins with NRRD",
            next_step="export the scan again",
        )


def load_volume_file(
    path: Path | str,
    *,
    limits: LoadLimits = DEFAULT_LIMITS,
    window: tuple[float, float] | None = None,
    on_progress: OnProgress = ignore_progress,
    should_cancel: ShouldCancel = never_cancel,
) -> Volume:
    """A CT from NIfTI, an Analyze pair, NRRD, MetaImage or NumPy.

    Raises:
        LoadError: the file is damaged, too large, of several frames or colours, or not CT.
        GeometryError: spacing or affine are unusable.
    """
    path = Path(path)
    return volume_of(
        path,
        read_volume_header(path, limits=limits),
        limits=limits,
        window=window,
        on_progress=on_progress,
        should_cancel=should_cancel,
    )
