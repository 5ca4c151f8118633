"""Training in a process of its own: started, followed and stopped through its run folder."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
from pathlib import Path

from core.errors import DatasetError
from core.measuring.quality import exclusions_text
from core.system import PROGRAM_FOLDER, give_way, make_folder, write_text
from core.training.run_request import RANGE_TEST_NAME, RunRequest, check_run_name, write_request
from core.training.run_status import busy_run, is_locked, last_start
from core.training.runs import RunPaths

_SECONDS_TO_START = 90.0
_SECONDS_TO_END = 15.0
_starting = threading.Lock()


def start_run(
    root: Path,
    name: str,
    request: RunRequest,
    *,
    find_learning_rate: bool = False,
    publish: Path | None = None,
) -> None:
    """Starts or resumes a run in a process that outlives this one.

    Args:
        root: folder of runs; made if absent.
        find_learning_rate: a range test instead, in `RANGE_TEST_NAME`.
        publish: folder of weights to publish the best epoch in once the run is finished.

    Raises:
        ConfigError: the name cannot be that of a run.
        DatasetError: another run is under way, or the process did not start.
        SaveError: the folder cannot be written into.
    """
    folder = root / (RANGE_TEST_NAME if find_learning_rate else check_run_name(name))
    with _starting:
        busy = busy_run(root)
        if busy is not None:
            raise DatasetError(
                "Another training run is in progress",
                got=busy,
                expected="one at a time",
                next_step="wait until it has finished, or stop it",
            )
        make_folder(folder, option="folder of runs")
        write_request(folder, request)
        options = ["--find-learning-rate"] if find_learning_rate else []
        options += [] if publish is None else ["--publish", str(publish)]
        before = last_start(folder)
        process = _spawn(folder, request, options)
        _wait_for_start(folder, process, before)


def _spawn(folder: Path, request: RunRequest, options: list[str]) -> subprocess.Popen[bytes]:
    paths = RunPaths(folder)
    command = [sys.executable, "-m", "core", "train", "--quiet", "--data", request.data]
    command += ["--out", str(folder), "--config", str(paths.request)]
    if request.split is not None:
        command += ["--split", str(paths.request)]
    if request.excluded:
        write_text(paths.exclude, exclusions_text(request.excluded))
        command += ["--exclude", str(paths.exclude)]
    if request.initial is not None:
        command += ["--init", request.initial]
    command += options
    with paths.log.open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=PROGRAM_FOLDER,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    give_way(process.pid)
    return process


def _wait_for_start(folder: Path, process: subprocess.Popen[bytes], before: float) -> None:
    end = time.monotonic() + _SECONDS_TO_START
    while time.monotonic() < end:
        if last_start(folder) != before:
            threading.Thread(target=_reap, args=(folder, process), daemon=True).start()
            return
        if process.poll() is not None:
            break
        time.sleep(0.05)
    if process.poll() is None:
        process.kill()
        process.wait()
    raise DatasetError(
        "Training did not start",
        got="a process that reported nothing",
        next_step=f"read {RunPaths(folder).log.name} in the run folder",
    )


def _reap(folder: Path, process: subprocess.Popen[bytes]) -> None:
    """Waits for the end of a process, so that it does not stay in the system's table.

    The threads of TensorFlow at times keep a process whose work is done from ending.
    """
    while process.poll() is None:
        if not is_locked(folder):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_SECONDS_TO_END)
                return
            process.kill()
            process.wait()
        time.sleep(1.0)


def stop_run(folder: Path) -> None:
    """Asks the process of a run to stop after the current batch.

    Raises:
        SaveError: nothing can be written into the folder.
    """
    write_text(RunPaths(folder).stop, "")
