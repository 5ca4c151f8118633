"""Making a classifier: pictures → features → head → judgement → weights with manifest and card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from core.classification.classifier import Encoder, judge_features
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
    figures_of,
    fit_on,
    table,
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
from core.classification.strangers import artificial, other_planes, turned
from core.config import to_json_dict
from core.errors import DatasetError
from core.loading import load_case, load_case_table, load_nifti
from core.segmentation import Graph, segment_volumes
from core.segmentation.engines import Engine
from core.segmentation.engines.openvino_maps import OpenVinoMaps
from core.system import OnProgress, ignore_progress, json_text, make_folder, write_text

_HEALTHY_PLANES = 16
_ORIGIN_NAME = "origin.json"
_REFUSED_BY_PLANE, _REFUSED_BY_DISTANCE = 0.05, 0.01
"""Shares of the held-out pictures of either set that may be refused, though they are axial chest
slices."""


@dataclass(frozen=True)
class ClassifierTrainConfig:
    """How a classifier is made."""

    model: ClassifierModelConfig = field(default_factory=ClassifierModelConfig)
    fit: FitConfig = field(default_factory=FitConfig)
    choose_penalties: bool = True
    """Take the penalties that do best on validation pictures in place of the config's."""
    transfer: bool = True
    """Take the encoder of the segmentation weights, or the one named; else one drawn by chance."""
    encoder_of: str = ""
    """Segmentation weights that the encoder comes from; those that make the masks if empty."""
    refit_on_all: bool = True
    """At last fit the head again on all pictures, with the penalty and the temperature that
    were found on held-out ones."""
    strangers: int = 360
    """Slices that are no axial chest slices, to learn to abstain on."""
    seed: int = 7


@dataclass(frozen=True, eq=False)
class TrainedClassifier:
    """What is to be stored, and what a manifest says of it."""

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
    chance: Encoder | None = None,
    on_progress: OnProgress = ignore_progress,
) -> LabelledFeatures:
    """Features of every labelled picture; parts that an earlier call has written into `folder`
    are read from there.

    Args:
        chance: an encoder drawn by chance, whose features are wanted too.

    Raises:
        DatasetError, LoadError: see `core.classification.data`.
    """
    make_folder(folder, option="--out folder")
    _check_or_write_origin(folder, config, segmenter, with_chance=chance is not None)
    pictures = list_labelled(data)
    parts = []
    for source in ("ucsd", "sars"):
        for class_name, label in CLASSES.items():
            for is_taught in (True, False):
                own = [
                    one
                    for one in pictures
                    if one.source == source
                    and one.label == label
                    and (one.side == "train") == is_taught
                ]
                name = f"{source}-{class_name}-{'train' if is_taught else 'rest'}.npz"
                if own:
                    place = folder / name
                    parts.append(_part(place, own, config, encoder, segmenter, chance, on_progress))
    return LabelledFeatures(
        rows=np.concatenate([part.rows for part in parts]),
        grey=np.concatenate([part.grey for part in parts]),
        chance=np.concatenate([part.chance for part in parts]),
        labels=np.concatenate([part.labels for part in parts]),
        sources=np.concatenate([part.sources for part in parts]),
        sides=np.concatenate([part.sides for part in parts]),
    )


