"""A network of whose layers the maps themselves are wanted, on OpenVINO: what classifies slices."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from core.segmentation.engines.openvino_network import build_network
from core.segmentation.engines.openvino_runtime import openvino
from core.segmentation.graph import Graph
from core.system import cpu_count

_MAX_STREAMS = 8
Maps = tuple[npt.NDArray[np.float32], ...]


class OpenVinoMaps:
    """In float32 on every CPU, so that a probability is the same wherever it is computed."""

    def __init__(
        self,
        graph: Graph,
        arrays: dict[str, npt.NDArray[Any]],
        *,
        shape: tuple[int, int],
        maps: Sequence[str],
        shown: str,
    ) -> None:
        """Builds and compiles the network; arguments as those of `build_network`.

        Raises:
            WeightsError: graph and arrays do not fit each other, or a layer is unknown here.
        """
        model = build_network(graph, arrays, shape=shape, bfloat16=False, shown=shown, maps=maps)
        cores = cpu_count()
        settings = {
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": cores,
            "NUM_STREAMS": min(cores, _MAX_STREAMS),
        }
        compiled = openvino.Core().compile_model(model, "CPU", settings)
        count = compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
        self._requests = [compiled.create_infer_request() for _ in range(count)]
        self._outputs = len(maps)
        self._lock = threading.Lock()

    def maps(self, slices: npt.NDArray[np.uint8]) -> Iterator[Maps]:
        """For each of (n, rows, columns) uint8 its maps, (filters, height, width) float32 each.

        They are the engine's own memory: to be used before the next ones are asked for.
        """
        count, ahead = len(slices), len(self._requests)
        slices = np.ascontiguousarray(slices)
        with self._lock:
            for k in range(count + ahead):
                request = self._requests[k % ahead]
                if k >= ahead and k - ahead < count:
                    request.wait()
                    yield tuple(request.get_output_tensor(n).data[0] for n in range(self._outputs))
                if k < count:
                    request.set_input_tensor(openvino.Tensor(slices[k : k + 1], shared_memory=True))
                    request.start_async()
