"""The same weights on Keras with TensorFlow, JAX or PyTorch, beside the usual engine of a CPU.

Runs on a GPU where a backend sees one, and on the CPU otherwise: each row names its device.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from core.benchmark.batches import mask_values
from core.benchmark.rows import Row
from core.benchmark.stages import run_benchmark, run_measured
from core.config import CHANNELS
from core.errors import ConfigError
from core.system import PROGRAM_FOLDER, OnProgress, ignore_progress

BACKENDS = ("tensorflow", "jax", "torch")
PRECISIONS = ("float32", "bfloat16")
BATCH_SIZES = (1, 8, 32, 128)
SECONDS = 3.0
"""How long each batch size is timed, after one batch that is not."""
_MOST_DIFFERENT = 0.005
_NO_GPU = {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu"}
_PACE = (sys.executable, "-m", "core.benchmark.pace")
_GROUP = "backends"


@dataclass(frozen=True)
class BackendsPlan:
    """What is measured.

    Attributes:
        weights_id: folder name in weights/; the best so far where none.
        backends: of `BACKENDS`; those that are installed where empty.
        seconds: for which each batch size is timed.
    """

    weights_id: str | None = None
    backends: tuple[str, ...] = ()
    batch_sizes: tuple[int, ...] = BATCH_SIZES
    seconds: float = SECONDS


def installed_backends() -> tuple[str, ...]:
    """Backends of Keras that this environment has."""
    return tuple(name for name in BACKENDS if find_spec(name) is not None)


def find_backends(names: tuple[str, ...]) -> tuple[str, ...]:
    """The backends of these names; all that are installed where none is named.

    Raises:
        ConfigError: one is not installed.
    """
    installed = installed_backends()
    missing = [name for name in names if name not in installed]
    if missing:
        raise ConfigError(
            "A backend of Keras is not installed",
            got=", ".join(missing),
            expected=f"one of {', '.join(installed) or 'none'}",
            next_step='for JAX on an NVIDIA GPU run: pip install "jax[cuda13]"',
        )
    return names or installed


def measure_backends(
    scan: Path, plan: BackendsPlan, *, on_progress: OnProgress = ignore_progress
) -> list[Row]:
    """Slices a second by batch size, file to saved masks, and how much the masks differ from those
    of the usual engine on the CPU in float32.

    Raises:
        ConfigError: a backend that was asked for is not installed.
        LungLensError: a measured command failed; its sentence is passed on.
    """
    backends = find_backends(plan.backends)
    with tempfile.TemporaryDirectory() as folder:
        reference = Path(folder) / "reference"
        on_progress("measuring the CPU", 0, 1 + len(backends) * len(PRECISIONS))
        found = run_benchmark(
            scan,
            weights_id=plan.weights_id,
            environment={**_NO_GPU, "LUNGLENS_PRECISION": "float32"},
            output=reference,
        )
        rows = [_seconds_row(f"reference: {found['device']}", found)]
        for number, backend in enumerate(backends):
            for step, precision in enumerate(PRECISIONS, start=1):
                on_progress(
                    f"measuring {backend} in {precision}",
                    number * len(PRECISIONS) + step,
                    1 + len(backends) * len(PRECISIONS),
                )
                rows += _measure(scan, plan, backend, precision, reference)
    return rows


def _measure(
    scan: Path, plan: BackendsPlan, backend: str, precision: str, reference: Path
) -> list[Row]:
    environment = {"KERAS_BACKEND": backend, "LUNGLENS_PRECISION": precision}
    with tempfile.TemporaryDirectory() as folder:
        found = run_benchmark(
            scan,
            weights_id=plan.weights_id,
            engine="keras",
            environment=environment,
            output=Path(folder),
        )
        different = different_shares(reference, Path(folder))
    sizes = [str(size) for size in plan.batch_sizes]
    paces = run_measured(
        [*_PACE, plan.weights_id or "", str(plan.seconds), *sizes],
        cwd=PROGRAM_FOLDER,
        environment=environment,
    )
    name = f"{backend}, {precision}, {found['device']}"
    rows = [
        Row(_GROUP, f"{name}: batches of {size}", pace, "slices/s")
        for size, pace in zip(sizes, paces["slices_per_second"], strict=True)
    ]
    rows.append(_seconds_row(name, found))
    for channel, share in different.items():
        what = f"{name}: voxels of the {channel} that differ from the reference"
        rows.append(Row(_GROUP, what, 100.0 * share, "%", 100.0 * _MOST_DIFFERENT))
    return rows


def _seconds_row(name: str, found: dict[str, Any]) -> Row:
    what = f"{name}: file to saved masks"
    return Row(_GROUP, what, found["seconds_from_start_to_masks"], "s")


def different_shares(one: Path, other: Path) -> dict[str, float]:
    """By channel, voxels that only one of two results marks, divided by those that either marks; 0
    where neither marks any.

    Args:
        one, other: folders of `python -m core segment`.
    """
    found: dict[str, float] = {}
    for channel in CHANNELS:
        masks = [mask_values(folder / f"{channel}_mask.nii.gz") > 0 for folder in (one, other)]
        either = int(np.count_nonzero(masks[0] | masks[1]))
        found[channel] = np.count_nonzero(masks[0] != masks[1]) / either if either else 0.0
    return found


def describe_devices(rows: Sequence[Row]) -> str:
    """What the rows say of GPUs, a sentence."""
    if any("GPU (" in row.what for row in rows):
        return "Rows that name a GPU were measured on it."
    return (
        "No backend of Keras found a GPU: all rows are of the CPU. On a machine with a GPU the "
        "same command measures it."
    )
