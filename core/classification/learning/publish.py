"""A classifier as a weights folder: arrays, graph, manifest and card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from core.classification.config import BandConfig, ClassifierModelConfig
from core.classification.info import (
    HEAD_PREFIX,
    KIND,
    ClassifierInfo,
    read_classifier_arrays,
    read_classifier_manifest,
)
from core.classification.learning.arrays import Arrays
from core.classification.learning.assemble import TrainedClassifier
from core.config import to_json_dict
from core.segmentation import (
    CARD_NAME,
    WeightsInfo,
    read_stored_graph,
    stage_weights,
    write_manifest,
    write_network,
)
from core.segmentation.cards import render_card
from core.system import THIN_SPACE, software_versions, write_text

LICENCE = "Non-commercial research use, because of the data it was trained on."


@dataclass(frozen=True)
class Recipe:
    """What was chosen, for manifest and card.

    Attributes:
        variant, seeds: of the networks whose mean is published.
        start: id of the segmentation weights that they started from.
        steps, batch_size: of each, in all, and pictures of a step.
        command: that publishes it again.
    """

    variant: str
    seeds: tuple[int, ...]
    start: str
    steps: tuple[int, ...]
    batch_size: int
    command: str


def publish_classifier(
    arrays: Arrays,
    trained: TrainedClassifier,
    folder: Path,
    *,
    model: ClassifierModelConfig,
    segmentation: WeightsInfo,
    recipe: Recipe,
    is_default: bool = True,
) -> ClassifierInfo:
    """Publishes a classifier; the folder's name becomes its id.

    Args:
        segmentation: whose masks it was calibrated with.

    Raises:
        WeightsError, SaveError: see `core.segmentation.weights_store.stage_weights`.
    """
    from core.classification.network import fill_network

    head = {
        f"{HEAD_PREFIX}{part.name}": _stored(getattr(trained.head, part.name))
        for part in fields(trained.head)
    }
    with stage_weights(folder, check=_load) as staged:
        network = fill_network(model, arrays, shown=folder.name)
        manifest = {
            "kind": KIND,
            "weights_id": folder.name,
            "title": "Slice classifier, COVID-19 against other or none",
            "default": is_default,
            **write_network(network, staged, more_arrays=head),
            "model": to_json_dict(model),
            "combination": to_json_dict(trained.combination),
            "lesions": to_json_dict(trained.lesions),
            "bands": to_json_dict(BandConfig()),
            "scan": to_json_dict(trained.scan),
            "fitness": to_json_dict(trained.fitness),
            "segmentation": {"weights_id": segmentation.weights_id, "sha256": segmentation.sha256},
            "training": to_json_dict(recipe),
            "versions": software_versions(),
            "licence": LICENCE,
            **trained.record,
        }
        write_manifest(staged, manifest)
        write_text(staged / CARD_NAME, build_classifier_card(read_classifier_manifest(staged)))
    return read_classifier_manifest(folder)


def _stored(array: Any) -> Any:
    # The axes are many and need few digits.
    return array.astype("float16") if array.ndim > 1 else array


def _load(folder: Path) -> None:
    info = read_classifier_manifest(folder)
    read_classifier_arrays(info)
    read_stored_graph(info)


def build_classifier_card(info: ClassifierInfo) -> str:
    """The card of a classifier, every number in it from the manifest."""
    return render_card("classifier", manifest=info.manifest, thin=THIN_SPACE)


def table_lines(results: dict[str, dict[str, Any]]) -> Sequence[str]:
    """A line for each row of the table of results."""
    return [
        f"{name}: {row['slices']} pictures, AUC {_interval(row, 'auc')}, accuracy "
        f"{_interval(row, 'accuracy')}"
        for name, row in results.items()
    ]


def _interval(row: dict[str, Any], name: str) -> str:
    low, high = row[f"{name}_interval"]
    return f"{np.round(row[name], 3)} ({low:.3f} to {high:.3f})"
