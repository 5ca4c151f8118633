"""How long each stage of a segmentation takes, and how much memory it peaks at.

What is measured is the command line itself: a scan in a file, a fresh process of
`python -m core segment`, masks in files. Start-up is counted.
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from core.config import EngineName
from core.errors import ConfigError, LungLensError
from core.evaluation import AFTER_MASKS
from core.loading import recognise
from core.output import save_volume
from core.segmentation import find_weights
from core.system import PROGRAM_FOLDER, OnProgress, cpu_count, cpu_name, ignore_progress, size_text
from core.volume import volume_from_file

_DEMO_SLICES = 96


@contextmanager
def scan_to_measure(
    scan: Path | None,
    size: tuple[int, int, int],
    *,
    on_progress: OnProgress = ignore_progress,
) -> Iterator[Path]:
    """The person's scan, or a generated one that exists as long as this context.

    Raises:
        LoadError: there is no scan at `scan`.
        ConfigError: it is a picture, or the size is out of range.
    """
    if scan is not None:
        if recognise(scan) == "pictures":
            raise ConfigError(
                "Pictures are not measured", got="a picture", expected="a scan of many slices"
            )
        yield scan.resolve()  # the measured process runs in a folder of its own
        return
    with tempfile.TemporaryDirectory() as folder:
        on_progress("generating a scan", 0, 1)
        yield write_generated_scan(Path(folder) / "generated.nii.gz", size)


def run_benchmark(
    scan: Path,
    *,
    weights_id: str | None = None,
    engine: EngineName | None = None,
    environment: Mapping[str, str] | None = None,
    output: Path | None = None,
    on_progress: OnProgress = ignore_progress,
) -> dict[str, Any]:
    """Measures `python -m core segment` on one scan.

    Args:
        output: folder for the masks; they are not kept where none.
        environment: variables that the measured process has besides this one's.

    Returns:
        JSON-ready: machine, shape, device, seconds by stage and from start to saved masks,
        slices per second, peak memory.

    Raises:
        LungLensError: the measured process failed; its sentence is passed on.
    """
    find_weights(weights_id)  # fails before anything is started
    on_progress("measuring", 0, 1)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "core", "segment", str(scan), "-o", str(output or folder)]
        command += ["--json", "--quiet"]
        for option, value in (("--weights", weights_id), ("--engine", engine)):
            if value is not None:
                command += [option, value]
        started = time.perf_counter()
        measured = run_measured(command, cwd=PROGRAM_FOLDER, environment=environment)
        whole = time.perf_counter() - started
    stages = measured["seconds"]
    total = whole - stages[AFTER_MASKS]
    slices = measured["scan"]["shape"][2]
    return {
        "machine": describe_machine(),
        "shape": measured["scan"]["shape"],
        "device": measured["device"],
        "weights_id": measured["weights_id"],
        "seconds": {"start Python": round(whole - sum(stages.values()), 4), **stages},
        "seconds_from_start_to_masks": round(total, 2),
        "slices_per_second": round(slices / total, 2),
        "predicted_slices_per_second": round(slices / stages["predict"], 1),
        "peak_memory_mb": measured["peak_memory_mb"],
        "infection_fraction": measured["infection_fraction"],
    }


def describe_machine() -> dict[str, Any]:
    """Processor, cores, system and Python, JSON-ready."""
    return {
        "processor": cpu_name(),
        "cores": cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def run_measured(
    command: list[str], *, cwd: Path, environment: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """The JSON object that a process prints last, after whatever else.

    Raises:
        LungLensError: it printed an error, or ended before it could print anything.
    """
    finished = subprocess.run(
        command,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
        cwd=cwd,
        env={**os.environ, **(environment or {}), "PYTHONIOENCODING": "utf-8"},
    )
    start = finished.stdout.find("{")
    if finished.returncode in (0, 1) and start >= 0:
        values: dict[str, Any] = json.loads(finished.stdout[start:])
        if "error" in values:
            raise LungLensError(values["error"].rstrip("."))
        return values
    if finished.returncode < 0:
        raise LungLensError(
            "The measured process was ended from outside",
            got=f"signal {-finished.returncode}",
            expected="enough memory for the scan",
            next_step="try a smaller --size",
        )
    last = (finished.stderr.strip().splitlines() or ["no message"])[-1]
    # The class of the error says nothing to people.
    raise LungLensError(
        "The benchmark failed", got=re.sub(r"^[\w.]+: ", "", last)[:200].rstrip(".")
    )


def run_command(*command: str) -> tuple[float, float]:
    """Seconds that a command took, and the largest memory of it and its processes in GB."""
    wrapper = (
        "import json, resource, subprocess, sys; "
        "done = subprocess.run([sys.executable, '-m', 'core', *sys.argv[1:]], "
        "capture_output=True, text=True); "
        "peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss; "
        "print(json.dumps({'peak': peak} if done.returncode == 0 else "
        "{'error': (done.stderr.strip().splitlines() or ['no message'])[-1]}))"
    )
    started = time.perf_counter()
    values = run_measured([sys.executable, "-c", wrapper, *command], cwd=PROGRAM_FOLDER)
    return time.perf_counter() - started, values["peak"] / 1024**2


def write_generated_scan(path: Path, size: tuple[int, int, int]) -> Path:
    """The demo study at a size, as a NIfTI file with a scanner's noise; more than 96 slices
    repeat it, which gzip, whose memory is 32 kB, does not see.

    Raises:
        ConfigError: the size is out of range.
    """
    columns, rows, slices = size
    if min(size) < 32 or columns * rows * slices > 1024 * 1024 * 512:
        raise ConfigError(
            "The benchmark's size is out of range",
            got=size_text(size),
            expected="at least 32 per side and at most 1024 × 1024 × 512 voxels",
        )
    # Imported here: the other commands do not need it and should start at once.
    from core.phantom import build_demo_study

    study = build_demo_study(shape=(columns, rows, min(slices, _DEMO_SLICES)))
    array = study.volume.array
    wanted = np.arange(slices) % array.shape[2]
    repeated = volume_from_file(
        np.asfortranarray(array[:, :, wanted]),
        study.volume.affine,
        intensity=study.volume.intensity,
        name="generated",
        format="generated",
    )
    return save_volume(repeated, path)
