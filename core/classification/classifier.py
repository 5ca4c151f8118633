"""The slice classifier: from frames to logits, maps of evidence and descriptions."""

from __future__ import annotations

import threading
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from core.classification.config import EVIDENCE, FEATURES
from core.classification.frames import Frames
from core.classification.info import (
    ClassifierInfo,
    Head,
    find_classifier,
    read_classifier_arrays,
)
from core.classification.lesions import lesion_logits
from core.classification.pooling import describe_slice, pool_evidence
from core.config import EngineName
from core.segmentation import read_stored_graph
from core.segmentation.engines import choose_engine, default_engine
from core.system import OnProgress, ShouldCancel, ignore_progress, never_cancel, raise_if_cancelled
from core.volume import FloatArray

_BATCH = 32
_loading = threading.Lock()
_classifiers: dict[tuple[str, str, str], Classifier] = {}
_MAX_CLASSIFIERS = 2
Vector = npt.NDArray[np.float64]


class Network(Protocol):
    """What turns slices into maps of features and of evidence."""

    def maps(
        self, slices: npt.NDArray[np.uint8]
    ) -> Generator[Sequence[FloatArray], None, None]: ...


@dataclass(frozen=True, eq=False)
class SlicePrediction:
    """The classifier's output for n slices.

    Attributes:
        logits: (n,) of the network alone, not calibrated.
        lesions: (n,) logits of what is marked alone, not calibrated together with the former.
        distance: (n,) how far the description is from those of the training slices; about 1 for
            these.
        axial: (n,) probability of being an axial chest slice.
        evidence: (n, height, width) what each cell adds to the network's logit.
    """

    logits: Vector
    lesions: Vector
    distance: Vector
    axial: Vector
    evidence: FloatArray

    def one(self, n: int) -> SlicePrediction:
        """The output for one slice."""
        own = slice(n, n + 1)
        return SlicePrediction(
            self.logits[own],
            self.lesions[own],
            self.distance[own],
            self.axial[own],
            self.evidence[own],
        )


class Classifier:
    """A trained classifier, ready: loaded once, shared by sessions."""

    def __init__(self, info: ClassifierInfo, network: Network, head: Head) -> None:
        self.info = info
        self._network = network
        self._head = head

    @property
    def weights_id(self) -> str:
        """Folder name of the weights."""
        return self.info.weights_id

    def predict(
        self,
        frames: Frames,
        *,
        on_progress: OnProgress = ignore_progress,
        should_cancel: ShouldCancel = never_cancel,
    ) -> SlicePrediction:
        """Classifies frames (n, rows, columns, 3) uint8 of `slice_frames`.

        Raises:
            Cancelled: between two batches.
        """
        model = self.info.model
        logits, evidence, rows = [], [], []
        shown = np.ascontiguousarray(frames[..., : model.channels])
        with closing(self._network.maps(shown)) as every:
            for n, maps in enumerate(every):
                if n % _BATCH == 0:
                    raise_if_cancelled(should_cancel, "classifying slices")
                    on_progress("classifying slices", n, len(frames))
                features, found = maps
                pooled = pool_evidence(found, frames[n, ..., 1:], model)
                logits.append(pooled.logit)
                evidence.append(pooled.evidence)
                rows.append(describe_slice(features, frames[n, ..., 1:]))
        on_progress("classifying slices", len(frames), len(frames))
        if not rows:
            none = np.zeros(0)
            return SlicePrediction(none, none, none, none, np.zeros((0, 1, 1), dtype=np.float32))
        distance, axial = likeness(np.stack(rows), self._head)
        return SlicePrediction(
            logits=np.array(logits),
            lesions=lesion_logits(frames, self.info.lesions),
            distance=distance,
            axial=axial,
            evidence=np.stack(evidence),
        )

    def network_probability(self, found: SlicePrediction) -> Vector:
        """(n,) calibrated probability by what the network sees."""
        rule = self.info.combination
        probabilities: Vector = expit(rule.network_alone.of(found.logits))
        return probabilities

    def lesion_probability(self, found: SlicePrediction) -> Vector:
        """(n,) calibrated probability by what is marked."""
        probabilities: Vector = expit(self.info.combination.lesions_alone.of(found.lesions))
        return probabilities

    def combined_logits(self, found: SlicePrediction) -> Vector:
        """(n,) calibrated logits of both together."""
        return self.info.combination.logits(found.logits, found.lesions)


def likeness(rows: npt.NDArray[np.float32], head: Head) -> tuple[Vector, Vector]:
    """How far descriptions (n, columns) are from those of the training slices, and the
    probability of being an axial chest slice."""
    along = ((rows - head.mean) / head.scale) @ head.axes
    distance = np.sqrt(np.mean(along**2, axis=1))
    axial = along @ head.axial[:-2] + head.axial[-2] * distance + head.axial[-1]
    return distance.astype(np.float64), expit(axial.astype(np.float64))


def heat(evidence: FloatArray) -> FloatArray:
    """Evidence (height, width) as heat in [0, 1]: evidence for COVID-19 over its maximum, 0 where
    there is none."""
    positive: FloatArray = np.maximum(evidence, np.float32(0))
    top = float(positive.max())
    return positive / np.float32(top) if top > 0 else positive


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
            arrays, head = read_classifier_arrays(info)
            _evict_oldest()
            _classifiers[key] = Classifier(info, _build_network(info, arrays, chosen), head)
        return _classifiers[key]


def _evict_oldest() -> None:
    while len(_classifiers) >= _MAX_CLASSIFIERS:
        del _classifiers[next(iter(_classifiers))]


def _build_network(
    info: ClassifierInfo, arrays: dict[str, npt.NDArray[Any]], engine: str
) -> Network:
    if engine == "openvino":
        from core.segmentation.engines.openvino_maps import OpenVinoMaps

        model = info.model
        return OpenVinoMaps(
            read_stored_graph(info),
            arrays,
            shape=(model.rows, model.columns, model.channels),
            maps=(FEATURES, EVIDENCE),
            shown=info.weights_id,
        )
    from core.classification.network import KerasMaps

    return KerasMaps(info.model, arrays, shown=info.weights_id)
