"""Training all networks of a plan; what a job has found is written when it ends."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from core.classification.config import ClassifierModelConfig
from core.classification.learning.arrays import save_arrays
from core.classification.learning.config import Job, LearnConfig
from core.classification.learning.data import SETS
from core.classification.learning.fit import Trainer
from core.classification.learning.lower import LowerFeatures, compute_lower
from core.classification.learning.networks import lower_network
from core.classification.learning.pack import Pictures
from core.classification.metrics import Vector, area_under_curve
from core.segmentation import WeightsInfo, read_arrays
from core.system import (
    OnProgress,
    ShouldCancel,
    ignore_progress,
    make_folder,
    never_cancel,
    raise_if_cancelled,
    write_text,
)


def learn(
    pictures: Pictures,
    out: Path,
    jobs: Sequence[Job],
    config: LearnConfig,
    *,
    start: WeightsInfo,
    on_progress: OnProgress = ignore_progress,
    should_cancel: ShouldCancel = never_cancel,
) -> list[str]:
    """Trains the jobs that have not been trained yet; results lie in `out`.

    The lower stages are the same in all jobs, so their features of every picture and of its
    variations are computed once, and the upper stages learn from these.

    Args:
        start: segmentation weights whose encoder the networks start from.

    Returns:
        A line on each network.

    Raises:
        Cancelled: between two jobs; the same call resumes later.
    """
    make_folder(out, option="--out folder")
    places = {job: out / f"{job.name}.json" for job in jobs}
    if not all(place.is_file() for place in places.values()):
        _train_missing(
            pictures, places, config, start, on_progress=on_progress, should_cancel=should_cancel
        )
    lines = []
    for job, place in places.items():
        facts = json.loads(place.read_text(encoding="utf-8"))
        lines.append(f"{job.name}: {facts['seconds']:.0f} s; {_scores_text(facts)}")
    return lines


def _train_missing(
    pictures: Pictures,
    places: Mapping[Job, Path],
    config: LearnConfig,
    start: WeightsInfo,
    *,
    on_progress: OnProgress,
    should_cancel: ShouldCancel,
) -> None:
    """Trains every job whose file is not there yet."""
    arrays = read_arrays(start)
    lower = lower_network(arrays, ClassifierModelConfig())
    varied, plain = (
        compute_lower(
            pictures,
            lower,
            channels=3,
            counts=counts,
            config=config.augment,
            seed=config.seed,
            on_progress=on_progress,
        )
        for counts in (_variations(pictures, config.variations), [0] * len(pictures.labels))
    )
    trainers: dict[ClassifierModelConfig, Trainer] = {}
    for number, (job, place) in enumerate(places.items()):
        raise_if_cancelled(should_cancel, "training")
        on_progress("training networks", number, len(places))
        if place.is_file():
            continue
        if job.model not in trainers:
            trainers[job.model] = Trainer(job.model, arrays, config)
        _run(trainers[job.model], job, pictures, varied, plain, place, start)


def _run(
    trainer: Trainer,
    job: Job,
    pictures: Pictures,
    varied: LowerFeatures,
    plain: LowerFeatures,
    place: Path,
    start: WeightsInfo,
) -> None:
    seconds = trainer.train(varied, pictures, job)
    logits = trainer.logits(plain)
    save_arrays(place.with_suffix(".npz"), trainer.arrays())
    np.save(place.with_suffix(".npy"), logits.astype(np.float32))
    facts = {
        "job": asdict(job),
        "config": asdict(trainer.config),
        "start": start.weights_id,
        "steps": round(trainer.config.epochs * job.effort) * trainer.config.steps,
        "seconds": seconds,
        "auc": _scores(pictures, logits),
    }
    write_text(place, json.dumps(facts, indent=1))


def _variations(pictures: Pictures, most: int) -> list[int]:
    """So that every set has about as many variations as the smallest."""
    total = {source: int(np.sum(pictures.sources == source)) for source in SETS}
    smallest = min(total.values())
    counts: npt.NDArray[Any] = np.zeros(len(pictures.labels), dtype=np.int64)
    for source, own in total.items():
        counts[pictures.sources == source] = max(2, round(most * smallest / max(own, 1)))
    return [int(count) for count in counts]


def _scores(pictures: Pictures, logits: Vector) -> dict[str, float]:
    return {
        f"{source} {side}": area_under_curve(pictures.labels[own], logits[own])
        for source in SETS
        for side in ("train", "validation")
        if (own := (pictures.sources == source) & (pictures.sides == side)).any()
    }


def _scores_text(facts: dict[str, Any]) -> str:
    return "AUC " + ", ".join(f"{name} {value:.3f}" for name, value in facts["auc"].items())
