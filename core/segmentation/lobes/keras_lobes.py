"""The lobe network on Keras."""

from __future__ import annotations

import threading
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from core.config import LobeNetworkConfig
from core.errors import WeightsError
from core.segmentation.models.lobes import build_lobe_network

Floats = npt.NDArray[np.float32]


class KerasLobes:
    """A lobe network; one prediction at a time."""

    def __init__(self, config: LobeNetworkConfig, arrays: dict[str, Any], *, shown: str) -> None:
        """
        Args:
            shown: name of the weights, for errors.

        Raises:
            WeightsError: arrays do not fit the network.
        """
        model = build_lobe_network(config)
        wanted = {variable.path: tuple(variable.shape) for variable in model.weights}
        if wanted != {name: array.shape for name, array in arrays.items()}:
            raise WeightsError(
                f"The weights file of {shown} does not fit its network",
                got=f"{len(arrays)} arrays",
                expected=f"the {len(wanted)} of the network",
                next_step="restore weights and manifest from the same version",
            )
        for variable in model.weights:
            variable.assign(arrays[variable.path].astype(np.float32))
        self._start(model)

    @classmethod
    def of_model(cls, model: keras.Model) -> KerasLobes:
        """Of a network that has its arrays already."""
        made = cls.__new__(cls)
        made._start(model)
        return made

    def _start(self, model: keras.Model) -> None:
        self._model = model
        self._lock = threading.Lock()

    def predict(self, lungs: Floats) -> Floats:
        """(*grid, lobes) probabilities from (*grid, channels)."""
        with self._lock:
            return np.asarray(keras.ops.convert_to_numpy(self._model(lungs[None]))[0])
