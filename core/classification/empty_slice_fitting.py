"""Fitting the gate for empty slices, validating it, and checking what else it may have learned.

Infected slices come from the 20-case set and MedSeg, empty ones from LUNA; that is, from other
scanners. So the gate sees probabilities only, and three checks ask whether it detects infection
or origin: see `leak_checks`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from core.classification.empty_slice_data import Floats, GateSlices, join_slices, predict_slices
from core.classification.fitting import fit_logistic
from core.classification.metrics import area_under_curve
from core.segmentation import EmptySliceGate
from core.segmentation.engines import Engine
from core.system import OnProgress, ignore_progress, make_folder
from core.training.scans import TrainingScan, load_training_scans
from core.training.splits import Split, split_as_recorded

_WANTED_RECALL = 0.99
_TRIED_RECALLS = (0.99, 0.97, 0.95, 0.9)
_PENALTY = 1e-2
SLIGHT, SEVERE = 0.005, 0.05
"""Infected shares of the lung below and above which a slice counts as slightly or severely
infected."""


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
            fold. Every slice is then segmented by the one that was not trained on its patient, each
            fold is validated by a gate fitted on the others, and the gate itself is fitted on
            all folds.

    Raises:
        DatasetError, LoadError: see `core.training.dataset`; the weights were trained on
            every patient and no members are given.
    """
    make_folder(folder, option="--out folder")
    scans = load_training_scans(data, segmenter.preprocess, on_progress=on_progress)
    if members:
        parts = [
            predict_slices(_split_of(scans, member).validation, member, on_progress)
            for member in members
        ]
        validation = join_slices(parts)
        scores = np.concatenate(
            [
                _scores(part, *_fit(join_slices([other for other in parts if other is not part])))
                for part in parts
            ]
        )
        train = validation
    else:
        split = _split_of(scans, segmenter)
        train = predict_slices(split.train, segmenter, on_progress)
        validation = predict_slices(split.validation, segmenter, on_progress)
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
    figures = _validate(gate, validation, scores)
    figures["folds"] = len(members)
    figures["by_recall"] = {
        f"{recall:g}": _validate(
            replace(gate, threshold=threshold_for(scores[infected], recall)), validation, scores
        )
        for recall in _TRIED_RECALLS
    }
    figures["leak_checks"] = leak_checks(gate, train, validation)
    return gate, figures


def _split_of(scans: Sequence[TrainingScan], segmenter: Engine) -> Split:
    return split_as_recorded(scans, segmenter.info.manifest["split"])


def _fit(slices: GateSlices) -> tuple[Floats, float]:
    """Slopes and bias on the shares without standardisation."""
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


def threshold_for(scores: Floats, recall: float) -> float:
    """The highest threshold that lets at least this share of infected slices pass."""
    missable = int((1.0 - recall) * len(scores))
    return float(np.sort(scores)[missable])


def leak_checks(
    gate: EmptySliceGate, train: GateSlices, validation: GateSlices
) -> dict[str, float]:
    """Whether the gate detects infection or origin.

    - `tiny_against_large_auc`: within scans of one source, slightly against much infected slices.
    - `erased_called_empty`: share of infected slices of the 20 cases that are called empty once
      the infection is removed; a gate that knew the scanner would still call them infected.
    - `grey_statistics_auc`: infected against empty slices by statistics of grey levels alone: the
      result that a network could reach by knowing the source.
    """
    slopes, bias = np.array(gate.weights), gate.bias
    cases = validation.roles == "case"
    tiny = cases & (validation.infected > 0) & (validation.infected < SLIGHT)
    large = cases & (validation.infected > SEVERE)
    both = tiny | large
    scores = validation.shares @ slopes + bias
    erased = _sigmoid(validation.erased[cases] @ slopes + bias)
    grey = fit_logistic(
        train.grey,
        (train.infected > 0).astype(np.int64),
        penalty=0.1,
        weights=_balanced(train.infected > 0),
    )
    compared = validation.roles != "healthy"
    return {
        "tiny_slices": float(np.count_nonzero(tiny)),
        "large_slices": float(np.count_nonzero(large)),
        "tiny_against_large_auc": area_under_curve(large[both].astype(np.int64), scores[both]),
        "erased_called_empty": float(np.mean(erased < gate.threshold)),
        "grey_statistics_auc": area_under_curve(
            (validation.infected[compared] > 0).astype(np.int64),
            grey.logits(validation.grey[compared]),
        ),
    }


def _validate(gate: EmptySliceGate, slices: GateSlices, scores: Floats) -> dict[str, Any]:
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


def _balanced(positive: npt.NDArray[np.bool_]) -> Floats:
    share = float(np.mean(positive))
    return np.where(positive, 0.5 / max(share, 1e-6), 0.5 / max(1 - share, 1e-6))


def _sigmoid(logits: Floats) -> Floats:
    return 1.0 / (1.0 + np.exp(-logits))
