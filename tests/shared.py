"""What is made once for all processes of a test run, and lies in one folder."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from core.system.locks import take_lock

_folder: list[Path] = []


def share_in(folder: Path) -> None:
    """From now on `made_once` shares with other processes through a folder."""
    folder.mkdir(exist_ok=True)
    _folder[:] = [folder]


def made_once(name: str, make: Callable[[Path], object]) -> Path:
    """The file or folder of that name, made by the process that comes first; others wait for it."""
    if not _folder:
        share_in(Path(tempfile.mkdtemp(prefix="lunglens-tests-")))
    place = _folder[0] / name
    done = place.with_name(f"{name}.done")
    with place.with_name(f"{name}.lock").open("ab") as lock:
        while not take_lock(lock):
            time.sleep(0.1)
        if not done.exists():
            shutil.rmtree(place, ignore_errors=True)
            make(place)
            done.touch()
    return place
