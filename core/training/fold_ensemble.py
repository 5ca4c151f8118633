"""The networks of a cross-validation as one set of weights: the mean of their probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from core.config import PostprocessConfig, TrainConfig, to_json_dict
from core.evaluation import FEW_SLICES, bootstrap_intervals, mean_values
from core.loading import load_nifti
from core.measuring.biomarkers import compute_burden
from core.measuring.quality import Exclusion, exclusions_record
from core.segmentation import (
    CARD_NAME,
    WeightsInfo,
    list_weights,
    read_manifest,
    save_weights,
    segment_volume,
)
from core.segmentation.engines.inference import Segmenter
from core.segmentation.models import join_members
from core.system import software_versions, without_nan, write_text
from core.training.crossval import CrossValidation
from core.training.fit import load_published_model
from core.training.publishing import (
    LICENCE,
    STAGE_NAME,
    card_row,
    describe_network,
    earlier_stages,
    excluded_text,
    known_limits,
    network_title,
    shown_number,
    shown_percent,
    write_stages,
)
from core.training.runs import RunPaths, read_history, read_record, score

_SEED = 0


def publish_ensemble(
    data: Path,
    folds_folder: Path,
    folder: Path,
    config: TrainConfig,
    found: CrossValidation,
    *,
    folds: int,
    excluded: Sequence[Exclusion] = (),
) -> WeightsInfo:
    """Writes the best epochs of all folds as one set of weights.

    Every patient has taught all members but one, so that nothing is left to judge the ensemble
    on but the healthy chest. Manifest and card therefore give the figures of the members, each on
    the patients that it alone had not met, and say so.

    Args:
        data, folds_folder, config, folds, excluded: those that `cross_validate` was called with.
        folder: of the new weights.
        found: what `cross_validate` returned.
    """
    published = config.published
    preprocess = replace(config.preprocess, smooth_sigma=published.smooth_sigma)
    postprocess = PostprocessConfig(
        infection_threshold=published.infection_threshold,
        neighbour_share=published.neighbour_share,
    )
    runs = [RunPaths(folds_folder / f"fold-{number}") for number in range(1, folds + 1)]
    model = join_members(
        config.model,
        [load_published_model(run, initial_share=published.initial_share) for run in runs],
    )
    initial = read_record(runs[0].config)["initial"]
    histories = [read_history(run.history) for run in runs]
    splits = [read_record(run.config)["split"] for run in runs]
    taught = {
        role: sorted({name for split in splits for name in split["train"][role]})
        for role in ("patients", "case", "picture", "negative")
    }
    healthy_ids = sorted({name for split in splits for name in split["validation"]["healthy"]})
    long_scans = [result for result in found.results if result.slices > FEW_SLICES]
    record: dict[str, Any] = {
        "training": {
            **to_json_dict(config),
            "members": [
                {
                    "best_epoch": max(history, key=score)["epoch"],
                    "epochs_done": len(history),
                }
                for history in histories
            ],
        },
        "initial": initial,
        "split": {
            "train": {
                **taught,
                "healthy": [],
            },
            "validation": {
                **{role: [] for role in taught},
                "healthy": healthy_ids,
            },
        },
        "cross_validation": {
            "folds": folds,
            "cases": [result.to_row() for result in found.results],
            "mean_over_patients": mean_values(long_scans),
            "intervals": {
                name: list(interval)
                for name, interval in bootstrap_intervals(long_scans, seed=_SEED).items()
            },
            "patients": len({result.patient_id for result in long_scans}),
            "pictures_infection_dice": found.picture_infection_dice,
            "negative_slices_infected_share": list(found.negative_shares),
            "normal001_infected_share": list(found.healthy_shares),
        },
        "versions": software_versions(),
        "licence": LICENCE,
    }
    if excluded:
        record["excluded"] = exclusions_record(excluded)
    is_default = not any(
        other.is_default and other.weights_id != folder.name
        for other in list_weights(folder.parent)
    )

    def save(extra: dict[str, Any]) -> WeightsInfo:
        known: dict[str, Any] = without_nan({**record, **extra})
        return save_weights(
            model,
            folder,
            title=f"Mean of {folds} {network_title(config.model)}s for lung and infection",
            model_config=replace(config.model, members=folds),
            preprocess=preprocess,
            postprocess=postprocess,
            record=known,
            is_default=is_default,
        )

    info = save({})
    healthy = data / "covid_ct_md" / "normal001.nii.gz"
    if healthy.is_file():
        volume = load_nifti(healthy)
        burden = compute_burden(segment_volume(volume, Segmenter(info)).masks, volume)
        info = save({"validation": {"normal001_infected_share": burden.infection_fraction}})
    write_text(folder / CARD_NAME, build_ensemble_card(info))
    write_stages(initial, folder)
    return read_manifest(folder)


def build_ensemble_card(info: WeightsInfo) -> str:
    """The model card, every number in it from the manifest."""
    manifest = info.manifest
    judged, split = manifest["cross_validation"], manifest["split"]["train"]
    rows = "\n".join(card_row(row) for row in judged["cases"])
    epochs = ", ".join(f"{member['best_epoch']:.0f}" for member in manifest["training"]["members"])
    done = ", ".join(str(member["epochs_done"]) for member in manifest["training"]["members"])
    healthy = manifest.get("validation", {}).get("normal001_infected_share")
    negatives = [share for share in judged["negative_slices_infected_share"] if share is not None]
    return f"""# {info.title} (`{info.weights_id}`)