def _check_or_write_origin(
    folder: Path, config: ClassifierTrainConfig, segmenter: Engine, *, with_chance: bool
) -> None:
    """What features depend on besides the pictures, so that none are read that others made."""
    origin = {
        "model": to_json_dict(config.model),
        "transfer": config.transfer,
        "encoder_of": config.encoder_of,
        "strangers": config.strangers,
        "seed": config.seed,
        "segmentation": segmenter.info.sha256,
        "with_chance": with_chance,
    }
    place = folder / _ORIGIN_NAME
    text = json_text(origin) + "\n"
    if place.is_file():
        same = place.read_text(encoding="utf-8") == text
    else:
        same = not any(folder.glob("*.npz"))
    if not same:
        raise DatasetError(
            "The run folder holds features that were made otherwise",
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
    chance: Encoder | None,
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
            rows, grey, by_chance = stored["rows"], stored["grey"], stored["chance"]
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
        by_chance = np.zeros((len(rows), 0), dtype=np.float32)
        if chance is not None:
            by_chance = compute_features(
                frames, chance, with_masks=config.model.with_masks, on_progress=on_progress
            )
        grey = grey_statistics(frames[..., 0])
        np.savez(place, rows=rows, grey=grey, chance=by_chance, names=names)
    return LabelledFeatures(
        rows=rows,
        grey=grey,
        chance=by_chance,
        labels=np.array([one.label for one in pictures], dtype=np.int64),
        sources=np.array([one.source for one in pictures]),
        sides=np.array([one.side for one in pictures]),
    )


def load_strangers(
    data: Path,
    folder: Path,
    config: ClassifierTrainConfig,
    encoder: Encoder,
    segmenter: Engine,
) -> npt.NDArray[np.float32]:
    """Features of slices that are no axial chest slices, half of them kept to judge with."""
    place = folder / "strangers.npz"
    if place.is_file():
        with np.load(place, allow_pickle=False) as stored:
            rows: npt.NDArray[np.float32] = stored["rows"]
            return rows
    third = config.strangers // 3
    cases = load_case_table(data / "covid20")
    volumes = list(artificial(third, seed=config.seed))
    each = max(2, third // (2 * len(cases)))
    for case in cases:
        volumes += other_planes(load_case(case).volume, count=each)
    healthy = data / "covid_ct_md" / "normal001.nii.gz"
    if healthy.is_file():  # the one scan without disease, whose planes look least like strangers
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
    strangers: npt.NDArray[np.float32],
    config: ClassifierTrainConfig,
) -> TrainedClassifier:
    """Chooses on validation pictures, judges on them, and fits what is to be stored.

    Figures in the record are those of heads that never saw the pictures they are judged on; what
    is stored has seen all of them where `refit_on_all`.
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
    figures = table(features, fit, filters=filters if config.model.with_masks else ())
    taught = features if config.refit_on_all else features.of(None, "train")
    stored = fit_on(taught, fit)
    assert isinstance(stored, Mixture)
    head, fitness, abstaining = _with_outlook(features, strangers, stored, fit)
    return TrainedClassifier(
        head=head,
        temperature=temperature,
        bands=BandConfig(),
        scan=ScanConfig(),
        fitness=fitness,
        record={
            "fit": to_json_dict(fit),
            "penalty_scores": scores,
            "figures": figures,
            "validation": {
                source: figures_of(
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
    """One for both sets, each with half the say: the geometric mean of theirs."""
    found = [
        fit_temperature(held_out.labels[own], logits[own])
        for source in ("ucsd", "sars")
        if (own := held_out.sources == source).any()
    ]
    return float(np.exp(np.mean(np.log(found))))


def _with_outlook(
    features: LabelledFeatures,
    strangers: npt.NDArray[np.float32],
    stored: Mixture,
    fit: FitConfig,
) -> tuple[Head, FitnessConfig, dict[str, Any]]:
    """The head with what it needs to abstain, fitted on training pictures and half of the
    strangers, judged on held-out pictures and the other half."""
    taught, held_out = features.of(None, "train").rows, features.of(None, "validation").rows
    half = len(strangers) // 2
    mean = taught.mean(axis=0)
    scale = taught.std(axis=0) + np.float32(1e-4)
    axes = main_axes(taught, mean, scale, components=fit.components)
    axial = fit_axial(taught, strangers[:half], axes=axes, mean=mean, scale=scale)
    head = assemble_head(stored, mean, scale, axes, axial)
    none = np.zeros((1, 2, 1, 1), dtype=np.float32)
    ordinary = judge_features(held_out, head, none)
    strange = judge_features(strangers[half:], head, none)
    sources = features.of(None, "validation").sources
    by_set = [sources == source for source in sorted(set(sources.tolist()))]
    # As loose as the set needs whose pictures differ most among themselves.
    fitness = FitnessConfig(
        max_distance=max(
            float(np.quantile(ordinary.distance[own], 1 - _REFUSED_BY_DISTANCE)) for own in by_set
        ),
        min_axial=min(float(np.quantile(ordinary.axial[own], _REFUSED_BY_PLANE)) for own in by_set),
    )
    refused = (strange.distance > fitness.max_distance) | (strange.axial < fitness.min_axial)
    kept = (ordinary.distance <= fitness.max_distance) & (ordinary.axial >= fitness.min_axial)
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
            "strangers": len(strange.axial),
            "of_these_refused": float(refused.mean()) if len(strange.axial) else None,
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
