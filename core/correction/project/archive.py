"""A project as one zip to pass on, and back."""

from __future__ import annotations

import io
import secrets
import shutil
import tempfile
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path
from typing import IO

import numpy as np

from core.config import CHANNELS, LoadLimits
from core.correction.project.journal import read_journal
from core.correction.project.mask_file import read_mask
from core.correction.project.scan_file import SCAN_FILES, has_scan, read_scan, write_scan
from core.correction.project.state import STATE_NAME, read_state
from core.correction.project.store import (
    CARD_NAME,
    LOCK_NAME,
    STEPS_NAME,
    folder_of,
    parse_card,
    read_card,
    write_card,
)
from core.errors import LoadError, ProjectError
from core.loading.archive_limits import check_unpacked_size
from core.system import DAMAGED_GZIP, OnProgress, ignore_progress, take_lock
from core.volume import Study

_NETWORK = tuple(f"network_{channel}.nii.gz" for channel in CHANNELS)
_CORE = (CARD_NAME, STATE_NAME, STEPS_NAME, *_NETWORK)
_ALLOWED = {*_CORE, *SCAN_FILES}
_DAMAGED_ZIP = (
    *(zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError),
    ValueError,
)
_MOST_TURNS = 200
"""How often all voxels of a scan may be turned over by the steps of a project from elsewhere."""
_UNNAMED = "Scan from a project file"
_PIECE_BYTES = 1 << 20
_LIMITS = LoadLimits(max_compression_ratio=2000.0)
"""Masks shrink a thousandfold."""


def pack_project(folder: Path, *, scan: Study | None, identity: bool) -> bytes:
    """The zip of a project.

    Args:
        scan: the scan, to be put inside; none to leave it out.
        identity: whether its name, its place and the identifiers of a DICOM series go along. The
            patient's own tags are in none of the files.

    Raises:
        ProjectError: the project cannot be read.
    """
    card = read_card(folder)
    if not identity:
        card = replace(card, name=_UNNAMED, where="", origin="upload")
    packed = io.BytesIO()
    with tempfile.TemporaryDirectory(prefix="lunglens-") as made:
        place = Path(made)
        write_card(place, card)
        if scan is not None:
            write_scan(place, scan, identity=identity)
        for name in (STATE_NAME, STEPS_NAME, *_NETWORK):
            if (folder / name).exists():
                shutil.copyfile(folder / name, place / name)
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
            for path in sorted(place.iterdir()):
                archive.write(path, path.name)
    return packed.getvalue()


def unpack_project(
    file: IO[bytes], projects: Path, *, on_progress: OnProgress = ignore_progress
) -> tuple[Path, Study | None]:
    """Takes the zip of a project into the folder of all projects: where it lies, and its scan,
    where that is inside.

    Args:
        on_progress: not called any more once the project is there, so that whoever stops the
            work by raising from it finds everything as before.

    Raises:
        ProjectError: it is no project, is damaged, was written by a later version, or there is a
            project of this scan already.
    """
    projects.mkdir(parents=True, exist_ok=True)
    place = projects / f".opening-{secrets.token_hex(8)}"
    place.mkdir()
    try:
        _extract(file, place, on_progress)
        fingerprint, study = _check(place, on_progress)
        target = folder_of(projects, fingerprint)
        _make_room(target)
        place.rename(target)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return target, study


def _extract(file: IO[bytes], place: Path, on_progress: OnProgress) -> None:
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            names = [entry.filename for entry in entries]
            packings = {entry.compress_type for entry in entries}
            others = set(names) - _ALLOWED or packings - {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
            if CARD_NAME not in names or len(set(names)) < len(names) or others:
                raise _no_project("a zip with other files")
            check_unpacked_size(
                sum(entry.file_size for entry in entries),
                sum(entry.compress_size for entry in entries),
                _LIMITS,
                "This project",
            )
            for number, entry in enumerate(entries):
                with archive.open(entry) as packed, (place / entry.filename).open("xb") as out:
                    while piece := packed.read(_PIECE_BYTES):
                        on_progress("unpacking files", number, len(entries))
                        out.write(piece)
    except _DAMAGED_ZIP as error:
        raise _no_project("a file that is not a zip, or is damaged") from error
    except LoadError as error:
        raise ProjectError(str(error).rstrip(".")) from error


def _check(place: Path, on_progress: OnProgress) -> tuple[str, Study | None]:
    """Reads all of it once, so that nothing damaged gets among the projects: the fingerprint, and
    the scan, where it is inside."""
    on_progress("checking the steps", 0, 1)
    try:
        card = parse_card(place)
    except (ValueError, KeyError, TypeError) as error:
        raise _no_project(f"a damaged {CARD_NAME}") from error
    voxels = int(np.prod(card.shape, dtype=np.int64))
    if voxels > _LIMITS.max_voxels:
        raise _no_project("a scan of an impossible size")
    read_state(place, card.shape)
    acts, length = read_journal(place / STEPS_NAME, shape=card.shape)
    turned = sum(runs.voxels for act in acts for runs in getattr(act, "flips", {}).values())
    if turned > _MOST_TURNS * voxels:
        raise _no_project("an implausible number of steps")
    if (place / STEPS_NAME).exists() and length < (place / STEPS_NAME).stat().st_size:
        raise _no_project("damaged steps")
    study = None
    try:
        for number, name in enumerate(_NETWORK):
            on_progress("checking masks", number, len(_NETWORK))
            read_mask(place / name, card.shape)
        if has_scan(place):
            study = read_scan(place, fingerprint=card.fingerprint, on_progress=on_progress)
    except DAMAGED_GZIP as error:
        raise _no_project("a damaged file") from error
    return card.fingerprint, study


def _make_room(target: Path) -> None:
    if not target.exists():
        return
    if (target / CARD_NAME).exists():
        raise ProjectError(
            "A project of this scan already exists here",
            next_step="save it under another name and delete it before opening this one",
        )
    with (target / LOCK_NAME).open("ab") as lock:
        if not take_lock(lock):
            raise ProjectError("This scan is open", next_step="close it before opening its project")
    shutil.rmtree(target)


def _no_project(got: str) -> ProjectError:
    return ProjectError(
        "This file is not a LungLens project",
        got=got,
        expected='a zip written by "Save project"',
        next_step="save the project again and open that file",
    )
