"""From a finished run to weights that others can load: arrays, manifest, model card."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.config import ModelConfig, PostprocessConfig, TrainConfig, to_json_dict
from core.errors import WeightsError
from core.evaluation import evaluate_cases, mean_values
from core.loading import Case, load_case_table, load_nifti
from core.measuring.biomarkers import compute_burden
from core.segmentation import (
    CARD_NAME,
    MANIFEST_NAME,
    WeightsInfo,
    list_weights,
    read_manifest,
    save_weights,
    segment_volume,
)
from core.segmentation.engines.inference import Segmenter
from core.system import (
    OnProgress,
    ignore_progress,
    make_folder,
    software_versions,
    without_nan,
    write_text,
)
from core.training.dataset import Split, load_training_scans, split_as_recorded
from core.training.demo_patients import DEMO_CASES
from core.training.fit import load_published_model
from core.training.runs import RunPaths, read_history, read_record, score
from core.training.validation import validate
from core.volume import MaskPair, Study

STAGE_NAME = "stage{number}.json"
"""Configs of the runs before the published one, each the start of the next, first to last;
`train --config` takes them."""
_UNFINISHED = ".unfinished"
"""Folder that weights are written into before they are whole; no weights are looked for there."""
_SET_ORIGINS = ("coronacases", "radiopaedia")
"""How case ids of the 20-case set begin."""
LICENCE = "Non-commercial research use, because of the data it was trained on."
_LICENCES = {
    "public": LICENCE,
    "generated": "Trained on generated scans only: no data limit its use.",
    "own": "What the owners of the scans it was trained on allow.",
}
_ARCHITECTURES = {
    "unet": ("U-Net", "Ronneberger et al. 2015"),
    "unetpp": ("U-Net++", "Zhou et al. 2018"),
}
_LOSSES = {
    "bce": "binary cross-entropy",
    "dice": "soft Dice",
    "bce_dice": "binary cross-entropy + soft Dice",
    "tversky": "Tversky loss (weight {alpha:g} of falsely marked pixels)",
    "focal_tversky": "focal Tversky loss (weight {alpha:g} of falsely marked pixels, "
    "exponent 1/{gamma:.3g})",
}
_SCHEDULES = {
    "constant": "a constant rate",
    "exponential": "exponential decay",
    "cosine": "cosine decay",
    "cosine_restarts": "cosine decay with restarts",
}
_NORMALIZATIONS = {
    "batch": "batch normalisation",
    "group": "group normalisation",
    "none": "no normalisation",
}


def publish(
    data: Path,
    paths: RunPaths,
    folder: Path,
    config: TrainConfig,
    *,
    on_progress: OnProgress = ignore_progress,
) -> WeightsInfo:
    """Writes the best epoch of a run as weights and judges it through the whole pipeline.

    The figures in manifest and card are those of the stored float16 arrays on patients that the
    network never learned from, on each scan's own grid, after post-processing. Nothing is in
    `folder` before all of it is known.
    """
    # Weights published beside others do not push themselves forward.
    is_default = not any(
        other.is_default and other.weights_id != folder.name for other in _readable(folder.parent)
    )
    unfinished = folder.parent / _UNFINISHED
    try:
        _write(
            data, paths, unfinished / folder.name, config, is_default=is_default, tell=on_progress
        )
        make_folder(folder, option="folder")
        # The manifest last: without one there are no weights.
        files = sorted((unfinished / folder.name).iterdir(), key=_is_manifest)
        for file in files:
            os.replace(file, folder / file.name)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return read_manifest(folder)


def _is_manifest(file: Path) -> bool:
    return file.name == MANIFEST_NAME


def _write(
    data: Path,
    paths: RunPaths,
    folder: Path,
    config: TrainConfig,
    *,
    is_default: bool,
    tell: OnProgress,
) -> None:
    published = config.published
    preprocess = replace(config.preprocess, smooth_sigma=published.smooth_sigma)
    postprocess = PostprocessConfig(
        infection_threshold=published.infection_threshold,
        neighbour_share=published.neighbour_share,
    )
    scans = load_training_scans(data, preprocess, on_progress=tell)
    run = read_record(paths.config)
    split = split_as_recorded(scans, run["split"])
    model = load_published_model(paths, initial_share=published.initial_share)
    history = read_history(paths.history)
    best_epoch = max(history, key=score)["epoch"]
    record: dict[str, Any] = {
        "training": {**to_json_dict(config), "best_epoch": best_epoch, "epochs_done": len(history)},
        "initial": run["initial"],
        "split": split.to_json_dict(),
        **({"excluded": run["excluded"]} if "excluded" in run else {}),
        "versions": software_versions(),
        "licence": _LICENCES[_source(split.to_json_dict())],
    }

    def save(extra: dict[str, Any]) -> WeightsInfo:
        return save_weights(
            model,
            folder,
            title=f"{network_title(config.model)} for lung and infection",
            model_config=config.model,
            preprocess=preprocess,
            postprocess=postprocess,
            record={**record, **extra},
            is_default=is_default,
        )

    info = save({})
    segmenter = Segmenter(info)
    validation = _judge(data, segmenter, split, config, tell)
    info = save({"validation": validation})
    write_text(folder / CARD_NAME, build_card(info))
    write_stages(run["initial"], folder)


def write_stages(initial: dict[str, Any] | None, folder: Path) -> None:
    """Writes the configs of the runs before the published one beside the weights."""
    for number, stage in enumerate(earlier_stages(initial), start=1):
        written = json.dumps({**stage, "initial": None}, indent=1)
        write_text(folder / STAGE_NAME.format(number=number), written + "\n")


def _readable(folder: Path) -> tuple[WeightsInfo, ...]:
    try:
        return list_weights(folder)
    except WeightsError:  # none of them, which is no reason to lose a finished run
        return ()


def _judge(
    data: Path, segmenter: Segmenter, split: Split, config: TrainConfig, on_progress: OnProgress
) -> dict[str, Any]:
    judged_ids = {scan.scan_id for scan in split.validation if scan.role == "case"}
    cases_folder = data / "covid20" if (data / "covid20").is_dir() else data
    cases = [case for case in load_case_table(cases_folder) if case.case_id in judged_ids]

    def predict(case: Case, study: Study) -> MaskPair:
        return segment_volume(study.volume, segmenter).masks

    results = evaluate_cases(cases, predict, info=segmenter.info, on_progress=on_progress)
    figures: dict[str, Any] = {
        "cases": [result.to_row() for result in results],
        "mean_over_patients": mean_values(results),
        "patients": len({result.patient_id for result in results}),
    }
    on_grid = validate(
        segmenter.model,
        split.validation,
        batch_size=config.batch_size,
        infection_threshold=segmenter.info.postprocess.infection_threshold,
    )
    figures["pictures_infection_dice"] = on_grid["picture_infection_dice"]
    figures["negative_slices_infected_share"] = on_grid["negative_share"]
    healthy = data / "covid_ct_md" / "normal001.nii.gz"
    if healthy.is_file():
        volume = load_nifti(healthy)
        burden = compute_burden(segment_volume(volume, segmenter).masks, volume)
        figures["normal001_infected_share"] = burden.infection_fraction
    known: dict[str, Any] = without_nan(figures)
    return known


def build_card(info: WeightsInfo) -> str:
    """The model card, every number in it from the manifest."""
    manifest = info.manifest
    validation, training, split = (manifest[key] for key in ("validation", "training", "split"))
    means = validation["mean_over_patients"]
    rows = "\n".join(card_row(row) for row in validation["cases"])
    return f"""# {info.title} (`{info.weights_id}`)

