"""Fitting the gate for empty slices, judging it, and looking for what it may have learned instead.

Infected slices come from the 20-case set and MedSeg, empty ones from LUNA; that is, from other
scanners. So the gate is shown probabilities only, and three checks ask whether it tells
infection or origin: see `leak_checks`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from core.classification.fitting import fit_logistic
from core.classification.grey_baseline import grey_statistics
from core.classification.metrics import area_under_curve
from core.config import to_json_dict
from core.segmentation import (
    CARD_NAME,
    KIND,
    MANIFEST_NAME,
    SHARE_NAMES,
    EmptySliceGate,
    WeightsInfo,
    blend_neighbours,
    check_weights_name,
    probability_level,
    slice_shares,
)
from core.segmentation.engines import Engine
from core.system import (
    OnProgress,
    ignore_progress,
    json_text,
    make_folder,
    software_versions,
    write_text,
)
from core.training.dataset import Split, TrainingScan, load_training_scans, split_as_recorded

_WANTED_RECALL = 0.99
_TRIED_RECALLS = (0.99, 0.97, 0.95, 0.9)
_PENALTY = 1e-2
_TINY, _LARGE = 0.005, 0.05
"""Infected shares of the lung below and above which a slice counts as slightly or much infected."""
_ERASED_MARGIN = 9

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class GateSlices:
    """Slices of one side.

    Attributes:
        shares: (n, figures) of `slice_shares`; erased: the same after true infection and its
            surroundings were taken out of the infection's probability.
        infected: (n,) true share of the lung, as the network sees the lung, that is infected.
        marked: (n,) share of the lung that the network marks; overlap: pixels on which it agrees
            with the truth; marked_pixels, true_pixels: those on either side.
        roles, scans: (n,) text; grey: (n, figures) of the baseline.
    """

    shares: Floats
    erased: Floats
    infected: Floats
    marked: Floats
    overlap: Floats
    marked_pixels: Floats
    true_pixels: Floats
    roles: npt.NDArray[np.str_]
    scans: npt.NDArray[np.str_]
    grey: npt.NDArray[np.float32]


def fit_gate(
    data: Path,
    folder: Path,
    segmenter: Engine,
    *,
    members: Sequence[Engine] = (),
    on_progress: OnProgress = ignore_progress,
) -> tuple[EmptySliceGate, dict[str, Any]]:
    """A gate for these segmentation weights, on the split that their manifest records.

    Args:
        members: where the weights are the mean of a cross-validation's networks, these, one a
            fold. Every slice is then marked by the one that never met its patient, each fold is
            judged by a gate fitted on the others, and the gate itself is fitted on all folds.

    Raises:
        DatasetError, LoadError: see `core.training.dataset`; the weights have met every
            patient and no members are given.
    """
    make_folder(folder, option="--out folder")
    scans = load_training_scans(data, segmenter.preprocess, on_progress=on_progress)
    if members:
        parts = [
            _slices(_split_of(scans, member).validation, member, on_progress) for member in members
        ]
        validation = _joined(parts)
        scores = np.concatenate(
            [
                _scores(part, *_fit(_joined([other for other in parts if other is not part])))
                for part in parts
            ]
        )
        train = validation
    else:
        split = _split_of(scans, segmenter)
        train = _slices(split.train, segmenter, on_progress)
        validation = _slices(split.validation, segmenter, on_progress)
        scores = _scores(validation, *_fit(train))
    slopes, bias = _fit(train)
    infected = validation.infected > 0
    gate = EmptySliceGate(
        weights_id="",
        weights=tuple(float(slope) for slope in slopes),
        bias=bias,
        threshold=threshold_for(scores[infected], _WANTED_RECALL),
        segmentation_id=segmenter.weights_id,
        segmentation_sha256=segmenter.info.sha256,
    )
    figures = _judge(gate, validation, scores)
    figures["folds"] = len(members)
    figures["by_recall"] = {
        f"{recall:g}": _judge(
            replace(gate, threshold=threshold_for(scores[infected], recall)), validation, scores
        )
        for recall in _TRIED_RECALLS
    }
    figures["leak_checks"] = leak_checks(gate, train, validation)
    return gate, figures


def _split_of(scans: Sequence[TrainingScan], segmenter: Engine) -> Split:
    return split_as_recorded(scans, segmenter.info.manifest["split"])


def _fit(slices: GateSlices) -> tuple[Floats, float]:
    """Slopes and bias on the shares as they are."""
    infected = slices.infected > 0
    logistic = fit_logistic(
        slices.shares.astype(np.float32),
        infected.astype(np.int64),
        penalty=_PENALTY,
        weights=_balanced(infected),
    )
    slopes = logistic.weights / logistic.scale
    return slopes, float(logistic.bias - slopes @ logistic.mean)


def _scores(slices: GateSlices, slopes: Floats, bias: float) -> Floats:
    return _sigmoid(slices.shares @ slopes + bias)


def _joined(parts: Sequence[GateSlices]) -> GateSlices:
    return GateSlices(
        **{
            part.name: np.concatenate([getattr(one, part.name) for one in parts])
            for part in fields(GateSlices)
        }
    )


def threshold_for(scores: Floats, recall: float) -> float:
    """The highest threshold that lets at least this share of infected slices pass."""
    missable = int((1.0 - recall) * len(scores))
    return float(np.sort(scores)[missable])


def leak_checks(
    gate: EmptySliceGate, train: GateSlices, validation: GateSlices
) -> dict[str, float]:
    """Whether the gate tells infection or origin.

    - `tiny_against_large_auc`: within scans of one source, slightly against much infected slices.
    - `erased_called_empty`: share of infected slices of the 20 cases that are called empty once
      what is infected is taken out; a gate that knew the scanner would still call them infected.
    - `grey_statistics_auc`: infected against empty slices by statistics of grey levels alone: how
      well a network that sees pixels could do by knowing the source.
    """
    slopes, bias = np.array(gate.weights), gate.bias
    cases = validation.roles == "case"
    tiny = cases & (validation.infected > 0) & (validation.infected < _TINY)
    large = cases & (validation.infected > _LARGE)
    both = tiny | large
    scores = validation.shares @ slopes + bias
    erased = _sigmoid(validation.erased[cases] @ slopes + bias)
    grey = fit_logistic(
        train.grey,
        (train.infected > 0).astype(np.int64),
        penalty=0.1,
        weights=_balanced(train.infected > 0),
    )
    judged = validation.roles != "healthy"
    return {
        "tiny_slices": float(np.count_nonzero(tiny)),
        "large_slices": float(np.count_nonzero(large)),
        "tiny_against_large_auc": area_under_curve(large[both].astype(np.int64), scores[both]),
        "erased_called_empty": float(np.mean(erased < gate.threshold)),
        "grey_statistics_auc": area_under_curve(
            (validation.infected[judged] > 0).astype(np.int64),
            grey.logits(validation.grey[judged]),
        ),
    }


def _judge(gate: EmptySliceGate, slices: GateSlices, scores: Floats) -> dict[str, Any]:
    called = scores >= gate.threshold
    infected = slices.infected > 0
    negative, healthy = slices.roles == "negative", slices.roles == "healthy"
    cases = slices.roles == "case"
    return {
        "infected_slices": int(np.count_nonzero(infected)),
        "recall_of_infected": float(np.mean(called[infected])),
        "auc": area_under_curve(infected[~healthy].astype(np.int64), scores[~healthy]),
        "luna_slices": int(np.count_nonzero(negative)),
        "luna_called_infected": float(np.mean(called[negative])),
        "luna_marked_before": float(np.mean(slices.marked[negative])),
        "luna_marked_after": float(np.mean(slices.marked[negative] * called[negative])),
        "normal_slices": int(np.count_nonzero(healthy)),
        "normal_called_infected": float(np.mean(called[healthy])) if healthy.any() else None,
        "normal_marked_before": float(np.mean(slices.marked[healthy])) if healthy.any() else None,
        "normal_marked_after": (
            float(np.mean(slices.marked[healthy] * called[healthy])) if healthy.any() else None
        ),
        "case_dice_before": _mean_dice(slices, cases, np.ones_like(called)),
        "case_dice_after": _mean_dice(slices, cases, called),
    }


def _mean_dice(slices: GateSlices, of: npt.NDArray[np.bool_], kept: npt.NDArray[np.bool_]) -> float:
    """Mean over scans of their infection Dice on the network's grid, slices not kept cleared."""
    found = []
    for scan in np.unique(slices.scans[of]):
        own = slices.scans == scan
        overlap = float((slices.overlap[own] * kept[own]).sum())
        total = float((slices.marked_pixels[own] * kept[own] + slices.true_pixels[own]).sum())
        found.append(2 * overlap / total if total else float("nan"))
    return float(np.mean(found)) if found else float("nan")


