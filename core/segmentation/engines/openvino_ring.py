"""OpenVINO's requests in a ring: some slices are computed while the oldest one is collected."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt

from core.segmentation.engines.openvino_runtime import openvino
from core.system import cpu_count

_MAX_STREAMS = 8
"""Slices computed side by side at most: each takes memory of its own."""

Outputs = tuple[npt.NDArray[Any], ...]


class RequestRing:
    """A compiled network and its requests, shared by sessions, one run at a time."""

    def __init__(self, model: openvino.Model, *, bfloat16: bool) -> None:
        """Compiles the network for the CPU."""
        cores = cpu_count()
        settings = {
            "INFERENCE_PRECISION_HINT": "bf16" if bfloat16 else "f32",
            "INFERENCE_NUM_THREADS": cores,
            # Else several processes with fewer threads than cores share the first cores.
            "ENABLE_CPU_PINNING": False,
            # One slice a core is faster than one slice on all cores.
            "NUM_STREAMS": min(cores, _MAX_STREAMS),
        }
        compiled = openvino.Core().compile_model(model, "CPU", settings)
        count = compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
        self._requests = [compiled.create_infer_request() for _ in range(count)]
        self.outputs = len(compiled.outputs)
        self._lock = threading.Lock()

    @property
    def size(self) -> int:
        """Slices under way at once."""
        return len(self._requests)

    def run(self, slices: npt.NDArray[np.uint8]) -> Generator[Outputs, None, None]:
        """For each of (n, rows, columns) uint8, in order, what the network puts out.

        The arrays are the engine's own memory: use them before asking for the next ones. Close
        the generator (`contextlib.closing`) where it may not be exhausted: it waits for what is
        under way, which reads `slices`, and lets the next run begin.
        """
        slices = np.ascontiguousarray(slices)
        count, ahead = len(slices), len(self._requests)
        with self._lock:
            try:
                for k in range(min(ahead, count)):
                    self._start(k, slices)
                for k in range(count):
                    request = self._requests[k % ahead]
                    request.wait()
                    yield tuple(request.get_output_tensor(n).data[0] for n in range(self.outputs))
                    if k + ahead < count:
                        self._start(k + ahead, slices)
            finally:
                self._drain()

    def _start(self, k: int, slices: npt.NDArray[np.uint8]) -> None:
        request = self._requests[k % len(self._requests)]
        request.set_input_tensor(openvino.Tensor(slices[k : k + 1], shared_memory=True))
        request.start_async()

    def _drain(self) -> None:
        """Waits for every request, also after one has failed."""
        for request in self._requests:
            with suppress(RuntimeError):  # of a run that has already failed or ended early
                request.wait()
