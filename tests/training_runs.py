"""Tiny runs that several test files read, trained once for all processes of a test run.

They are trained without graphs, which cost more than their few steps; with graphs the command
trains in `test_run_process`. What is returned is shared: whoever changes a folder copies it first.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from core.errors import Cancelled
from core.training.fit import train
from core.training.runs import RunPaths
from tests.eager import eager_keras
from tests.shared import made_once
from tests.training_data import TINY, write_training_folder


@cache
def training_folder() -> Path:
    """The data folder of `tests.training_data`."""
    return made_once("data", write_training_folder)


@cache
def whole_run() -> RunPaths:
    """`TINY`, two epochs without interruption."""
    data = training_folder()

    def make(folder: Path) -> None:
        with eager_keras():
            train(data, folder, TINY)

    return RunPaths(made_once("whole", make))


@cache
def stopped_run() -> RunPaths:
    """`TINY`, stopped in its second epoch."""
    data = training_folder()

    def make(folder: Path) -> None:
        epochs: list[tuple[int, int]] = []

        def note(stage: str, done: int, total: int) -> None:
            if stage == "training":
                epochs.append((done, total))

        with pytest.raises(Cancelled, match="training"), eager_keras():
            train(data, folder, TINY, on_progress=note, should_cancel=lambda: bool(epochs))
        assert epochs == [(1, 2)]

    return RunPaths(made_once("stopped", make))


@cache
def second_run() -> RunPaths:
    """One epoch more, from the best weights of `whole_run`."""
    data, first = training_folder(), whole_run().folder
    config = replace(TINY, epochs=1)

    def make(folder: Path) -> None:
        with eager_keras():
            train(data, folder, config, initial=first)

    return RunPaths(made_once("second", make))


def copy_run(run: RunPaths, folder: Path) -> RunPaths:
    """A copy that may be changed."""
    return RunPaths(Path(shutil.copytree(run.folder, folder)))
