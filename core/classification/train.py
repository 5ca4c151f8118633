"""Training a classifier: pictures → features → head → validation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from core.classification.classifier import Encoder, predict_features
from core.classification.config import BandConfig, ClassifierModelConfig, filter_counts, map_names
from core.classification.data import (
    CLASSES,
    LabelledFeatures,
    LabelledPicture,
    compute_features,
    list_labelled,
    picture_frames,
)
from core.classification.evaluation import (
    calibration_of,
    choose_penalties,
    fit_on,
    measure,
    results_table,
)
from core.classification.fitting import (
    FitConfig,
    Mixture,
    assemble_head,
    fit_axial,
    main_axes,
)
from core.classification.frames import slice_frames
from core.classification.grey_baseline import grey_statistics
from core.classification.info import FitnessConfig, Head, ScanConfig
from core.classification.metrics import fit_temperature
from core.classification.out_of_distribution import artificial, other_planes, turned
from core.config import to_json_dict
from core.errors import DatasetError
from core.loading import load_case, load_case_table, load_nifti
from core.segmentation import Graph, segment_volumes
from core.segmentation.engines import Engine
from core.segmentation.engines.openvino_maps import OpenVinoMaps
from core.system import OnProgress, ignore_progress, json_text, make_folder, write_text
from core.training.scans import HEALTHY_CHEST

_HEALTHY_PLANES = 16
_ORIGIN_NAME = "origin.json"
_REFUSED_BY_PLANE, _REFUSED_BY_DISTANCE = 0.05, 0.01
"""Shares of the held-out pictures of each set that may be refused, though they are axial chest
slices."""


@dataclass(frozen=True)
class ClassifierTrainConfig:
    """How a classifier is trained."""

    model: ClassifierModelConfig = field(default_factory=ClassifierModelConfig)
    fit: FitConfig = field(default_factory=FitConfig)
    choose_penalties: bool = True
    """Take the penalties that are best on validation pictures instead of the config's."""
    transfer: bool = True
    """Take the encoder of the segmentation weights, or the one named; else a random one."""
    encoder_of: str = ""
    """Segmentation weights that the encoder comes from; those that make the masks if empty."""
    refit_on_all: bool = True
    """Finally fit the head again on all pictures, with the penalty and the temperature that were
    found on held-out ones."""
    out_of_distribution: int = 360
    """Slices that are no axial chest slices, to learn to abstain on."""
    seed: int = 7


@dataclass(frozen=True, eq=False)
class TrainedClassifier:
    """What is to be stored, and further facts for its manifest."""

    head: Head
    temperature: float
    bands: BandConfig
    scan: ScanConfig
    fitness: FitnessConfig
    record: dict[str, Any]


def load_features(
    data: Path,
    folder: Path,
    config: ClassifierTrainConfig,
    encoder: Encoder,
    segmenter: Engine,
    *,
    random: Encoder | None = None,
    on_progress: OnProgress = ignore_progress,
) -> LabelledFeatures:
    """Features of every labelled picture; parts that an earlier call has written into `folder`
    are read from there.

    Args:
        random: a random encoder, whose features are wanted too.

    Raises:
        DatasetError, LoadError: see `core.classification.data`.
    """
    make_folder(folder, option="--out folder")
    _check_or_write_origin(folder, config, segmenter, with_random=random is not None)
    pictures = list_labelled(data)
    parts = []
    for source in ("ucsd", "sars"):
        for class_name, label in CLASSES.items():
            for is_training in (True, False):
                own = [
                    one
                    for one in pictures
                    if one.source == source
                    and one.label == label
                    and (one.side == "train") == is_training
                ]
                name = f"{source}-{class_name}-{'train' if is_training else 'rest'}.npz"
                if own:
                    place = folder / name
                    parts.append(_part(place, own, config, encoder, segmenter, random, on_progress))
    return LabelledFeatures(
        rows=np.concatenate([part.rows for part in parts]),
        grey=np.concatenate([part.grey for part in parts]),
        random=np.concatenate([part.random for part in parts]),
        labels=np.concatenate([part.labels for part in parts]),
        sources=np.concatenate([part.sources for part in parts]),
        sides=np.concatenate([part.sides for part in parts]),
    )


