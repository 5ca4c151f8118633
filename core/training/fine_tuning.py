"""Networks that start from weights: what is taken over, what stays, and putting it together again
for publishing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Literal

import keras
import numpy as np

from core.config import CHANNELS, TrainConfig
from core.errors import DatasetError
from core.evaluation import compute_overlap
from core.segmentation import WeightsInfo, find_weights, load_weights
from core.segmentation.graph import PRESENCE
from core.segmentation.models import build_model
from core.system import write_text
from core.training.runs import RunPaths, read_results
from core.training.scans import TrainingScan
from core.training.validation import predict_scans

_ENCODER = ("stem", "block")
"""How names of the encoder's layers begin."""
_PROBABILITIES = "probabilities"


def pixels_only(model: keras.Model) -> keras.Model:
    """The same network, same weights, without its slice head, which is not trained."""
    if PRESENCE not in [layer.name for layer in model.layers]:
        return model
    return keras.Model(model.input, model.get_layer(_PROBABILITIES).output, name=model.name)


def start_from_weights(model: keras.Model, config: TrainConfig) -> dict[str, Any]:
    """Gives a new network the arrays of the weights that its config names, and freezes the encoder
    where the config says so; gives what the run records of them.

    Raises:
        WeightsError: they are missing or damaged.
        DatasetError: the config is of another network.
    """
    info = find_weights(config.initial_weights)
    if info.model != config.model or info.preprocess != config.preprocess:
        raise DatasetError(
            "Training cannot start from these weights",
            got="another network or other preprocessing in the config",
            expected=f"those of {info.weights_id}",
        )
    _copy(load_weights(info), model)
    if config.frozen_encoder:
        freeze_encoder(model)
    return {"weights_id": info.weights_id, "sha256": info.sha256}


def freeze_encoder(model: keras.Model) -> None:
    """From now on the encoder's layers stay as they are, running means included."""
    for layer in model.layers:
        if layer.name.startswith(_ENCODER):
            layer.trainable = False


def with_slice_head(trained: keras.Model, config: TrainConfig) -> keras.Model:
    """The network of a fine-tuned run with the slice head that its weights had, as it was."""
    if not (config.initial_weights and config.model.slice_head):
        return trained
    size = config.preprocess
    full = build_model(config.model, rows=size.rows, columns=size.columns)
    _copy(load_weights(find_weights(config.initial_weights)), full)
    _copy(trained, full)
    return full


def _copy(source: keras.Model, target: keras.Model) -> None:
    """Arrays by the path of their variables; what the source lacks stays."""
    known = {variable.path: variable for variable in source.weights}
    for variable in target.weights:
        if variable.path in known:
            variable.assign(known[variable.path])


def dice_by_case(
    model: keras.Model, scans: Sequence[TrainingScan], *, batch_size: int, threshold: float
) -> list[dict[str, Any]]:
    """Dice of each case on the network's grid, without clean-up: one row a case.

    Args:
        threshold: from which infection is marked; lung is at 0.5.
    """
    cases = [(scan, scan.lung) for scan in scans if scan.role == "case" and scan.lung is not None]
    found_masks = predict_scans(
        model, [scan for scan, _ in cases], batch_size=batch_size, infection_threshold=threshold
    )
    rows = []
    for (scan, lung), predicted in zip(cases, found_masks, strict=True):
        truth = (lung > 0, scan.infection > 0)
        found = {
            f"{channel}_dice": compute_overlap(true, marked).dice
            for channel, true, marked in zip(CHANNELS, truth, predicted, strict=True)
        }
        known = {name: None if np.isnan(dice) else float(dice) for name, dice in found.items()}
        rows.append({"case": scan.scan_id, "patient": scan.patient_id, **known})
    return rows


def write_results(
    paths: RunPaths,
    side: Literal["before", "best"],
    model: keras.Model,
    scans: Sequence[TrainingScan],
    config: TrainConfig,
) -> None:
    """Writes the Dice of each validation case into the run folder, once for each side."""
    found = read_results(paths.results)
    if found.get(side):
        return
    found[side] = dice_by_case(
        model,
        scans,
        batch_size=config.batch_size,
        threshold=config.published.infection_threshold,
    )
    write_text(paths.results, json.dumps(found, indent=1))


def earlier_weights(config: TrainConfig) -> WeightsInfo | None:
    """The weights that a run started from; none where it started anew."""
    return find_weights(config.initial_weights) if config.initial_weights else None
