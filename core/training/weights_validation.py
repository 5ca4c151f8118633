"""How weights are validated before they are published: as stored, through the whole pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.config import TrainConfig
from core.evaluation import evaluate_cases, mean_values
from core.loading import Case, load_case_table, load_nifti
from core.measuring.biomarkers import compute_burden
from core.segmentation import segment_volume
from core.segmentation.engines.inference import Segmenter
from core.system import OnProgress, ignore_progress
from core.training.fine_tuning import pixels_only
from core.training.scans import HEALTHY_CHEST, cases_folder
from core.training.splits import Split
from core.training.validation import validate
from core.volume import MaskPair, Study


def validate_weights(
    data: Path,
    segmenter: Segmenter,
    split: Split,
    config: TrainConfig,
    on_progress: OnProgress = ignore_progress,
) -> dict[str, Any]:
    """Validates published weights through the whole pipeline; JSON-ready but for nan.

    Cases on their own grid; pictures and infection-free slices on the network's.
    """
    wanted = {scan.scan_id for scan in split.validation if scan.role == "case"}
    cases = [case for case in load_case_table(cases_folder(data)) if case.case_id in wanted]

    def predict(case: Case, study: Study) -> MaskPair:
        return segment_volume(study.volume, segmenter).masks

    results = evaluate_cases(cases, predict, info=segmenter.info, on_progress=on_progress)
    on_grid = validate(
        pixels_only(segmenter.model),
        split.validation,
        batch_size=config.batch_size,
        infection_threshold=segmenter.info.postprocess.infection_threshold,
    )
    found: dict[str, Any] = {
        "cases": [result.to_row() for result in results],
        "mean_over_patients": mean_values(results),
        "patients": len({result.patient_id for result in results}),
        "pictures_infection_dice": on_grid["picture_infection_dice"],
        "negative_slices_infected_share": on_grid["negative_share"],
    }
    share = healthy_share(data, segmenter)
    return found if share is None else {**found, "normal001_infected_share": share}


def healthy_share(data: Path, segmenter: Segmenter) -> float | None:
    """Share of the healthy chest's lung marked as infected; none where the data lack it."""
    path = data / HEALTHY_CHEST
    if not path.is_file():
        return None
    volume = load_nifti(path)
    masks = segment_volume(volume, segmenter).masks
    return compute_burden(masks, volume).infection_fraction
