"""The manifest of a classifier; reading it needs neither Keras nor the arrays."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from core.classification.combination import Combination
from core.classification.config import BandConfig, ClassifierModelConfig
from core.classification.lesions import LesionModel, read_lesions
from core.classification.scan import ScanModel
from core.config import check_ranges, from_json_dict
from core.errors import WeightsError, shown_name
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
DEFAULT_ID = "classifier-v3"
HEAD_PREFIX = "head/"
"""Of arrays that are not the encoder's."""


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
    combination: Combination
    lesions: LesionModel
    bands: BandConfig
    scan: ScanModel
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
            combination=from_json_dict(Combination, manifest["combination"]),
            lesions=read_lesions(manifest["lesions"]),
            bands=from_json_dict(BandConfig, manifest["bands"]),
            scan=from_json_dict(ScanModel, manifest["scan"]),
            fitness=from_json_dict(FitnessConfig, manifest["fitness"]),
            segmentation_id=segmentation_id,
            encoder_id=str(manifest["training"]["start"]),
            manifest_text=text,
        )
        return info

    return read_manifest_as(
        folder,
        build,
        kind=KIND,
        expected="JSON of a classifier: weights_id, title, file, graph, model and its rules",
    )


@dataclass(frozen=True, eq=False)
class Head:
    """What tells pictures of another kind, on a row of `core.classification.pooling`.

    Attributes:
        mean, scale: (columns,) of the training slices.
        axes: (columns, components), along which standardised rows of the training slices vary by
            one, most important first.
        axial: (components + 2,) of a logistic regression that separates axial chest slices from
            everything else: components, distance, bias.
    """

    mean: npt.NDArray[np.float32]
    scale: npt.NDArray[np.float32]
    axes: npt.NDArray[np.float32]
    axial: npt.NDArray[np.float32]


def read_classifier_arrays(info: ClassifierInfo) -> tuple[dict[str, npt.NDArray[Any]], Head]:
    """The network's arrays and the head.

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
    fits = set(kept) == wanted and kept["scale"].shape == kept["mean"].shape
    if not fits or kept["axes"].shape != (kept["mean"].size, kept["axial"].size - 2):
        raise WeightsError(
            f"The head of the classifier {info.weights_id} cannot be read",
            got=f"{len(kept)} arrays",
            expected=", ".join(sorted(wanted)) + " of one number of columns",
            next_step="restore weights and manifest from the same version",
        )
    return arrays, Head(**kept)
