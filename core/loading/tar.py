"""Tar archives, gzipped or not, unpacked only where that is safe."""

from __future__ import annotations

import tarfile
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from core.config import LoadLimits
from core.errors import LoadError, shown_name
from core.loading.archive_paths import (
    RATIO_FLOOR_BYTES,
    SafeTree,
    check_disk,
    is_hidden,
    refuse_unsafe_path,
)
from core.system import (
    DAMAGED_GZIP,
    OnProgress,
    ShouldCancel,
    open_gzip,
    raise_if_cancelled,
)

_BLOCK_BYTES = 1024**2
_MAGIC, _MAGIC_AT = b"ustar", 257


def is_tar(path: Path) -> bool:
    """Whether a file, unpacked where it is gzipped, begins like a tar."""
    try:
        with _opened(path) as stream:
            start = stream.read(_MAGIC_AT + len(_MAGIC))
    except (OSError, *DAMAGED_GZIP):
        return False
    return start[_MAGIC_AT:] == _MAGIC


def unpack_tar(
    path: Path,
    folder: Path,
    limits: LoadLimits,
    on_progress: OnProgress,
    should_cancel: ShouldCancel,
) -> None:
    """Unpacks a tar into an existing folder under safe names; hidden files are left out.

    Raises:
        LoadError: it is damaged, too large, holds links, or names files outside itself.
    """
    name = shown_name(path.name)
    tree, files, total = SafeTree(), 0, 0
    packed = path.stat().st_size
    try:
        with _opened(path) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
            for count, member in enumerate(archive):
                raise_if_cancelled(should_cancel, "unpacking")
                _refuse_member(member, count, name, limits)
                parts = PurePosixPath(member.name).parts
                if not member.isfile() or not parts or is_hidden(parts):
                    continue
                total += member.size
                _refuse_size(total, packed, name, limits)
                check_disk(member.size, folder, name)
                target = folder.joinpath(*tree.file(member.name))
                target.parent.mkdir(parents=True, exist_ok=True)
                _write(archive, member, target, should_cancel)
                files += 1
                on_progress("unpacking", files, files)
    except (tarfile.TarError, ValueError, *DAMAGED_GZIP) as error:
        raise LoadError(
            f"{name} cannot be unpacked",
            got="a damaged archive",
            expected="a complete tar",
            next_step="pack the scan again",
        ) from error
    except OSError as error:
        raise LoadError(
            f"{name} cannot be unpacked", got=error.strerror or "a write error"
        ) from error
    if not files:
        raise LoadError(
            f"{name} holds no file",
            got="an empty archive",
            expected="a scan",
            next_step="pack the folder of the scan",
        )


def _opened(path: Path) -> BinaryIO:
    with path.open("rb") as file:
        gzipped = file.read(2) == b"\x1f\x8b"
    return open_gzip(path) if gzipped else path.open("rb")


def _refuse_member(member: tarfile.TarInfo, count: int, name: str, limits: LoadLimits) -> None:
    if count >= limits.max_files:
        raise LoadError(
            f"{name} holds too many files",
            got=f"more than {limits.max_files}",
            expected=f"at most {limits.max_files}",
            next_step="pack one series only",
        )
    refuse_unsafe_path(member.name.removeprefix("./").replace("\\", "/"), name)
    if not member.isfile() and not member.isdir():
        raise LoadError(
            f"{name} holds a link or device",
            got=f"entry {shown_name(member.name)}",
            expected="files only",
            next_step="pack the files themselves",
        )


def _refuse_size(total: int, packed: int, name: str, limits: LoadLimits) -> None:
    if total > limits.max_unpacked_bytes:
        raise LoadError(
            f"{name} is too large unpacked",
            got=f"more than {limits.max_unpacked_bytes / 1024**3:.1f} GiB",
            expected=f"at most {limits.max_unpacked_bytes / 1024**3:.1f} GiB",
            next_step="pack one series only",
        )
    if total > RATIO_FLOOR_BYTES and total > limits.max_compression_ratio * max(packed, 1):
        raise LoadError(
            f"{name} looks like an archive bomb",
            got=f"content that grows {total / max(packed, 1):.0f}-fold",
            expected=f"at most {limits.max_compression_ratio:.0f}-fold",
            next_step="open the files without the archive",
        )


def _write(
    archive: tarfile.TarFile, member: tarfile.TarInfo, target: Path, should_cancel: ShouldCancel
) -> None:
    source = cast(BinaryIO, archive.extractfile(member))
    with source, target.open("xb") as out:
        while block := source.read(_BLOCK_BYTES):
            raise_if_cancelled(should_cancel, "unpacking")
            out.write(block)
