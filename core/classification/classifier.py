"""The slice classifier: from frames to features, logits and maps of evidence."""

from __future__ import annotations

import threading
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from core.classification.config import filter_counts, map_names
from core.classification.features import bottom_mean_weights, pool_features
from core.classification.fitting import mix
from core.classification.info import (
    ClassifierInfo,
    Head,
    find_classifier,
    read_classifier_arrays,
)
from core.config import EngineName
from core.segmentation import read_stored_graph
from core.segmentation.engines import choose_engine, default_engine
from core.system import OnProgress, ShouldCancel, ignore_progress, never_cancel, raise_if_cancelled
from core.volume import FloatArray

_BATCH = 32
_loading = threading.Lock()
_classifiers: dict[tuple[str, str, str], Classifier] = {}
_MAX_CLASSIFIERS = 2


class Encoder(Protocol):
    """A network that turns slices into maps of features."""

    def maps(
        self, slices: npt.NDArray[np.uint8]
    ) -> Generator[Sequence[FloatArray], None, None]: ...


@dataclass(frozen=True, eq=False)
class SlicePrediction:
    """The classifier's output for n slices.

    Attributes:
        logits: (n,) before the temperature.
        distance: (n,) how far the features are from those of the training slices; about 1 for
            these.
        axial: (n,) probability of being an axial chest slice.
        evidence: (n, height, width) of `heat`, not cut off.
    """

    logits: npt.NDArray[np.float64]
    distance: npt.NDArray[np.float64]
    axial: npt.NDArray[np.float64]
    evidence: FloatArray

    def one(self, n: int) -> SlicePrediction:
        """The output for one slice."""
        own = slice(n, n + 1)
        return SlicePrediction(
            self.logits[own], self.distance[own], self.axial[own], self.evidence[own]
        )


class Classifier:
    """A trained classifier, ready: loaded once, shared by sessions."""

    def __init__(self, info: ClassifierInfo, encoder: Encoder, head: Head) -> None:
        self.info = info
        self._encoder = encoder
        self._head = head
        filters = filter_counts(info.model)
        self._bottom_weights = np.stack(
            [
                bottom_mean_weights(
                    (weights / head.scale).astype(np.float64),
                    filters,
                    with_masks=info.model.with_masks,
                )
                for weights in head.weights[:2]
            ]
        ).astype(np.float32)

    @property
    def weights_id(self) -> str:
        """Folder name of the weights."""
        return self.info.weights_id

    def predict(
        self,
        frames: npt.NDArray[np.uint8],
        *,
        on_progress: OnProgress = ignore_progress,
        should_cancel: ShouldCancel = never_cancel,
    ) -> SlicePrediction:
        """Classifies frames (n, side, side, 3) uint8 of `slice_frames`.

        Raises:
            Cancelled: between two batches.
        """
        rows, evidence = [], []
        masks = frames[..., 1:] if self.info.model.with_masks else None
        with closing(self._encoder.maps(frames[..., 0])) as every:
            for n, maps in enumerate(every):
                if n % _BATCH == 0:
                    raise_if_cancelled(should_cancel, "classifying slices")
                    on_progress("classifying slices", n, len(frames))
                rows.append(pool_features(maps, None if masks is None else masks[n]))
                evidence.append(np.tensordot(self._bottom_weights, maps[-1], axes=1))
        on_progress("classifying slices", len(frames), len(frames))
        if not rows:
            none = np.zeros(0)
            return SlicePrediction(none, none, none, np.zeros((0, 1, 1), dtype=np.float32))
        return predict_features(np.stack(rows), self._head, np.stack(evidence))

    def probability(self, logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Calibrated probabilities of logits."""
        probabilities: npt.NDArray[np.float64] = expit(logits / self.info.temperature)
        return probabilities


def predict_features(
    rows: npt.NDArray[np.float32], head: Head, evidence: FloatArray
) -> SlicePrediction:
    """The head's output for features (n, features).

    Args:
        evidence: (n, 2, height, width), of both heads.
    """
    standard = (rows - head.mean) / head.scale
    logits = (standard @ head.weights.T + head.bias).astype(np.float64)
    along = standard @ head.axes
    distance = np.sqrt(np.mean(along**2, axis=1))
    axial = along @ head.axial[:-2] + head.axial[-2] * distance + head.axial[-1]
    share = expit(logits[:, 2]).astype(np.float32)[:, None, None]
    return SlicePrediction(
        logits=mix(*logits.T),
        distance=distance.astype(np.float64),
        axial=expit(axial.astype(np.float64)),
        evidence=(1 - share) * evidence[:, 0] + share * evidence[:, 1],
    )


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
            _classifiers[key] = Classifier(info, _build_encoder(info, arrays, chosen), head)
        return _classifiers[key]


def _evict_oldest() -> None:
    while len(_classifiers) >= _MAX_CLASSIFIERS:
        del _classifiers[next(iter(_classifiers))]


def _build_encoder(
    info: ClassifierInfo, arrays: dict[str, npt.NDArray[Any]], engine: str
) -> Encoder:
    if engine == "openvino":
        from core.segmentation.engines.openvino_maps import OpenVinoMaps

        return OpenVinoMaps(
            read_stored_graph(info),
            arrays,
            shape=(info.model.side, info.model.side),
            maps=map_names(info.model),
            shown=info.weights_id,
        )
    from core.classification.network import KerasMaps

    return KerasMaps(info.model, arrays, shown=info.weights_id)
