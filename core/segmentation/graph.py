"""A network described layer by layer, so that engines without Keras can build it.

Only what a layer computes at prediction is kept: its kind, its name (which its arrays carry too),
where its input comes from, and the few settings that matter.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.errors import WeightsError

if TYPE_CHECKING:
    import keras

PRESENCE = "presence"
"""Layer of a slice head: (n, channels), the probability that a slice shows any of a channel."""

_SETTINGS: dict[str, tuple[str, ...]] = {
    "Conv2D": ("strides", "padding", "dilation_rate", "groups", "activation"),
    "Conv2DTranspose": ("strides", "padding", "dilation_rate", "activation"),
    "Conv3D": ("strides", "padding", "activation"),
    "Conv3DTranspose": ("strides", "padding", "activation"),
    "DepthwiseConv2D": (
        "strides",
        "padding",
        "dilation_rate",
        "depth_multiplier",
        "activation",
    ),
    "Dense": ("activation",),
    "BatchNormalization": ("epsilon",),
    "GroupNormalization": ("groups", "epsilon"),
    "Activation": ("activation",),
    "MaxPooling2D": ("pool_size", "strides", "padding"),
    "UpSampling2D": ("size", "interpolation"),
    "Concatenate": ("axis",),
    "Rescaling": ("scale", "offset"),
}
"""Kinds that keep settings; all others keep only kind, name and inputs."""


@dataclass(frozen=True)
class Layer:
    """One step of a network, in terms of Keras."""

    kind: str
    name: str
    inputs: tuple[str, ...]
    """Names of the layers it reads, in order."""
    settings: dict[str, Any]


Graph = tuple[Layer, ...]
"""Layers in an order in which each comes after those it reads; the last gives the pixels'
probabilities, and one named `PRESENCE` is an output too."""


def describe_graph(model: keras.Model) -> Graph:
    """The layers of a functional model with one input, and pixels as its first output."""
    config = model.get_config()
    layers = tuple(_layer(entry) for entry in config["layers"])
    output = _names_of_outputs(config["output_layers"])[0]
    last = next(layer for layer in layers if layer.name == output)
    return (*(layer for layer in layers if layer is not last), last)


def _layer(entry: dict[str, Any]) -> Layer:
    kind = str(entry["class_name"])
    kept = _SETTINGS.get(kind, ())
    return Layer(
        kind=kind,
        name=str(entry["name"]),
        inputs=tuple(_names_read(entry["inbound_nodes"])),
        settings={name: _plain(entry["config"][name]) for name in kept},
    )


def _names_of_outputs(value: Any) -> list[str]:
    """Keras lists [name, node, tensor] for one output, and a list of such for several."""
    return [str(entry[0]) for entry in ([value] if isinstance(value[0], str) else value)]


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _names_read(value: Any) -> list[str]:
    """Names in Keras's nest of lists and dictionaries, wherever it holds a tensor's history."""
    if isinstance(value, dict):
        if "keras_history" in value:
            return [str(value["keras_history"][0])]
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [name for item in value for name in _names_read(item)]
    return []


def graph_to_text(graph: Graph) -> str:
    """JSON, one line per layer."""
    rows = (
        json.dumps([layer.kind, layer.name, list(layer.inputs), layer.settings]) for layer in graph
    )
    return "[\n" + ",\n".join(rows) + "\n]\n"


def graph_from_text(text: str, *, shown: str) -> Graph:
    """The inverse of `graph_to_text`.

    Args:
        shown: name of the file, for the error.

    Raises:
        WeightsError: the text is not of this form, or a layer reads one that
            does not come before it.
    """
    try:
        graph = tuple(
            Layer(str(kind), str(name), tuple(map(str, inputs)), dict(settings))
            for kind, name, inputs, settings in json.loads(text)
        )
    except (ValueError, TypeError, RecursionError) as error:
        raise _unreadable(shown, "a damaged list of layers") from error
    known: set[str] = set()
    for layer in graph:
        if layer.name in known or not known.issuperset(layer.inputs):
            raise _unreadable(shown, "layers out of order")
        known.add(layer.name)
    if not graph:
        raise _unreadable(shown, "no layer")
    return graph


def _unreadable(shown: str, got: str) -> WeightsError:
    return WeightsError(
        f"The graph {shown} cannot be read",
        got=got,
        expected="one layer per line, each after those it reads",
        next_step="restore the file from the repository",
    )
