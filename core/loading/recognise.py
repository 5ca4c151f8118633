"""What kind of scan a file, a folder or a list of files is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from core.errors import LoadError, shown_name
from core.loading.archive import is_archive, refuse_other_archive
from core.loading.case_table import is_case_folder
from core.loading.checks import check_file, exists, may_be_read
from core.loading.dicom import is_dicom
from core.loading.nifti import half_of_a_pair
from core.loading.pictures import PICTURE_ENDINGS, is_picture
from core.loading.volume_files import VOLUME_ENDINGS, volume_format

Kind = Literal["nifti", "dicom", "archive", "pictures", "cases"]

_PAIR_ENDINGS = (".hdr", ".img", ".hdr.gz", ".img.gz")
_VOXELS_ALONE = (".raw", ".zraw", ".raw.gz")
_OTHER_KINDS = {
    b"GIF8": "a GIF picture",
    b"%!PS": "a PostScript drawing",
    b"\xc5\xd0\xd3\xc6": "a PostScript drawing",
    b"%PDF": "a PDF document",
    b"\x89HDF": "an HDF5 file",
    b"MATLAB": "a MATLAB file",
    b"CDF\x01": "a MINC file",
    b"\x00\x00\x00\x0cjP": "a JPEG 2000 picture",
    b"\xff\x4f\xff\x51": "a JPEG 2000 picture",
    b"<": "a text file",
    b"{": "a text file",
}
_LONGEST_START = max(map(len, _OTHER_KINDS))
_FOLDER_LOOKS = 5000
"""Files of a folder that are looked at to tell what it holds."""


def recognise(path: Path | str) -> Kind:
    """What a file or folder is, by its content first and its name second.

    Raises:
        LoadError: it does not exist or is nothing that can be opened.
    """
    refuse_nothing(path)
    path = Path(path)
    name = shown_name(path)
    if exists(path) and os.path.isdir(path):
        return _recognise_folder(path, name)
    check_file(path)
    ending = path.name.lower()
    if is_dicom(path):
        return "dicom"
    if volume_format(path) is not None or _has_nifti_magic(path):
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
        got="voxels without a header" if ending.endswith(_VOXELS_ALONE) else _other_kind(path),
        expected="NIfTI, DICOM, NRRD, MetaImage, a zip of these, or slices as PNG, JPEG, WebP, BMP "
        "or TIFF",
        next_step="open its header (.mhd, .nhdr or .hdr) together with it"
        if ending.endswith(_VOXELS_ALONE)
        else "convert it to .nii.gz, or open the DICOM folder",
    )


def _other_kind(path: Path) -> str:
    """What a file is that is known and not read, by how it begins."""
    with path.open("rb") as file:
        start = file.read(_LONGEST_START)
    known = (kind for first, kind in _OTHER_KINDS.items() if start.startswith(first))
    return next(known, "an unknown kind of file")


def refuse_nothing(path: Path | str) -> None:
    """Refuses an empty path, which would be the folder that the program happens to run in.

    Raises:
        LoadError: the path is empty.
    """
    if not str(path).strip():
        raise LoadError(
            "There is nothing to open",
            got="an empty path",
            expected="a file or folder with a scan",
            next_step="give its path",
        )


def _recognise_folder(folder: Path, name: str) -> Kind:
    try:
        os.listdir(folder)
    except OSError as error:
        raise LoadError(
            f"Folder {name} cannot be opened",
            got=error.strerror or "a read error",
            expected="a readable folder",
            next_step="check its permissions",
        ) from error
    if is_case_folder(folder):
        return "cases"
    files = files_below(folder)
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


def kind_of_list(paths: tuple[Path, ...]) -> Kind:
    """What several files are together.

    Raises:
        LoadError: one cannot be read, or is a zip.
    """
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


def files_below(folder: Path) -> list[Path]:
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
    """NIfTI by its magic, or gzip, whose content the reader checks."""
    if _bytes_at(path, 0, 2) == b"\x1f\x8b":
        return True
    return _has_nifti_magic(path)


def _has_nifti_magic(path: Path) -> bool:
    return _bytes_at(path, 344, 4) == b"n+1\0" or _bytes_at(path, 4, 4) == b"n+2\0"


def _begins_like_old_dicom(path: Path) -> bool:
    start = _bytes_at(path, 0, 8)
    return len(start) == 8 and start[:2] in (b"\x02\0", b"\x08\0") and start[3] == 0