Research software, never a diagnosis.

{judged["folds"]} networks, each trained without the patients of one fold of a cross-validation;
their mean probability counts. Each is {describe_network(info)}
Arrays: `weights.npz`, kernels in float16, {manifest["file"]["bytes"] / 1e6:.1f} MB, read without
pickle and only if the sha256 in `manifest.json` agrees.

## Data

- COVID-19 CT Lung and Infection Segmentation (Ma et al. 2020, Zenodo 3757476): {len(split["case"])}
  scans of {len(split["patients"])} patients, in a reduced edition: the middle of each volume, only
  slices with infection, 256×256, grey values reconstructed, 8-bit for the `radiopaedia` cases.
- MedSeg COVID-19 slices: {len(split["picture"])}, infection known, lung not. The set names no
  patients, so two slices of one patient may stand on both sides of a fold.
- Chest slices of LIDC/LUNA patients, scanned years before COVID-19: {len(split["negative"])} as
  infection-free examples, by patient.
- One healthy chest of COVID-CT-MD, never learned from, as a check for false alarms.

Dealt out to {judged["folds"]} folds by patient before training.{excluded_text(manifest)} \
{_stages_text(manifest["initial"])}
{done} of {manifest["training"]["epochs"]} epochs; the best on its own fold's patients was kept
(epochs {epochs}).{_mix_text(manifest["training"]["published"])}

## Figures out of fold

Each case is judged by the one member that never met its patient, through the whole pipeline, on
the scan's own grid. The ensemble of all members cannot be judged on these patients: each taught
all members but one. Epochs, smoothing, threshold
({info.postprocess.infection_threshold:g}) and the say of neighbouring slices
({info.postprocess.neighbour_share:g}) were chosen on these same cases, so the figures are slightly
optimistic.

| case | slices | lung Dice | infection Dice | precision | recall | share true | share predicted |
|---|---|---|---|---|---|---|---|
{rows}

Mean over the {judged["patients"]} patients with more than {FEW_SLICES} slices (95 % by bootstrap
over patients): lung Dice {_with_interval(judged, "lung_dice")}, infection Dice
{_with_interval(judged, "infection_dice")}.

| check | figure |
|---|---|
| MedSeg slices turned upright: mean infection Dice, one a slice | \
{shown_number(judged["pictures_infection_dice"])} |
| LUNA slices: infected share of the lung, mean of the folds | \
{shown_percent(float(np.mean(negatives)) if negatives else None)} |
| healthy chest `normal001`, all members together: infected share of the lung | \
{shown_percent(healthy)} |

{known_limits(manifest["licence"])}"""


def _stages_text(initial: dict[str, Any] | None) -> str:
    stages = earlier_stages(initial)
    if not stages:
        return "Each member trained for"
    told = "; ".join(
        f"`{STAGE_NAME.format(number=number)}`, {stage['epochs_done']} of "
        f"{stage['config']['epochs']} epochs in the first fold"
        for number, stage in enumerate(stages, start=1)
    )
    return (
        "Each member trained in stages, each\nfrom the best epoch of the one before: "
        f"{told}; then for"
    )


def _mix_text(published: dict[str, Any]) -> str:
    share = published["initial_share"]
    if not share:
        return ""
    return (
        "\nPublished is the mean of its weights and those it started from, the latter with a share "
        f"of {share:g}\n(Wortsman et al. 2022)."
    )


def _with_interval(judged: dict[str, Any], name: str) -> str:
    mean = judged["mean_over_patients"].get(name)
    low, high = judged["intervals"].get(name, (None, None))
    if low is None or high is None:
        return f"**{shown_number(mean)}**"
    return f"**{shown_number(mean)}** ({low:.3f} to {high:.3f})"
