"""Networks of arrays, ready to give their maps, in float32 on OpenVINO."""

from __future__ import annotations

from collections.abc import Sequence

from core.classification.classifier import Network
from core.classification.config import EVIDENCE, FEATURES, ClassifierModelConfig
from core.classification.learning.arrays import Arrays
from core.segmentation import describe_graph


def network_of(arrays: Arrays, model: ClassifierModelConfig) -> Network:
    """A trained network, for features and evidence."""
    from core.classification.network import fill_network

    return _maps(
        fill_network(model, arrays, shown="the trained network"), model, (FEATURES, EVIDENCE)
    )


def lower_network(arrays: Arrays, model: ClassifierModelConfig) -> Network:
    """The lower stages, which are those of segmentation weights."""
    from core.classification.network import build_network, lower_maps, start_from

    network = build_network(model)
    start_from(network, arrays, shown="the segmentation weights")
    return _maps(network, model, lower_maps())


def _maps(network: object, model: ClassifierModelConfig, names: Sequence[str]) -> Network:
    from core.segmentation.engines.openvino_maps import OpenVinoMaps

    weights = {variable.path: variable.numpy() for variable in network.weights}  # type: ignore[attr-defined]
    return OpenVinoMaps(
        describe_graph(network),
        weights,
        shape=(model.rows, model.columns, model.channels),
        maps=names,
        shown="the network",
    )
