"""What the manifest of a classifier says; reading it needs neither Keras nor the arrays."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from core.classification.config import BandConfig, ClassifierModelConfig
from core.config import from_json_dict
from core.errors import ConfigError, WeightsError, shown_name
from core.segmentation import MANIFEST_NAME, manifest_kind, read_arrays
from core.system import WEIGHTS_FOLDER

KIND = "classifier"
DEFAULT_ID = "classifier-v1"
HEAD_PREFIX = "head/"
"""Of arrays that are not the encoder's."""


@dataclass(frozen=True)
class ScanConfig:
    """The rule from slices to a scan; see `core.classification.scan`."""

    most_slices: int = 32
    """Slices looked at, evenly spread over those with enough lung."""
    lung_of_largest: float = 0.4
    """A slice counts if its lung is at least this share of the largest lung of a slice."""
    driving_share: float = 1 / 3
    """The most suspicious slices whose mean speaks for the scan."""
    half_share: float = 0.01
    """Infected share of the lung that speaks neither for nor against."""
    share_steepness: float = 1.2
    """Change of the logit when the infected share grows by e."""
    share_weight: float = 0.5
    """Of the infected share beside the slices."""


@dataclass(frozen=True)
class FitnessConfig:
    """When a slice is none that the classifier can judge."""

    min_lung_share: float = 0.03
    """Of the picture: less is too little lung."""
    max_distance: float = 1000.0
    """Root mean square of its features along the main axes of those of the slices learned
    from: a Mahalanobis distance, about 1 for these."""
    min_axial: float = 0.0
    """Probability of being an axial chest slice."""
    min_contrast: float = 8.0
    """Standard deviation of grey levels."""


@dataclass(frozen=True)
class ClassifierInfo:
    """A classifier on disk."""

    weights_id: str
    title: str
    folder: Path
    sha256: str
    graph_sha256: str
    model: ClassifierModelConfig
    temperature: float
    bands: BandConfig
    scan: ScanConfig
    fitness: FitnessConfig
    segmentation_id: str
    """Segmentation weights whose masks it learned with."""
    encoder_id: str
    """Segmentation weights that its encoder comes from."""
    manifest_text: str

    @property
    def manifest(self) -> dict[str, Any]:
        """The whole manifest."""
        manifest: dict[str, Any] = json.loads(self.manifest_text)
        return manifest


def find_classifier(
    weights_id: str | None = None, *, folder: Path = WEIGHTS_FOLDER
) -> ClassifierInfo:
    """The classifier of that id, or the one marked as default.

    Raises:
        WeightsError: there is none, or its manifest cannot be read.
    """
    known = sorted(
        path.parent
        for path in folder.glob(f"*/{MANIFEST_NAME}")
        if manifest_kind(path.parent) == KIND
    )
    if not known:
        raise WeightsError(
            "No classifier is installed",
            got="no weights of that kind",
            expected=f"weights/{DEFAULT_ID}/{MANIFEST_NAME}",
            next_step="take the repository with its weights/, or train one with "
            "'python -m core train-classifier'",
        )
    if weights_id is None:
        infos = [read_classifier_manifest(path) for path in known]
        return next((info for info in infos if info.manifest.get("default")), infos[0])
    for path in known:
        if path.name == weights_id:
            return read_classifier_manifest(path)
    raise WeightsError(
        "Unknown classifier",
        got=shown_name(weights_id),
        expected="one of " + ", ".join(path.name for path in known),
    )


def read_classifier_manifest(folder: Path) -> ClassifierInfo:
    """The manifest of one classifier.

    Raises:
        WeightsError: it is missing, no JSON, or lacks something.
    """
    shown = f"{shown_name(folder)}/{MANIFEST_NAME}"
    try:
        text = (folder / MANIFEST_NAME).read_text(encoding="utf-8")
        manifest = json.loads(text)
        info = ClassifierInfo(
            weights_id=str(manifest["weights_id"]),
            title=str(manifest["title"]),
            folder=folder,
            sha256=str(manifest["file"]["sha256"]),
            graph_sha256=str(manifest["graph"]["sha256"]),
            model=from_json_dict(ClassifierModelConfig, manifest["model"]),
            temperature=float(manifest["temperature"]),
            bands=from_json_dict(BandConfig, manifest["bands"]),
            scan=from_json_dict(ScanConfig, manifest["scan"]),
            fitness=from_json_dict(FitnessConfig, manifest["fitness"]),
            segmentation_id=str(manifest["segmentation"]["weights_id"]),
            encoder_id=str(
                manifest.get("training", {}).get("encoder_of")
                or manifest["segmentation"]["weights_id"]
            ),
            manifest_text=text,
        )
        usable = info.temperature > 0 and info.weights_id == folder.name
    except (OSError, ValueError, KeyError, TypeError, RecursionError, ConfigError) as error:
        raise _unreadable(shown, type(error).__name__) from error
    if not usable:
        raise _unreadable(shown, "another id than its folder's, or no temperature")
    return info


def _unreadable(shown: str, got: str) -> WeightsError:
    return WeightsError(
        f"The manifest {shown} cannot be read",
        got=got,
        expected="JSON of a classifier: weights_id, title, file, graph, model, temperature and "
        "its rules",
        next_step="restore the file from the repository",
    )


@dataclass(frozen=True, eq=False)
class Head:
    """What is made of a row of features.

    Attributes:
        mean, scale: (features,) of the slices learned from.
        weights: (3, features) of the standardised features, bias: (3,): the head for pictures of
            papers (UCSD), that for pictures as those of SARS-COV-2, and how much a picture looks
            like the latter; see `core.classification.fitting.Mixture`.
        axes: (features, components), along which standardised features of the slices learned
            from vary by one, most important first.
        axial: (components + 2,) of a logistic regression that tells axial chest slices from all
            else: components, distance, bias.
    """

    mean: npt.NDArray[np.float32]
    scale: npt.NDArray[np.float32]
    weights: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]
    axes: npt.NDArray[np.float32]
    axial: npt.NDArray[np.float32]


def read_classifier_arrays(info: ClassifierInfo) -> tuple[dict[str, npt.NDArray[Any]], Head]:
    """The encoder's arrays and the head.

    Raises:
        WeightsError: the file is missing, has another sha256, or holds anything else.
    """
    arrays = read_arrays(info)
    kept = {
        name.removeprefix(HEAD_PREFIX): arrays.pop(name).astype(np.float32)
        for name in list(arrays)
        if name.startswith(HEAD_PREFIX)
    }
    wanted = {field.name for field in fields(Head)}
    features = kept["mean"].size if "mean" in kept else 0
    fits = (
        set(kept) == wanted
        and kept["scale"].shape == (features,)
        and kept["weights"].shape == (3, features)
        and kept["bias"].shape == (3,)
    )
    if not fits or kept["axes"].shape != (features, kept["axial"].size - 2):
        raise WeightsError(
            f"The head of the classifier {info.weights_id} cannot be read",
            got=f"{len(kept)} arrays",
            expected=", ".join(sorted(wanted)) + " of one number of features",
            next_step="restore weights and manifest from the same version",
        )
    return arrays, Head(**kept)
