"""All that is measured, as one table: engine, classifier, report, batch, app, viewer, GPU.

Each measurement is a command of the product in a fresh process, on generated input.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from core.benchmark.app import measure_app
from core.benchmark.backends import BackendsPlan, measure_backends
from core.benchmark.batches import measure_batches
from core.benchmark.browser import run_browser_benchmark
from core.benchmark.headless import has_browser
from core.benchmark.lungmask import time_lungmask
from core.benchmark.rows import Row
from core.benchmark.stages import (
    run_benchmark,
    run_command,
    run_measured,
    write_generated_scan,
)
from core.errors import LungLensError
from core.evaluation import AFTER_MASKS
from core.output import save_mask
from core.system import PROGRAM_FOLDER, OnProgress, ignore_progress, may_have_gpu, size_text
from core.volume import volume_from_file

LARGE, LARGER, LONG = (512, 512, 300), (512, 512, 400), (512, 512, 600)
_BATCH_SCANS = 12
_PICTURES = 96
_LUNGMASK_SLICES = 60
_VIEWER_BARS = {"axial": 8.0, "coronal": 8.0, "sagittal": 8.0, "brush": 16.0}
_ONE_CORE = {"LUNGLENS_THREADS": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def run_everything(
    *,
    lungmask: Path | None = None,
    batch_scans: int = _BATCH_SCANS,
    on_progress: OnProgress,
    keep: Callable[[list[Row]], None],
) -> list[Row]:
    """Measures one part after the other; takes several minutes. A part of which a command fails is
    one row that says why, and the others go on.

    Args:
        lungmask: an interpreter that has lungmask, to time it on the same scan.
        batch_scans: how many generated scans a batch is measured on.
        keep: called with all rows so far, after each part.
    """
    parts: dict[str, Callable[[Path], list[Row]]] = {
        "engine": lambda folder: _engine(folder, lungmask),
        "limited machines": _limited,
        "lobes": _lobes,
        "classify": _classifier,
        "report": _report,
        "batch": lambda folder: measure_batches(folder, batch_scans, slow=LARGE),
    }
    if has_browser():
        parts |= {"app": _app, "viewer": _viewer}
    if may_have_gpu():
        parts["backends"] = _gpu
    rows: list[Row] = []
    for number, (name, part) in enumerate(parts.items()):
        on_progress(f"measuring {name}", number, len(parts))
        with tempfile.TemporaryDirectory() as folder:
            try:
                rows += part(Path(folder))
            except LungLensError as error:
                rows.append(Row(name, "not measured", float("nan"), "", failure=str(error)))
        keep(rows)
    return rows


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


def _lobes(folder: Path) -> list[Row]:
    # Imported here: the other commands do not need it and should start at once.
    from core.phantom import kept_demo_study

    study = kept_demo_study()
    lung = study.truth.lung if study.truth is not None else None
    assert lung is not None
    columns, rows, slices = LARGE
    wanted = np.arange(slices) * lung.shape[2] // slices
    mask = np.zeros((columns, rows, slices), dtype=np.bool_, order="F")
    mask[: lung.shape[0], : lung.shape[1]] = lung[:, :, wanted]
    affine = study.volume.affine.copy()
    affine[:3, 2] *= lung.shape[2] / slices
    volume = volume_from_file(
        mask.astype(np.int16),
        affine,
        intensity=study.volume.intensity,
        name="generated",
        format="generated",
    )
    path = save_mask(mask, volume, folder / "lung.nii.gz")
    command = [sys.executable, "-m", "core", "lobes", str(path), "-o", str(folder / "lobes.nii.gz")]
    spent = run_measured([*command, "--json", "--quiet"], cwd=PROGRAM_FOLDER)["seconds"]
    return [
        Row("lobes", f"of a lung mask of {size_text(LARGE)}", spent["estimate"], "s", 0.5),
        Row("lobes", "load the network", spent["load network"], "s"),
    ]


def _classifier(folder: Path) -> list[Row]:
    pictures = _write_pictures(folder / "pictures", _PICTURES)
    started, few = time.perf_counter(), _write_pictures(folder / "few", 1)
    run_command("classify", str(few), "-o", str(folder / "few.csv"))
    start = time.perf_counter() - started
    seconds, _ = run_command("classify", str(pictures), "-o", str(folder / "scores.csv"))
    pace = (_PICTURES - 1) / max(seconds - start, 1e-3)
    return [
        Row("classify", f"{_PICTURES} pictures, start included", seconds, "s"),
        Row("classify", "pictures a second once started", pace, "1/s", 15.0, at_most=False),
    ]


def _report(folder: Path) -> list[Row]:
    scan = write_generated_scan(folder / "scan.nii.gz", LARGER)
    seconds, memory = run_command("report", str(scan), "-o", str(folder / "report.zip"))
    return [
        Row(
            "report", f"{size_text(LARGER)}, masks, tables and meshes included", seconds, "s", 20.0
        ),
        Row("report", "the same, peak memory", memory, "GB", 1.2),
    ]


def _app(folder: Path) -> list[Row]:
    return measure_app(folder, size=LARGE)


def _viewer(_: Path) -> list[Row]:
    found = run_browser_benchmark(LARGE, ignore_progress)
    events = {**found["events"], "brush": found["correcting"]}
    rows = [
        Row("viewer", f"{name}, 95th percentile", spent["p95_ms"], "ms", _VIEWER_BARS.get(name))
        for name, spent in events.items()
    ]
    follows = found["correcting"]["figures_median_s"]
    return [*rows, Row("viewer", "stroke to figures, median", follows, "s")]


def _gpu(folder: Path) -> list[Row]:
    return measure_backends(write_generated_scan(folder / "scan.nii.gz", LARGE), BackendsPlan())


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


def _gigabytes(found: Mapping[str, Any]) -> float:
    peak = found["peak_memory_mb"]
    if peak is None:
        raise LungLensError("This system does not tell the peak memory of a process")
    return float(peak) / 1024.0