Research software, never a diagnosis.

It is {describe_network(info)}
Arrays: `weights.npz`, kernels in float16, {manifest["file"]["bytes"] / 1e6:.1f} MB, read without
pickle and only if the sha256 in `manifest.json` agrees.

## Data

{_data_text(split)}

Split by patient, fixed before training.{excluded_text(manifest)}

{_stages_text(manifest["initial"])}{training["epochs_done"]} of {training["epochs"]} epochs of
{_LOSSES[training["loss"]["kind"]].format(**training["loss"])} with AdamW and \
{_SCHEDULES[training["schedule"]["kind"]]}, a running mean of the weights judged
after each; epoch
{training["best_epoch"]:.0f} was kept because it was best on the validation cases and slices, so
their figures below are slightly optimistic. {_mix_text(training["published"])}\
{_HEALTHY_CHOICE if split["validation"]["healthy"] else ""}

## Figures on patients never learned from

Volume Dice on the scan's own grid after post-processing; threshold
{info.postprocess.lung_threshold:g} for lung, {info.postprocess.infection_threshold:g} for
infection{_neighbours_text(info.postprocess.neighbour_share)} (all
chosen on validation cases, of this network or an earlier one).

| case | slices | lung Dice | infection Dice | precision | recall | share true | share predicted |
|---|---|---|---|---|---|---|---|
{rows}

