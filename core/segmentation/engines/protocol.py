"""The interface of every engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from core.config import PreprocessConfig
from core.errors import LungLensError
from core.segmentation.weights import WeightsInfo
from core.system import OnProgress, ShouldCancel


class EngineUnavailable(LungLensError):
    """An engine does not start on this machine or does not know the network; another may work."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a network gives for slices.

    Attributes:
        pixels: (channels, n, rows, columns) uint8: probability times 255.
        presence: (channels, n) uint8: the probability, times 255, that a slice shows any of it;
            none where the network has no slice head.
    """

    pixels: npt.NDArray[np.uint8]
    presence: npt.NDArray[np.uint8] | None = None


class Engine(Protocol):
    """A trained network, loaded and ready, shared by sessions."""

    @property
    def device(self) -> str:
        """Name of the device and its precision, for people."""

    @property
    def info(self) -> WeightsInfo:
        """The weights."""

    @property
    def preprocess(self) -> PreprocessConfig:
        """How slices must be prepared for it."""

    @property
    def fallback_reason(self) -> str:
        """Why it runs in place of the usual engine, a sentence; empty where it is that one, or
        was asked for."""

    @property
    def weights_id(self) -> str:
        """Folder name of the weights."""

    def warm_up(self, batch_size: int) -> None:
        """Does in advance what only the first prediction would take time for."""

    def predict(
        self,
        frames: npt.NDArray[np.uint8],
        *,
        batch_size: int,
        on_progress: OnProgress = ...,
        should_cancel: ShouldCancel = ...,
    ) -> Prediction:
        """From slices (n, rows, columns) to probabilities."""
