"""A small classifier with random weights, stored as weights of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from core.classification.combination import Combination, Line
from core.classification.config import ClassifierModelConfig
from core.classification.info import FitnessConfig, Head
from core.classification.learning.assemble import TrainedClassifier, show
from core.classification.learning.fitting import fit_axial, main_axes
from core.classification.learning.networks import network_of
from core.classification.learning.publish import Recipe, publish_classifier
from core.classification.lesions import NAMES, LesionModel
from core.classification.network import build_network
from core.classification.scan import ScanModel
from core.segmentation.weights import find_weights

MODEL = ClassifierModelConfig(rows=64, columns=96, filters=4)


def figures(**changes: Any) -> dict[str, Any]:
    """A row of results."""
    row: dict[str, Any] = {"auc": 0.61, "accuracy": 0.58, "f1": 0.5, "slices": 20, "positive": 10}
    row |= {f"{name}_interval": [0.5, 0.7] for name in ("auc", "accuracy", "f1")}
    return row | changes


def record() -> dict[str, Any]:
    """What a manifest holds beside what is needed to predict."""
    one = {"ece": 0.123, "ece_interval": [0.1, 0.15], "brier": 0.2, "reliability": []}
    ways = [f"network and lesions, {way}" for way in ("ucsd → sars", "sars → ucsd")]
    return {
        "results": {way: figures() for way in ways},
        "worth": {
            "auc": [0.61, 0.61],
            "accuracy": [0.58, 0.58],
            "accuracy_interval": [[0.5, 0.7]] * 2,
        },
        "validation": {"ucsd": figures(), "sars": figures()},
        "calibration": {"ucsd": {"before": {**one, "ece": 0.234}, "after": one}},
        "scans": {
            "scans": 2,
            "patients": 2,
            "with_covid": 1,
            "segmented_by": ["fold-1"],
            "results": {"both": {"auc": 1.0, "auc_interval": [0.9, 1.0], "ece": 0.1}},
            "rows": [
                {
                    "name": name,
                    "covid": covid,
                    "segmented_by": "fold-1",
                    "infected_share": 0.1,
                    "slices": 0.0,
                    "probability": 0.9 if covid else 0.2,
                }
                for name, covid in (("one", True), ("other", False))
            ],
        },
        "abstaining": {
            "held_out_pictures": 1,
            "of_these_judged": 1.0,
            "judged_by_set": {},
            "out_of_distribution": 1,
            "of_these_refused": 1.0,
            "refused_by_kind": {"artificial": [1, 1.0]},
        },
        "heat": {
            "share_inside": 0.9,
            "pictures": 2,
            "change_without_lung": 0.2,
            "change_lung_alone": 0.1,
            "auc": {"ucsd": {"whole": 0.8, "without lung": 0.6, "lung alone": 0.7}},
        },
        "set_recognition": {"features": 0.9, "grey statistics": 0.9},
    }


def frames_of(count: int, *, seed: int = 5) -> Any:
    """Random frames with a round lung."""
    frames = np.random.default_rng(seed).integers(
        0, 256, (count, MODEL.rows, MODEL.columns, 3), dtype=np.uint8
    )
    rows, columns = np.indices(frames.shape[1:3])
    inside = np.hypot(rows - MODEL.rows / 2, columns - MODEL.columns / 2) < MODEL.rows / 3
    frames[..., 1] = np.where(inside, 255, 0)
    return frames


def publish_tiny(folder: Path) -> Any:
    """Publishes it; its arrays, as float32."""
    network = build_network(MODEL)
    generator = np.random.default_rng(3)
    for variable in network.weights:
        if variable.path == "masks_conv/kernel":  # zero at first
            variable.assign(generator.normal(0, 0.1, variable.shape))
    arrays = {variable.path: np.asarray(variable) for variable in network.weights}
    rows = show(network_of(arrays, MODEL), frames_of(16), MODEL).rows
    mean, scale = rows.mean(axis=0), rows.std(axis=0) + np.float32(1e-4)
    axes = main_axes(rows, mean, scale, components=4)
    head = Head(mean, scale, axes, fit_axial(rows, -rows, axes=axes, mean=mean, scale=scale))
    publish_classifier(
        arrays,
        TrainedClassifier(
            head=head,
            lesions=LesionModel(weights=tuple(0.1 * n for n in range(len(NAMES))), bias=0.2),
            combination=Combination(0.8, 0.4, -0.1, Line(0.9, 0.1), Line(0.7, -0.2)),
            scan=ScanModel(),
            fitness=FitnessConfig(),
            record=record(),
        ),
        folder,
        model=MODEL,
        segmentation=find_weights(),
        recipe=Recipe("both", (1,), "lite-v1", (10,), 8, "made by a test"),
    )
    return arrays
