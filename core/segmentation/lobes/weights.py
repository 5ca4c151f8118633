"""Weights of the lobe network: what their manifest says, and the network ready to run."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from core.config import LobeNetworkConfig, from_json_dict
from core.errors import ConfigError, WeightsError
from core.segmentation.engines.protocol import EngineUnavailable
from core.segmentation.manifests import Manifest, StoredWeights, list_kind, read_manifest_as
from core.segmentation.weights_files import read_arrays, read_stored_graph
from core.system import WEIGHTS_FOLDER

KIND = "lobes"
SHAPE_ARRAY = "shape/mean"
"""Mean of the lungs that the network learned from, on a coarse grid; no array of the network."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class LobeWeightsInfo(StoredWeights):
    """The manifest of a lobe network.

    Attributes:
        mean_dice: over lobes and patients, each by a network that had not met the patient.
    """

    network: LobeNetworkConfig
    mean_dice: float


class LobePredictor(Protocol):
    """A lobe network, whatever runs it."""

    def predict(self, lungs: Floats) -> Floats:
        """(*grid, 5) probabilities from (*grid, 4) of `network_input`."""


@dataclass(frozen=True, eq=False)
class LobeNetwork:
    """A lobe network, ready: loaded once per process.

    Attributes:
        mean_lungs: share of patients whose lungs reach there, on a grid coarser than the network's.
    """

    info: LobeWeightsInfo
    predictor: LobePredictor
    mean_lungs: Floats


def read_lobe_manifest(folder: Path) -> LobeWeightsInfo:
    """The manifest of one folder.

    Raises:
        WeightsError: see `core.segmentation.manifests.read_manifest_as`.
    """

    def build(manifest: Manifest, text: str) -> LobeWeightsInfo:
        mean_dice = float(manifest["validation"]["mean_dice"])
        if not 0.0 <= mean_dice <= 1.0:
            raise ConfigError(
                "The mean Dice is out of range", got=f"{mean_dice:g}", expected="0 to 1"
            )
        return LobeWeightsInfo(
            weights_id=str(manifest["weights_id"]),
            title=str(manifest["title"]),
            folder=folder,
            sha256=str(manifest["file"]["sha256"]),
            graph_sha256=str(manifest["graph"]["sha256"]),
            is_default=bool(manifest.get("default", False)),
            network=from_json_dict(LobeNetworkConfig, manifest["network"]),
            mean_dice=mean_dice,
            manifest_text=text,
        )

    return read_manifest_as(
        folder,
        build,
        kind=KIND,
        expected="JSON of a lobe network: weights_id, title, file, graph, network and validation",
    )


def find_lobe_weights(folder: Path = WEIGHTS_FOLDER) -> LobeWeightsInfo | None:
    """The lobe weights marked as default, else the first; none where none are installed.

    Raises:
        WeightsError: there are some, and they cannot be used.
    """
    found = list_kind(folder, read_lobe_manifest, kind=KIND)
    info = found.default()
    if info is None and found.unusable:
        raise found.unusable[0].error
    return info


def read_lobe_arrays(info: LobeWeightsInfo) -> tuple[dict[str, Any], Floats]:
    """The network's arrays, and the mean of the lungs it learned from.

    Raises:
        WeightsError: the file is missing, damaged or incomplete.
    """
    arrays = read_arrays(info)
    mean = arrays.pop(SHAPE_ARRAY, None)
    if mean is None or mean.ndim != 3:
        raise WeightsError(
            f"The weights file of {info.weights_id} is incomplete",
            got=f"no {SHAPE_ARRAY}",
            expected="the mean of the lungs the network was trained on",
            next_step="restore it from the repository",
        )
    return arrays, np.asarray(mean, dtype=np.float32)


_loading = threading.Lock()
_loaded: dict[tuple[str, str], LobeNetwork] = {}


def load_lobe_network(folder: Path = WEIGHTS_FOLDER) -> LobeNetwork | None:
    """The installed lobe network, loaded once per process; none where none is installed.

    Raises:
        WeightsError: its files are missing or damaged.
    """
    info = find_lobe_weights(folder)
    if info is None:
        return None
    with _loading:
        key = (str(info.folder), info.sha256)
        if key not in _loaded:
            _loaded.clear()
            arrays, mean_lungs = read_lobe_arrays(info)
            _loaded[key] = LobeNetwork(info, _predictor(info, arrays), mean_lungs)
        return _loaded[key]


def _predictor(info: LobeWeightsInfo, arrays: dict[str, Any]) -> LobePredictor:
    if find_spec("openvino") is not None:
        try:
            from core.segmentation.lobes.openvino_lobes import OpenVinoLobes

            shape = (*info.network.grid, 4)
            return OpenVinoLobes(read_stored_graph(info), arrays, shape=shape)
        # Installed for another system, or on a processor that it does not take.
        except (ImportError, OSError, EngineUnavailable):
            pass
    from core.segmentation.lobes.keras_lobes import KerasLobes

    return KerasLobes(info.network, arrays, shown=info.weights_id)
