"""lungmask (Hofmanninger et al. 2020, doi:10.1186/s41747-020-00173-2) timed on the same scan.

It runs in an interpreter of its own, in which it is installed together with PyTorch. Its R231
network is given random weights: they need no download and cost the same time. Its clean-up is
left out, because on the noise that random weights give it would take unfairly long.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.benchmark.stages import run_measured
from core.errors import ConfigError
from core.system import OnProgress, ignore_progress

_PROGRAM = """
import json, resource, sys, tempfile, time
started = time.perf_counter()
try:
    import SimpleITK
    import torch
    from importlib.metadata import version
    from lungmask.mask import LMInferer
    from lungmask.resunet import UNet
except ImportError as error:
    print(json.dumps({"error": f"That Python has no lungmask: {error}"}))
    sys.exit(1)
path, wanted = sys.argv[1], int(sys.argv[2])
network = UNet(
    n_classes=3, padding=True, depth=5, up_mode="upsample", batch_norm=True, residual=False
)
with tempfile.NamedTemporaryFile(suffix=".pth") as file:
    torch.save(network.state_dict(), file.name)
    inferer = LMInferer(
        modelpath=file.name, force_cpu=True, volume_postprocessing=False, tqdm_disable=True
    )
image = SimpleITK.ReadImage(path)
first = max(0, (image.GetDepth() - wanted) // 2)
image = image[:, :, first : first + wanted]
ready = time.perf_counter()
inferer.apply(image)
done = time.perf_counter()
print(json.dumps({
    "version": version("lungmask"),
    "torch": torch.__version__,
    "threads": torch.get_num_threads(),
    "slices": image.GetDepth(),
    "seconds_before": round(ready - started, 2),
    "seconds": round(done - ready, 2),
    "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
}))
"""


def time_lungmask(
    python: Path, scan: Path, *, slices: int, on_progress: OnProgress = ignore_progress
) -> dict[str, Any]:
    """Times lungmask's own `LMInferer.apply` on the middle slices of a NIfTI file.

    Args:
        python: the interpreter in which lungmask is installed.
        slices: how many at most; it takes about a second for each.

    Returns:
        JSON-ready: versions, slices, seconds of `apply` and of all before it, slices per second,
        peak memory.

    Raises:
        ConfigError: there is no such interpreter.
        LungLensError: lungmask is not installed in it, or failed.
    """
    if not python.is_file():
        raise ConfigError(
            "The interpreter with lungmask is not there",
            got=python.name,
            expected="such as lungmask_env/bin/python",
            next_step="make an environment and install lungmask in it",
        )
    on_progress("timing lungmask", 0, 1)
    # Not resolved: the link is what makes it the interpreter of its environment.
    values = run_measured(
        [str(python.absolute()), "-c", _PROGRAM, str(scan), str(slices)], cwd=scan.parent
    )
    values["slices_per_second"] = round(values["slices"] / values["seconds"], 2)
    return values
