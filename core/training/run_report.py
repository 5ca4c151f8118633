"""What a training process writes into its run folder while it works."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from core.errors import Cancelled, DatasetError, LungLensError
from core.system import json_text, raise_if_cancelled, take_lock, write_text
from core.training.run_request import RANGE_TEST_NAME
from core.training.run_status import seconds_worked
from core.training.runs import RunPaths

_SECONDS_BETWEEN_WRITES = 0.25
_SECONDS_TO_TAKE_LOCK = 3.0


class RunReport:
    """Reports the progress of a training process; a context around its work.

    As a callback of `core.system.progress` it writes the progress, and raises `Cancelled` once
    a stop was asked for.
    """

    def __init__(self, folder: Path, *, publishes: bool = False) -> None:
        self._paths = RunPaths(folder)
        self._lock: IO[bytes] | None = None
        self._state: dict[str, Any] = {"stage": "starting", "done": 0, "total": 0}
        self._state["publishes"] = publishes
        self._written = 0.0
        self.figures: dict[str, Any] = {}
        """Reported at the end."""

    def __enter__(self) -> RunReport:
        end = time.monotonic() + _SECONDS_TO_TAKE_LOCK
        self._lock = self._paths.lock.open("ab")
        # Whoever reads the state holds the lock for a moment.
        while not take_lock(self._lock):
            if time.monotonic() > end:
                self._lock.close()
                raise DatasetError(
                    "This run is already being trained",
                    got="another process that is working on its folder",
                    expected="one at a time",
                    next_step="wait until it has finished, or choose another --out folder",
                )
            time.sleep(0.05)
        self._paths.stop.unlink(missing_ok=True)
        folder = self._paths.folder
        self._state["before"] = 0.0 if folder.name == RANGE_TEST_NAME else seconds_worked(folder)
        self._state["started"] = time.time()
        self._write()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self._state["outcome"] = "finished"
        elif isinstance(error, (Cancelled, KeyboardInterrupt)):
            self._state["outcome"] = "stopped"
        else:
            self._state.update(outcome="failed", message=_reason(error))
        self._state["figures"] = self.figures
        with contextlib.suppress(LungLensError):
            self._write()
        with contextlib.suppress(OSError):
            self._paths.stop.unlink(missing_ok=True)
        if self._lock is not None:
            self._lock.close()

    def __call__(self, stage: str, done: int, total: int) -> None:
        raise_if_cancelled(self.should_stop, stage)
        is_new = stage != self._state["stage"]
        self._state.update(stage=stage, done=done, total=total)
        if is_new or time.monotonic() - self._written > _SECONDS_BETWEEN_WRITES:
            self._write()

    def should_stop(self) -> bool:
        """Whether a person has asked the run to stop."""
        return self._paths.stop.is_file()

    def _write(self) -> None:
        self._written = time.monotonic()
        write_text(self._paths.progress, json_text({**self._state, "now": time.time()}))


def _reason(error: BaseException) -> str:
    if isinstance(error, LungLensError):
        return str(error)
    if isinstance(error, MemoryError):
        return "There is not enough memory; take smaller slices, a narrower network or batches."
    return "Training failed; log.txt of the run folder says where."
