"""A classifier as a weights folder: arrays, graph, manifest and card."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

from core.classification.info import (
    HEAD_PREFIX,
    KIND,
    ClassifierInfo,
    read_classifier_arrays,
    read_classifier_manifest,
)
from core.classification.train import ClassifierTrainConfig, TrainedClassifier
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


def publish_classifier(
    encoder: Any,
    trained: TrainedClassifier,
    folder: Path,
    config: ClassifierTrainConfig,
    *,
    segmentation: WeightsInfo,
    command: str,
    is_default: bool = True,
) -> ClassifierInfo:
    """Publishes a classifier; the folder's name becomes its id.

    Args:
        encoder: the Keras model of `core.classification.network`.
        command: that reproduces it, for the card.

    Raises:
        WeightsError, SaveError: see `core.segmentation.weights_store.stage_weights`.
    """
    head = {
        f"{HEAD_PREFIX}{part.name}": _stored(getattr(trained.head, part.name))
        for part in fields(trained.head)
    }
    with stage_weights(folder, check=_load) as staged:
        manifest = {
            "kind": KIND,
            "weights_id": folder.name,
            "title": "Slice classifier, COVID-19 against other or none",
            "default": is_default,
            **write_network(encoder, staged, more_arrays=head),
            "model": to_json_dict(config.model),
            "temperature": trained.temperature,
            "bands": to_json_dict(trained.bands),
            "scan": to_json_dict(trained.scan),
            "fitness": to_json_dict(trained.fitness),
            "segmentation": {"weights_id": segmentation.weights_id, "sha256": segmentation.sha256},
            "training": to_json_dict(config),
            "command": command,
            "versions": software_versions(),
            "licence": LICENCE,
            **trained.record,
        }
        write_manifest(staged, manifest)
        write_text(staged / CARD_NAME, build_classifier_card(read_classifier_manifest(staged)))
    return read_classifier_manifest(folder)


def _stored(array: Any) -> Any:
    # The axes are many and need few digits; what makes the logit stays as it is.
    return array.astype("float16") if array.ndim > 1 else array


def _load(folder: Path) -> None:
    info = read_classifier_manifest(folder)
    read_classifier_arrays(info)
    read_stored_graph(info)


def build_classifier_card(info: ClassifierInfo) -> str:
    """The card of a classifier, every number in it from the manifest."""
    manifest = info.manifest
    return render_card(
        "classifier",
        manifest=manifest,
        encoder_id=info.encoder_id,
        has_random_encoder=any("random encoder" in name for name in manifest["results"]),
        thin=THIN_SPACE,
    )
