"""Many scans: pace by workers, memory, the time limit of a scan, and masks of a cluster."""

from __future__ import annotations

import contextlib
import csv
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt

from core.benchmark.rows import Row
from core.benchmark.stages import run_command, write_generated_scan
from core.errors import LungLensError
from core.system import PROGRAM_FOLDER, cpu_count, size_text

SIZE = (256, 256, 60)
_FEW = 4
"""Scans of the short batch, whose memory the long one is compared with, and of the cluster's."""
_CLUSTER = """
import sys
from distributed import LocalCluster
if __name__ == "__main__":
    made = LocalCluster(n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1",
                        dashboard_address=None)
    print(made.scheduler_address, flush=True)
    sys.stdin.read()
    made.close()
"""


def measure_batches(
    folder: Path,
    count: int,
    *,
    slow: tuple[int, int, int],
    size: tuple[int, int, int] = SIZE,
) -> list[Row]:
    """Measures `python -m core batch` on copies of a generated scan.

    Args:
        folder: to work in.
        count: scans of the long batch.
        slow: size of the scan that takes longer than its time limit.
    """
    few, many = min(_FEW, count), folder / "many"
    content = write_generated_scan(folder / "one.nii.gz", size).read_bytes()
    _write_copies(folder / "few", content, few)
    _write_copies(many, content, count)
    _, before = run_command("batch", str(folder / "few"), "-o", str(folder / "out-few"))
    pace, memory = {}, {}
    for workers in (1, 2):
        out = str(folder / f"out-{workers}")
        seconds, memory[workers] = run_command(
            "batch", str(many), "-o", out, "--workers", str(workers)
        )
        pace[workers] = count / seconds * 3600.0
    name = f"{count} scans of {size_text(size)}"
    growth = 1000.0 * (memory[1] - before)
    rows = [
        Row("batch", f"{name}, one worker", pace[1], "scans/h"),
        Row("batch", "the same, largest process", memory[1], "GB"),
        Row("batch", f"the same, more than with {few} scans", growth, "MB", 100.0),
    ]
    if cpu_count() > 1:
        ratio = pace[2] / pace[1]
        rows.append(Row("batch", "two workers against one", ratio, "×", 1.6, at_most=False))
    rows.append(_time_limit(folder, slow))
    if find_spec("distributed") is not None:
        rows.append(_cluster(folder))
    return rows


def _write_copies(folder: Path, content: bytes, count: int) -> None:
    folder.mkdir()
    for number in range(count):
        (folder / f"scan{number:04d}.nii.gz").write_bytes(content)


def _time_limit(folder: Path, slow: tuple[int, int, int]) -> Row:
    """Of one scan that takes longer than a second, how many are given up."""
    scans, out = folder / "slow", folder / "out-slow"
    scans.mkdir()
    write_generated_scan(scans / "slow.nii.gz", slow)
    run_command("batch", str(scans), "-o", str(out), "--timeout", "1")
    with (out / "failures.csv").open(encoding="utf-8", newline="") as file:
        given_up = sum("--timeout" in line["reason"] for line in csv.DictReader(file))
    what = f"{size_text(slow)} with --timeout 1, scans given up of 1"
    return Row("batch", what, given_up, "scans", 1.0, at_most=False)


def _cluster(folder: Path) -> Row:
    out = folder / "out-dask"
    with _dask_cluster() as address:
        run_command("batch", str(folder / "few"), "-o", str(out), "--scheduler", address)
    what = "Dask cluster of two workers, voxels other than with one worker"
    return Row("batch", what, different_voxels(folder / "out-few", out), "voxels", 0.0)


@contextlib.contextmanager
def _dask_cluster() -> Iterator[str]:
    """The address of a scheduler with two worker processes on this machine."""
    process = subprocess.Popen(
        [sys.executable, "-c", _CLUSTER],
        cwd=PROGRAM_FOLDER,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        address = process.stdout.readline().strip() if process.stdout else ""
        if not address:
            raise LungLensError("The Dask cluster of the benchmark does not start")
        yield address
    finally:
        process.communicate()


def different_voxels(one: Path, other: Path) -> int:
    """Voxels in which the masks of two results of a batch differ.

    Raises:
        LungLensError: one of them has masks that the other lacks, or neither has any.
    """
    names = [
        {path.relative_to(out) for path in out.glob("*/*_mask.nii.gz")} for out in (one, other)
    ]
    if names[0] != names[1] or not names[0]:
        raise LungLensError(
            "The results of two batches cannot be compared",
            got=f"{len(names[0])} and {len(names[1])} masks",
            expected="the same masks in both",
        )
    pairs = ((mask_values(one / name), mask_values(other / name)) for name in names[0])
    return sum(int(np.count_nonzero(first != second)) for first, second in pairs)


def mask_values(path: Path) -> npt.NDArray[Any]:
    """The values of a saved mask."""
    image: Any = nib.load(path)
    return np.asarray(image.dataobj)