def _slices(
    scans: Sequence[TrainingScan], segmenter: Engine, on_progress: OnProgress
) -> GateSlices:
    post = segmenter.info.postprocess
    lung_level, infection_level = (
        probability_level(level) for level in (post.lung_threshold, post.infection_threshold)
    )
    shares, erased, counts, roles, names, grey = [], [], [], [], [], []
    for done, scan in enumerate(scans):
        on_progress("marking scans", done, len(scans))
        found = segmenter.predict(scan.images, batch_size=8)
        if len(scan.images) > 1:
            found = blend_neighbours(found, post.neighbour_share)
        shares.append(slice_shares(found))
        without = found.copy()
        for k, mask in enumerate(scan.infection):
            grown = cv2.dilate(mask, np.ones((_ERASED_MARGIN, _ERASED_MARGIN), np.uint8))
            without[1, k][grown > 0] = 0
        erased.append(slice_shares(without))
        lung = found[0] >= lung_level
        marked = lung & (found[1] >= infection_level)
        true = scan.infection > 0
        seen = lung | true if scan.lung is None else (scan.lung > 0) | true
        counts.append(
            np.stack(
                [
                    true.sum(axis=(1, 2)) / np.maximum(seen.sum(axis=(1, 2)), 1),
                    marked.sum(axis=(1, 2)) / np.maximum(lung.sum(axis=(1, 2)), 1),
                    (marked & true).sum(axis=(1, 2)),
                    marked.sum(axis=(1, 2)),
                    true.sum(axis=(1, 2)),
                ]
            )
        )
        roles += [scan.role] * len(scan.images)
        names += [scan.scan_id] * len(scan.images)
        grey.append(grey_statistics(scan.images))
    infected, marked_share, overlap, marked_pixels, true_pixels = np.concatenate(
        counts, axis=1
    ).astype(np.float64)
    return GateSlices(
        shares=np.concatenate(shares),
        erased=np.concatenate(erased),
        infected=infected,
        marked=marked_share,
        overlap=overlap,
        marked_pixels=marked_pixels,
        true_pixels=true_pixels,
        roles=np.array(roles),
        scans=np.array(names),
        grey=np.concatenate(grey),
    )


