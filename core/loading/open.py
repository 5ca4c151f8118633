"""One entry point for every kind of input: a file, a folder, an archive or a list of files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from core.config import LoadLimits
from core.errors import LoadError, shown_name
from core.loading.archive import is_archive, refuse_other_archive, unpacked
from core.loading.case_table import is_case_folder, load_case, load_case_table
from core.loading.checks import DEFAULT_LIMITS, check_file, exists, may_be_read
from core.loading.dicom import is_dicom, load_dicom
from core.loading.label_codings import Role
from core.loading.masks import MaskReading, load_role_mask
from core.loading.masks_beside import SeveralScansError, open_volumes
from core.loading.nifti import half_of_a_pair
from core.loading.orientation import reoriented_study, with_checked_orientation
from core.loading.pictures import PICTURE_ENDINGS, is_picture, load_pictures, natural_order
from core.loading.volume_files import VOLUME_ENDINGS, volume_format
from core.system import OnProgress, ShouldCancel, ignore_progress, never_cancel
from core.volume import MaskPair, Study, Volume

Kind = Literal["nifti", "dicom", "archive", "pictures", "cases"]

_PAIR_ENDINGS = (".hdr", ".img", ".hdr.gz", ".img.gz")
_VOXELS_ALONE = (".raw", ".zraw", ".raw.gz")
_FOLDER_LOOKS = 5000
"""Files of a folder that are looked at to tell what it holds."""


def recognise(path: Path | str) -> Kind:
    """What a file or folder is, by its content first and its name second.

    Raises:
        LoadError: it does not exist or is nothing that can be opened.
    """
    _refuse_nothing(path)
    path = Path(path)
    name = shown_name(path)
    if exists(path) and os.path.isdir(path):
        return _recognise_folder(path, name)
    check_file(path)
    ending = path.name.lower()
    if is_dicom(path):
        return "dicom"
    if volume_format(path) is not None:
        return "nifti"
    if is_archive(path):
        return "archive"
    refuse_other_archive(path)
    if is_picture(path):
        return "pictures"
    # Content that says nothing goes to the reader that its name asks for, which tells why.
    if ending.endswith(PICTURE_ENDINGS):
        return "pictures"
    if ending.endswith((".zip", ".tar", ".tar.gz", ".tgz")):
        return "archive"
    if ending.endswith((".dcm", ".ima")):
        return "dicom"
    if ending.endswith((*VOLUME_ENDINGS, *_PAIR_ENDINGS)) or _is_nifti(path):
        return "nifti"
    if _begins_like_old_dicom(path):
        return "dicom"
    raise LoadError(
        f"{name} is not a scan that can be opened",
        got="voxels without a header"
        if ending.endswith(_VOXELS_ALONE)
        else "an unknown kind of file",
        expected="NIfTI, DICOM, NRRD, MetaImage, a zip of these, or PNG/JPEG slices",
        next_step="open its header (.mhd, .nhdr or .hdr) together with it"
        if ending.endswith(_VOXELS_ALONE)
        else "convert it to .nii.gz, or open the DICOM folder",
    )


def _refuse_nothing(path: Path | str) -> None:
    # As a path, "" would be the folder that the program happens to run in.
    if not str(path).strip():
        raise LoadError(
            "There is nothing to open",
            got="an empty path",
            expected="a file or folder with a scan",
            next_step="give its path",
        )


def open_study(
    path: Path | str | Sequence[Path | str],
    *,
    series_uid: str | None = None,
    lung_mask_path: Path | str | None = None,
    infection_mask_path: Path | str | None = None,
    same_grid: bool = False,
    infection_labels: tuple[int, ...] = (),
    window: tuple[float, float] | None = None,
    orientation: str | None = None,
    limits: LoadLimits = DEFAULT_LIMITS,
    on_progress: OnProgress = ignore_progress,
    should_cancel: ShouldCancel = never_cancel,
) -> Study:
    """The scan behind a path or behind several uploaded files, with masks where they are known.

    Args:
        path: NIfTI, DICOM file or folder, zip, picture, folder of pictures, a folder of the
            20-case set with a single case, or a list of files that form one scan.
        series_uid: which DICOM series, where there are several.
        lung_mask_path, infection_mask_path: masks on the scan's grid; they take precedence over
            masks that come with a case.
        same_grid: lays masks of the scan's shape on it voxel by voxel, whatever their affine.
        infection_labels: which labels of the infection mask are infection; none goes by the
            codings that are known.
        window: HU of black and white, for a scan that is not in HU.
        orientation: where the axes of the file lead, such as "LPS", where its header is wrong.

    Raises:
        SeveralSeriesError, SeveralScansError: the person has to choose.
        LoadError, GeometryError: the scan or a mask cannot be opened.
        Cancelled: the person asked to stop.
    """
    if not isinstance(path, (str, Path)):
        path = _only(path)
    if isinstance(path, (str, Path)) and recognise(path) == "archive":
        with unpacked(
            Path(path), limits=limits, on_progress=on_progress, should_cancel=should_cancel
        ) as folder:
            study = _open_plain(
                folder,
                series_uid=series_uid,
                window=window,
                limits=limits,
                on_progress=on_progress,
                should_cancel=should_cancel,
            )
    else:
        study = _open_plain(
            path,
            series_uid=series_uid,
            window=window,
            limits=limits,
            on_progress=on_progress,
            should_cancel=should_cancel,
        )
    if orientation is not None:
        study = reoriented_study(study, orientation)
    else:
        study = replace(study, volume=with_checked_orientation(study.volume))
    masks: list[tuple[Role, Path | str | None]] = [
        ("lung", lung_mask_path),
        ("infection", infection_mask_path),
    ]
    for role, mask_path in masks:
        if mask_path is None:
            continue
        reading = load_role_mask(
            mask_path,
            study.volume,
            role,
            trust_shape=same_grid,
            infection_labels=infection_labels,
            limits=limits,
        )
        study = with_mask(study, role, reading)
    return study


def with_mask(study: Study, role: Role, reading: MaskReading) -> Study:
    """The study with a true mask in place of its own, and what is to be known of it as warnings."""
    known = study.truth or MaskPair(lung=None, infection=None)
    volume = study.volume
    if reading.notes:
        new = tuple(note for note in reading.notes if note not in volume.warnings)
        volume = replace(volume, warnings=volume.warnings + new)
    return replace(study, volume=volume, truth=replace(known, **{role: reading.mask}))


def _only(paths: Sequence[Path | str]) -> Path | tuple[Path, ...]:
    """The single path of a list, or the list."""
    if not paths:
        raise LoadError(
            "There is nothing to open",
            got="no file",
            expected="a scan",
            next_step="choose at least one file",
        )
    for path in paths:
        _refuse_nothing(path)
    found = tuple(map(Path, paths))
    return found[0] if len(found) == 1 else found


def _open_plain(
    path: Path | str | tuple[Path, ...],
    *,
    series_uid: str | None,
    window: tuple[float, float] | None,
    limits: LoadLimits,
    on_progress: OnProgress,
    should_cancel: ShouldCancel,
) -> Study:
    """A study from anything but an archive."""
    kind: Kind = _kind_of_list(path) if isinstance(path, tuple) else recognise(path)
    volume: Volume
    if kind == "cases":
        assert not isinstance(path, tuple)
        cases = load_case_table(path)
        if len(cases) > 1:
            raise SeveralScansError(tuple(shown_name(case.case_id) for case in cases))
        return load_case(
            cases[0],
            window=window,
            limits=limits,
            on_progress=on_progress,
            should_cancel=should_cancel,
        )
    if kind == "dicom":
        volume = load_dicom(
            path,
            series_uid=series_uid,
            window=window,
            limits=limits,
            on_progress=on_progress,
            should_cancel=should_cancel,
        )
    elif kind == "pictures":
        volume = load_pictures(
            _gather(path, PICTURE_ENDINGS),
            name=_picture_stack_name(path),
            window=window,
            limits=limits,
            on_progress=on_progress,
            should_cancel=should_cancel,
        )
    else:
        return open_volumes(
            _gather(path, VOLUME_ENDINGS),
            window=window,
            limits=limits,
            on_progress=on_progress,
            should_cancel=should_cancel,
        )
    return Study(volume=volume, case_id=volume.source.name)


def _gather(path: Path | str | tuple[Path, ...], endings: tuple[str, ...]) -> list[Path]:
    """The files of one kind in a folder and its subfolders, or those given."""
    if isinstance(path, tuple):
        return [file for file in path if file.name.lower().endswith(endings)]
    path = Path(path)
    if not path.is_dir():
        return [path]
    return sorted(
        (file for file in _files_below(path) if file.name.lower().endswith(endings)),
        key=natural_order,
    )


def _picture_stack_name(path: Path | str | tuple[Path, ...]) -> str | None:
    # The temporary folder of an archive and a list of uploads have no name worth showing.
    if isinstance(path, tuple) or not Path(path).is_dir():
        return None
    pictures = _gather(path, PICTURE_ENDINGS)
    return None if len(pictures) == 1 else f"{len(pictures)} pictures"


def _recognise_folder(folder: Path, name: str) -> Kind:
    try:
        os.listdir(folder)
    except OSError as error:
        raise LoadError(
            f"Folder {name} cannot be opened",
            got=error.strerror or "a read error",
            expected="a folder that may be read",
            next_step="check its permissions",
        ) from error
    if is_case_folder(folder):
        return "cases"
    files = _files_below(folder)
    kind = _kind_of_files(files)
    pair = next((file for file in files if file.name.lower().endswith(_PAIR_ENDINGS)), None)
    if kind is None and pair is not None:
        raise half_of_a_pair(shown_name(pair))
    if kind is None:
        raise LoadError(
            f"Folder {name} holds no scan",
            got=f"{len(files)} file{'s' if len(files) != 1 else ''}, none of them a scan",
            expected="DICOM slices, a NIfTI file or pictures",
            next_step="open the folder that holds the scan",
        )
    return kind


def _kind_of_list(paths: tuple[Path, ...]) -> Kind:
    for path in paths:
        if not os.path.isdir(path):
            check_file(path)
        if is_archive(path):
            raise LoadError(
                "A zip cannot be mixed with other files",
                got=f"{len(paths)} files with a zip among them",
                expected="a single zip, or the files of one scan",
                next_step="open the zip alone",
            )
    kind = _kind_of_files(list(paths))
    if kind is not None:
        return kind
    return recognise(paths[0])


def _kind_of_files(files: list[Path]) -> Kind | None:
    """The likeliest kind: DICOM before NIfTI before pictures."""
    if any(is_dicom(path) for path in files):
        return "dicom"
    if any(path.name.lower().endswith(VOLUME_ENDINGS) for path in files):
        return "nifti"
    if any(path.name.lower().endswith(PICTURE_ENDINGS) for path in files):
        return "pictures"
    if any(_begins_like_old_dicom(path) for path in files):
        return "dicom"
    return None


def _files_below(folder: Path) -> list[Path]:
    """Regular files of a folder and its subfolders; links to folders are not followed."""
    found: list[Path] = []
    for parent, subfolders, names in os.walk(folder):
        subfolders[:] = sorted(filter(_is_seen, subfolders))
        seen = [Path(parent, name) for name in sorted(names) if _is_seen(name)]
        found += filter(may_be_read, seen)
        if len(found) > _FOLDER_LOOKS:
            break
    return found


def _is_seen(name: str) -> bool:
    return not name.startswith(".") and name != "__MACOSX"


def _bytes_at(path: Path, offset: int, count: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(count)
    except OSError:
        return b""


def _is_nifti(path: Path) -> bool:
    """NIfTI by its magic, or gzip, whose content the reader judges."""
    if _bytes_at(path, 0, 2) == b"\x1f\x8b":
        return True
    return _bytes_at(path, 344, 4) == b"n+1\0" or _bytes_at(path, 4, 4) == b"n+2\0"


def _begins_like_old_dicom(path: Path) -> bool:
    start = _bytes_at(path, 0, 8)
    return len(start) == 8 and start[:2] in (b"\x02\0", b"\x08\0") and start[3] == 0
