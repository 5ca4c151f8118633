"""How long each stage of a segmentation takes, and how much memory it peaks at.

The scan is written to a temporary file and segmented in a fresh process, as a person at the
command line would have it; start-up, file reading and saving are all counted.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import ConfigError, LungLensError
from core.loading import open_study, recognise
from core.phantom import build_demo_study
from core.pipeline import load_segmenter, measure, segment_volume
from core.progress import OnProgress, ignore_progress
from core.records import without_nan
from core.saving import save_mask, save_volume
from core.volume import Volume, plane_slice, volume_from_file
from core.weights import find_weights

_PAGE_STEPS = 50


def run_benchmark(
    *,
    size: tuple[int, int, int],
    scan: Path | None = None,
    weights_id: str | None = None,
    on_progress: OnProgress = ignore_progress,
) -> dict[str, Any]:
    """Measures one scan in a process of its own.

    Args:
        size: of a generated scan, used where `scan` is none.
        scan: a real file or folder to measure instead.

    Returns:
        JSON-ready: shape, device, seconds by stage, peak memory, seconds from start to saved masks.

    Raises:
        LungLensError: the measured process failed; its sentence is passed on.
    """
    # What is wrong with weights or scan is told before anything is generated or started.
    find_weights(weights_id)
    if scan is not None:
        recognise(scan)
    with tempfile.TemporaryDirectory() as folder:
        if scan is not None:
            path = scan.resolve()  # the measured process runs in a folder of its own
        else:
            on_progress("generating a scan", 0, 1)
            path = write_generated_scan(Path(folder) / "generated.nii.gz", size)
        on_progress("measuring", 0, 1)
        started = time.perf_counter()
        finished = subprocess.run(
            [sys.executable, "-m", "core.benchmark", str(path), folder, weights_id or ""],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
            cwd=Path(__file__).resolve().parent.parent,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONIOENCODING": "utf-8"},
        )
        total = time.perf_counter() - started
    figures = _told(finished)
    figures["seconds_from_start_to_masks"] = round(total, 2)
    return figures


def _told(finished: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """The figures that the measured process printed last.

    Raises:
        LungLensError: it printed an error, or ended before it could print anything.
    """
    lines = finished.stdout.strip().splitlines()
    if finished.returncode == 0 or (finished.returncode == 1 and lines):
        figures: dict[str, Any] = json.loads(lines[-1])
        if "error" in figures:
            raise LungLensError(figures["error"].rstrip("."))
        return figures
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


def write_generated_scan(path: Path, size: tuple[int, int, int]) -> Path:
    """The demo study at a size, as a NIfTI file; more than 96 slices repeat it."""
    columns, rows, slices = size
    if min(size) < 32 or columns * rows * slices > 512 * 512 * 1500:
        raise ConfigError(
            "The benchmark's size is out of range",
            got="×".join(map(str, size)),
            expected="at least 32 a side and at most 512×512×1500 voxels",
        )
    study = build_demo_study(shape=(columns, rows, min(slices, 96)))
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


def measure_scan(path: Path, folder: Path, weights_id: str | None) -> dict[str, Any]:
    """Runs in the measured process: load, segment, save, one page step."""
    started = time.perf_counter()
    study = open_study(path)
    stages = {"load": time.perf_counter() - started}
    started = time.perf_counter()
    segmenter = load_segmenter(weights_id)
    stages["start network"] = time.perf_counter() - started
    segmentation = segment_volume(study.volume, segmenter)
    stages.update(segmentation.seconds)
    started = time.perf_counter()
    for channel in ("lung", "infection"):
        mask = getattr(segmentation.masks, channel)
        save_mask(mask, study.volume, folder / f"{channel}_mask.nii.gz")
    stages["save"] = time.perf_counter() - started
    figures = measure(study, segmentation)
    return {
        "shape": list(study.volume.shape),
        "device": segmentation.device,
        "weights_id": segmentation.weights_id,
        "seconds": {name: round(spent, 4) for name, spent in stages.items()},
        "page_step_ms": round(_page_step_ms(study.volume), 3),
        "peak_memory_mb": _peak_memory_mb(),
        "infection_fraction": figures["infection_fraction"],
    }


def _peak_memory_mb() -> int | None:
    """Largest resident memory of this process so far; none where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1024 if sys.platform != "darwin" else 1024**2))


def _page_step_ms(volume: Volume) -> float:
    """Server time to make the next axial slice ready for the browser, mean of 50."""
    count = volume.shape[2]
    started = time.perf_counter()
    for step in range(_PAGE_STEPS):
        picture = plane_slice(volume.array, "axial", step % count)
        volume.hu(picture).astype(np.int16).tobytes()
    return 1000.0 * (time.perf_counter() - started) / _PAGE_STEPS


def _measured_process(path: str, folder: str, weights_id: str) -> int:
    try:
        figures = measure_scan(Path(path), Path(folder), weights_id or None)
    except LungLensError as error:
        figures = {"error": str(error)}
    except MemoryError:
        figures = {"error": "There is not enough memory for this scan."}
    # Whatever else has been printed stays on lines of its own.
    sys.stdout.write("\n" + json.dumps(without_nan(figures), allow_nan=False) + "\n")
    return 1 if "error" in figures else 0


if __name__ == "__main__":
    sys.exit(_measured_process(*sys.argv[1:4]))