def _check_or_write_origin(
    folder: Path, config: ClassifierTrainConfig, segmenter: Engine, *, with_random: bool
) -> None:
    """Records what features depend on besides the pictures, so that none of another origin are
    used."""
    origin = {
        "model": to_json_dict(config.model),
        "transfer": config.transfer,
        "encoder_of": config.encoder_of,
        "out_of_distribution": config.out_of_distribution,
        "seed": config.seed,
        "segmentation": segmenter.info.sha256,
        "with_random": with_random,
    }
    place = folder / _ORIGIN_NAME
    text = json_text(origin) + "\n"
    if place.is_file():
        same = place.read_text(encoding="utf-8") == text
    else:
        same = not any(folder.glob("*.npz"))
    if not same:
        raise DatasetError(
            "The run folder holds features that were computed differently",
            got="another network, other settings or an earlier version",
            expected="the same command",
            next_step="choose another --out folder",
        )
    write_text(place, text)


def _part(
    place: Path,
    pictures: Sequence[LabelledPicture],
    config: ClassifierTrainConfig,
    encoder: Encoder,
    segmenter: Engine,
    random: Encoder | None,
    on_progress: OnProgress,
) -> LabelledFeatures:
    names = np.array([one.path.name for one in pictures])
    if place.is_file():
        with np.load(place, allow_pickle=False) as stored:
            if not np.array_equal(stored["names"], names):
                raise DatasetError(
                    "The run folder holds features of other pictures",
                    expected="the same data folder",
                    next_step="choose another --out folder",
                )
            rows, grey, by_random = stored["rows"], stored["grey"], stored["random"]
    else:
        frames = picture_frames(
            [one.path for one in pictures],
            segmenter,
            side=config.model.side,
            on_progress=on_progress,
        )
        rows = compute_features(
            frames, encoder, with_masks=config.model.with_masks, on_progress=on_progress
        )
        by_random = np.zeros((len(rows), 0), dtype=np.float32)
        if random is not None:
            by_random = compute_features(
                frames, random, with_masks=config.model.with_masks, on_progress=on_progress
            )
        grey = grey_statistics(frames[..., 0])
        np.savez(place, rows=rows, grey=grey, random=by_random, names=names)
    return LabelledFeatures(
        rows=rows,
        grey=grey,
        random=by_random,
        labels=np.array([one.label for one in pictures], dtype=np.int64),
        sources=np.array([one.source for one in pictures]),
        sides=np.array([one.side for one in pictures]),
    )


