"""From the layers and arrays of weights to an OpenVINO model, without Keras.

For bfloat16, which keeps eight bits of a number, two things are arranged so that masks stay what
they are in float32. A convolution of the input gets its kernel as a sum of two bfloat16 numbers.
And as OpenVINO rounds biases too, each channel is scaled by a factor near one that makes its bias
a bfloat16 number; rectifying, pooling and joining carry the factor along, and the next kernel
takes it out again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from core.errors import WeightsError
from core.segmentation.engines.openvino_runtime import openvino, ops
from core.segmentation.engines.protocol import EngineUnavailable
from core.segmentation.graph import PRESENCE, Graph, Layer

Vector = npt.NDArray[np.float32]
_FLOAT32 = np.float32
_GREY_MAX = 255


class UnknownLayer(WeightsError, EngineUnavailable):
    """A network has a layer that cannot be built here; Keras can run it."""


@dataclass(frozen=True, eq=False)
class _Value:
    """What a layer gives: `node` (1, channels, rows, columns), each channel `scale` times what
    Keras has there."""

    node: Any
    scale: Vector


def build_network(
    graph: Graph,
    arrays: dict[str, npt.NDArray[Any]],
    *,
    shape: tuple[int, ...],
    bfloat16: bool,
    shown: str,
    maps: Sequence[str] = (),
) -> openvino.Model:
    """An OpenVINO model from layers and their arrays.

    Args:
        graph: of `core.segmentation.graph`.
        arrays: by "layer/variable", kernels with their channels last, as Keras has them.
        shape: rows and columns of a slice, and its channels where it has several.
        bfloat16: whether the model is to be compiled for bfloat16.
        shown: name of the weights, for errors.
        maps: names of layers whose output is returned as it is, in place of probabilities.

    Returns:
        From (1, rows, columns) or (1, rows, columns, channels) uint8 to (1, channels, rows,
        columns) uint8: probability × 255; from a network with a slice head also to
        (1, channels, 1, 1) uint8, its presence × 255.
        With `maps` to (1, filters, height, width) float32 each.

    Raises:
        UnknownLayer: a layer or one of its settings is unknown here.
        WeightsError: arrays are missing, left over or misshapen.
    """
    builder = _Builder(graph, dict(arrays), bfloat16=bfloat16, shown=shown)
    try:
        return builder.build(shape, maps)
    except (IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise WeightsError(
            f"The graph of {shown} does not fit its arrays",
            got=(str(error).splitlines() or ["nothing"])[-1][:120],
            expected="the arrays of each of its layers",
            next_step="restore weights, graph and manifest from the same version",
        ) from error


class _Builder:
    """Walks over the layers once and uses up their arrays."""

    def __init__(
        self, graph: Graph, arrays: dict[str, npt.NDArray[Any]], *, bfloat16: bool, shown: str
    ) -> None:
        self._graph = graph
        self._arrays = arrays
        self._bfloat16 = bfloat16
        self._shown = shown
        self._done: dict[str, _Value] = {}
        self._readers = Counter(name for layer in graph for name in layer.inputs)
        self._kinds: dict[str, Callable[[Layer, list[_Value]], _Value]] = {
            "Conv2D": self._convolution,
            "Conv2DTranspose": self._upsampling,
            "BatchNormalization": self._batch_norm,
            "GroupNormalization": self._group_norm,
            "Activation": lambda layer, x: self._activate(x[0], layer),
            "MaxPooling2D": self._max_pool,
            "AveragePooling2D": self._average_pool,
            "Concatenate": self._join,
            "Average": self._average,
            "Dropout": lambda layer, x: x[0],
            "SpatialDropout2D": lambda layer, x: x[0],
            "DepthwiseConv2D": self._depthwise,
            "Dense": self._dense,
            "Rescaling": self._rescaled,
            "UpSampling2D": self._repeated,
            "GlobalAveragePooling2D": lambda layer, x: self._pooled(x[0], ops.reduce_mean),
            "GlobalMaxPooling2D": lambda layer, x: self._pooled(x[0], ops.reduce_max),
            "Add": lambda layer, x: self._sum(x),
        }

    def build(self, shape: tuple[int, ...], maps: Sequence[str]) -> openvino.Model:
        slices = ops.parameter([1, *shape], np.uint8, name="slices")
        for layer in self._graph:
            if layer.kind == "InputLayer":
                # Whole numbers up to 256 are exact in bfloat16: the slices stay as they are, and
                # count as scaled.
                grey = ops.convert(slices, "f32")
                if shape[2:]:
                    grey = ops.transpose(grey, ops.constant(np.array([0, 3, 1, 2])))
                else:
                    grey = ops.unsqueeze(grey, ops.constant(np.int64(1)))
                channels = shape[2] if shape[2:] else 1
                self._done[layer.name] = _Value(grey, np.full(channels, _GREY_MAX, dtype=_FLOAT32))
            elif layer.name not in self._done:  # else folded into the convolution before it
                if layer.kind not in self._kinds:
                    raise self._unknown(layer, layer.kind)
                read = [self._done[name] for name in layer.inputs]
                self._done[layer.name] = self._kinds[layer.kind](layer, read)
        if self._arrays:
            raise ValueError(f"{len(self._arrays)} arrays of no layer, first {min(self._arrays)}")
        if maps:
            return openvino.Model([_unscaled(self._done[name]) for name in maps], [slices])
        outputs = [self._graph[-1].name]
        outputs += [name for name in self._done if name == PRESENCE]
        return openvino.Model([_to_grey(self._done[name]) for name in outputs], [slices])

    def _convolution(self, layer: Layer, inputs: list[_Value]) -> _Value:
        self._demand(layer, groups=1)
        kernel = self._take(layer, "kernel") / inputs[0].scale[:, None]
        kernel, bias, scale, last = self._folded(layer, kernel)
        node = inputs[0].node
        if self._bfloat16 and self._is_input(layer.inputs[0]):
            coarse = _to_bfloat16(kernel)
            kernel = np.concatenate([coarse, kernel - coarse], axis=2)
            node = ops.concat([node, node], 1)
        node = ops.convolution(
            node,
            _constant(kernel.transpose(3, 2, 0, 1)),
            layer.settings["strides"],
            [0, 0],
            [0, 0],
            layer.settings["dilation_rate"],
            self._padding(layer),
        )
        result = self._activate(_Value(ops.add(node, _per_channel(bias)), scale), layer)
        self._done[last.name] = result
        return result

    def _folded(self, layer: Layer, kernel: Vector) -> tuple[Vector, Vector, Vector, Layer]:
        """Kernel (…, filters) and bias with the normalisation that follows, the scale that makes
        the bias a bfloat16 number, and the layer whose output they give."""
        bias = self._bias(layer, kernel.shape[-1])
        activation, last = layer.settings["activation"], layer
        follower = self._only_reader(layer)
        if follower and follower.kind == "BatchNormalization" and activation == "linear":
            factor, shift = self._factor_and_shift(follower)
            kernel, bias, last = kernel * factor, bias * factor + shift, follower
        scale = np.ones(kernel.shape[-1], dtype=_FLOAT32)
        if self._bfloat16 and activation in ("linear", "relu") and self._may_scale(last):
            rounded = _to_bfloat16(bias)
            np.divide(rounded, bias, out=scale, where=rounded != 0)
            kernel, bias = kernel * scale, bias * scale
        return kernel, bias, scale, last

    def _may_scale(self, layer: Layer) -> bool:
        """Whether all that reads a layer carries factors along without a step of its own."""
        return not any(
            reader.kind == "Add" or reader.settings.get("activation") == "relu6"
            for reader in self._graph
            if layer.name in reader.inputs
        )

    def _depthwise(self, layer: Layer, inputs: list[_Value]) -> _Value:
        self._demand(layer, depth_multiplier=1)
        kernel = self._take(layer, "kernel")[..., 0] / inputs[0].scale
        kernel, bias, scale, last = self._folded(layer, kernel)
        node = ops.group_convolution(
            inputs[0].node,
            _constant(kernel.transpose(2, 0, 1)[:, None, None]),
            layer.settings["strides"],
            [0, 0],
            [0, 0],
            layer.settings["dilation_rate"],
            self._padding(layer),
        )
        result = self._activate(_Value(ops.add(node, _per_channel(bias)), scale), layer)
        self._done[last.name] = result
        return result

    def _dense(self, layer: Layer, inputs: list[_Value]) -> _Value:
        """Of pooled features alone: (1, channels, 1, 1), on which a kernel of 1×1 does the same."""
        kernel = self._take(layer, "kernel") / inputs[0].scale[:, None]
        filters = kernel.shape[1]
        node = ops.convolution(
            inputs[0].node,
            _constant(kernel.T[:, :, None, None]),
            [1, 1],
            [0, 0],
            [0, 0],
            [1, 1],
        )
        node = ops.add(node, _per_channel(self._bias(layer, filters)))
        return self._activate(_Value(node, np.ones(filters, dtype=_FLOAT32)), layer)

    def _rescaled(self, layer: Layer, inputs: list[_Value]) -> _Value:
        """The factor goes into the scale, so that grey levels stay whole numbers."""
        factor, offset = float(layer.settings["scale"]), float(layer.settings["offset"])
        scale = inputs[0].scale.astype(np.float64) / factor
        node = inputs[0].node
        if offset != 0:
            node = ops.add(node, _per_channel((offset * scale).astype(_FLOAT32)))
        return _Value(node, scale.astype(_FLOAT32))

    def _repeated(self, layer: Layer, inputs: list[_Value]) -> _Value:
        self._demand(layer, interpolation="nearest")
        node = ops.interpolate(
            inputs[0].node,
            ops.constant(np.array(layer.settings["size"], dtype=_FLOAT32)),
            "nearest",
            "scales",
            axes=ops.constant(np.array([2, 3], dtype=np.int64)),
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        )
        return _Value(node, inputs[0].scale)

    def _pooled(self, value: _Value, reduce: Callable[..., Any]) -> _Value:
        """One number a channel, left in place as (1, channels, 1, 1)."""
        return _Value(reduce(value.node, ops.constant(np.array([2, 3])), True), value.scale)

    def _sum(self, inputs: list[_Value]) -> _Value:
        node = _unscaled(inputs[0])
        for value in inputs[1:]:
            node = ops.add(node, _unscaled(value))
        return _Value(node, np.ones_like(inputs[0].scale))

    def _upsampling(self, layer: Layer, inputs: list[_Value]) -> _Value:
        kernel = self._take(layer, "kernel") / inputs[0].scale
        self._demand(layer, padding="valid", strides=list(kernel.shape[:2]), dilation_rate=[1, 1])
        filters = kernel.shape[2]
        node = ops.convolution_backprop_data(
            inputs[0].node,
            _constant(kernel.transpose(3, 2, 0, 1)),
            layer.settings["strides"],
            pads_begin=[0, 0],
            pads_end=[0, 0],
            dilations=[1, 1],
        )
        node = ops.add(node, _per_channel(self._bias(layer, filters)))
        return self._activate(_Value(node, np.ones(filters, dtype=_FLOAT32)), layer)

    def _batch_norm(self, layer: Layer, inputs: list[_Value]) -> _Value:
        factor, shift = self._factor_and_shift(layer)
        node = ops.multiply(_unscaled(inputs[0]), _per_channel(factor))
        return _Value(ops.add(node, _per_channel(shift)), np.ones_like(factor))

    def _group_norm(self, layer: Layer, inputs: list[_Value]) -> _Value:
        gamma, beta = self._take(layer, "gamma"), self._take(layer, "beta")
        node = ops.group_normalization(
            _unscaled(inputs[0]),
            _constant(gamma),
            _constant(beta),
            layer.settings["groups"],
            layer.settings["epsilon"],
        )
        return _Value(node, np.ones_like(gamma))

    def _activate(self, value: _Value, layer: Layer) -> _Value:
        activation = layer.settings["activation"]
        if activation == "relu" and (value.scale > 0).all():  # positive factors pass
            return _Value(ops.relu(value.node), value.scale)
        if activation == "relu6":
            return _Value(ops.clamp(_unscaled(value), 0.0, 6.0), np.ones_like(value.scale))
        if activation == "sigmoid":
            return _Value(ops.sigmoid(_unscaled(value)), np.ones_like(value.scale))
        if activation == "relu":
            return _Value(ops.relu(_unscaled(value)), np.ones_like(value.scale))
        if activation != "linear":
            raise self._unknown(layer, f"activation {activation}")
        return value

    def _max_pool(self, layer: Layer, inputs: list[_Value]) -> _Value:
        node = ops.max_pool(
            inputs[0].node,
            layer.settings["strides"],
            [1, 1],
            [0, 0],
            [0, 0],
            layer.settings["pool_size"],
            auto_pad=self._padding(layer),
        ).output(0)
        return _Value(node, inputs[0].scale)

    def _average_pool(self, layer: Layer, inputs: list[_Value]) -> _Value:
        self._demand(layer, padding="valid")
        size = layer.settings["pool_size"]
        node = ops.avg_pool(inputs[0].node, layer.settings["strides"], [0, 0], [0, 0], size, True)
        return _Value(node, inputs[0].scale)

    def _join(self, layer: Layer, inputs: list[_Value]) -> _Value:
        self._demand(layer, axis=-1)
        node = ops.concat([value.node for value in inputs], 1)
        return _Value(node, np.concatenate([value.scale for value in inputs]))

    def _average(self, layer: Layer, inputs: list[_Value]) -> _Value:
        total = _unscaled(inputs[0])
        for value in inputs[1:]:
            total = ops.add(total, _unscaled(value))
        mean = ops.multiply(total, _constant(1 / len(inputs)))
        return _Value(mean, np.ones_like(inputs[0].scale))

    def _take(self, layer: Layer, variable: str) -> Vector:
        return self._arrays.pop(f"{layer.name}/{variable}").astype(_FLOAT32)

    def _bias(self, layer: Layer, filters: int) -> Vector:
        if f"{layer.name}/bias" in self._arrays:
            return self._take(layer, "bias")
        return np.zeros(filters, dtype=_FLOAT32)

    def _factor_and_shift(self, layer: Layer) -> tuple[Vector, Vector]:
        gamma, beta, mean, variance = (
            self._take(layer, name) for name in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        factor = gamma / np.sqrt(variance + _FLOAT32(layer.settings["epsilon"]))
        return factor, beta - mean * factor

    def _only_reader(self, layer: Layer) -> Layer | None:
        if self._readers[layer.name] != 1:
            return None
        return next(reader for reader in self._graph if layer.name in reader.inputs)

    def _is_input(self, name: str) -> bool:
        """Whether a layer gives the slices themselves, at most rescaled."""
        layer = next(layer for layer in self._graph if layer.name == name)
        if layer.kind == "Rescaling":
            return self._is_input(layer.inputs[0])
        return layer.kind == "InputLayer"

    def _padding(self, layer: Layer) -> str:
        self._demand(layer, padding="same" if layer.settings["padding"] == "same" else "valid")
        return "same_upper" if layer.settings["padding"] == "same" else "valid"

    def _demand(self, layer: Layer, **settings: Any) -> None:
        for name, wanted in settings.items():
            if layer.settings[name] != wanted:
                raise self._unknown(layer, f"{name} {layer.settings[name]}")

    def _unknown(self, layer: Layer, got: str) -> UnknownLayer:
        return UnknownLayer(
            f"The OpenVINO engine does not know layer {layer.name} of {self._shown}",
            got=got,
            expected="kinds and settings of the project's own networks",
            next_step="run with the engine keras",
        )


def _to_grey(probability: _Value) -> Any:
    scaled = ops.multiply(_unscaled(probability), _constant(_GREY_MAX))
    return ops.convert(ops.round(scaled, "half_to_even"), "u8")


def _unscaled(value: _Value) -> Any:
    if (value.scale == 1).all():
        return value.node
    return ops.multiply(value.node, _per_channel(np.reciprocal(value.scale)))


def _constant(value: Any) -> Any:
    return ops.constant(np.ascontiguousarray(value, dtype=_FLOAT32))


def _per_channel(vector: Vector) -> Any:
    return _constant(vector.reshape(1, -1, 1, 1))


def _to_bfloat16(array: Vector) -> Vector:
    """Each value's nearest bfloat16, ties to even, as float32."""
    bits = np.ascontiguousarray(array).view(np.uint32)
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> 16) & np.uint32(1))) & np.uint32(0xFFFF0000)
    return rounded.view(np.float32)