Mean over {_many(validation["patients"], "patient")}: lung Dice \
**{shown_number(means["lung_dice"])}**,
infection Dice **{shown_number(means["infection_dice"])}** \
(IoU {shown_number(means["infection_iou"])}).

{_checks_text(validation, split["validation"])}\
{known_limits(manifest["licence"], origin=_source(split))}"""


def network_title(config: ModelConfig) -> str:
    """The architecture's name."""
    return _ARCHITECTURES[config.architecture][0]


def describe_network(info: WeightsInfo) -> str:
    """Architecture and input in two sentences of a card, beginning with "a 2D"."""
    model, preprocess = info.model, info.preprocess
    network, source = _ARCHITECTURES[model.architecture]
    bound = f" (at most {model.max_filters} at any)" if model.max_filters else ""
    smoothed = "not smoothed"
    if preprocess.smooth_sigma:
        smoothed = f"smoothed with a Gaussian of {preprocess.smooth_sigma:g} pixels"
    levelled = "those out of step in grey adjusted,\n" if preprocess.level_slices else ""
    box = {"body": "the body's box by Otsu", "lungs": "the lungs' box by Otsu", "none": "whole"}
    return f"""a 2D {network} ({source}) with {model.depth} levels and {model.width} filters at the
finest{bound}, {_NORMALIZATIONS[model.normalization]}, two sigmoid outputs: lung (with its infected
parts) and infection.
Input: axial slices, {box[preprocess.crop]}, {levelled}window {preprocess.window_center:g}/\
{preprocess.window_width:g} HU, {preprocess.rows}×{preprocess.columns} pixels, {smoothed} (chosen on
validation cases, of this network or an earlier one)."""


def excluded_text(manifest: dict[str, Any]) -> str:
    """A sentence of a card on what a person left out; nothing where all was used."""
    left_out = manifest.get("excluded", {}).get("exclude", [])
    if not left_out:
        return ""
    taught = "the last stage of training" if manifest.get("initial") else "training"
    return (
        f" A list made by hand\n(`excluded` in `manifest.json`) kept {len(left_out)} scans, "
        f"pictures or slices of them out of\n{taught}; those kept out whole do not judge either "
        "and are not counted above."
    )


def known_limits(licence: str, *, origin: str = "public") -> str:
    """The closing sections of a card.

    Args:
        origin: of the cases, a key of `_LICENCES`.
    """
    return f"""## Known failures and limits

{_SEEN[origin]}: other pneumonia, fibrosis, oedema, tumours and dependent
  atelectasis are likely to be marked as infection.
- Small and faint lesions count little in volume Dice and are the ones most often missed.
- Consolidation against the chest wall may be left out of the lung, and then out of the infection.
{_TRUTH_LIMITS if origin == "public" else ""}\
- The network sees shape, not size: it is not told how long a pixel is.

## Licence

{licence}{_SET_LICENCES if origin == "public" else ""}
"""


_HEALTHY_CHOICE = "The healthy chest had no part in any choice."
_SEEN = {
    "public": "- Few patients, one disease, adults",
    "generated": "- Generated chests alone, which share one anatomy: on scans of people its marks "
    "mean\n  nothing. Beyond that",
    "own": "- The patients above and no others",
}
_TRUTH_LIMITS = """- Truth of the 20-case set was drawn by people who agree with each other at a \
Dice of about 0.7
  to 0.8 on infection; differences of that size mean little.
- The millimetres of the training scans are nominal.
"""
_SET_LICENCES = """ The 20-case set is CC BY 4.0 by its record and CC BY-NC-SA by its authors'
repository; MedSeg allows non-commercial research; LUNA slices are CC BY 3.0."""


def _source(split: dict[str, Any]) -> str:
    """Where the cases of a split come from: a key of `_LICENCES`."""
    cases = [case_id for side in split.values() for case_id in side["case"]]
    if all(case_id in DEMO_CASES for case_id in cases):
        return "generated"
    return "public" if all(case_id.startswith(_SET_ORIGINS) for case_id in cases) else "own"


