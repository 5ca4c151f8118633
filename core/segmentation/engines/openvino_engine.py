"""The network on OpenVINO: the fastest engine on CPUs, which starts without TensorFlow.

The graph is built from the layers and arrays of the weights, so nothing is stored twice. It takes
grey slices as they are and gives probabilities times 255, both uint8, one slice at a time on each
core. Where the CPU computes bfloat16 natively, that is what it does.
"""

from __future__ import annotations

from contextlib import closing

import numpy as np
import numpy.typing as npt

from core.config import CHANNELS, Precision
from core.segmentation.engines.openvino_network import build_network
from core.segmentation.engines.openvino_ring import RequestRing
from core.segmentation.engines.openvino_runtime import openvino
from core.segmentation.engines.protocol import Prediction
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


class OpenVinoSegmenter:
    """A trained network, ready: loaded once, shared by sessions, one scan at a time."""

    fallback_reason = ""

    def __init__(self, info: WeightsInfo, *, precision: Precision = "auto") -> None:
        """Builds and compiles the network.

        Args:
            precision: bfloat16 is taken where the CPU computes it natively, unless this is
                "float32".

        Raises:
            WeightsError: the files are damaged, do not fit each other, or need a layer that is
                unknown here.
        """
        self.info = info
        self.preprocess = info.preprocess
        capabilities = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        bfloat16 = precision != "float32" and "BF16" in capabilities
        model = build_network(
            read_graph(info),
            read_arrays(info),
            shape=(info.preprocess.rows, info.preprocess.columns),
            bfloat16=bfloat16,
            shown=info.weights_id,
        )
        self._ring = RequestRing(model, bfloat16=bfloat16)
        precision_used = "bfloat16" if bfloat16 else "float32"
        self.device = f"CPU ({cpu_count()} cores), OpenVINO {precision_used}"

    @property
    def weights_id(self) -> str:
        """Folder name of the weights."""
        return self.info.weights_id

    def warm_up(self, batch_size: int) -> None:
        """Runs once on black, so that the first scan does not take longer."""
        shape = (self._ring.size, self.preprocess.rows, self.preprocess.columns)
        self.predict(np.zeros(shape, dtype=np.uint8), batch_size=batch_size)

    def predict(
        self,
        frames: npt.NDArray[np.uint8],
        *,
        batch_size: int,
        on_progress: OnProgress = ignore_progress,
        should_cancel: ShouldCancel = never_cancel,
    ) -> Prediction:
        """Probabilities for preprocessed slices.

        Args:
            frames: (n, rows, columns) uint8 of `core.preprocessing.model_input`.
            batch_size: slices between two reports of progress, where the run can be cancelled.

        Raises:
            Cancelled: between two slices.
        """
        count, rows, columns = frames.shape
        pixels = np.empty((len(CHANNELS), count, rows, columns), dtype=np.uint8)
        presence = np.empty((len(CHANNELS), count), dtype=np.uint8)
        with closing(self._ring.run(frames)) as found:
            for k in range(count):
                if k % batch_size == 0:
                    raise_if_cancelled(should_cancel, "marking slices")
                    on_progress("marking slices", k, count)
                pixels[:, k], *of_slice = next(found)
                if of_slice:
                    presence[:, k] = of_slice[0][:, 0, 0]
        on_progress("marking slices", count, count)
        return Prediction(pixels, presence if self._ring.outputs > 1 else None)
