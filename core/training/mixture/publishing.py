"""From a run on all sets to weights that others can load."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from core.segmentation import (
    CARD_NAME,
    MANIFEST_NAME,
    WeightsInfo,
    read_manifest,
    save_weights,
    segment_volume,
)
from core.segmentation.engines import default_engine, load_engine
from core.system import OnProgress, ignore_progress, json_text, without_nan, write_text
from core.training.mixture.fit import load_mixture_network
from core.training.mixture.judging import judge_scans, summarize, to_rows
from core.training.mixture.sources import LabelledScan
from core.training.runs import RunPaths, read_record

LICENCE = (
    "Non-commercial research use, because of the data it was trained on. The encoder started from "
    "arrays under Apache-2.0 (see weights/encoder-lite0)."
)


def publish_mixture(
    scans: Sequence[LabelledScan], paths: RunPaths, folder: Path, *, is_default: bool = False
) -> WeightsInfo:
    """Writes the running mean of a run as weights, not yet judged.

    Args:
        scans: all that the run had, those kept out among them.
        folder: such as `weights/NAME`.
    """
    model, config = load_mixture_network(paths)
    record = read_record(paths.config)
    kept_out = _ids(record["split"]["kept_out"])
    info = save_weights(
        model,
        folder,
        title="U-Net on EfficientNet-Lite for lung and infection",
        model_config=config.model,
        preprocess=config.preprocess,
        postprocess=config.postprocess,
        record={
            "training": {**record["config"], "kind": "mixture"},
            "sets": record["split"],
            "split": _by_patient(scans, kept_out),
            "versions": record["versions"],
            "licence": LICENCE,
        },
        is_default=is_default,
    )
    write_text(folder / CARD_NAME, build_card(info))
    return info


def judge_weights(
    data: Path, folder: Path, *, on_progress: OnProgress = ignore_progress
) -> WeightsInfo:
    """Judges published weights on the patients that their run kept out, and writes the figures
    into manifest and card.

    Args:
        data: folder of the sets.
    """
    info = read_manifest(folder)
    kept_out = _ids(info.manifest["sets"]["kept_out"])
    engine = load_engine(info, default_engine())
    judged = judge_scans(
        data,
        lambda volume: segment_volume(volume, engine).masks,
        kept_out,
        on_progress=on_progress,
    )
    validation = without_nan({"scans": to_rows(judged), "by_set": summarize(judged)})
    manifest = {**info.manifest, "validation": validation}
    write_text(folder / MANIFEST_NAME, json_text(manifest) + "\n")
    info = read_manifest(folder)
    write_text(folder / CARD_NAME, build_card(info))
    return info


def _ids(by_source: Mapping[str, Sequence[str]]) -> set[str]:
    return {scan_id for ids in by_source.values() for scan_id in ids}


def _by_patient(
    scans: Sequence[LabelledScan], kept_out: Collection[str]
) -> dict[str, dict[str, list[str]]]:
    """The split as other weights write it down."""
    sides: dict[str, dict[str, set[str]]] = {
        side: {role: set() for role in ("patients", "case", "picture", "negative", "healthy")}
        for side in ("train", "validation")
    }
    roles = {"pictures": "picture", "looked_through": "negative", "unseen": "negative"}
    for scan in scans:
        side = sides["validation" if scan.scan_id in kept_out else "train"]
        role = "healthy" if scan.source == "healthy" else roles.get(scan.source, "case")
        side[role].add(scan.scan_id)
        if role == "case":
            side["patients"].add(scan.patient_id)
    return {
        side: {role: sorted(ids) for role, ids in by_role.items()}
        for side, by_role in sides.items()
    }


def build_card(info: WeightsInfo) -> str:
    """The model card, every number in it from the manifest."""
    manifest = info.manifest
    training = manifest["training"]
    validation = manifest.get("validation")
    sets = manifest["sets"]
    learned = ", ".join(f"{len(ids)} × {name}" for name, ids in sets["train"].items())
    steps = training["epochs"] * training["steps_per_epoch"]
    start = "learned on ImageNet" if training["pretrained"] else "drawn by chance"
    encoder = f"EfficientNet-{info.model.encoder.capitalize()} ({start})"
    return f"""# {info.title} (`{info.weights_id}`)

Research software, never a diagnosis.

A 2D {info.model.architecture} whose contracting half is {encoder}, with
two sigmoid outputs: lung (both lungs with their infected parts, without trachea and main bronchi)
and infection; a slice head tells whether a slice shows either. Input:
{info.preprocess.rows}×{info.preprocess.columns} pixels, the lungs' box by Otsu.

## Data

Learned from {learned};
{steps} steps of {training["batch_size"]} slices. Nothing was chosen on the patients kept out: the
weights are the running mean at the end.

{_figures_text(validation, judges=bool(sets["kept_out"]))}
## Known failures and limits

- Few patients with infection, one disease, adults: other pneumonia, fibrosis, oedema, tumours and
  dependent atelectasis are likely to be marked as infection.
- The network sees shape, not size: it is not told how long a pixel is.

## Licence

{manifest["licence"]}
"""


def _figures_text(validation: dict[str, Any] | None, *, judges: bool) -> str:
    if validation is None and judges:
        return "It has not been judged yet on the patients it never learned from.\n"
    if validation is None:
        return "It learned from every scan there is, so nobody is left to judge it.\n"
    names = {
        "lung_dice": "lung Dice",
        "worst_lung_dice": "worst",
        "lung_in_free_slices": "lung in lung-free slices",
        "infection_dice": "infection Dice",
        "infected_share": "infected share",
        "infected_in_free_slices": "in infection-free slices",
    }
    head = "| set | scans | " + " | ".join(names.values()) + " |"
    rows = [head, "|" + "---|" * (len(names) + 2)]
    for source, figures in validation["by_set"].items():
        cells = " | ".join(_shown(name, figures[name]) for name in names)
        rows.append(f"| {source} | {figures['scans']:.0f} | {cells} |")
    return (
        "## Figures on patients never learned from\n\nMeans over patients, whole pipeline, each "
        "scan's own grid.\n\n" + "\n".join(rows) + "\n"
    )


def _shown(name: str, value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.3f}" if "dice" in name else f"{100 * value:.2f} %"
