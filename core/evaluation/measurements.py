"""Every measurement of a segmented scan in one JSON-ready record."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from core.config import RESEARCH_NOTE, to_json_dict
from core.evaluation.metrics import compute_overlap
from core.measuring.biomarkers import MISSING_LUNG, Biomarkers, compute_biomarkers, compute_burden
from core.segmentation import Segmentation
from core.segmentation.lobes import find_lobes
from core.system import without_nan
from core.volume import MaskPair, Study, Volume

AFTER_MASKS = "biomarkers"
"""The stage of a command that comes once masks are saved."""


def measure(
    study: Study, segmentation: Segmentation, *, biomarkers: Biomarkers | None = None
) -> dict[str, Any]:
    """Every measurement of a segmented scan, JSON-ready: undefined values are null.

    `biomarkers` holds values by key, and beside them what each is; `metrics` is there only where
    truth is known, per channel; `preprocess` only where it was not that of the weights;
    `hand_correction` only where a person has corrected the masks.

    Args:
        biomarkers: of this result, where they are measured already.
    """
    volume = study.volume
    if biomarkers is None:
        masks = segmentation.masks
        biomarkers = compute_biomarkers(volume, masks, lobes=find_lobes(masks.lung, volume))
    burden = compute_burden(segmentation.masks, volume)
    record: dict[str, Any] = {
        "note": RESEARCH_NOTE,
        "scan": describe(volume),
        "synthetic": study.synthetic,
        **_network(segmentation),
        **asdict(burden),
        "seconds": {stage: round(spent, 4) for stage, spent in segmentation.seconds.items()},
        "warnings": [
            *volume.warnings,
            *segmentation.warnings,
            *(note for note in biomarkers.notes if note in MISSING_LUNG.values()),
        ],
        "biomarkers": biomarkers.to_json_dict(),
    }
    if segmentation.by_hand is not None:
        record["hand_correction"] = segmentation.by_hand.to_json_dict()
    if segmentation.config.preprocess is not None:
        record["preprocess"] = to_json_dict(segmentation.config.preprocess)
    if study.truth is not None:
        record["metrics"] = compare(study.truth, segmentation.masks)
    result: dict[str, Any] = without_nan(record)
    return result


def _network(segmentation: Segmentation) -> dict[str, Any]:
    """What has marked the scan; null where no network has."""
    used = segmentation.config.postprocess
    found = {
        "weights_id": segmentation.weights_id,
        "device": segmentation.device,
        "lung_threshold": used.lung_threshold,
        "infection_threshold": used.infection_threshold,
    }
    return found if segmentation.by_network else dict.fromkeys(found)


def compare(truth: MaskPair, predicted: MaskPair) -> dict[str, dict[str, float]]:
    """Dice, IoU, precision and recall of each channel known on both sides; nan if undefined."""
    pairs = {
        "lung": (truth.lung, predicted.lung),
        "infection": (truth.infection, predicted.infection),
    }
    return {
        channel: asdict(compute_overlap(mask_true, mask_pred))
        for channel, (mask_true, mask_pred) in pairs.items()
        if mask_true is not None and mask_pred is not None
    }


def describe(volume: Volume) -> dict[str, Any]:
    """What was recognised of a scan, JSON-ready and free of patient data."""
    return {
        "name": volume.source.name,
        "format": volume.source.format,
        "shape": list(volume.source.file_shape),
        "spacing_mm": [round(value, 4) for value in volume.spacing_mm],
        "spacing_nominal": volume.spacing_nominal,
        "orientation": volume.file_orientation,
        "unit": volume.unit,
        "unit_reason": volume.intensity.reason,
    }
