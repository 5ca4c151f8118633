"""Tar archives, gzipped or not, unpacked only where that is safe."""

from __future__ import annotations

import tarfile
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from core.config import LoadLimits
from core.errors import LoadError, shown_name
from core.loading.archive_limits import (
    check_count,
    check_disk,
    check_not_empty,
    check_unpacked_size,
)
from core.loading.archive_paths import SafeTree, is_hidden, refuse_unsafe_path
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
        LoadError: it is damaged, too large, holds links, or holds paths that lead outside of it.
    """
    name = shown_name(path.name)
    tree, files, total = SafeTree(), 0, 0
    packed = path.stat().st_size
    try:
        with _opened(path) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
            for count, member in enumerate(archive, start=1):
                raise_if_cancelled(should_cancel, "unpacking")
                check_count(count, limits, name)
                _refuse_member(member, name)
                parts = PurePosixPath(member.name).parts
                if not member.isfile() or not parts or is_hidden(parts):
                    continue
                total += member.size
                check_unpacked_size(total, packed, limits, name)
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
    check_not_empty(files, name)


def _opened(path: Path) -> BinaryIO:
    with path.open("rb") as file:
        gzipped = file.read(2) == b"\x1f\x8b"
    return open_gzip(path) if gzipped else path.open("rb")


def _refuse_member(member: tarfile.TarInfo, name: str) -> None:
    refuse_unsafe_path(member.name.removeprefix("./").replace("\\", "/"), name)
    if not member.isfile() and not member.isdir():
        raise LoadError(
            f"{name} holds a link or device",
            got=f"entry {shown_name(member.name)}",
            expected="files only",
            next_step="pack the files themselves",
        )


def _write(
    archive: tarfile.TarFile, member: tarfile.TarInfo, target: Path, should_cancel: ShouldCancel
) -> None:
    source = cast(BinaryIO, archive.extractfile(member))
    with source, target.open("xb") as out:
        while block := source.read(_BLOCK_BYTES):
            raise_if_cancelled(should_cancel, "unpacking")
            out.write(block)
