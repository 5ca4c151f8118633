"""All that is measured without a browser, as one table: engine, classifier, report, batch, GPU.

Each measurement is a command of the product in a fresh process, on generated input.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.benchmark.lungmask import time_lungmask
from core.benchmark.stages import run_benchmark, run_measured, write_generated_scan
from core.errors import LungLensError
from core.evaluation import AFTER_MASKS
from core.system import PROGRAM_FOLDER, OnProgress, cpu_count, may_have_gpu, size_text

LARGE, LARGER, LONG = (512, 512, 300), (512, 512, 400), (512, 512, 600)
_BATCH_SIZE = (256, 256, 60)
_BATCH_SCANS = 12
_PICTURES = 96
_LUNGMASK_SLICES = 60
_ONE_CORE = {"LUNGLENS_THREADS": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Row:
    """One measurement.

    Attributes:
        bar: what it is to reach, in the same unit; none where it is only reported.
        at_most: whether the bar is an upper one.
    """

    group: str
    what: str
    value: float
    unit: str
    bar: float | None = None
    at_most: bool = True

    @property
    def met(self) -> bool | None:
        """Whether the bar is met; none without a bar."""
        if self.bar is None:
            return None
        return self.value <= self.bar if self.at_most else self.value >= self.bar


def run_everything(
    *,
    lungmask: Path | None = None,
    batch_scans: int = _BATCH_SCANS,
    on_progress: OnProgress,
) -> list[Row]:
    """Measures one part after the other; takes several minutes.

    Args:
        lungmask: an interpreter that has lungmask, to time it on the same scan.
        batch_scans: how many generated scans a batch is measured on.

    Raises:
        LungLensError: a measured command failed; its sentence is passed on.
    """
    parts: list[Callable[[Path], list[Row]]] = [
        lambda folder: _engine(folder, lungmask),
        _limited,
        _classifier,
        _report,
        lambda folder: _batch(folder, batch_scans),
    ]
    if may_have_gpu():
        parts.append(_gpu)
    rows: list[Row] = []
    for number, part in enumerate(parts):
        on_progress("measuring", number, len(parts))
        with tempfile.TemporaryDirectory() as folder:
            rows += part(Path(folder))
    return rows


def to_json_rows(rows: list[Row]) -> list[dict[str, Any]]:
    """JSON-ready."""
    return [{**asdict(row), "met": row.met} for row in rows]


def _engine(folder: Path, lungmask: Path | None) -> list[Row]:
    scan = write_generated_scan(folder / "scan.nii.gz", LARGE)
    found = run_benchmark(scan)
    seconds = found["seconds_from_start_to_masks"]
    rows = [
        Row("engine", f"{size_text(LARGE)}, file to saved masks", seconds, "s", 4.5),
        Row("engine", "the same, peak memory", _gigabytes(found), "GB", 1.0),
        Row("engine", "the same, slices a second", found["slices_per_second"], "1/s"),
        Row("engine", "prediction alone", found["predicted_slices_per_second"], "slices/s"),
        Row("engine", "biomarkers after it", found["seconds"][AFTER_MASKS], "s", 1.0),
    ]
    if lungmask is not None:
        theirs = time_lungmask(lungmask, scan, slices=_LUNGMASK_SLICES)["slices_per_second"]
        rows += [
            Row("engine", "lungmask R231, prediction alone", theirs, "slices/s"),
            Row(
                "engine",
                "file to masks against it",
                found["slices_per_second"] / theirs,
                "×",
                60.0,
                at_most=False,
            ),
        ]
    scan.unlink()
    longer = run_benchmark(write_generated_scan(folder / "long.nii.gz", LONG))
    ratio = longer["seconds_from_start_to_masks"] / seconds
    return [*rows, Row("engine", f"{size_text(LONG)}, times as long", ratio, "×", 2.0)]


def _limited(folder: Path) -> list[Row]:
    """What a machine without bfloat16, with one core, or without OpenVINO has."""
    scan = write_generated_scan(folder / "scan.nii.gz", LARGE)
    cases: dict[str, tuple[Mapping[str, str], Any]] = {
        "in float32, as on a CPU without bfloat16": ({"LUNGLENS_PRECISION": "float32"}, None),
        "on one core": (_ONE_CORE, None),
        "with Keras on TensorFlow": ({}, "keras"),
    }
    rows = []
    for what, (environment, engine) in cases.items():
        found = run_benchmark(scan, engine=engine, environment=environment)
        value = found["seconds_from_start_to_masks"]
        rows.append(Row("engine", f"{size_text(LARGE)} {what}", value, "s"))
    return rows


def _classifier(folder: Path) -> list[Row]:
    pictures = _write_pictures(folder / "pictures", _PICTURES)
    started, few = time.perf_counter(), _write_pictures(folder / "few", 1)
    _run("classify", str(few), "-o", str(folder / "few.csv"))
    start = time.perf_counter() - started
    seconds, _ = _run("classify", str(pictures), "-o", str(folder / "scores.csv"))
    pace = (_PICTURES - 1) / max(seconds - start, 1e-3)
    return [
        Row("classify", f"{_PICTURES} pictures, start included", seconds, "s"),
        Row("classify", "pictures a second once started", pace, "1/s", 15.0, at_most=False),
    ]


def _report(folder: Path) -> list[Row]:
    scan = write_generated_scan(folder / "scan.nii.gz", LARGER)
    seconds, memory = _run("report", str(scan), "-o", str(folder / "report.zip"))
    return [
        Row(
            "report", f"{size_text(LARGER)}, masks, tables and meshes included", seconds, "s", 20.0
        ),
        Row("report", "the same, peak memory", memory, "GB", 1.2),
    ]


def _batch(folder: Path, count: int) -> list[Row]:
    scans = folder / "scans"
    content = write_generated_scan(folder / "one.nii.gz", _BATCH_SIZE).read_bytes()
    scans.mkdir()
    for number in range(count):
        (scans / f"scan{number:04d}.nii.gz").write_bytes(content)
    hours, memory = {}, {}
    for workers in (1, 2):
        out = folder / f"out-{workers}"
        seconds, memory[workers] = _run(
            "batch", str(scans), "-o", str(out), "--workers", str(workers)
        )
        hours[workers] = count / seconds * 3600.0
    rows = [
        Row("batch", f"{count} scans of {size_text(_BATCH_SIZE)}, one worker", hours[1], "scans/h"),
        Row("batch", "the same, largest process", memory[1], "GB"),
    ]
    if cpu_count() < 2:
        return rows
    ratio = hours[2] / hours[1]
    return [*rows, Row("batch", "two workers against one", ratio, "×", 1.6, at_most=False)]


def _gpu(folder: Path) -> list[Row]:
    scan = write_generated_scan(folder / "scan.nii.gz", LARGE)
    rows = []
    for precision in ("float32", "bfloat16"):
        found = run_benchmark(scan, engine="keras", environment={"LUNGLENS_PRECISION": precision})
        name = f"{found['device']}, {precision}"
        rows += [
            Row("GPU", f"{name}, file to saved masks", found["seconds_from_start_to_masks"], "s"),
            Row("GPU", f"{name}, prediction", found["predicted_slices_per_second"], "slices/s"),
        ]
    return rows


def _write_pictures(folder: Path, count: int) -> Path:
    # Imported here: the other commands do not need them and should start at once.
    from PIL import Image

    from core.phantom import build_demo_study

    folder.mkdir()
    array = build_demo_study(shape=(256, 256, min(count, 96))).volume.array
    for k in range(count):
        grey = np.clip((array[:, :, k % array.shape[2]].T + 1250.0) / 1500.0 * 255.0, 0.0, 255.0)
        Image.fromarray(grey.astype(np.uint8)).save(folder / f"slice{k:04d}.png")
    return folder


def _run(*command: str) -> tuple[float, float]:
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


def _gigabytes(found: Mapping[str, Any]) -> float:
    peak = found["peak_memory_mb"]
    if peak is None:
        raise LungLensError("This system does not tell the peak memory of a process")
    return float(peak) / 1024.0
