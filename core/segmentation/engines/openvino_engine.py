"""The network on OpenVINO: a CPU's fastest engine, and one that starts without TensorFlow.

The graph is built from the layers and arrays of the weights, so nothing is stored twice. It takes
grey slices as they are and gives probabilities times 255, both uint8, one slice at a time on each
core. Where the CPU computes bfloat16 natively, that is what it does.
"""

from __future__ import annotations

import threading
from typing import Literal

import numpy as np
import numpy.typing as npt

from core.config import CHANNELS
from core.segmentation.engines.openvino_network import build_network
from core.segmentation.engines.openvino_runtime import openvino
from core.segmentation.weights import WeightsInfo, read_graph
from core.segmentation.weights_files import read_arrays
from core.system import (
    OnProgress,
    ShouldCancel,
    cpu_count,
    ignore_progress,
    never_cancel,
    raise_if_cancelled,
)

Precision = Literal["auto", "float32"]
_MAX_STREAMS = 8
"""Slices computed side by side at most: each takes memory of its own."""


class OpenVinoSegmenter:
    """A trained network, ready: loaded once, shared by sessions, one scan at a time."""

    def __init__(self, info: WeightsInfo, *, precision: Precision = "auto") -> None:
        """Builds and compiles the network.

        Args:
            precision: "float32" forgoes bfloat16 where the CPU has it.

        Raises:
            WeightsError: the files are damaged, do not fit each other, or need a layer that is
                unknown here.
        """
        self.info = info
        self.preprocess = info.preprocess
        runtime = openvino.Core()
        capabilities = runtime.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        bfloat16 = precision == "auto" and "BF16" in capabilities
        model = build_network(
            read_graph(info),
            read_arrays(info),
            shape=(info.preprocess.rows, info.preprocess.columns),
            bfloat16=bfloat16,
            shown=info.weights_id,
        )
        cores = cpu_count()
        settings = {
            "INFERENCE_PRECISION_HINT": "bf16" if bfloat16 else "f32",
            "INFERENCE_NUM_THREADS": cores,
            # One slice a core is faster than one slice on all cores.
            "NUM_STREAMS": min(cores, _MAX_STREAMS),
        }
        compiled = runtime.compile_model(model, "CPU", settings)
        count = compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
        self._requests = [compiled.create_infer_request() for _ in range(count)]
        self._lock = threading.Lock()
        self.device = f"CPU ({cores} cores), OpenVINO {'bfloat16' if bfloat16 else 'float32'}"

    @property
    def weights_id(self) -> str:
        """Folder name of the weights."""
        return self.info.weights_id

    def warm_up(self, batch_size: int) -> None:
        """Runs once on black, so that the first scan pays for no set-up."""
        shape = (len(self._requests), self.preprocess.rows, self.preprocess.columns)
        self.predict(np.zeros(shape, dtype=np.uint8), batch_size=batch_size)

    def predict(
        self,
        frames: npt.NDArray[np.uint8],
        *,
        batch_size: int,
        on_progress: OnProgress = ignore_progress,
        should_cancel: ShouldCancel = never_cancel,
    ) -> npt.NDArray[np.uint8]:
        """Probabilities for preprocessed slices.

        Args:
            frames: (n, rows, columns) uint8 of `core.preprocessing.model_input`.
            batch_size: slices between two reports of progress and two questions whether to stop.

        Returns:
            (channels, n, rows, columns) uint8: probability times 255.

        Raises:
            Cancelled: between two slices.
        """
        count, rows, columns = frames.shape
        probabilities = np.empty((len(CHANNELS), count, rows, columns), dtype=np.uint8)
        frames = np.ascontiguousarray(frames)
        with self._lock:
            try:
                for k in range(count):
                    if k % batch_size == 0:
                        raise_if_cancelled(should_cancel, "marking slices")
                        on_progress("marking slices", k, count)
                    self._collect(k - len(self._requests), probabilities)
                    request = self._requests[k % len(self._requests)]
                    request.set_input_tensor(openvino.Tensor(frames[k : k + 1], shared_memory=True))
                    request.start_async()
                for k in range(max(0, count - len(self._requests)), count):
                    self._collect(k, probabilities)
            finally:
                for request in self._requests:
                    request.wait()
        on_progress("marking slices", count, count)
        return probabilities

    def _collect(self, k: int, probabilities: npt.NDArray[np.uint8]) -> None:
        if k >= 0:
            request = self._requests[k % len(self._requests)]
            request.wait()
            probabilities[:, k] = request.get_output_tensor().data[0]
