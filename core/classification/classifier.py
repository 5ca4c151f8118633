"""The slice classifier at work: from frames to logits, features and maps of evidence."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from core.classification.config import INPUT_CHANNELS
from core.classification.info import (
    ClassifierInfo,
    Outlook,
    find_classifier,
    read_classifier_arrays,
)
from core.config import EngineName
from core.engines import choose_engine, default_engine
from core.progress import (
    OnProgress,
    ShouldCancel,
    ignore_progress,
    never_cancel,
    raise_if_cancelled,
)
from core.volume import FloatArray
from core.weights import read_stored_graph

_BATCH = 32
_loading = threading.Lock()
_classifiers: dict[tuple[str, str, str], Classifier] = {}
_MAX_CLASSIFIERS = 2


class _Network(Protocol):
    def predict(self, frames: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]: ...


@dataclass(frozen=True, eq=False)
class Sight:
    """What the network makes of n slices, each seen as it is and mirrored.

    Attributes:
        logits: (n,) before the temperature.
        evidence: (n, height, width) whose mean is the logit, upright and unmirrored.
        distance: (n,) Mahalanobis distance of the features from ordinary ones, over the root of
            their number; 0 without an outlook.
        axial: (n,) probability of being an axial chest slice; 1 without an outlook.
    """

    logits: npt.NDArray[np.float64]
    evidence: npt.NDArray[np.float32]
    distance: npt.NDArray[np.float64]
    axial: npt.NDArray[np.float64]


class Classifier:
    """A trained classifier, ready: loaded once, shared by sessions."""

    def __init__(
        self, info: ClassifierInfo, network: _Network, outlook: Outlook | None, *, bias: float
    ) -> None:
        self.info = info
        self._network = network
        self._outlook = outlook
        self.bias = bias
        """What the logit is where there is no evidence at all."""

    @property
    def weights_id(self) -> str:
        """Folder name of the weights."""
        return self.info.weights_id

    def look(
        self,
        frames: npt.NDArray[np.uint8],
        *,
        on_progress: OnProgress = ignore_progress,
        should_cancel: ShouldCancel = never_cancel,
    ) -> Sight:
        """What the network makes of frames (n, side, side, 3) uint8 of `slice_frames`.

        Raises:
            Cancelled: between two batches.
        """
        shown = frames[..., : self.info.model.channels]
        maps = []
        for start in range(0, len(shown), _BATCH):
            raise_if_cancelled(should_cancel, "judging slices")
            on_progress("judging slices", start, len(shown))
            batch = shown[start : start + _BATCH]
            mirrored = self._network.predict(np.ascontiguousarray(batch[:, :, ::-1]))
            maps.append((self._network.predict(batch) + mirrored[:, :, ::-1]) / np.float32(2))
        on_progress("judging slices", len(shown), len(shown))
        if not maps:
            none = np.zeros(0)
            return Sight(none, np.zeros((0, 1, 1), dtype=np.float32), none, none)
        seen = np.concatenate(maps)
        evidence = np.ascontiguousarray(seen[..., 0])
        distance, axial = _compare(seen[..., 1:].mean(axis=(1, 2)), self._outlook)
        return Sight(
            logits=evidence.mean(axis=(1, 2)).astype(np.float64),
            evidence=evidence,
            distance=distance,
            axial=axial,
        )

    def probability(self, logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Calibrated probabilities of logits."""
        probabilities: npt.NDArray[np.float64] = expit(logits / self.info.temperature)
        return probabilities

    def heat(self, evidence: FloatArray) -> FloatArray:
        """Evidence (height, width) as heat in [0, 1]: what speaks for COVID-19 over its maximum,
        0 where nothing does."""
        positive = np.maximum(evidence - np.float32(self.bias), np.float32(0))
        top = float(positive.max())
        return positive / np.float32(top) if top > 0 else positive


def _compare(
    features: npt.NDArray[np.float32], outlook: Outlook | None
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    if outlook is None:
        return np.zeros(len(features)), np.ones(len(features))
    white = whitened(features, outlook)
    distance = np.sqrt(np.mean(white**2, axis=1))
    axial = expit(white @ outlook.axial[:-1] + outlook.axial[-1])
    return distance.astype(np.float64), axial.astype(np.float64)


def whitened(features: npt.NDArray[np.float32], outlook: Outlook) -> npt.NDArray[np.float32]:
    """Features (n, features) on axes along which ordinary ones vary by about one."""
    white: npt.NDArray[np.float32] = (features - outlook.mean) @ outlook.whitening
    return white


def load_classifier(
    weights_id: str | None = None, *, engine: EngineName | None = None
) -> Classifier:
    """The classifier of that id, or the default one, loaded once per process.

    Args:
        engine: what computes it; none takes what the environment asks for, else what is fastest.

    Raises:
        WeightsError: weights are missing, damaged or unknown.
        ConfigError: the engine asked for is not installed.
    """
    return load_from_info(find_classifier(weights_id), engine=engine)


def load_from_info(info: ClassifierInfo, *, engine: EngineName | None = None) -> Classifier:
    """`load_classifier` for a manifest that was read already."""
    chosen = choose_engine(engine or default_engine())
    key = (str(info.folder), info.sha256, chosen)
    with _loading:
        if key not in _classifiers:
            arrays, outlook = read_classifier_arrays(info)
            biases = [float(arrays[name][0]) for name in arrays if name.endswith("evidence/bias")]
            network: _Network
            if chosen == "openvino":
                from core.engines.openvino_maps import OpenVinoMaps

                assert info.graph_sha256 is not None
                network = OpenVinoMaps(
                    read_stored_graph(info, info.graph_sha256),
                    arrays,
                    shape=(info.model.side, info.model.side),
                    channels=len(INPUT_CHANNELS[: info.model.channels]),
                    shown=info.weights_id,
                )
            else:
                from core.classification.network import KerasMaps

                network = KerasMaps(info.model, arrays, shown=info.weights_id)
            while len(_classifiers) >= _MAX_CLASSIFIERS:
                del _classifiers[next(iter(_classifiers))]
            _classifiers[key] = Classifier(
                info, network, outlook, bias=float(np.mean(biases)) if biases else 0.0
            )
        return _classifiers[key]
