"""Training as a process of its own: begun, followed and stopped through files of its run folder.

The process holds a lock on one of them for as long as it lives. Whoever looks, also after the
server was started anew, can so tell a run under way from one that was killed.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal

from core.config import TrainConfig, from_json_dict, to_json_dict
from core.errors import Cancelled, ConfigError, DatasetError, LungLensError
from core.measuring.quality import Exclusion, exclusions_text, parse_exclusions
from core.system import (
    PROGRAM_FOLDER,
    PUBLISHED_NAME,
    json_text,
    make_folder,
    raise_if_cancelled,
    take_lock,
    write_text,
)
from core.training.runs import RunPaths, read_history

State = Literal["running", "stopping", "finished", "stopped", "failed", "interrupted", "damaged"]

RANGE_TEST_NAME = "learning-rate-test"
"""Folder among the runs that learning-rate range tests write into."""
_TAKEN_NAMES = (RANGE_TEST_NAME, PUBLISHED_NAME)
DEMO_DATA = "demo"
"""What `--data` says for the generated patients of `core.training.demo_patients`."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
_LOCK, _STOP, _PROGRESS, _REQUEST = "lock", "stop", "progress.json", "request.json"
_EXCLUDE, _LOG = "exclude.json", "log.txt"
_SECONDS_BETWEEN_WRITES = 0.25
_SECONDS_TO_TAKE_LOCK = 3.0
_SECONDS_TO_BEGIN = 90.0
_SECONDS_TO_END = 15.0
_LESS_URGENT = 5
"""Niceness: the pages stay quick beside a run."""
_starting = threading.Lock()


@dataclass(frozen=True)
class RunRequest:
    """All that a run is started from, and goes on from.

    Attributes:
        data: folder of cases, or `DEMO_DATA`.
        split: as `Split.to_json_dict` says it; none lets training draw one.
        initial: folder of the run that it starts from.
    """

    data: str
    config: TrainConfig
    split: dict[str, Any] | None = None
    excluded: tuple[Exclusion, ...] = ()
    initial: str | None = None


