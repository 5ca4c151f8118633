"""How long each stage of a segmentation takes, and how much memory it peaks at.

The scan is written to a temporary file and segmented in a fresh process, as a person at the
command line would have it; start-up, file reading and saving are all counted.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import ConfigError, LungLensError
from core.loading import open_study
from core.phantom import build_demo_study
from core.pipeline import load_segmenter, measure, segment_volume
from core.progress import OnProgress, ignore_progress
from core.saving import save_mask, save_volume
from core.volume import Volume, plane_slice, volume_from_file

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
    with tempfile.TemporaryDirectory() as folder:
        path = scan
        if path is None:
            on_progress("generating a scan", 0, 1)
            path = write_generated_scan(Path(folder) / "generated.nii.gz", size)
        on_progress("measuring", 0, 1)
        started = time.perf_counter()
        finished = subprocess.run(
            [sys.executable, "-m", "core.benchmark", str(path), folder, weights_id or ""],
            capture_output=True,
            text=True,
            check=False,
            cwd=Path(__file__).resolve().parent.parent,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )
        total = time.perf_counter() - started
    if finished.returncode != 0:
        lines = finished.stderr.strip().splitlines() or ["the measured process ended early"]
        raise LungLensError("The benchmark failed", got=lines[-1][:200])
    figures: dict[str, Any] = json.loads(finished.stdout.strip().splitlines()[-1])
    figures["seconds_from_start_to_masks"] = round(total, 2)
    return figures


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


if __name__ == "__main__":
    _path, _folder, _weights = sys.argv[1:4]
    sys.stdout.write(json.dumps(measure_scan(Path(_path), Path(_folder), _weights or None)) + "\n")
