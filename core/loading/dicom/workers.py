"""Processes that decode compressed pixels, so that a broken stream ends one of them at most.

A few are kept warm. Each serves one series at a time; one that crashes, hangs or grows beyond
its limits is ended, and the next series gets a new one. However many series are read at once, no
more than so many run: the others wait.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

from core.loading.dicom import decode as program
from core.loading.dicom.decode import DecodeError
from core.system import cpu_count
from core.volume import Array

CRASHED = "crashed"
TIMED_OUT = "timed out"
NOT_STARTED = "not started"

_WARM = 2
"""Workers kept for the next series; more run while more series are read at once."""
_LANES = 2
"""Workers that decode one series, in turns; one where others need the second."""
_MOST = max(4, cpu_count())
"""Workers that run at once, of all series together."""
_WAIT_SECONDS = 600.0
"""Longest wait for a worker while others use all of them."""
_AHEAD = 3
"""Files that a worker is asked for before it answers the first, so that neither side waits."""
_PIPE_BYTES = 1024**2
_SECONDS = 30
_SECONDS_PER_MILLION = 4
_MAX_HEADER_BYTES = 10_000


@dataclass(frozen=True)
class Request:
    """One compressed file, and how many values its header promises."""

    path: Path
    values: int

    @property
    def seconds(self) -> int:
        """Longest time to decode it."""
        return _SECONDS + math.ceil(_SECONDS_PER_MILLION * self.values / 1e6)


def decode_in_worker(requests: Iterable[Request]) -> Generator[Array, None, None]:
    """Stored values file by file, in order; several are asked for ahead.

    Raises:
        DecodeError: a file cannot be decoded; its text may also be `CRASHED`, `TIMED_OUT` or
            `NOT_STARTED`.
    """
    todo = list(requests)
    if not todo:
        return
    workers: list[_Worker] = []
    try:
        workers.append(_POOL.take())
        for _ in range(1, min(_LANES, math.ceil(len(todo) / _AHEAD))):
            another = _POOL.take_if_free()
            if another is not None:
                workers.append(another)
        count = len(workers)
        for number, request in enumerate(todo[: count * _AHEAD]):
            workers[number % count].ask(request)
        for number, request in enumerate(todo):
            pixels = workers[number % count].answer(request)
            following = number + count * _AHEAD
            if following < len(todo):
                workers[number % count].ask(todo[following])
            yield pixels
    finally:
        for worker in workers:
            _POOL.give_back(worker)


class _Worker:
    """One process that decodes."""

    def __init__(self) -> None:
        self.owed = 0
        """Answers that are still to come."""
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(Path(program.__file__).resolve())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            start_new_session=True,  # an interrupt at the terminal is for the program itself
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._requests: BinaryIO = self._process.stdin  # type: ignore[assignment]
        self._answers: BinaryIO = self._process.stdout  # type: ignore[assignment]
        with contextlib.suppress(AttributeError, OSError):  # Linux alone has larger pipes
            fcntl.fcntl(self._answers, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)

    def ask(self, request: Request) -> None:
        """Sends a request; what goes wrong shows in the answer."""
        line = {
            "path": os.fsencode(request.path.absolute()).hex(),
            "pixel_bytes": 4 * request.values,
            "seconds": request.seconds,
        }
        self.owed += 1
        with contextlib.suppress(OSError):
            self._requests.write(json.dumps(line).encode() + b"\n")
            self._requests.flush()

    def answer(self, request: Request) -> Array:
        """Waits for the answer to the oldest request.

        Raises:
            DecodeError: there is none in time, or it is an error.
        """
        late = threading.Event()

        def stop() -> None:
            late.set()
            self._process.kill()

        timer = threading.Timer(request.seconds, stop)
        timer.daemon = True
        timer.start()
        try:
            return self._read(request)
        except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
            raise DecodeError(TIMED_OUT if late.is_set() else CRASHED) from error
        finally:
            timer.cancel()

    def _read(self, request: Request) -> Array:
        line = self._answers.readline(_MAX_HEADER_BYTES)
        if not line.endswith(b"\n"):
            raise EOFError("the worker ended")
        header: dict[str, Any] = json.loads(line)
        if "error" in header:
            self.owed -= 1
            raise DecodeError(str(header["error"]))
        kind = np.dtype(header["type"])
        size = math.prod(header["shape"])
        # The worker may be in the hands of a broken stream: trust none of its numbers.
        if size > request.values or size * kind.itemsize != header["bytes"] or kind.hasobject:
            raise DecodeError(program.TOO_LONG)
        pixels: Array = np.empty(size, dtype=kind)
        view = pixels.view(np.uint8).data
        done = 0
        while done < len(view):
            count = self._answers.readinto(view[done:])  # type: ignore[attr-defined]
            if not count:
                raise EOFError("the worker ended")
            done += count
        self.owed -= 1
        return pixels.reshape(header["shape"])

    def is_alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def end(self) -> None:
        """Kills the process and waits for its end."""
        self._process.kill()
        for pipe in (self._requests, self._answers):
            with contextlib.suppress(OSError):
                pipe.close()
        self._process.wait()


class _Pool:
    """Idle workers, and a count of all; safe from several threads."""

    def __init__(self) -> None:
        self._idle: list[_Worker] = []
        self._running = 0
        """Idle ones, and those that are lent."""
        self._changed = threading.Condition()

    def take(self) -> _Worker:
        """A warm worker, or a new one; waits while as many run as may.

        Raises:
            DecodeError: none can be started, or none becomes free in time.
        """
        end = time.monotonic() + _WAIT_SECONDS
        while True:
            worker = self.take_if_free()
            if worker is not None:
                return worker
            with self._changed:
                if self._idle or self._running < _MOST:
                    continue
                if not self._changed.wait(end - time.monotonic()):
                    raise DecodeError(NOT_STARTED)

    def take_if_free(self) -> _Worker | None:
        """As `take`, without waiting; none where as many run as may."""
        while True:
            with self._changed:
                worker = self._idle.pop() if self._idle else None
                if worker is None and self._running >= _MOST:
                    return None
                self._running += worker is None
            if worker is None:
                return self._start()
            if worker.is_alive():
                return worker
            self._drop(worker)

    def _start(self) -> _Worker:
        """A new worker, which is counted already."""
        try:
            return _Worker()
        except OSError as error:  # no memory or no process left
            self._forget_one()
            raise DecodeError(NOT_STARTED) from error

    def give_back(self, worker: _Worker) -> None:
        """Keeps a worker for the next series, or ends it: where enough are kept, and where it
        owes answers, which belong to nobody."""
        with self._changed:
            if not worker.owed and len(self._idle) < _WARM:
                self._idle.append(worker)
                self._changed.notify()
                return
        self._drop(worker)

    def _drop(self, worker: _Worker) -> None:
        worker.end()
        self._forget_one()

    def _forget_one(self) -> None:
        with self._changed:
            self._running -= 1
            self._changed.notify()

    def close(self) -> None:
        """Ends all that are idle."""
        with self._changed:
            idle, self._idle = self._idle, []
        for worker in idle:
            self._drop(worker)

    def forget(self) -> None:
        """In a forked child: the workers are the parent's."""
        self._idle, self._running, self._changed = [], 0, threading.Condition()


_POOL = _Pool()
atexit.register(_POOL.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_POOL.forget)
