"""The folder of a training run: its files and their contents. Needs no Keras to read."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.config import CHANNELS, NotJson, read_json, shown_value
from core.errors import DatasetError, shown_name
from core.system import software_versions, write_text

TRAINING_COLUMNS = tuple(
    f"train_{channel}_{name}"
    for channel in CHANNELS
    for name in ("dice", "iou", "precision", "recall")
)
"""Measured during training, on augmented training slices."""
_VALIDATION_COLUMNS = tuple(
    f"{channel}_{name}"
    for channel in CHANNELS
    for name in ("iou", "precision", "recall", "specificity")
)
_SCORE_COLUMNS = ("lung_dice", "infection_dice", "negative_share")
HISTORY_COLUMNS = (
    "epoch",
    "loss",
    "lung_dice",
    "infection_dice",
    "picture_infection_dice",
    "negative_share",
    "healthy_share",
    *_VALIDATION_COLUMNS,
    *TRAINING_COLUMNS,
    "learning_rate",
)
"""One row per epoch; what does not begin with `train_` was measured on validation scans."""


@dataclass(frozen=True)
class RunPaths:
    """Files of one run folder."""

    folder: Path

    @property
    def config(self) -> Path:
        """Config, split, seed and versions, as JSON."""
        return self.folder / "run.json"

    @property
    def history(self) -> Path:
        """One row per epoch."""
        return self.folder / "history.csv"

    @property
    def last(self) -> Path:
        """Model and optimizer after the last finished epoch."""
        return self.folder / "last.keras"

    @property
    def mean(self) -> Path:
        """Running mean of the weights after the last finished epoch."""
        return self.folder / "mean.npz"

    @property
    def initial(self) -> Path:
        """Model that the run started from; absent where it started from scratch."""
        return self.folder / "initial.keras"

    @property
    def request(self) -> Path:
        """What the run was started from, as JSON."""
        return self.folder / "request.json"

    @property
    def exclude(self) -> Path:
        """Slices and cases that were left out, as JSON."""
        return self.folder / "exclude.json"

    @property
    def progress(self) -> Path:
        """What the process is busy with, or how it ended, as JSON."""
        return self.folder / "progress.json"

    @property
    def results(self) -> Path:
        """Dice of each validation case by the best epoch, and before a fine-tuned run, as JSON."""
        return self.folder / "results.json"

    @property
    def lock(self) -> Path:
        """Locked by the process for as long as it lives."""
        return self.folder / "lock"

    @property
    def stop(self) -> Path:
        """There if the process was asked to stop."""
        return self.folder / "stop"

    @property
    def log(self) -> Path:
        """Output of the process."""
        return self.folder / "log.txt"

    @property
    def best(self) -> Path:
        """Model of the epoch with the best validation score."""
        return self.folder / "best.keras"


def append_history(path: Path, row: Mapping[str, float], columns: Sequence[str]) -> None:
    """Adds the row of a finished epoch; what it lacks is nan."""
    is_new = not path.is_file()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        if is_new:
            writer.writeheader()
        writer.writerow({name: f"{row.get(name, np.nan):.6g}" for name in columns})


def read_history(path: Path, *, required: Sequence[str] = _SCORE_COLUMNS) -> list[dict[str, float]]:
    """The finished epochs of a run, in order; empty where none is.

    Args:
        required: columns that must be there, beside the number of the epoch.

    Raises:
        DatasetError: the file is no such table, or a row of it is cut off or out of order.
    """
    if not path.exists():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            missing = {"epoch", *required} - set(reader.fieldnames or ())
            if missing:
                raise ValueError(f"no column {min(missing)}")
            rows = [{name: float(cell) for name, cell in row.items()} for row in reader]
            if any(None in row for row in rows):
                raise ValueError("more cells than columns")
        if [row["epoch"] for row in rows] != list(range(1, len(rows) + 1)):
            raise ValueError("epochs out of order")
    except (OSError, ValueError, TypeError, csv.Error) as error:
        raise DatasetError(
            "The history of the run cannot be read",
            got=f"a damaged {shown_name(path)}",
            expected="one row per epoch, as training wrote it",
            next_step="restore the file or choose another run folder",
        ) from error
    return rows


def epochs_done(paths: RunPaths) -> int:
    """How many epochs a run has finished, whatever it measures.

    Raises:
        DatasetError: as `read_history`.
    """
    return len(read_history(paths.history, required=("loss",)))


def read_record(path: Path) -> dict[str, Any]:
    """Contents of `run.json`: config, split, versions, and the run it started from, if any.

    Raises:
        DatasetError: it cannot be read.
    """
    try:
        record = read_json(path)
        return {"initial": None, **{key: record[key] for key in ("config", "split")}, **record}
    except (ValueError, KeyError, TypeError) as error:
        raise DatasetError(
            "The record of the run cannot be read",
            got=f"{_fault(error)} in {shown_name(path)}",
            expected="JSON with config and split",
            next_step="choose another run folder",
        ) from error


def check_or_write_record(
    paths: RunPaths,
    wanted: dict[str, Any],
    comparable: Callable[[dict[str, Any]], dict[str, Any]],
) -> None:
    """Writes `run.json` of a new run; of a run that is there checks that it is the same one.

    Args:
        wanted: what makes a run what it is: config, split and so on.
        comparable: from the record of a run that is there, what must equal `wanted`.

    Raises:
        DatasetError: the folder holds another run, or a record that cannot be read.
        SaveError: it cannot be written.
    """
    if not paths.config.is_file():
        write_text(paths.config, json.dumps({**wanted, "versions": software_versions()}, indent=1))
    elif _as_read(comparable(read_record(paths.config))) != _as_read(wanted):
        raise DatasetError(
            "The run folder holds another run",
            got="a different config, split or start, or other exclusions, in run.json",
            expected="the same, to resume it",
            next_step="choose another --out folder",
        )


def _as_read(record: dict[str, Any]) -> Any:
    """As a file gives it back: JSON has no tuples."""
    return json.loads(json.dumps(record))


def read_results(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Dice by validation case: "best", and "before" of a run that started from weights; empty where
    a run has none, or they cannot be read."""
    try:
        found = read_json(path)
        return {
            side: [row for row in found[side] if isinstance(row, dict) and "case" in row]
            for side in ("before", "best")
            if isinstance(found.get(side), list)
        }
    except (ValueError, AttributeError):
        return {}


def read_split(path: Path) -> dict[str, Any]:
    """The split in a run's `run.json` or in the manifest of weights.

    Raises:
        DatasetError: the file holds none.
    """
    try:
        split: dict[str, Any] = read_json(path)["split"]
        for side in ("train", "validation"):
            for names in split[side].values():
                if not isinstance(names, list):
                    raise TypeError
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DatasetError(
            "The split cannot be read",
            got=f"{_fault(error)} in {shown_name(path)}",
            expected="run.json of a run or manifest.json of weights",
        ) from error
    return split


def _fault(error: Exception) -> str:
    """What is wrong with a record, in words."""
    if isinstance(error, NotJson):
        return str(error)
    if isinstance(error, KeyError):
        return f"nothing under {shown_value(error.args[0])}"
    return "a value of another kind than it must be"


def score(row: dict[str, float]) -> float:
    """Criterion for the best epoch: mean of lung and infection Dice over validation cases, less
    the share falsely marked in infection-free slices. Undefined measurements count as 0.

    The healthy chest has no part in it, so that it stays an independent check.
    """
    lung, infection, negative = (float(np.nan_to_num(row[name])) for name in _SCORE_COLUMNS)
    return (lung + infection) / 2.0 - negative
