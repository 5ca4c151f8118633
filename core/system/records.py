"""Files that survive a crash: strict JSON and text, written whole, into places tried beforehand."""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import re
import secrets
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from core.errors import SaveError, shown_name

_PARTIAL_NAME = re.compile(r".+\.[0-9a-f]{16}\.part")


def without_nan(value: Any) -> Any:
    """The same value with null for what is undefined or infinite: JSON knows neither.

    Args:
        value: dictionaries, lists, tuples and plain values, nested to any depth.
    """
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def json_text(value: Any, *, ascii_only: bool = False) -> str:
    """Strict JSON, indented by one; undefined values are null."""
    return json.dumps(without_nan(value), indent=1, ensure_ascii=ascii_only, allow_nan=False)


def no_formula(text: str) -> str:
    """Text for a cell of a table: what a spreadsheet would run as a formula gets an apostrophe.

    Names of files and cases are anyone's.
    """
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def write_text(path: Path, text: str) -> None:
    """`write_bytes` in UTF-8."""
    write_bytes(path, text.encode("utf-8", errors="backslashreplace"))


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all, making folders as needed.

    The content is on the disk before it takes the place of what was there, so a crash or a power
    cut leaves the old file or the new one. Of two writers at once, the last one wins.

    Raises:
        SaveError: it cannot be written.
    """
    try:
        if path.exists() and not path.is_file():  # a pipe or a device: nothing to replace
            path.write_bytes(content)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace_file(path, content)
    except OSError as error:
        raise _unwritable(path, error, option=None) from error


def _replace_file(path: Path, content: bytes) -> None:
    # A name of its own for every writer. Cut, because file systems limit the length of names.
    partial = path.with_name(f"{path.name[:40]}.{secrets.token_hex(8)}.part")
    try:
        with partial.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:  # also Ctrl-C: no half-written file stays behind
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def put_in_place(written: Path, path: Path) -> None:
    """A finished file takes the place of `path` at once, and is on the disk before it does.

    Args:
        written: in the same folder; made by a library that writes files itself.

    Raises:
        OSError: it cannot be flushed or renamed.
    """
    with written.open("rb+") as file:
        os.fsync(file.fileno())
    written.replace(path)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Puts the names in a folder on the disk, where the system can."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        # Some network file systems refuse this for folders; the file itself is safe by then.
        with contextlib.suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_partial_files(folder: Path) -> None:
    """Deletes what killed writers left in a folder that nobody else writes into now."""
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            if _PARTIAL_NAME.fullmatch(path.name):
                path.unlink(missing_ok=True)


def make_folder(folder: Path, *, option: str) -> Path:
    """Makes a folder for results and tries it, before hours are spent on what goes into it.

    Args:
        option: that the person chose it with, for the message.

    Raises:
        SaveError: it cannot be made, or nothing can be written into it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _try_folder(folder)
    except (OSError, ValueError) as error:
        raise _unwritable(folder, error, option=option) from error
    return folder


def check_place(path: Path, *, option: str, is_folder: bool = False) -> None:
    """Tries whether a file, or a folder with files, can be made at `path`; leaves nothing behind.

    Raises:
        SaveError: it cannot.
    """
    try:
        if path.exists() and not is_folder:
            if path.is_file() or path.is_dir():  # a pipe or a device is left alone
                with path.open("ab"):
                    pass
            return
        place = path
        while not place.exists():
            place = place.parent
        _try_folder(place)
    except (OSError, ValueError) as error:
        raise _unwritable(path, error, option=option) from error


def refuse_overwriting(targets: Iterable[Path], inputs: Iterable[Path], *, option: str) -> None:
    """Refuses results that would overwrite what they are made from.

    Args:
        targets: files about to be written.
        inputs: files about to be read; links count as what they point to.

    Raises:
        SaveError: one is the same as another.
    """
    kept: set[object] = set()
    for path in inputs:
        kept |= _identities(path)
    for target in targets:
        if _identities(target) & kept:
            raise SaveError(
                f"{shown_name(target)} would overwrite a file that is read",
                got="a target among the inputs",
                expected="results apart from them",
                next_step=f"choose another {option}",
            )


def _identities(path: Path) -> set[object]:
    found: set[object] = {os.path.realpath(path)}
    with contextlib.suppress(OSError, ValueError):
        status = path.stat()
        found.add((status.st_dev, status.st_ino))
    return found


def _try_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"test")


def _unwritable(path: Path, error: Exception, *, option: str | None) -> SaveError:
    reason = error.strerror if isinstance(error, OSError) else None
    return SaveError(
        f"{shown_name(path)} cannot be written",
        got=reason or "a write error",
        expected="a writable place with free space",
        next_step=f"choose another {option}" if option else "choose another place",
    )
