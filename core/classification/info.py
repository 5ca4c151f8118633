"""The manifest of a classifier; reading it needs neither Keras nor the arrays."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from core.classification.config import BandConfig, ClassifierModelConfig
from core.config import check_ranges, from_json_dict
from core.errors import ConfigError, WeightsError, shown_name
from core.segmentation import (
    MANIFEST_NAME,
    Manifest,
    StoredWeights,
    list_kind,
    read_arrays,
    read_manifest_as,
)
from core.system import WEIGHTS_FOLDER

KIND = "classifier"
DEFAULT_ID = "classifier-v2"
HEAD_PREFIX = "head/"
"""Of arrays that are not the encoder's."""


@dataclass(frozen=True)
class ScanConfig:
    """The rule from slices to a scan; see `core.classification.scan`."""

    most_slices: int = 32
    """Slices that are classified at most, evenly spread over those with enough lung."""
    lung_of_largest: float = 0.4
    """A slice counts if its lung is at least this share of the largest lung of a slice."""
    most_suspicious_share: float = 1 / 3
    """Share of the slices, the most suspicious ones, whose mean counts for the scan."""
    half_share: float = 0.01
    """Infected share of the lung at which the burden counts neither for nor against."""
    share_steepness: float = 1.2
    """Change of the logit when the infected share grows by e."""
    share_weight: float = 0.5
    """Of the infected share beside the slices."""

    def __post_init__(self) -> None:
        check_ranges(
            self,
            {
                "most_slices": (1, 10_000),
                "lung_of_largest": (0.0, 1.0),
                "most_suspicious_share": (0.001, 1.0),
                "half_share": (1e-6, 1.0),
                "share_steepness": (0.0, 100.0),
                "share_weight": (0.0, 1.0),
            },
        )


@dataclass(frozen=True)
class FitnessConfig:
    """When a slice cannot be classified."""

    min_lung_share: float = 0.03
    """Of the picture: less is too little lung."""
    max_distance: float = 1000.0
    """Root mean square of its features along the main axes of those of the training slices: a
    Mahalanobis distance, about 1 for these."""
    min_axial: float = 0.0
    """Probability of being an axial chest slice."""
    min_contrast: float = 8.0
    """Standard deviation of grey levels."""

    def __post_init__(self) -> None:
        check_ranges(
            self,
            {
                "min_lung_share": (0.0, 1.0),
                "max_distance": (0.0, 1e6),
                "min_axial": (0.0, 1.0),
                "min_contrast": (0.0, 255.0),
            },
        )


@dataclass(frozen=True, kw_only=True)
class ClassifierInfo(StoredWeights):
    """The manifest of a classifier.

    Attributes:
        segmentation_id: segmentation weights whose masks it was trained with.
        encoder_id: segmentation weights that its encoder comes from.
    """

    model: ClassifierModelConfig
    temperature: float
    bands: BandConfig
    scan: ScanConfig
    fitness: FitnessConfig
    segmentation_id: str
    encoder_id: str


def find_classifier(
    weights_id: str | None = None, *, folder: Path = WEIGHTS_FOLDER
) -> ClassifierInfo:
    """The classifier of that id, or the one marked as default.

    Raises:
        WeightsError: there is none, or its manifest cannot be read. Where the default one
            cannot be read, no other takes its place.
    """
    found = list_kind(folder, read_classifier_manifest, kind=KIND)
    if weights_id is None:
        info = found.default()
        if info is not None:
            return info
        raise found.unusable[0].error if found.unusable else _none_installed()
    for one in found.usable:
        if one.weights_id == weights_id:
            return one
    for broken in found.unusable:
        if broken.weights_id == weights_id:
            raise broken.error
    raise WeightsError(
        "Unknown classifier",
        got=shown_name(weights_id),
        expected="one of " + (", ".join(one.weights_id for one in found.usable) or "none"),
    )


def _none_installed() -> WeightsError:
    return WeightsError(
        "No classifier is installed",
        got="no weights of that kind",
        expected=f"weights/{DEFAULT_ID}/{MANIFEST_NAME}",
        next_step="get the repository with its weights/, or train one with "
        "'python -m core train-classifier'",
    )


def read_classifier_manifest(folder: Path) -> ClassifierInfo:
    """The manifest of one classifier.

    Raises:
        WeightsError: see `core.segmentation.manifests.read_manifest_as`.
    """

    def build(manifest: Manifest, text: str) -> ClassifierInfo:
        segmentation_id = str(manifest["segmentation"]["weights_id"])
        info = ClassifierInfo(
            weights_id=str(manifest["weights_id"]),
            title=str(manifest["title"]),
            folder=folder,
            sha256=str(manifest["file"]["sha256"]),
            graph_sha256=str(manifest["graph"]["sha256"]),
            is_default=bool(manifest.get("default", False)),
            model=from_json_dict(ClassifierModelConfig, manifest["model"]),
            temperature=float(manifest["temperature"]),
            bands=from_json_dict(BandConfig, manifest["bands"]),
            scan=from_json_dict(ScanConfig, manifest["scan"]),
            fitness=from_json_dict(FitnessConfig, manifest["fitness"]),
            segmentation_id=segmentation_id,
            encoder_id=str(manifest.get("training", {}).get("encoder_of") or segmentation_id),
            manifest_text=text,
        )
        if not 0.0 < info.temperature <= 1000.0:
            raise ConfigError(
                "Setting temperature is out of range",
                got=f"{info.temperature:g}",
                expected="above 0, at most 1000",
            )
        return info

    return read_manifest_as(
        folder,
        build,
        kind=KIND,
        expected="JSON of a classifier: weights_id, title, file, graph, model, temperature above 0 "
        "and its rules",
    )


@dataclass(frozen=True, eq=False)
class Head:
    """The regressions on a row of features.

    Attributes:
        mean, scale: (features,) of the training slices.
        weights: (3, features) of the standardised features, bias: (3,): the head for pictures of
            papers (UCSD), that for pictures as those of SARS-COV-2, and how much a picture looks
            like the latter; see `core.classification.fitting.Mixture`.
        axes: (features, components), along which standardised features of the training slices
            vary by one, most important first.
        axial: (components + 2,) of a logistic regression that separates axial chest slices from
            everything else: components, distance, bias.
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
