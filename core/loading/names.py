"""File names from browsers and archives, made safe to write."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container, Sequence
from pathlib import Path
from typing import BinaryIO

from core.errors import LoadError

_MAX_STEM_BYTES = 150
_ENDING = re.compile(r"(\.nii\.gz|\.[A-Za-z0-9]{1,8})$", re.IGNORECASE)
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)", re.IGNORECASE)
_NOT_ON_WINDOWS = re.compile(r'[<>:"|?*]')
_BLOCK_BYTES = 1024**2


def safe_name(name: str, taken: Container[str] = ()) -> str:
    """The last part of a path as a name that any file system takes, changed as little as can be.

    Spaces, brackets, commas and letters of any script stay, so that a message names the file as
    the person knows it. What goes: folders, control characters and direction overrides, dots and
    spaces at either end, characters and names that Windows keeps for itself, and all beyond about
    150 bytes, before the ending. The result differs from those `taken` (in lower case).
    """
    base = unicodedata.normalize("NFC", re.split(r"[\\/]", name)[-1])
    base = "".join(c for c in base if _is_shown(c)).strip()
    base = _NOT_ON_WINDOWS.sub("_", base)
    found = _ENDING.search(base)
    ending = found[0] if found else ""
    stem = base[: len(base) - len(ending)].lstrip(". ")
    stem = _bounded(stem, _MAX_STEM_BYTES)
    if not ending:
        stem = stem.rstrip(". ")
    if not stem or _RESERVED.fullmatch(stem.split(".")[0].rstrip()):
        stem = f"file_{stem}".rstrip("_")
    candidate, number = f"{stem}{ending}", 2
    while candidate.lower() in taken:
        candidate, number = f"{stem}_{number}{ending}", number + 1
    return candidate


def _is_shown(character: str) -> bool:
    """False for what `shown_name` drops as well, so that both show the same."""
    category = unicodedata.category(character)
    return not category.startswith("C") and category not in ("Zl", "Zp")


def _bounded(text: str, limit: int) -> str:
    """As much of `text` as fits into `limit` bytes of UTF-8."""
    encoded = text.encode("utf-8", "ignore")
    if len(encoded) <= limit:
        return text
    return encoded[:limit].decode("utf-8", "ignore").rstrip(". ")


def stage_uploads(files: Sequence[tuple[str, BinaryIO | bytes]], folder: Path | str) -> list[Path]:
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
            path = folder / safe_name(name, taken)
            taken.add(path.name.lower())
            paths.append(path)
            with path.open("xb") as out:
                if isinstance(content, bytes):
                    out.write(content)
                    continue
                content.seek(0)
                while block := content.read(_BLOCK_BYTES):
                    out.write(block)
    except OSError as error:
        for path in paths:
            path.unlink(missing_ok=True)
        raise LoadError(
            "The upload cannot be kept",
            got=error.strerror or "a write error",
            expected="free space in the temporary folder",
            next_step="free some disk space",
        ) from error
    return paths
