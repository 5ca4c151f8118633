"""A classifier as a weights folder: arrays, graph, manifest and card."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

from core.classification.info import (
    HEAD_PREFIX,
    KIND,
    ClassifierInfo,
    read_classifier_manifest,
)
from core.classification.train import ClassifierTrainConfig, TrainedClassifier
from core.config import to_json_dict
from core.segmentation import (
    CARD_NAME,
    MANIFEST_NAME,
    WeightsInfo,
    check_weights_name,
    write_network,
)
from core.system import json_text, make_folder, software_versions, write_text

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
    """Writes everything into `folder`, whose name becomes the id.

    Args:
        encoder: the Keras model of `core.classification.network`.
        command: that makes it again, for the card.

    Raises:
        WeightsError: the folder's name cannot be an id.
        SaveError: it cannot be written.
    """
    check_weights_name(folder)
    make_folder(folder, option="--publish")
    head = {
        f"{HEAD_PREFIX}{part.name}": _stored(getattr(trained.head, part.name))
        for part in fields(trained.head)
    }
    files = write_network(encoder, folder, more_arrays=head)
    manifest = {
        "kind": KIND,
        "weights_id": folder.name,
        "title": "Slice classifier, COVID-19 against other or none",
        "default": is_default,
        **files,
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
    write_text(folder / MANIFEST_NAME, json_text(manifest) + "\n")
    info = read_classifier_manifest(folder)
    write_text(folder / CARD_NAME, card_text(info))
    return info


def _stored(array: Any) -> Any:
    # The axes are many and need few digits; what makes the logit stays as it is.
    return array.astype("float16") if array.ndim > 1 else array


def card_text(info: ClassifierInfo) -> str:
    """The model card, from the manifest alone."""
    manifest = info.manifest
    ucsd, sars = (manifest["validation"][name] for name in ("ucsd", "sars"))
    lines = [
        f"# Slice classifier (`{info.weights_id}`)",
        "",
        "Research software, never a diagnosis. It gives a probability, not a yes or a no.",
        "",
        "The encoder column X(i, 0) of a U-Net++ with the weights of the segmentation network "
        f"`{info.encoder_id}` (whose U-Net encoder has the very same layers, so each array "
        "is copied as it is), and logistic regressions on pooled features of all its levels: "
        "mean and standard deviation of every filter over the slice and over the predicted lung, "
        "and the mean over what is predicted as infected. The encoder was not trained further.",
        f"Input: slice, lung and infection probability of `{info.segmentation_id}`, stretched to "
        f"{info.model.side}×{info.model.side}.",
        "Two heads, one for each set, because the sets contradict each other; a third regression "
        "tells how much a picture looks like those of SARS-COV-2 and weighs the two.",
        f"Penalties {manifest['fit']['ucsd_penalty']:g} and {manifest['fit']['sars_penalty']:g}, "
        f"chosen on validation pictures, as were the weighing and the temperature "
        f"{info.temperature:.3f}; so the figures below flatter a little.",
        "",
        "## Data",
        "",
        "- UCSD COVID-CT (figures of papers): official split by patient, train to learn from, val "
        "to judge; its test split was not touched.",
        "- SARS-COV-2 CT-scan (no patient ids): of ten blocks of numbers a class, two judge, with "
        "a gap of ten numbers on either side.",
        "",
        "The figures below are those of a head fitted on the training side alone. The head that "
        "is shipped was then fitted on all pictures, with penalty and temperature as they were: "
        "its own figures are not known.",
        "",
        "## Figures on pictures not learned from",
        "",
        "95 % intervals by bootstrap over pictures; pictures of one patient resemble each other, "
        "so true intervals are wider.",
        "",
        *(
            [
                '"Encoder by chance" has the same layers with random weights, one draw of them; '
                'its distance from "classifier" is what the transfer brings.',
                "",
            ]
            if any("by chance" in name for name in manifest["figures"])
            else []
        ),
        "| model, learned from → judged on | pictures | AUC | accuracy | F1 |",
        "|---|---|---|---|---|",
    ]
    for name, row in manifest["figures"].items():
        lines.append(
            f"| {name} | {row['slices']} | {_cell(row, 'auc')} | {_cell(row, 'accuracy')} | "
            f"{_cell(row, 'f1')} |"
        )
    lines += [
        "",
        f"Bars set beforehand for UCSD validation: AUC 0.94, accuracy 0.88. Reached: AUC "
        f"{ucsd['auc']:.3f}, accuracy {ucsd['accuracy']:.3f}. On held-out SARS-COV-2 blocks: AUC "
        f"{sars['auc']:.3f}, accuracy {sars['accuracy']:.3f}.",
        "",
        "A set not learned from is what a new hospital is: see the rows ucsd → sars and "
        "sars → ucsd before believing any figure of the other rows.",
        "",
        "## Calibration",
        "",
        "| set | ECE before | after | Brier before | after |",
        "|---|---|---|---|---|",
    ]
    for name, found in manifest["calibration"].items():
        before, after = found["before"], found["after"]
        lines.append(
            f"| {name} | {before['ece']:.3f} | {after['ece']:.3f} | {before['brier']:.3f} | "
            f"{after['brier']:.3f} |"
        )
    abstaining = manifest["abstaining"]
    lines += [
        "",
        "## When it abstains",
        "",
        "Too little lung or contrast; features far from those learned from; a slice that may be no "
        f"axial chest slice. Of {abstaining['held_out_pictures']} held-out pictures "
        f"{100 * abstaining['of_these_judged']:.1f} % are judged; of {abstaining['strangers']} "
        "coronal, sagittal, turned and artificial pictures kept apart "
        f"{100 * (abstaining['of_these_refused'] or 0):.1f} % are refused.",
        "",
        "## Scans",
        "",
        "There are too few scans without COVID-19 to learn from. The probability of a scan is a "
        "rule with the few parameters under `scan` in the manifest: see "
        "`core/classification/scan.py`. It has not been calibrated on scans.",
        "",
        "## Known failures and limits",
        "",
        "- Grey statistics alone, which hold nothing of the lungs' disease, reach what the table "
        "says: window and crop are shortcuts in both sets, and part of the figures.",
        "- Other viral pneumonia, oedema, fibrosis and bleeding look alike and are among the "
        "negatives of UCSD only.",
        "- Early disease without a mark in the lung is missed; a single slice says little.",
        "- No children, no contrast phases known, no scanner known.",
        "",
        "## Made again by",
        "",
        "```sh",
        manifest["command"],
        "```",
        "",
        "## Licence",
        "",
        f"{manifest['licence']} UCSD COVID-CT: figures of papers, research use. SARS-COV-2 "
        "CT-scan: CC BY-NC-SA 4.0.",
        "",
    ]
    return "\n".join(lines)


def _cell(row: dict[str, Any], name: str) -> str:
    low, high = row[f"{name}_interval"]
    return f"{row[name]:.3f} ({low:.3f}–{high:.3f})"
