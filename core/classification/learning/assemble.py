"""From trained networks to a classifier: what it is calibrated on, when it abstains, and its
record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from core.classification.classifier import Network, likeness
from core.classification.combination import Combination
from core.classification.config import ClassifierModelConfig
from core.classification.frames import Frames
from core.classification.info import FitnessConfig, Head
from core.classification.learning.evaluation import (
    BOTH,
    Opinion,
    Table,
    calibration_of,
    fit_lesions,
    fit_together,
    measure,
    results_table,
    together,
)
from core.classification.learning.fitting import fit_axial, fit_logistic, main_axes
from core.classification.learning.grey_baseline import grey_statistics
from core.classification.learning.heat_checks import check_heat
from core.classification.learning.out_of_distribution import OtherPictures
from core.classification.learning.pack import Pictures
from core.classification.learning.results import TrainedNetwork
from core.classification.learning.scan_fit import fit_scans
from core.classification.learning.scans import HeldOutScan
from core.classification.lesions import LesionModel, lesion_logits
from core.classification.metrics import Vector, area_under_curve
from core.classification.pooling import describe_slice, pool_evidence
from core.classification.scan import ScanModel

_COMPONENTS = 120
_REFUSED_BY_KIND, _REFUSED_BY_DISTANCE = 0.03, 0.005
"""Shares of the held-out pictures of each set that may be refused, though they are axial chest
slices."""
_SET_PENALTY = 0.03


@dataclass(frozen=True, eq=False)
class TrainedClassifier:
    """What is to be stored beside the network, and further facts for the manifest."""

    head: Head
    lesions: LesionModel
    combination: Combination
    scan: ScanModel
    fitness: FitnessConfig
    record: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Shown:
    """What a network says of frames: logits (n,), descriptions (n, columns), evidence (n, height,
    width)."""

    logits: Vector
    rows: npt.NDArray[np.float32]
    evidence: npt.NDArray[np.float32]


def show(network: Network, frames: Frames, model: ClassifierModelConfig) -> Shown:
    """Runs a network on frames (n, rows, columns, 3)."""
    logits, rows, evidence = [], [], []
    shown = np.ascontiguousarray(frames[..., : model.channels])
    for (features, found), frame in zip(network.maps(shown), frames, strict=True):
        pooled = pool_evidence(found, frame[..., 1:], model)
        logits.append(pooled.logit)
        rows.append(describe_slice(features, frame[..., 1:]))
        evidence.append(pooled.evidence)
    return Shown(np.array(logits), np.stack(rows), np.stack(evidence))


def assemble(
    pictures: Pictures,
    networks: list[TrainedNetwork],
    *,
    model: ClassifierModelConfig,
    measured: Network,
    shipped: Network,
    scans: Sequence[HeldOutScan],
    others: OtherPictures,
) -> TrainedClassifier:
    """Calibrates and measures.

    Args:
        measured: trained on the training side alone; what is reported of held-out pictures is of
            this one.
        shipped: trained on all pictures by the same recipe.
    """
    held_out = pictures.sides == "validation"
    apart = pictures.of(held_out)
    by_measured = show(measured, apart.frames, model)
    network = np.zeros(len(pictures.labels))
    network[held_out] = by_measured.logits  # of no others is any result of this one
    lesions = fit_lesions(pictures)
    marked = lesion_logits(pictures.frames, lesions)
    combination = fit_together(network, marked, pictures)
    combined = together(network, marked, pictures, BOTH)
    table = results_table(pictures, networks, Opinion("network", BOTH, network))
    of_scans = show(shipped, np.concatenate([scan.frames for scan in scans]), model)
    scan, scan_record = fit_scans(scans, combination.network_alone.of(of_scans.logits))
    of_pictures = show(shipped, pictures.frames, model)
    of_others = show(shipped, others.frames, model)
    head, fitness, abstaining = _abstaining(pictures, others, of_pictures.rows, of_others.rows)
    by_set = {
        source: held_out & (pictures.sources == source)
        for source in sorted(set(pictures.sources.tolist()))
    }
    return TrainedClassifier(
        head=head,
        lesions=lesions,
        combination=combination,
        scan=scan,
        fitness=fitness,
        record={
            "results": table,
            "worth": worth(table),
            "validation": {
                source: measure(pictures.labels[own], combined[own])
                for source, own in by_set.items()
            },
            "calibration": {
                source: calibration_of(pictures.labels[own], network[own], combined[own])
                for source, own in by_set.items()
            },
            "scans": scan_record,
            "abstaining": abstaining,
            "heat": check_heat(measured, apart, by_measured.evidence, model),
            "set_recognition": _recognised_sets(pictures, of_pictures.rows),
            "pictures": _counts(pictures),
        },
    )


def _counts(pictures: Pictures) -> dict[str, int]:
    """Pictures of each side of each set."""
    return {
        f"{source} {side}": int(np.sum((pictures.sources == source) & (pictures.sides == side)))
        for source in sorted(set(pictures.sources.tolist()))
        for side in ("train", "validation", "gap")
    }


def worth(table: Table) -> dict[str, Any]:
    """What the combined probability is worth on a set that was not learned from: both ways."""
    rows = [
        table[f"network and lesions, {a} → {b}"] for a, b in (("ucsd", "sars"), ("sars", "ucsd"))
    ]
    return {name: [row[name] for row in rows] for name in ("auc", "accuracy", "accuracy_interval")}


def _abstaining(
    pictures: Pictures,
    others: OtherPictures,
    rows: npt.NDArray[np.float32],
    other_rows: npt.NDArray[np.float32],
) -> tuple[Head, FitnessConfig, dict[str, Any]]:
    """Fitted on training pictures and those others that are not kept apart, measured on held-out
    pictures and on those kept apart."""
    train, held_out = (rows[pictures.sides == side] for side in ("train", "validation"))
    mean = train.mean(axis=0)
    scale = train.std(axis=0) + np.float32(1e-4)
    axes = main_axes(train, mean, scale, components=_COMPONENTS)
    axial = fit_axial(train, other_rows[~others.kept_apart], axes=axes, mean=mean, scale=scale)
    head = Head(mean=mean, scale=scale, axes=axes, axial=axial)
    distance, kind = likeness(held_out, head)
    sources = pictures.sources[pictures.sides == "validation"]
    by_set = {source: sources == source for source in sorted(set(sources.tolist()))}
    fitness = FitnessConfig(  # as loose as the set with the greatest variation needs
        max_distance=max(
            float(np.quantile(distance[own], 1 - _REFUSED_BY_DISTANCE)) for own in by_set.values()
        ),
        min_axial=min(float(np.quantile(kind[own], _REFUSED_BY_KIND)) for own in by_set.values()),
    )
    kept = (distance <= fitness.max_distance) & (kind >= fitness.min_axial)
    other_distance, other_kind = likeness(other_rows, head)
    refused = (
        (other_distance > fitness.max_distance)
        | (other_kind < fitness.min_axial)
        | (others.lung_shares < fitness.min_lung_share)
    )
    apart = others.kept_apart
    kinds = sorted(set(others.kinds.tolist()))
    return (
        head,
        fitness,
        {
            "held_out_pictures": len(held_out),
            "of_these_judged": float(kept.mean()),
            "judged_by_set": {source: float(kept[own].mean()) for source, own in by_set.items()},
            "out_of_distribution": int(apart.sum()),
            "of_these_refused": float(refused[apart].mean()),
            "refused_by_kind": {
                one: [
                    int((apart & (others.kinds == one)).sum()),
                    float(refused[apart & (others.kinds == one)].mean()),
                ]
                for one in kinds
            },
        },
    )


def _recognised_sets(pictures: Pictures, rows: npt.NDArray[np.float32]) -> dict[str, float]:
    """AUC of telling the set of held-out pictures by the network's description and by grey
    levels: 0.5 if nothing of a set's making were left."""
    train, held_out = pictures.sides == "train", pictures.sides == "validation"
    is_sars = (pictures.sources == "sars").astype(np.int64)
    found = {}
    for name, columns in (
        ("features", rows),
        ("grey statistics", grey_statistics(pictures.frames[..., 0])),
    ):
        share = np.where(is_sars == 1, 1 / is_sars[train].sum(), 1 / (1 - is_sars[train]).sum())
        line = fit_logistic(
            columns[train], is_sars[train], penalty=_SET_PENALTY, weights=share[train]
        )
        found[name] = area_under_curve(is_sars[held_out], expit(line.logits(columns[held_out])))
    return found