def _balanced(positive: npt.NDArray[np.bool_]) -> Floats:
    share = float(np.mean(positive))
    return np.where(positive, 0.5 / max(share, 1e-6), 0.5 / max(1 - share, 1e-6))


def _sigmoid(logits: Floats) -> Floats:
    return 1.0 / (1.0 + np.exp(-logits))


def publish_gate(
    gate: EmptySliceGate,
    figures: dict[str, Any],
    folder: Path,
    segmentation: WeightsInfo,
    *,
    command: str,
) -> None:
    """Writes manifest and card into `folder`, whose name becomes the id.

    Raises:
        WeightsError: the folder's name cannot be an id.
        SaveError: it cannot be written.
    """
    check_weights_name(folder)
    make_folder(folder, option="--publish")
    manifest = {
        "kind": KIND,
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
    write_text(folder / MANIFEST_NAME, json_text(manifest) + "\n")
    write_text(folder / CARD_NAME, _card(folder.name, gate, figures, command))


def _origin(figures: dict[str, Any]) -> str:
    if figures["folds"]:
        return (
            "Learned from slices of the 20-case set and MedSeg (infected) and of LUNA (empty), "
            f"each\nmarked by the one of {figures['folds']} members that never met its patient; in "
            "use, all members mark\ntogether. Judged by gates fitted without the fold judged; the "
            "one that is stored\nhas learned from all."
        )
    return (
        "Learned from: slices of the training patients of those weights (20-case set, MedSeg:\n"
        "infected; LUNA: empty). Judged on the validation patients."
    )


def _card(name: str, gate: EmptySliceGate, figures: dict[str, Any], command: str) -> str:
    leaks = figures["leak_checks"]

    def percent(value: float | None) -> str:
        return "not defined" if value is None or np.isnan(value) else f"{100 * value:.2f} %"

    trade = "\n".join(
        f"| {recall} | {percent(found['luna_called_infected'])} | "
        f"{percent(found['luna_marked_after'])} | {found['case_dice_after']:.4f} |"
        for recall, found in figures["by_recall"].items()
    )
    return f"""# Gate for slices without infection (`{name}`)

Research software, never a diagnosis.

A logistic regression on {len(SHARE_NAMES)} shares of each slice, which are drawn from the
probabilities of the segmentation weights `{gate.segmentation_id}` and from nothing else. It is
used with those weights only, and only where it is asked for.

{_origin(figures)} Threshold {gate.threshold:.4f}: the highest that lets 99 % of
the infected slices judged below pass, so their recall flatters. `normal001` taught nothing.

| judged | figure |
|---|---|
| infected slices | {figures["infected_slices"]} |
| of these let pass | {percent(figures["recall_of_infected"])} |
| AUC, infected against LUNA | {figures["auc"]:.3f} |
| LUNA slices called infected | {percent(figures["luna_called_infected"])} |
| lung of LUNA slices marked before, after | {percent(figures["luna_marked_before"])}, \
{percent(figures["luna_marked_after"])} |
| `normal001` slices called infected | {percent(figures["normal_called_infected"])} |
| its lung marked before, after | {percent(figures["normal_marked_before"])}, \
{percent(figures["normal_marked_after"])} |
| infection Dice of validation cases before, after | {figures["case_dice_before"]:.4f}, \
{figures["case_dice_after"]:.4f} |

| if so many infected slices must pass | LUNA called infected | LUNA marked after | Dice after |
|---|---|---|---|
{trade}

## Does it tell infection, or the scanner?

- Within the validation cases, slices with less than {100 * _TINY:g} % against more than
  {100 * _LARGE:g} % infected: AUC {leaks["tiny_against_large_auc"]:.3f}
  ({leaks["tiny_slices"]:.0f} against {leaks["large_slices"]:.0f}).
- With the infection taken out of the probabilities, {percent(leaks["erased_called_empty"])} of
  the slices of the same scans are called empty. What is left are marks beside the true ones.
- Statistics of grey levels alone part infected from LUNA slices with AUC
  {leaks["grey_statistics_auc"]:.3f}: a network that sees pixels could learn the source, which is
  why this gate sees none.

Made again by `{command}`.

## Licence

Non-commercial research use, because of the data it was trained on.
"""