def load_out_of_distribution(
    data: Path,
    folder: Path,
    config: ClassifierTrainConfig,
    encoder: Encoder,
    segmenter: Engine,
) -> npt.NDArray[np.float32]:
    """Features of slices that are not axial chest slices; half of them are kept for validation."""
    place = folder / "out-of-distribution.npz"
    if place.is_file():
        with np.load(place, allow_pickle=False) as stored:
            rows: npt.NDArray[np.float32] = stored["rows"]
            return rows
    third = config.out_of_distribution // 3
    cases = load_case_table(data / "covid20")
    volumes = list(artificial(third, seed=config.seed))
    each = max(2, third // (2 * len(cases)))
    for case in cases:
        volumes += other_planes(load_case(case).volume, count=each)
    healthy = data / HEALTHY_CHEST
    if healthy.is_file():  # the one scan without disease, whose planes are the hardest to refuse
        volumes += other_planes(load_nifti(healthy), count=_HEALTHY_PLANES)
    axial = [one.path for one in list_labelled(data)[:: max(1, 3000 // max(1, third))]]
    upright = picture_frames(axial[:third], segmenter, side=config.model.side)
    found = segment_volumes(volumes, segmenter)
    frames = [
        slice_frames(volume, segmentation, [0], side=config.model.side)[0]
        for volume, segmentation in zip(volumes, found, strict=True)
    ]
    frames += list(turned(upright))
    order = np.random.default_rng(config.seed).permutation(len(frames))
    rows = compute_features(np.stack(frames)[order], encoder, with_masks=config.model.with_masks)
    np.savez(place, rows=rows)
    return rows


def fit_classifier(
    features: LabelledFeatures,
    out_of_distribution: npt.NDArray[np.float32],
    config: ClassifierTrainConfig,
) -> TrainedClassifier:
    """Chooses settings on validation pictures, validates on them, and fits what is to be stored.

    Values in the record are those of heads that were not fitted on the pictures they are measured
    on; what is stored was fitted on all of them where `refit_on_all`.
    """
    fit, scores = (
        choose_penalties(features, config.fit) if config.choose_penalties else (config.fit, {})
    )
    chosen = fit_on(features.of(None, "train"), fit)
    held_out = features.of(None, "validation")
    logits = chosen.logits(held_out.rows)
    temperature = _temperature(held_out, logits)
    calibration = {
        source: calibration_of(
            held_out.of(source, None).labels, logits[held_out.sources == source], temperature
        )
        for source in ("ucsd", "sars")
    }
    filters = filter_counts(config.model)
    results = results_table(features, fit, filters=filters if config.model.with_masks else ())
    stored = fit_on(features if config.refit_on_all else features.of(None, "train"), fit)
    assert isinstance(stored, Mixture)
    head, fitness, abstaining = _with_abstaining(features, out_of_distribution, stored, fit)
    return TrainedClassifier(
        head=head,
        temperature=temperature,
        bands=BandConfig(),
        scan=ScanConfig(),
        fitness=fitness,
        record={
            "fit": to_json_dict(fit),
            "penalty_scores": scores,
            "results": results,
            "validation": {
                source: measure(
                    held_out.of(source, None).labels, logits[held_out.sources == source]
                )
                for source in ("ucsd", "sars")
            },
            "calibration": calibration,
            "abstaining": abstaining,
            "pictures": {
                f"{source} {side}": len(features.of(source, side).labels)
                for source in ("ucsd", "sars")
                for side in ("train", "validation", "gap")
            },
        },
    )


def _temperature(held_out: LabelledFeatures, logits: npt.NDArray[np.float64]) -> float:
    """One for both sets, each with half the weight: the geometric mean of theirs."""
    found = [
        fit_temperature(held_out.labels[own], logits[own])
        for source in ("ucsd", "sars")
        if (own := held_out.sources == source).any()
    ]
    return float(np.exp(np.mean(np.log(found))))


def _with_abstaining(
    features: LabelledFeatures,
    out_of_distribution: npt.NDArray[np.float32],
    stored: Mixture,
    fit: FitConfig,
) -> tuple[Head, FitnessConfig, dict[str, Any]]:
    """The head with what it needs to abstain, fitted on training pictures and half of those out
    of distribution, validated on held-out pictures and the other half."""
    train, held_out = features.of(None, "train").rows, features.of(None, "validation").rows
    half = len(out_of_distribution) // 2
    mean = train.mean(axis=0)
    scale = train.std(axis=0) + np.float32(1e-4)
    axes = main_axes(train, mean, scale, components=fit.components)
    axial = fit_axial(train, out_of_distribution[:half], axes=axes, mean=mean, scale=scale)
    head = assemble_head(stored, mean, scale, axes, axial)
    none = np.zeros((1, 2, 1, 1), dtype=np.float32)
    inside = predict_features(held_out, head, none)
    outside = predict_features(out_of_distribution[half:], head, none)
    sources = features.of(None, "validation").sources
    by_set = [sources == source for source in sorted(set(sources.tolist()))]
    # As loose as needed by the set with the greatest variation.
    fitness = FitnessConfig(
        max_distance=max(
            float(np.quantile(inside.distance[own], 1 - _REFUSED_BY_DISTANCE)) for own in by_set
        ),
        min_axial=min(float(np.quantile(inside.axial[own], _REFUSED_BY_PLANE)) for own in by_set),
    )
    refused = (outside.distance > fitness.max_distance) | (outside.axial < fitness.min_axial)
    kept = (inside.distance <= fitness.max_distance) & (inside.axial >= fitness.min_axial)
    return (
        head,
        fitness,
        {
            "held_out_pictures": len(held_out),
            "of_these_judged": float(kept.mean()),
            "judged_by_set": {
                source: float(kept[sources == source].mean())
                for source in sorted(set(sources.tolist()))
            },
            "out_of_distribution": len(outside.axial),
            "of_these_refused": float(refused.mean()) if len(outside.axial) else None,
        },
    )


def build_maps(graph: Graph, arrays: dict[str, Any], config: ClassifierModelConfig) -> OpenVinoMaps:
    """The encoder ready to give its maps."""
    return OpenVinoMaps(
        graph,
        dict(arrays),
        shape=(config.side, config.side),
        maps=map_names(config),
        shown="the encoder",
    )
