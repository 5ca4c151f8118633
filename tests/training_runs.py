"""Tiny runs that several test files look at, trained once in each test process.

What is returned is shared: whoever changes a folder copies it first.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from core.errors import Cancelled
from core.training.fit import train
from core.training.runs import RunPaths
from tests.training_data import TINY, write_training_folder

_kept = tempfile.TemporaryDirectory(prefix="lunglens-tests-", ignore_cleanup_errors=True)


def _place(name: str) -> Path:
    return Path(_kept.name) / name


@cache
def training_folder() -> Path:
    """The data folder of `tests.training_data`."""
    return write_training_folder(_place("data"))


@cache
def whole_run() -> RunPaths:
    """`TINY`, two epochs without interruption."""
    return train(training_folder(), _place("whole"), TINY)


@cache
def stopped_run() -> RunPaths:
    """`TINY`, stopped in its second epoch."""
    epochs: list[tuple[int, int]] = []

    def note(stage: str, done: int, total: int) -> None:
        if stage == "training":
            epochs.append((done, total))

    folder = _place("stopped")
    with pytest.raises(Cancelled, match="training"):
        train(training_folder(), folder, TINY, on_progress=note, should_cancel=lambda: bool(epochs))
    assert epochs == [(1, 2)]
    return RunPaths(folder)


@cache
def second_run() -> RunPaths:
    """One epoch more, from the best weights of `whole_run`."""
    config = replace(TINY, epochs=1)
    return train(training_folder(), _place("second"), config, initial=whole_run().folder)


def copy_run(run: RunPaths, folder: Path) -> RunPaths:
    """A copy that may be changed."""
    return RunPaths(Path(shutil.copytree(run.folder, folder)))
