"""From a finished run of the lobe network to weights, with what the folds of a cross-validation
have found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from core.config import LOBES, LobeNetworkConfig, to_json_dict
from core.errors import DatasetError, shown_name
from core.segmentation import CARD_NAME, stage_weights, write_manifest, write_network
from core.segmentation.cards import render_card
from core.segmentation.lobes.keras_lobes import KerasLobes
from core.segmentation.lobes.weights import (
    KIND,
    SHAPE_ARRAY,
    LobeWeightsInfo,
    read_lobe_arrays,
    read_lobe_manifest,
)
from core.segmentation.weights_files import read_stored_graph
from core.system import OnProgress, ignore_progress, software_versions, write_text
from core.training.lobes.deformation import plain_sample
from core.training.lobes.evaluating import (
    CONSOLIDATED_SHARE,
    LobeEvaluation,
    evaluate_lobes,
    summarize,
    to_rows,
)
from core.training.lobes.fit import load_lobe_run
from core.training.lobes.sources import LabelledLungs
from core.training.runs import RunPaths, read_record

LICENCE = (
    "CC BY-NC-SA 4.0, as the label maps that the network learned from: non-commercial, share alike."
)
_COARSER = 4
"""The mean of the lungs is kept on a grid so much coarser than the network's."""


def publish_lobes(
    lungs: Sequence[LabelledLungs],
    paths: RunPaths,
    folder: Path,
    *,
    data: Path,
    folds: Sequence[Path],
    is_default: bool = True,
    on_progress: OnProgress = ignore_progress,
) -> LobeWeightsInfo:
    """Evaluates the folds, each on the patients it has not met, and publishes a run trained on all.

    Args:
        lungs: that the run learned from.
        folder: such as `weights/NAME`.
        data: folder of the label maps.
        folds: run folders of a cross-validation with the same config.
        on_progress: called with "evaluating label maps".

    Raises:
        DatasetError: a run is not finished, or the folds are not those of this config.
        WeightsError, SaveError: see `core.segmentation.weights_store.stage_weights`.
    """
    network, config = load_lobe_run(paths)
    record = read_record(paths.config)
    found, steps = _evaluate_folds(record, folds, data, on_progress)
    with stage_weights(folder, check=_load) as staged:
        mean = mean_lungs(lungs, config.network)
        manifest = {
            "kind": KIND,
            "weights_id": folder.name,
            "title": "Lobes from the shape of the lungs",
            "default": is_default,
            **write_network(network, staged, more_arrays={SHAPE_ARRAY: mean.astype(np.float16)}),
            "network": to_json_dict(config.network),
            "training": record["config"],
            "split": record["split"],
            "validation": {
                **summarize(found),
                "steps_of_folds": steps,
                "consolidated_share": CONSOLIDATED_SHARE,
                "rows": to_rows(found),
            },
            "versions": {"training": record["versions"], "publishing": software_versions()},
            "licence": LICENCE,
        }
        write_manifest(staged, manifest)
        write_text(staged / CARD_NAME, build_lobe_card(read_lobe_manifest(staged)))
    return read_lobe_manifest(folder)


def _evaluate_folds(
    record: dict[str, Any], folds: Sequence[Path], data: Path, on_progress: OnProgress
) -> tuple[list[LobeEvaluation], list[int]]:
    """Every case by the network that had not met its patient, and the steps of each network."""
    found: list[LobeEvaluation] = []
    steps = []
    for fold in folds:
        paths = RunPaths(fold)
        network, config = load_lobe_run(paths)
        of_fold = read_record(paths.config)
        held_out = of_fold["split"]["held_out"]
        if _settings(of_fold) != _settings(record) or not held_out:
            raise DatasetError(
                f"The run {shown_name(fold)} is not a fold of this cross-validation",
                got="other settings, or no patient held out",
                expected="runs with the settings of the run to publish, except their length",
            )
        steps.append(config.epochs * config.steps_per_epoch)
        found += evaluate_lobes(
            data,
            KerasLobes.of_model(network),
            config.network.grid,
            held_out,
            on_progress=on_progress,
        )
    missing = set(record["split"]["train"]) - {one.case_id for one in found}
    if missing or len(found) > len(record["split"]["train"]):
        raise DatasetError(
            "The folds do not evaluate each patient once",
            got=f"{len(found)} evaluations, {len(missing)} patients without one",
            expected="a run for every fold",
        )
    return sorted(found, key=lambda one: one.case_id), steps


def _settings(record: dict[str, Any]) -> dict[str, Any]:
    """All but how long the run is."""
    return {name: value for name, value in record["config"].items() if name != "epochs"}


def mean_lungs(lungs: Sequence[LabelledLungs], config: LobeNetworkConfig) -> Any:
    """(*grid / 4) float32: share of patients whose lungs fill each cell."""
    shape = [side // _COARSER for side in config.grid]
    split = [n for side in shape for n in (side, _COARSER)]
    masks = [plain_sample(one, one.lungs, config.grid).mask for one in lungs]
    coarse = [mask.reshape(split).mean(axis=(1, 3, 5)) for mask in masks]
    return np.mean(coarse, axis=0, dtype=np.float32)


def _load(folder: Path) -> None:
    info = read_lobe_manifest(folder)
    arrays, _ = read_lobe_arrays(info)
    KerasLobes(info.network, arrays, shown=info.weights_id)
    read_stored_graph(info)


def build_lobe_card(info: LobeWeightsInfo) -> str:
    """The model card, every number in it from the manifest."""
    manifest = info.manifest
    return render_card(
        "lobes", manifest=manifest, lobes=[name.replace("_", " ") for name in LOBES], names=LOBES
    )
