"""Finds DICOM files among others and reads their headers, never their pixels."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian

from core.config import LoadLimits
from core.errors import LoadError
from core.loading.checks import may_be_read
from core.loading.dicom.decode import inflated
from core.loading.dicom.slices import TAGS, Slice, kind_of_object, slices_of
from core.system import OnProgress, ShouldCancel, raise_if_cancelled

_MAX_FILE_BYTES = 2 * 1024**3
_DICOM_ENDINGS = (".dcm", ".ima", ".dicom")

_CT = (
    "1.2.840.10008.5.1.4.1.1.2",
    "1.2.840.10008.5.1.4.1.1.2.1",
    "1.2.840.10008.5.1.4.1.1.2.2",
)
"""Classes of CT pictures: single, enhanced, and enhanced from older ones."""
_EMPTY = "empty file"
_FILMS = tuple(kind_of_object(f"1.2.840.10008.5.1.4.1.1.7.{number}") for number in range(1, 5))
"""Captures of several frames, which may show a CT."""


@dataclass(frozen=True)
class Headers:
    """What was found among files: slices, and how many objects of other kinds were ignored."""

    slices: list[Slice]
    ignored: Counter[str]


class NoPictureError(LoadError):
    """The files hold reports, masks or other objects, and no picture."""


def read_headers(
    paths: Path | str | Sequence[Path | str],
    *,
    limits: LoadLimits,
    on_progress: OnProgress,
    should_cancel: ShouldCancel,
) -> Headers:
    """What lies in a folder (with subfolders), a file or a list of files.

    Raises:
        NoPictureError: there is no picture.
        LoadError: a file may not be read or is damaged, or there are too many files.
    """
    files = _files(paths, limits)
    tally = _Tally(len(files))
    for done, path in enumerate(files):
        raise_if_cancelled(should_cancel, "reading DICOM headers")
        tally.add(path, limits)
        on_progress("reading DICOM headers", done + 1, len(files))
    tally.refuse_incomplete()
    return Headers(tally.slices, tally.ignored)


@dataclass
class _Tally:
    """What was found in so many files."""

    files: int
    slices: list[Slice] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)
    damaged: int = 0
    unreadable: int = 0
    refusal: LoadError | None = None
    """Of a picture that is no CT, mentioned where there is nothing else."""

    def add(self, path: Path, limits: LoadLimits) -> None:
        try:
            start = _start(path)
        except OSError:
            self.unreadable += 1  # if skipped, it could be the slice that is then missing
            start = b""
        dataset = _header(path, start)
        if not start and path.suffix.lower() in _DICOM_ENDINGS:
            self.ignored[_EMPTY] += 1
        if dataset is None:
            self.damaged += _is_marked(start)
            return
        kind = _class_of(dataset)
        if "Rows" not in dataset or "Columns" not in dataset:
            if kind in _CT or not kind:
                self.damaged += 1  # cut inside its header
            else:
                self.ignored[kind_of_object(kind)] += 1
            return
        try:
            self.slices += slices_of(path, dataset, limits)
        except LoadError as error:
            if kind in (*_CT, ""):
                raise
            self.refusal = self.refusal or error
            self.ignored[kind_of_object(kind)] += 1
        except Exception:  # values of any type and length stand in damaged tags
            self.damaged += 1

    def refuse_incomplete(self) -> None:
        """Checks that every file was read and that there are slices.

        Raises:
            NoPictureError: there is no picture.
            LoadError: a file could not be read.
        """
        if self.unreadable:
            raise LoadError(
                "A file of the series cannot be opened",
                got=f"{self.unreadable} of {self.files} files without permission to read",
                expected="every slice",
                next_step="check the permissions of the files",
            )
        if self.damaged:
            raise LoadError(
                "A DICOM file is damaged",
                got=f"{self.damaged} of {self.files} files that cannot be read",
                expected="complete files",
                next_step="copy or export the series again",
            )
        if not self.slices and self.refusal is not None:
            others = sorted(kind for kind in self.ignored if kind not in (_EMPTY, *_FILMS))
            if not others:
                raise self.refusal
            raise LoadError(
                "The series is not CT",
                got=", ".join(others[:3]),
                expected="CT",
                next_step="open the CT series of the study",
            )
        if not self.slices:
            got = f"{self.files} file{'s' if self.files != 1 else ''} without one"
            if self.ignored:
                got = f"{self.ignored.total()} DICOM files that are reports or other objects"
            raise NoPictureError(
                "There is no DICOM picture",
                got=got,
                expected="the slices of a CT series",
                next_step="point to the folder that holds the slices",
            )


def _class_of(dataset: Dataset) -> str:
    """UID of what kind of object it is; empty where neither header says so."""
    meta = getattr(dataset, "file_meta", {})
    return str(dataset.get("SOPClassUID") or meta.get("MediaStorageSOPClassUID") or "")


def is_dicom(path: Path | str) -> bool:
    """Whether a file carries DICM at byte 128."""
    try:
        return _is_marked(_start(Path(path)))
    except OSError:
        return False


def _start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(132)


def _is_marked(start: bytes) -> bool:
    return start[128:] == b"DICM"


def _files(paths: Path | str | Sequence[Path | str], limits: LoadLimits) -> list[Path]:
    given = [paths] if isinstance(paths, (str, Path)) else list(paths)
    found: list[Path] = []
    for path in map(Path, given):
        if not os.path.isdir(path):
            found.append(path)
            continue
        for folder, subfolders, names in os.walk(path):
            subfolders[:] = sorted(n for n in subfolders if not n.startswith((".", "__MACOSX")))
            found += [Path(folder, n) for n in sorted(names) if not n.startswith(".")]
            if len(found) > limits.max_files:
                break
    found = [path for path in found if path.name.upper() != "DICOMDIR" and may_be_read(path)]
    if len(found) > limits.max_files:
        raise LoadError(
            "There are too many files",
            got=f"more than {limits.max_files}",
            expected="the slices of one scan",
            next_step="point to the folder of one series",
        )
    return found


def _header(path: Path, start: bytes) -> Dataset | None:
    """The wanted tags of a DICOM file; none where its `start` is that of something else."""
    try:
        if path.stat().st_size > _MAX_FILE_BYTES:
            return None
        if _is_marked(start):
            meta = pydicom.filereader.read_file_meta_info(path)
            if meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
                return inflated(path, TAGS)
        elif not _may_lack_mark(start):
            return None
        dataset = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=TAGS, force=True)
    except Exception:  # the parser raises whatever a broken file makes it
        return None
    return dataset if _class_of(dataset) or "Rows" in dataset else None


def _may_lack_mark(start: bytes) -> bool:
    """Old exports begin at once with group 0002 or 0008, little endian."""
    return start[:2] in (b"\x02\0", b"\x08\0") and len(start) >= 8 and start[3] == 0
