"""Records that any reader takes: strict JSON, and text files whose place is tried beforehand."""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from core.errors import SaveError, shown_name


def without_nan(value: Any) -> Any:
    """The same with null for what is undefined or infinite: JSON knows neither.

    Args:
        value: dictionaries, lists, tuples and plain values, nested at will.
    """
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def json_text(value: Any, *, ascii_only: bool = False) -> str:
    """Strict JSON, indented by one; undefined figures are null."""
    return json.dumps(without_nan(value), indent=1, ensure_ascii=ascii_only, allow_nan=False)


def write_text(path: Path, text: str) -> None:
    """`write_bytes` in UTF-8."""
    write_bytes(path, text.encode("utf-8", errors="backslashreplace"))


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file, making folders as needed; a half-written one never stays behind.

    Raises:
        SaveError: it cannot be written.
    """
    partial = path.with_name(f"{path.name}.part")
    try:
        if path.exists() and not path.is_file():  # a pipe or a device: nothing to replace
            path.write_bytes(content)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(content)
        partial.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise _unwritable(path, error, option=None) from error


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
            if path.is_file() or path.is_dir():  # a pipe or a device is left in peace
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
    """Refuses results that would take the place of what they are made from.

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
        file.write(b"tried")


def _unwritable(path: Path, error: Exception, *, option: str | None) -> SaveError:
    reason = error.strerror if isinstance(error, OSError) else None
    return SaveError(
        f"{shown_name(path)} cannot be written",
        got=reason or "a write error",
        expected="a place that may be written to, with room",
        next_step=f"choose another {option}" if option else "choose another place",
    )
