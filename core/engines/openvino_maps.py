"""A network whose maps are wanted as they are, on OpenVINO: what classifies slices."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import numpy.typing as npt

from core.engines.openvino_network import build_network
from core.engines.openvino_runtime import openvino
from core.graph import Graph
from core.machine import cpu_count

_MAX_STREAMS = 8


class OpenVinoMaps:
    """In float32 on every CPU, so that a probability is the same wherever it is computed."""

    def __init__(
        self,
        graph: Graph,
        arrays: dict[str, npt.NDArray[Any]],
        *,
        shape: tuple[int, int],
        channels: int,
        shown: str,
    ) -> None:
        """Builds and compiles the network; arguments as those of `build_network`.

        Raises:
            WeightsError: graph and arrays do not fit each other, or a layer is unknown here.
        """
        model = build_network(
            graph, arrays, shape=shape, bfloat16=False, shown=shown, channels=channels
        )
        cores = cpu_count()
        settings = {
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": cores,
            "NUM_STREAMS": min(cores, _MAX_STREAMS),
        }
        compiled = openvino.Core().compile_model(model, "CPU", settings)
        count = compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
        self._requests = [compiled.create_infer_request() for _ in range(count)]
        self._maps = tuple(compiled.output(0).shape)[1:]
        self._lock = threading.Lock()

    def predict(self, frames: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """(n, rows, columns, channels) uint8 to (n, height, width, maps) float32."""
        count = len(frames)
        planes = np.ascontiguousarray(np.moveaxis(frames, -1, 1))
        maps = np.empty((count, *self._maps), dtype=np.float32)
        with self._lock:
            for k in range(count + len(self._requests)):
                done = k - len(self._requests)
                request = self._requests[k % len(self._requests)]
                if done >= 0:
                    request.wait()
                    maps[done] = request.get_output_tensor().data[0]
                if k < count:
                    request.set_input_tensor(openvino.Tensor(planes[k : k + 1], shared_memory=True))
                    request.start_async()
        return np.moveaxis(maps, 1, -1)