def _checks_text(validation: dict[str, Any], judged: dict[str, Any]) -> str:
    """The further checks, of those that there was something for."""
    rows = {
        "healthy": "| healthy chest `normal001`: infected share of the lung | "
        f"{shown_percent(validation.get('normal001_infected_share'))} |",
        "negative": "| LUNA slices: infected share of the lung | "
        f"{shown_percent(validation.get('negative_slices_infected_share'))} |",
        "picture": "| MedSeg slices turned upright: mean infection Dice, one a slice | "
        f"{shown_number(validation.get('pictures_infection_dice'))} |",
    }
    shown = [row for role, row in rows.items() if judged[role]]
    return "\n".join(["| check | figure |", "|---|---|", *shown, "", ""]) if shown else ""


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _data_text(split: dict[str, Any]) -> str:
    train, validation = split["train"], split["validation"]
    learned, judged = (
        f"{_many(len(side['case']), 'scan')} of {_many(len(side['patients']), 'patient')}"
        for side in (train, validation)
    )
    names = {
        "public": "COVID-19 CT Lung and Infection Segmentation (Ma et al. 2020, Zenodo 3757476)",
        "generated": "Generated chests (`core.training.demo_patients`), no scan of a person",
        "own": "Cases of a folder of the person who trained it",
    }
    source = _source(split)
    lines = [
        f"- {names[source]}:\n  {learned} to learn from, {judged} never learned from to judge."
    ]
    if source == "public":
        lines[0] += (
            " The scans used are a reduced\n  edition: the middle of each volume, only slices with "
            "infection, 256×256, grey values\n  reconstructed, 8-bit for the `radiopaedia` cases."
        )
    if train["picture"] or validation["picture"]:
        lines.append(
            f"- MedSeg COVID-19 slices: {len(train['picture'])} to learn infection from (lung "
            f"unknown there),\n  {len(validation['picture'])} to judge. The set names no patients, "
            "so two slices of one patient may stand on\n  both sides."
        )
    if train["negative"] or validation["negative"]:
        lines.append(
            "- Chest slices of LIDC/LUNA patients, scanned years before COVID-19: "
            f"{len(train['negative'])} as\n  infection-free examples, "
            f"{len(validation['negative'])} to judge, by patient."
        )
    if validation["healthy"]:
        lines.append(
            "- One healthy chest of COVID-CT-MD, never learned from, as a check for false alarms."
        )
    return "\n".join(lines)


def earlier_stages(initial: dict[str, Any] | None) -> list[dict[str, Any]]:
    """The runs before the published one, first to last."""
    if initial is None:
        return []
    return [*earlier_stages(initial.get("initial")), initial]


def _stages_text(initial: dict[str, Any] | None) -> str:
    stages = earlier_stages(initial)
    if not stages:
        return ""
    told = "; ".join(
        f"`{STAGE_NAME.format(number=number)}`, {stage['epochs_done']} of "
        f"{stage['config']['epochs']} epochs, of which number {stage['best_epoch']:.0f} went on"
        for number, stage in enumerate(stages, start=1)
    )
    return f"Trained in stages on one split, with other draws and augmentation: {told}; then "


def _neighbours_text(share: float) -> str:
    return f", a share of {share:g} for the slices before and after" if share else ""


def _mix_text(published: dict[str, Any]) -> str:
    share = published["initial_share"]
    if not share:
        return ""
    return (
        f"Published is the mean of its weights and those of the stage before, the latter with a\n"
        f"share of {share:g} (Wortsman et al. 2022), chosen on the same cases. "
    )


def card_row(row: dict[str, Any]) -> str:
    """One case as a line of a card's table."""
    overlaps = " | ".join(
        shown_number(row[name])
        for name in ("lung_dice", "infection_dice", "infection_precision", "infection_recall")
    )
    shares = " | ".join(
        shown_percent(row[f"infection_fraction_{side}"]) for side in ("true", "pred")
    )
    return f"| {row['case_id']} | {row['slices']} | {overlaps} | {shares} |"


def shown_number(value: float | None) -> str:
    """Three digits; none is not defined."""
    return "not defined" if value is None else f"{value:.3f}"


def shown_percent(value: float | None) -> str:
    """In percent; none was not measured."""
    return "not measured" if value is None else f"{100 * value:.2f} %"
