"""Archives (zip, tar), unpacked only where that is safe, into a temporary folder."""

from __future__ import annotations

import lzma
import stat
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath

from core.config import LoadLimits
from core.errors import LoadError, shown_name
from core.loading.archive_limits import (
    check_count,
    check_disk,
    check_not_empty,
    check_unpacked_size,
)
from core.loading.archive_paths import SafeTree, is_hidden, refuse_unsafe_path
from core.loading.checks import DEFAULT_LIMITS
from core.loading.names import safe_name
from core.loading.tar import is_tar, unpack_tar
from core.system import OnProgress, ShouldCancel, ignore_progress, never_cancel, raise_if_cancelled

_BLOCK_BYTES = 1024**2
_INNER_ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz")
_BROKEN = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    KeyError,
    RuntimeError,  # unknown compression is NotImplementedError, a wrong password this
    ValueError,  # names that are no UTF-8, sizes that are no numbers
)
"""What `zipfile` raises on damaged archives."""


def is_archive(path: Path | str) -> bool:
    """Whether a file begins like a zip or a tar, gzipped or not."""
    try:
        with Path(path).open("rb") as file:
            if file.read(4) in (b"PK\x03\x04", b"PK\x05\x06"):
                return True
    except OSError:
        return False
    return is_tar(Path(path))


_OTHER_ARCHIVES = (
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"BZh", "a file packed by bzip2"),
    (b"\xfd7zXZ\0", "a file packed by xz"),
    (b"\x28\xb5\x2f\xfd", "a file packed by Zstandard"),
)


def refuse_other_archive(path: Path) -> None:
    """Raises `LoadError` for what is packed in a way that is not unpacked here, by its name."""
    try:
        with path.open("rb") as file:
            start = file.read(8)
    except OSError:
        return
    for magic, kind in _OTHER_ARCHIVES:
        if start.startswith(magic):
            raise LoadError(
                f"{shown_name(path.name)} is {kind}",
                got="an unsupported format",
                expected="a plain file, .gz, .zip or .tar.gz",
                next_step="unpack it and open what is inside",
            )


@contextmanager
def unpacked(
    path: Path,
    *,
    limits: LoadLimits = DEFAULT_LIMITS,
    on_progress: OnProgress = ignore_progress,
    should_cancel: ShouldCancel = never_cancel,
) -> Iterator[Path]:
    """A temporary folder with the content of a zip; removed on leaving, whatever happens.

    Raises:
        LoadError: see `unpack`.
    """
    with tempfile.TemporaryDirectory(prefix="lunglens-", ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary) / safe_name(path.name)  # what messages call it
        folder.mkdir()
        unpack(path, folder, limits=limits, on_progress=on_progress, should_cancel=should_cancel)
        yield folder


def unpack(
    path: Path,
    folder: Path,
    *,
    limits: LoadLimits = DEFAULT_LIMITS,
    on_progress: OnProgress = ignore_progress,
    should_cancel: ShouldCancel = never_cancel,
) -> None:
    """Unpacks a zip or tar into an existing folder under safe names.

    Archives inside it are unpacked too, once, each into a folder of its own; those inside them,
    hidden files and `__MACOSX` are left out. Limits hold for all together.

    Raises:
        LoadError: the archive is damaged, encrypted, too large, or holds paths that lead outside
            of it.
    """
    _unpack_one(path, folder, limits, on_progress, should_cancel)
    inner = [file for file in sorted(folder.rglob("*")) if _is_inner(file)]
    for archive in inner:
        files = [file for file in folder.rglob("*") if file.is_file()]
        left = replace(
            limits,
            max_files=max(limits.max_files - len(files), 0),
            max_unpacked_bytes=max(
                limits.max_unpacked_bytes - sum(file.stat().st_size for file in files), 0
            ),
        )
        target = archive.with_name(safe_name(f"{archive.stem}_unpacked"))
        while target.exists():
            target = target.with_name(f"{target.name}_")
        target.mkdir()
        try:
            _unpack_one(archive, target, left, on_progress, should_cancel)
        except LoadError:
            if all(map(_is_inner, files)):
                raise
            # The scan may well be what lies beside it.
        archive.unlink()
    too_deep = [file for file in sorted(folder.rglob("*")) if inner and _is_inner(file)]
    for file in too_deep:
        file.unlink()
    if too_deep and not any(file.is_file() for file in folder.rglob("*")):
        raise LoadError(
            f"{shown_name(path.name)} holds archives nested too deeply",
            got="an archive in an archive in an archive",
            expected="at most one archive inside another",
            next_step="unpack it once",
        )


