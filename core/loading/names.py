"""File names from browsers and archives, made safe to write."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

from core.errors import LoadError

_MAX_LENGTH = 80
_ENDING = re.compile(r"(\.nii\.gz|\.[A-Za-z0-9]{1,8})$", re.IGNORECASE)
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)", re.IGNORECASE)
_BLOCK_BYTES = 1024**2


def safe_name(name: str, taken: Iterable[str] = ()) -> str:
    """A name of letters, digits, dash, dot and underscore that any file system takes.

    At most 80 characters, its ending kept, never hidden, and different from those `taken`
    (in lower case).
    """
    base = re.split(r"[\\/]", name)[-1]
    found = _ENDING.search(base)
    ending = found[0].lower() if found else ""
    stem = base[: len(base) - len(ending)]
    stem = re.sub(r"[^\w\-.]+", "_", stem, flags=re.ASCII).strip("._")[: _MAX_LENGTH - 20]
    if not stem or _RESERVED.fullmatch(stem.split(".")[0]):
        stem = f"file_{stem}".rstrip("_")
    used = set(taken)
    candidate, number = f"{stem}{ending}", 2
    while candidate.lower() in used:
        candidate, number = f"{stem}_{number}{ending}", number + 1
    return candidate


def stage_uploads(
    files: Sequence[tuple[str, BinaryIO | bytes]], folder: Path | str
) -> list[Path]:
    """Writes uploads under safe names into a folder that is made where it is missing.

    Args:
        files: name as the browser sent it, and content.

    Returns:
        The paths written, in the order given.

    Raises:
        LoadError: the disk is full or the folder cannot be written.
    """
    folder = Path(folder)
    taken: set[str] = set()
    paths: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        taken |= {child.name.lower() for child in folder.iterdir()}
        for name, content in files:
            safe = safe_name(name, taken)
            taken.add(safe.lower())
            path = folder / safe
            with path.open("xb") as out:
                if isinstance(content, bytes):
                    out.write(content)
                else:
                    content.seek(0)
                    while block := content.read(_BLOCK_BYTES):
                        out.write(block)
            paths.append(path)
    except OSError as error:
        for path in paths:
            path.unlink(missing_ok=True)
        raise LoadError(
            "The upload cannot be kept",
            got=error.strerror or "a write error",
            expected="room in the temporary folder",
            next_step="free some disk space",
        ) from error
    return paths