@dataclass(frozen=True)
class RunStatus:
    """What the files of a run folder say.

    Attributes:
        stage, done, total: what it was last busy with.
        message: why it failed or cannot be read; empty otherwise.
        seconds: from its (last) start to what it last told.
        history: a row a finished epoch, see `core.training.runs`.
        config: none where it cannot be read.
        figures: what a process told at its end, such as a suggested learning rate.
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
    """Whether its process publishes, or was to publish, what was learned."""

    @property
    def is_alive(self) -> bool:
        """Whether a process works on it."""
        return self.state in ("running", "stopping")


def check_run_name(name: str) -> str:
    """A name that can be a folder among the runs and nothing else.

    Raises:
        ConfigError: it cannot.
    """
    if not _NAME.fullmatch(name) or name in _TAKEN_NAMES:
        raise ConfigError(
            "A run cannot be called this",
            got=f"{len(name)} characters" if name else "no name",
            expected=f"1 to 40 letters, digits, - or _, and not {' or '.join(_TAKEN_NAMES)}",
        )
    return name


def run_names(root: Path) -> tuple[str, ...]:
    """The runs of a folder, the one begun last first."""
    try:
        found = [folder for folder in root.iterdir() if _is_run(folder)]
        return tuple(f.name for f in sorted(found, key=_begun, reverse=True))
    except OSError:
        return ()


def _is_run(folder: Path) -> bool:
    known = any((folder / name).is_file() for name in (_REQUEST, RunPaths(folder).config.name))
    named = _NAME.fullmatch(folder.name) is not None and folder.name not in _TAKEN_NAMES
    return named and known and not folder.is_symlink()


def _begun(folder: Path) -> float:
    files = [path for path in (folder / _REQUEST, RunPaths(folder).config) if path.is_file()]
    return min((path.stat().st_mtime for path in files), default=0.0)


def busy_run(root: Path) -> str | None:
    """The run, or the range test, that a process works on."""
    for name in (*run_names(root), RANGE_TEST_NAME):
        if _is_locked(root / name):
            return name
    return None


def start_run(
    root: Path,
    name: str,
    request: RunRequest,
    *,
    find_learning_rate: bool = False,
    publish: Path | None = None,
) -> None:
    """Begins a run, or goes on with one, in a process that outlives this one.

    Args:
        root: folder of runs; made if absent.
        find_learning_rate: a range test instead, in `RANGE_TEST_NAME`.
        publish: folder of weights to write the best epoch into once the run is at its end.

    Raises:
        ConfigError: the name is none.
        DatasetError: another run is under way, or the process did not begin.
        SaveError: the folder cannot be written into.
    """
    folder = root / (RANGE_TEST_NAME if find_learning_rate else check_run_name(name))
    with _starting:
        busy = busy_run(root)
        if busy is not None:
            raise DatasetError(
                "Another training is under way",
                got=busy,
                expected="one at a time",
                next_step="wait for its end or stop it",
            )
        make_folder(folder, option="folder of runs")
        write_request(folder, request)
        wanted = ["--find-learning-rate"] if find_learning_rate else []
        wanted += [] if publish is None else ["--publish", str(publish)]
        process = _spawn(folder, request, wanted)
        _wait_for_beginning(folder, process)


def _spawn(folder: Path, request: RunRequest, wanted: list[str]) -> subprocess.Popen[bytes]:
    told = folder / _REQUEST
    command = [sys.executable, "-m", "core", "train", "--quiet", "--data", request.data]
    command += ["--out", str(folder), "--config", str(told)]
    if request.split is not None:
        command += ["--split", str(told)]
    if request.excluded:
        write_text(folder / _EXCLUDE, exclusions_text(request.excluded))
        command += ["--exclude", str(folder / _EXCLUDE)]
    if request.initial is not None:
        command += ["--init", request.initial]
    command += wanted
    (folder / _PROGRESS).unlink(missing_ok=True)
    with (folder / _LOG).open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=PROGRAM_FOLDER,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    if sys.platform != "win32":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, process.pid, _LESS_URGENT)
    return process


def _wait_for_beginning(folder: Path, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + _SECONDS_TO_BEGIN
    while time.monotonic() < end:
        if (folder / _PROGRESS).is_file():
            threading.Thread(target=_see_off, args=(folder, process), daemon=True).start()
            return
        if process.poll() is not None:
            break
        time.sleep(0.05)
    if process.poll() is None:
        process.kill()
        process.wait()
    raise DatasetError(
        "Training did not begin",
        got="a process that told nothing",
        next_step=f"look into {_LOG} of the run folder",
    )


def _see_off(folder: Path, process: subprocess.Popen[bytes]) -> None:
    """Waits for the end of a process, so that it does not stay in the system's table.

    The threads of TensorFlow at times keep a process whose work is done from ending.
    """
    while process.poll() is None:
        if not _is_locked(folder):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_SECONDS_TO_END)
                return
            process.kill()
            process.wait()
        time.sleep(1.0)


def stop_run(folder: Path) -> None:
    """Asks the process of a run to end after the batch it is at.

    Raises:
        SaveError: nothing can be written into the folder.
    """
    write_text(folder / _STOP, "")


def write_request(folder: Path, request: RunRequest) -> None:
    """Writes down what a run starts from, unless the run has been recorded before."""
    if RunPaths(folder).config.is_file():
        return
    excluded = json.loads(exclusions_text(request.excluded)) if request.excluded else None
    record = {
        "data": request.data,
        "config": to_json_dict(request.config),
        "split": request.split,
        "excluded": excluded,
        "initial": request.initial,
    }
    if record["split"] is None:
        del record["split"]
    write_text(folder / _REQUEST, json_text(record))


def read_request(folder: Path) -> RunRequest:
    """What a run was started from.

    Raises:
        ConfigError, DatasetError: it was not written down, or cannot be read.
    """
    try:
        record = json.loads((folder / _REQUEST).read_text(encoding="utf-8"))
        data, config = record["data"], record["config"]
        split, excluded = record.get("split"), record.get("excluded")
        if not isinstance(data, str):
            raise TypeError(type(data).__name__)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DatasetError(
            "What the run was started from is not known",
            got=f"no readable {_REQUEST}",
            next_step="go on from the command line with the same data and settings",
        ) from error
    return RunRequest(
        data=data,
        config=from_json_dict(TrainConfig, config),
        split=split,
        excluded=() if excluded is None else parse_exclusions(excluded, name=_REQUEST),
        initial=record.get("initial"),
    )


def read_run(folder: Path) -> RunStatus:
    """The state of a run from its files; what is damaged is told in `message`."""
    alive = _is_locked(folder)
    told = _read_json(folder / _PROGRESS)
    message, history, config = str(told.get("message", "")), [], None
    state: State
    try:
        config = _config_of(folder)
        history = read_history(RunPaths(folder).history)
    except LungLensError as error:
        message, state = str(error), "damaged"
    else:
        state = _ended(told, history, config)
        if told.get("outcome") != "failed":
            message = ""
    if alive:
        state = "stopping" if (folder / _STOP).is_file() else "running"
    return RunStatus(
        name=folder.name,
        state=state,
        stage=str(told.get("stage", "")),
        done=_whole(told.get("done")),
        total=_whole(told.get("total")),
        message=message,
        seconds=max(0.0, _number(told.get("now")) - _number(told.get("started"))),
        history=tuple(history),
        config=config,
        figures=told["figures"] if isinstance(told.get("figures"), dict) else {},
        publishes=told.get("publishes") is True,
    )


def _config_of(folder: Path) -> TrainConfig | None:
    for path in (RunPaths(folder).config, folder / _REQUEST):
        if path.is_file():
            record = _read_json(path)
            if "config" not in record:
                raise DatasetError(
                    "The record of the run cannot be read",
                    got=f"a damaged {path.name}",
                    expected="JSON with config",
                )
            return from_json_dict(TrainConfig, record["config"])
    return None


def _ended(
    told: dict[str, Any], history: Sequence[dict[str, float]], config: TrainConfig | None
) -> State:
    outcome = told.get("outcome")
    whole = config is not None and len(history) >= config.epochs
    if outcome == "finished" and history and not whole:
        return "stopped"  # as `--stop-after` asked for
    if outcome == "finished" or whole:
        return "finished"
    if outcome == "failed":
        return "failed"
    return "stopped" if outcome == "stopped" else "interrupted"


class RunReport:
    """What a training process tells while it works; a context around the work.

    Called as a callback of `core.system.progress` it writes where the work is, and ends
    it by `Cancelled` once a stop was asked for.
    """

    def __init__(self, folder: Path, *, publishes: bool = False) -> None:
        self._folder = folder
        self._lock: IO[bytes] | None = None
        self._told: dict[str, Any] = {"stage": "starting", "done": 0, "total": 0}
        self._told["publishes"] = publishes
        self._written = 0.0
        self.figures: dict[str, Any] = {}
        """To be told at the end."""

    def __enter__(self) -> RunReport:
        end = time.monotonic() + _SECONDS_TO_TAKE_LOCK
        self._lock = (self._folder / _LOCK).open("ab")
        # Someone who just looks holds the lock for a moment.
        while not take_lock(self._lock):
            if time.monotonic() > end:
                self._lock.close()
                raise DatasetError(
                    "The run is being trained already",
                    got="another process that works on its folder",
                    expected="one at a time",
                    next_step="wait for its end or choose another --out folder",
                )
            time.sleep(0.05)
        (self._folder / _STOP).unlink(missing_ok=True)
        self._told["started"] = time.time()
        self._write()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self._told["outcome"] = "finished"
        elif isinstance(error, (Cancelled, KeyboardInterrupt)):
            self._told["outcome"] = "stopped"
        else:
            self._told.update(outcome="failed", message=_reason(error))
        self._told["figures"] = self.figures
        with contextlib.suppress(LungLensError):
            self._write()
        with contextlib.suppress(OSError):
            (self._folder / _STOP).unlink(missing_ok=True)
        if self._lock is not None:
            self._lock.close()

    def __call__(self, stage: str, done: int, total: int) -> None:
        raise_if_cancelled(self.should_stop, stage)
        is_new = stage != self._told["stage"]
        self._told.update(stage=stage, done=done, total=total)
        if is_new or time.monotonic() - self._written > _SECONDS_BETWEEN_WRITES:
            self._write()

    def should_stop(self) -> bool:
        """Whether a person has asked the run to end."""
        return (self._folder / _STOP).is_file()

    def _write(self) -> None:
        self._written = time.monotonic()
        write_text(self._folder / _PROGRESS, json_text({**self._told, "now": time.time()}))


def _reason(error: BaseException) -> str:
    if isinstance(error, LungLensError):
        return str(error)
    if isinstance(error, MemoryError):
        return "There is not enough memory; take smaller slices, a narrower network or batches."
    return f"Training broke off; {_LOG} of the run folder says where."


def _is_locked(folder: Path) -> bool:
    try:
        with (folder / _LOCK).open("rb+") as file:
            return not take_lock(file)
    except OSError:
        return False


def _read_json(path: Path) -> dict[str, Any]:
    """An object of JSON; empty where there is none."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0


def _whole(value: Any) -> int:
    return int(_number(value))
