"""Feature maps of a network on OpenVINO, from which slices are classified."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from core.segmentation.engines.openvino_network import build_network
from core.segmentation.engines.openvino_ring import RequestRing
from core.segmentation.graph import Graph

Maps = tuple[npt.NDArray[np.float32], ...]


class OpenVinoMaps:
    """In float32 on every CPU, so that a probability is the same wherever it is computed."""

    def __init__(
        self,
        graph: Graph,
        arrays: dict[str, npt.NDArray[Any]],
        *,
        shape: tuple[int, ...],
        maps: Sequence[str],
        shown: str,
    ) -> None:
        """Builds and compiles the network; arguments as those of `build_network`.

        Raises:
            WeightsError: graph and arrays do not fit each other, or a layer is unknown here.
        """
        model = build_network(graph, arrays, shape=shape, bfloat16=False, shown=shown, maps=maps)
        self._ring = RequestRing(model, bfloat16=False)

    def maps(self, slices: npt.NDArray[np.uint8]) -> Generator[Maps, None, None]:
        """For each of (n, rows, columns) or (n, rows, columns, channels) uint8 its maps, (filters,
        height, width) float32 each; see `RequestRing.run`."""
        return self._ring.run(slices)
