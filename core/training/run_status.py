"""The state of a run, read from the files of its folder.

The process of a run holds a lock on one of them for as long as it lives. So whoever looks, also
after the server was restarted, can tell a running process from one that was killed.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from core.config import NotJson, TrainConfig, from_json_dict, read_json
from core.errors import DatasetError, LungLensError, escaped
from core.system import take_lock
from core.training.run_request import RANGE_TEST_NAME, run_names
from core.training.runs import RunPaths, read_history

State = Literal["running", "stopping", "finished", "stopped", "failed", "interrupted", "damaged"]


@dataclass(frozen=True)
class RunStatus:
    """The state of a run.

    Attributes:
        stage, done, total: the last reported progress.
        message: why it failed or cannot be read; empty otherwise.
        seconds: that processes have worked on it, training and publishing, up to now or to the
            last report of one that has ended.
        history: one row per finished epoch, see `core.training.runs`.
        config: none where it cannot be read.
        figures: reported at the end, such as a suggested learning rate.
    """

    name: str
    state: State
    stage: str
    done: int
    total: int
    message: str
    seconds: float
    history: tuple[dict[str, float], ...]
    config: TrainConfig | None
    figures: dict[str, Any]
    publishes: bool = False
    """Whether its process publishes, or was to publish, the trained network."""

    @property
    def is_alive(self) -> bool:
        """Whether a process is working on it."""
        return self.state in ("running", "stopping")


def busy_run(root: Path) -> str | None:
    """The run, or the range test, that a process is working on."""
    for name in (*run_names(root), RANGE_TEST_NAME):
        if is_locked(root / name):
            return name
    return None


def read_run(folder: Path) -> RunStatus:
    """The state of a run from its files; what is damaged is named in `message`."""
    alive = is_locked(folder)
    report = _read_json(RunPaths(folder).progress)
    message, history, config = escaped(str(report.get("message", ""))[:300]), [], None
    state: State
    try:
        config = _config_of(folder)
        history = read_history(RunPaths(folder).history)
    except LungLensError as error:
        message, state = str(error), "damaged"
    else:
        state = _final_state(report, history, config)
        if report.get("outcome") != "failed":
            message = ""
    if alive:
        state = "stopping" if RunPaths(folder).stop.is_file() else "running"
    return RunStatus(
        name=folder.name,
        state=state,
        stage=escaped(str(report.get("stage", ""))[:80]),
        done=_whole(report.get("done")),
        total=_whole(report.get("total")),
        message=message,
        seconds=_seconds(report, now=time.time() if alive else None),
        history=tuple(history),
        config=config,
        figures=report["figures"] if isinstance(report.get("figures"), dict) else {},
        publishes=report.get("publishes") is True,
    )


def last_start(folder: Path) -> float:
    """When a process last began to work on a run, in seconds since 1970; 0 where none has."""
    return _number(_read_json(RunPaths(folder).progress).get("started"))


def seconds_worked(folder: Path) -> float:
    """How long processes that have ended worked on a run."""
    return _seconds(_read_json(RunPaths(folder).progress), now=None)


def _seconds(report: dict[str, Any], *, now: float | None) -> float:
    until = _number(report.get("now")) if now is None else now
    return max(0.0, _number(report.get("before"))) + max(
        0.0, until - _number(report.get("started"))
    )


def _config_of(folder: Path) -> TrainConfig | None:
    for path in (RunPaths(folder).config, RunPaths(folder).request):
        if path.exists():
            record = _read_json(path)
            if "config" not in record:
                raise DatasetError(
                    "The record of the run cannot be read",
                    got=f"a damaged {path.name}",
                    expected="JSON with config",
                )
            return from_json_dict(TrainConfig, record["config"])
    return None


def _final_state(
    report: dict[str, Any], history: Sequence[dict[str, float]], config: TrainConfig | None
) -> State:
    outcome = report.get("outcome")
    whole = config is not None and len(history) >= config.epochs
    if outcome == "finished" and history and not whole:
        return "stopped"  # as `--stop-after` asked for
    if outcome == "finished" or whole:
        return "finished"
    if outcome == "failed":
        return "failed"
    return "stopped" if outcome == "stopped" else "interrupted"


def is_locked(folder: Path) -> bool:
    """Whether a process that trains this run is alive."""
    try:
        with RunPaths(folder).lock.open("rb+") as file:
            return not take_lock(file)
    except OSError:
        return False


def _read_json(path: Path) -> dict[str, Any]:
    """An object of JSON; empty where there is none."""
    try:
        record = read_json(path)
    except NotJson:
        return {}
    return record if isinstance(record, dict) else {}


_LARGEST = 2**53


def _number(value: Any) -> float:
    """A number of a report that anybody may have written; 0 where it is none that can be."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if is_number and abs(value) <= _LARGEST else 0.0


def _whole(value: Any) -> int:
    return max(0, int(_number(value)))
