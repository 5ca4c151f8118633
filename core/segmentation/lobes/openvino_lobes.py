"""The lobe network on OpenVINO, built from its layers and arrays; the counterpart in three
dimensions of `core.segmentation.engines.openvino_network`."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import numpy.typing as npt

from core.errors import WeightsError
from core.segmentation.engines.openvino_network import UnknownLayer
from core.segmentation.engines.openvino_runtime import openvino, ops
from core.segmentation.graph import Graph, Layer
from core.system import cpu_count

Floats = npt.NDArray[np.float32]
_NONE = [0, 0, 0]


class OpenVinoLobes:
    """A lobe network, compiled once; one prediction at a time."""

    def __init__(
        self, graph: Graph, arrays: dict[str, npt.NDArray[Any]], *, shape: tuple[int, ...]
    ) -> None:
        """
        Args:
            shape: of the input, (*grid, channels).

        Raises:
            UnknownLayer: the network has a layer that cannot be built here.
            WeightsError: arrays do not fit the layers.
        """
        try:
            model = _build(graph, arrays, shape)
        except (IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
            raise WeightsError(
                "The graph of the lobe network does not fit its arrays",
                got=(str(error).splitlines() or ["nothing"])[-1][:120],
                expected="the arrays of each of its layers",
                next_step="restore weights, graph and manifest from the same version",
            ) from error
        settings = {
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": cpu_count(),
            "ENABLE_CPU_PINNING": False,  # see `core.segmentation.engines.openvino_ring`
        }
        self._request = openvino.Core().compile_model(model, "CPU", settings).create_infer_request()
        self._lock = threading.Lock()

    def predict(self, lungs: Floats) -> Floats:
        """(*grid, lobes) probabilities.

        Args:
            lungs: (*grid, channels) of `network_input`.
        """
        with self._lock:
            self._request.infer([np.ascontiguousarray(lungs[None])])
            found: Floats = self._request.get_output_tensor(0).data[0].copy()
        return found


def _build(
    graph: Graph, arrays: dict[str, npt.NDArray[Any]], shape: tuple[int, ...]
) -> openvino.Model:
    lungs = ops.parameter([1, *shape], np.float32, name="lungs")
    done: dict[str, Any] = {}
    for layer in graph:
        read = [done[name] for name in layer.inputs]
        done[layer.name] = _node(layer, read, arrays, lungs)
    last = ops.transpose(done[graph[-1].name], ops.constant(np.array([0, 2, 3, 4, 1])))
    return openvino.Model([last], [lungs])


def _node(layer: Layer, read: list[Any], arrays: dict[str, npt.NDArray[Any]], lungs: Any) -> Any:
    """What a layer gives, (1, channels, *grid)."""
    if layer.kind == "InputLayer":
        return ops.transpose(lungs, ops.constant(np.array([0, 4, 1, 2, 3])))
    if layer.kind == "Add":
        return ops.add(read[0], read[1])
    if layer.kind == "Concatenate":
        return ops.concat(read, 1)
    if layer.kind == "Activation":
        return _activated(read[0], layer)
    if layer.kind == "BatchNormalization":
        gamma, beta, mean, variance = (
            _array(arrays, layer, name)
            for name in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        factor = gamma / np.sqrt(variance + np.float32(layer.settings["epsilon"]))
        scaled = ops.multiply(read[0], _per_channel(factor))
        return ops.add(scaled, _per_channel(beta - mean * factor))
    kernel, strides = _array(arrays, layer, "kernel"), layer.settings["strides"]
    if layer.kind == "Conv3D" and layer.settings["padding"] in ("same", "valid"):
        padding = {"same": "same_upper", "valid": "valid"}[layer.settings["padding"]]
        turned = _constant(kernel.transpose(4, 3, 0, 1, 2))
        node = ops.convolution(read[0], turned, strides, _NONE, _NONE, [1, 1, 1], padding)
    elif layer.kind == "Conv3DTranspose" and list(kernel.shape[:3]) == list(strides):
        turned = _constant(kernel.transpose(4, 3, 0, 1, 2))
        node = ops.convolution_backprop_data(
            read[0], turned, strides, pads_begin=_NONE, pads_end=_NONE, dilations=[1, 1, 1]
        )
    else:
        raise UnknownLayer(
            f"The OpenVINO engine does not know layer {layer.name} of the lobe network",
            got=layer.kind,
            expected="kinds and settings of the project's own networks",
        )
    if f"{layer.name}/bias" in arrays:
        node = ops.add(node, _per_channel(_array(arrays, layer, "bias")))
    return _activated(node, layer)


def _activated(node: Any, layer: Layer) -> Any:
    activation = layer.settings["activation"]
    if activation == "relu":
        return ops.relu(node)
    if activation == "softmax":
        return ops.softmax(node, 1)
    if activation != "linear":
        raise UnknownLayer(
            f"The OpenVINO engine does not know layer {layer.name} of the lobe network",
            got=f"activation {activation}",
            expected="relu, softmax or none",
        )
    return node


def _array(arrays: dict[str, npt.NDArray[Any]], layer: Layer, name: str) -> Floats:
    return arrays[f"{layer.name}/{name}"].astype(np.float32)


def _constant(value: Floats) -> Any:
    return ops.constant(np.ascontiguousarray(value))


def _per_channel(vector: Floats) -> Any:
    return _constant(vector.reshape(1, -1, 1, 1, 1))