def _is_inner(path: Path) -> bool:
    """An archive by content and name: files of Office, and arrays in .npz, are zips as well."""
    return path.is_file() and path.name.lower().endswith(_INNER_ENDINGS) and is_archive(path)


def _unpack_one(
    path: Path,
    folder: Path,
    limits: LoadLimits,
    on_progress: OnProgress,
    should_cancel: ShouldCancel,
) -> None:
    if is_tar(path) or path.name.lower().endswith(_INNER_ENDINGS[1:]):
        unpack_tar(path, folder, limits, on_progress, should_cancel)
        return
    name = shown_name(path.name)
    try:
        with zipfile.ZipFile(path) as archive:
            members = _checked_members(archive, name, limits)
            check_disk(sum(member.file_size for member in members), folder, name)
            tree = SafeTree()
            for done, member in enumerate(members):
                target = folder.joinpath(*tree.file(member.filename))
                target.parent.mkdir(parents=True, exist_ok=True)
                _write_member(archive, member, target, name, should_cancel)
                on_progress("unpacking", done + 1, len(members))
    except _BROKEN as error:
        raise LoadError(
            f"{name} cannot be unpacked",
            got="a damaged archive or an unknown compression",
            expected="a complete zip",
            next_step="zip the scan again",
        ) from error
    except OSError as error:
        raise LoadError(
            f"{name} cannot be unpacked", got=error.strerror or "a write error"
        ) from error


def _checked_members(
    archive: zipfile.ZipFile, name: str, limits: LoadLimits
) -> list[zipfile.ZipInfo]:
    """The files to unpack, once the whole archive has been found harmless by its directory."""
    infos = archive.infolist()
    check_count(len(infos), limits, name)
    for info in infos:
        _refuse_member(info, name)
    members = [info for info in infos if _is_wanted(info)]
    total = sum(info.file_size for info in members)
    packed = sum(info.compress_size for info in members)
    check_unpacked_size(total, packed, limits, name)
    check_not_empty(len(members), name)
    return members


def _refuse_member(info: zipfile.ZipInfo, name: str) -> None:
    """Names that lead out of the folder, links and secrets make the whole archive refused."""
    # `filename` ends at a null character and has its separators turned; the raw name has not.
    raw = info.orig_filename.replace("\\", "/")
    refuse_unsafe_path(raw, name)
    if stat.S_ISLNK(info.external_attr >> 16):
        raise LoadError(
            f"{name} holds a link",
            got=f"entry {shown_name(raw)}",
            expected="files only",
            next_step="zip the files themselves",
        )
    if info.flag_bits & 0x1:
        raise LoadError(
            f"{name} is encrypted",
            got="entries with a password",
            expected="a zip without a password",
            next_step="unpack it yourself and open the folder",
        )


def _is_wanted(info: zipfile.ZipInfo) -> bool:
    parts = PurePosixPath(info.filename.replace("\\", "/")).parts
    return not info.is_dir() and bool(parts) and not is_hidden(parts)


def _write_member(
    archive: zipfile.ZipFile,
    member: zipfile.ZipInfo,
    target: Path,
    name: str,
    should_cancel: ShouldCancel,
) -> None:
    """Streams one file out, never more than its directory entry declares."""
    left = member.file_size
    with archive.open(member) as source, target.open("xb") as out:
        while block := source.read(_BLOCK_BYTES):
            raise_if_cancelled(should_cancel, "unpacking")
            left -= len(block)
            if left < 0:
                raise LoadError(
                    f"{name} unpacks to more than it declares",
                    got="an entry longer than its stated size",
                    expected="an archive that declares its true size",
                    next_step="zip the scan again",
                )
            out.write(block)
