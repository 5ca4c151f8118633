"""The gate for empty slices as a weights folder: manifest and card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.classification.empty_slice_fitting import SEVERE, SLIGHT
from core.config import to_json_dict
from core.segmentation import (
    CARD_NAME,
    GATE_KIND,
    SHARE_NAMES,
    EmptySliceGate,
    Manifest,
    WeightsInfo,
    read_gate,
    stage_weights,
    write_manifest,
)
from core.segmentation.cards import render_card
from core.system import THIN_SPACE, software_versions, write_text


def publish_gate(
    gate: EmptySliceGate,
    figures: dict[str, Any],
    folder: Path,
    segmentation: WeightsInfo,
    *,
    command: str,
) -> EmptySliceGate:
    """Publishes a gate; the folder's name becomes its id.

    Args:
        figures: what `fit_gate` measured.
        command: that reproduces it, for the card.

    Raises:
        WeightsError, SaveError: see `core.segmentation.weights_store.stage_weights`.
    """
    manifest: Manifest = {
        "kind": GATE_KIND,
        "weights_id": folder.name,
        "title": "Gate for slices without infection",
        "weights": dict(zip(SHARE_NAMES, gate.weights, strict=True)),
        "bias": gate.bias,
        "threshold": gate.threshold,
        "segmentation": {"weights_id": segmentation.weights_id, "sha256": segmentation.sha256},
        "postprocess": to_json_dict(segmentation.postprocess),
        "validation": figures,
        "command": command,
        "versions": software_versions(),
        "licence": "Non-commercial research use, because of the data it was trained on.",
    }
    with stage_weights(folder, check=read_gate) as staged:
        write_manifest(staged, manifest)
        write_text(staged / CARD_NAME, build_gate_card(manifest))
    return read_gate(folder)


def build_gate_card(manifest: Manifest) -> str:
    """The card of a gate, every number in it from the manifest."""
    return render_card(
        "empty_slice", manifest=manifest, slight=SLIGHT, severe=SEVERE, thin=THIN_SPACE
    )
