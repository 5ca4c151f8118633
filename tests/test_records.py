"""Files are written whole or not at all, whatever happens meanwhile."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from core.errors import SaveError
from core.system.folders import PROGRAM_FOLDER
from core.system.records import remove_partial_files, write_bytes, write_text


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_content_is_on_the_disk_before_it_takes_the_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order that survives a power cut: content, exchange, names of the folder."""
    steps: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def record_fsync(descriptor: int) -> None:
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        steps.append("folder" if is_folder else f"file of {os.fstat(descriptor).st_size} bytes")
        fsync(descriptor)

    def record_replace(self: Path, target: Path) -> Path:
        steps.append("replace")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", record_fsync)
    monkeypatch.setattr(Path, "replace", record_replace)
    write_bytes(tmp_path / "new" / "record.json", b"12345")
    assert steps == ["file of 5 bytes", "replace", "folder"]
    assert names(tmp_path / "new") == ["record.json"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_interrupted_writing_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    place = tmp_path / "record.json"
    write_text(place, "old")

    def fail(descriptor: int) -> None:
        raise error

    monkeypatch.setattr(os, "fsync", fail)
    expected = SaveError if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(expected):
        write_text(place, "new")
    assert place.read_text() == "old"
    assert names(tmp_path) == ["record.json"]


def test_writers_at_once_do_not_mix_or_fail(tmp_path: Path) -> None:
    place = tmp_path / "record.json"
    contents = [bytes([letter]) * 200_000 for letter in b"abcdef"]
    failed: list[BaseException] = []
    seen: set[bytes] = set()
    done = threading.Event()

    def write(content: bytes) -> None:
        try:
            for _ in range(10):
                write_bytes(place, content)
        except BaseException as error:
            failed.append(error)

    def read() -> None:
        while not done.is_set():
            if place.exists():
                seen.add(place.read_bytes())

    reader = threading.Thread(target=read)
    writers = [threading.Thread(target=write, args=(content,)) for content in contents]
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    reader.join()
    assert not failed
    assert place.read_bytes() in contents
    assert seen <= set(contents)
    assert names(tmp_path) == ["record.json"]


def test_killed_writer_leaves_the_old_file_and_its_rest_can_be_removed(tmp_path: Path) -> None:
    place = tmp_path / "record.json"
    write_text(place, "old")
    code = (
        "import os, signal, sys; from pathlib import Path; from core.system.records import *\n"
        "os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)\n"
        "write_text(Path(sys.argv[1]), 'new')"
    )
    subprocess.run([sys.executable, "-c", code, str(place)], cwd=PROGRAM_FOLDER, check=False)
    assert place.read_text() == "old"
    assert len(names(tmp_path)) == 2
    write_text(place, "newer")
    (tmp_path / "download.part").touch()  # of another program
    remove_partial_files(tmp_path)
    assert names(tmp_path) == ["download.part", "record.json"]
    assert place.read_text() == "newer"


@pytest.mark.skipif(sys.platform == "win32", reason="no umask")
def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "record.json", "{}")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "record.json").stat().st_mode) == 0o640


def test_longest_name_that_a_folder_takes(tmp_path: Path) -> None:
    place = tmp_path / ("ä" * 125 + ".csv")  # 254 bytes in UTF-8
    write_text(place, "a,b\n")
    assert names(tmp_path) == [place.name]
