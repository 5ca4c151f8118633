"""From a finished run to weights that others can load: arrays, manifest, model card."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.biomarkers import compute_burden
from core.config import ModelConfig, PostprocessConfig, TrainConfig, to_json_dict
from core.dataset import Split, load_training_scans, split_as_recorded
from core.errors import WeightsError
from core.evaluation import evaluate_cases, mean_figures
from core.inference import Segmenter
from core.loading.kaggle import Case, load_case_table
from core.loading.nifti import load_nifti
from core.pipeline import segment_volume
from core.progress import OnProgress, ignore_progress
from core.records import without_nan, write_text
from core.runs import RunPaths, read_history, read_record, score
from core.training import load_published_model, software_versions
from core.validation import validate
from core.volume import MaskPair, Study
from core.weights import CARD_NAME, WeightsInfo, list_weights, read_manifest, save_weights

STAGE_NAME = "stage{number}.json"
"""Configs of the runs before the published one, each the start of the next, first to last;
`train --config` takes them."""
LICENCE = "Non-commercial research use, because of the data it was trained on."
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
    network never learned from, on each scan's own grid, after post-processing.
    """
    published = config.published
    preprocess = replace(config.preprocess, smooth_sigma=published.smooth_sigma)
    postprocess = PostprocessConfig(
        infection_threshold=published.infection_threshold,
        neighbour_share=published.neighbour_share,
    )
    scans = load_training_scans(data, preprocess, on_progress=on_progress)
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
        "licence": LICENCE,
    }

    # Weights published beside others do not push themselves forward.
    is_default = not any(
        other.is_default and other.weights_id != folder.name for other in _readable(folder.parent)
    )

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
    validation = _judge(data, segmenter, split, config, on_progress)
    info = save({"validation": validation})
    write_text(folder / CARD_NAME, build_card(info))
    for number, stage in enumerate(_stages(run["initial"]), start=1):
        written = json.dumps({**stage, "initial": None}, indent=1)
        write_text(folder / STAGE_NAME.format(number=number), written + "\n")
    return read_manifest(folder)


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
        "mean_over_patients": mean_figures(results),
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
    roles = {role: len(split["train"][role]) for role in ("case", "picture", "negative")}
    kept = {role: len(split["validation"][role]) for role in ("case", "picture", "negative")}
    return f"""# {info.title} (`{info.weights_id}`)

Research software, never a diagnosis.

It is {describe_network(info)}
Arrays: `weights.npz`, kernels in float16, {manifest["file"]["bytes"] / 1e6:.1f} MB, read without
pickle and only if the sha256 in `manifest.json` agrees.

## Data

- COVID-19 CT Lung and Infection Segmentation (Ma et al. 2020, Zenodo 3757476): {roles["case"]}
  scans of {len(split["train"]["patients"])} patients to learn from, {kept["case"]} scans of
  {len(split["validation"]["patients"])} other patients to judge. The scans used are a reduced
  edition: the middle of each volume, only slices with infection, 256×256, grey values
  reconstructed, 8-bit for the `radiopaedia` cases.
- MedSeg COVID-19 slices: {roles["picture"]} to learn infection from (lung unknown there),
  {kept["picture"]} to judge. The set names no patients, so two slices of one patient may stand on
  both sides.
- Chest slices of LIDC/LUNA patients, scanned years before COVID-19: {roles["negative"]} as
  infection-free examples, {kept["negative"]} to judge, by patient.
- One healthy chest of COVID-CT-MD, never learned from, as a check for false alarms.

Split by patient, fixed before training.

{_stages_text(manifest["initial"])}{training["epochs_done"]} of {training["epochs"]} epochs of
{_LOSSES[training["loss"]["kind"]].format(**training["loss"])} with AdamW and \
{_SCHEDULES[training["schedule"]["kind"]]}, a running mean of the weights judged
after each; epoch
{training["best_epoch"]:.0f} was kept because it was best on the validation cases and slices, so
their figures below are slightly optimistic. {_mix_text(training["published"])}The healthy chest \
had no part in any choice.

## Figures on patients never learned from

Volume Dice on the scan's own grid after post-processing; threshold
{info.postprocess.lung_threshold:g} for lung, {info.postprocess.infection_threshold:g} for
infection{_neighbours_text(info.postprocess.neighbour_share)} (all
chosen on these same cases).

| case | slices | lung Dice | infection Dice | precision | recall | share true | share predicted |
|---|---|---|---|---|---|---|---|
{rows}

Mean over {validation["patients"]} patients: lung Dice **{shown_number(means["lung_dice"])}**,
infection Dice **{shown_number(means["infection_dice"])}** \
(IoU {shown_number(means["infection_iou"])}).

| check | figure |
|---|---|
| healthy chest `normal001`: infected share of the lung | \
{shown_percent(validation.get("normal001_infected_share"))} |
| LUNA slices: infected share of the lung | \
{shown_percent(validation.get("negative_slices_infected_share"))} |
| MedSeg slices turned upright: mean infection Dice, one a slice | \
{shown_number(validation["pictures_infection_dice"])} |

{known_limits(manifest["licence"])}"""


def network_title(config: ModelConfig) -> str:
    """The architecture's name."""
    return _ARCHITECTURES[config.architecture][0]


def describe_network(info: WeightsInfo) -> str:
    """Architecture and input in two sentences of a card, beginning with "a 2D"."""
    model, preprocess = info.model, info.preprocess
    network, source = _ARCHITECTURES[model.architecture]
    bound = f" (at most {model.max_filters} at any)" if model.max_filters else ""
    box = {"body": "the body's box by Otsu", "lungs": "the lungs' box by Otsu", "none": "whole"}
    return f"""a 2D {network} ({source}) with {model.depth} levels and {model.width} filters at the
finest{bound}, {_NORMALIZATIONS[model.normalization]}, two sigmoid outputs: lung (with its infected
parts) and infection.
Input: axial slices, {box[preprocess.crop]}, window {preprocess.window_center:g}/\
{preprocess.window_width:g} HU, {preprocess.rows}×{preprocess.columns} pixels, smoothed with a
Gaussian of {preprocess.smooth_sigma:g} pixels (chosen on the cases it was judged on)."""


def known_limits(licence: str) -> str:
    """The closing sections of a card."""
    return f"""## Known failures and limits

- Few patients, one disease, adults: other pneumonia, fibrosis, oedema, tumours and dependent
  atelectasis are likely to be marked as infection.
- Small and faint lesions count little in volume Dice and are the ones most often missed.
- Consolidation against the chest wall may be left out of the lung, and then out of the infection.
- Truth of the 20-case set was drawn by people who agree with each other at a Dice of about 0.7
  to 0.8 on infection; differences of that size mean little.
- The millimetres of the training scans are nominal; the network sees shape, not size.

## Licence

{licence} The 20-case set is CC BY 4.0 by its record and CC BY-NC-SA by its authors'
repository; MedSeg allows non-commercial research; LUNA slices are CC BY 3.0.
"""


def _stages(initial: dict[str, Any] | None) -> list[dict[str, Any]]:
    """The runs before the published one, first to last."""
    if initial is None:
        return []
    return [*_stages(initial.get("initial")), initial]


def _stages_text(initial: dict[str, Any] | None) -> str:
    stages = _stages(initial)
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
