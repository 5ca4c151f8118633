"""How much an archive may hold."""

from __future__ import annotations

import shutil
from pathlib import Path

from core.config import LoadLimits
from core.errors import LoadError

_RATIO_FLOOR_BYTES = 16 * 1024**2
"""Below this much unpacked data no ratio is dangerous; masks shrink a thousandfold."""


def check_count(count: int, limits: LoadLimits, name: str) -> None:
    """Raises `LoadError` where an archive has more entries than are opened.

    Args:
        count: entries met so far.
        name: of the archive, for the message.
    """
    if count > limits.max_files:
        raise LoadError(
            f"{name} holds too many files",
            got=f"at least {count}",
            expected=f"at most {limits.max_files}",
            next_step="pack one series only",
        )


def check_unpacked_size(total: int, packed: int, limits: LoadLimits, name: str) -> None:
    """Raises `LoadError` where the files of an archive are too large, or grow too much.

    Args:
        total: bytes unpacked, of the entries met so far.
        packed: bytes in the archive.
        name: of the archive, for the message.
    """
    if total > limits.max_unpacked_bytes:
        raise LoadError(
            f"{name} is too large unpacked",
            got=f"at least {total / 1024**3:.1f} GiB",
            expected=f"at most {limits.max_unpacked_bytes / 1024**3:.1f} GiB",
            next_step="pack one series only",
        )
    ratio = total / max(packed, 1)
    if total > _RATIO_FLOOR_BYTES and ratio > limits.max_compression_ratio:
        raise LoadError(
            f"{name} looks like a decompression bomb",
            got=f"content that grows {ratio:.0f}-fold",
            expected=f"at most {limits.max_compression_ratio:.0f}-fold",
            next_step="unpack it yourself and open the files",
        )


def check_not_empty(count: int, name: str) -> None:
    """Raises `LoadError` where an archive holds no file that could be of a scan."""
    if not count:
        raise LoadError(
            f"{name} holds no file",
            got="an empty archive",
            expected="a scan",
            next_step="pack the folder of the scan",
        )


def check_disk(needed: int, folder: Path, name: str) -> None:
    """Raises `LoadError` where so many bytes do not fit on the disk of the folder."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise LoadError(
            f"{name} does not fit on the disk",
            got=f"{free / 1024**2:.0f} MiB free",
            expected=f"{needed / 1024**2:.0f} MiB",
            next_step="free some space",
        )
