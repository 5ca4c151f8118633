"""Train a U-Net on a folder of cases; an interrupted run goes on where it stopped."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from core.cli.terminal import Result, TerminalProgress, shown_figure
from core.config import RangeTestConfig, TrainConfig, from_json_dict
from core.errors import ConfigError, shown_name
from core.quality.exclusions import Exclusion, read_exclusions
from core.records import check_place, make_folder, write_text
from core.weights import check_weights_name

EXAMPLES = """examples:
  python -m core train --data ../shared/data --out runs/first
  python -m core train --data covid20 --out runs/short --epochs 20 --seed 3
  python -m core train --data ../shared/data --out runs/first --publish weights/my-unet
  python -m core train --data covid20 --out runs/clean --exclude exclude.json
  python -m core train --data ../shared/data --out runs/again \\
    --config weights/unet-v1/manifest.json --split weights/unet-v1/manifest.json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `train`."""
    defaults = TrainConfig()
    parser.add_argument("--data", type=Path, required=True, help="folder of cases")
    parser.add_argument("--out", type=Path, required=True, help="run folder; same folder resumes")
    parser.add_argument(
        "--config",
        type=Path,
        help="JSON of a training config to start from; also a run.json or a manifest.json",
    )
    parser.add_argument("--epochs", type=int, help=f"default {defaults.epochs}")
    parser.add_argument(
        "--stop-after",
        type=int,
        metavar="EPOCHS",
        help="end early; the same command without it goes on, on the same schedule",
    )
    parser.add_argument("--batch-size", type=int, help=f"default {defaults.batch_size}")
    parser.add_argument("--learning-rate", type=float, help=f"default {defaults.learning_rate:g}")
    parser.add_argument(
        "--validation-fraction",
        type=float,
        help=f"share of patients kept out, default {defaults.validation_fraction:g}",
    )
    parser.add_argument("--seed", type=int, help=f"default {defaults.seed}")
    parser.add_argument(
        "--split",
        type=Path,
        help="run.json or manifest.json whose patients to learn from and to judge on",
    )
    parser.add_argument(
        "--exclude",
        type=Path,
        help="list of slices and cases to leave out, as the Quality page exports it",
    )
    parser.add_argument(
        "--init", type=Path, help="folder of an earlier run whose best weights to start from"
    )
    parser.add_argument(
        "--find-learning-rate",
        action="store_true",
        help="train nothing: try growing learning rates for a few batches, suggest one and write "
        "learning_rates.csv into --out",
    )
    parser.add_argument(
        "--publish", type=Path, help="then write the best epoch as weights/NAME, with manifest"
    )


def run(options: argparse.Namespace, progress: TerminalProgress) -> Result:
    """Trains, reports the last and the best epoch, publishes on request."""
    config = read_training_config(options.config)
    changed = {
        name: getattr(options, name)
        for name in ("epochs", "batch_size", "learning_rate", "validation_fraction", "seed")
        if getattr(options, name) is not None
    }
    config = replace(config, **changed)
    if options.stop_after is not None and options.stop_after < 1:
        raise ConfigError(
            "The run would end before it began",
            got=f"--stop-after {options.stop_after}",
            expected="at least 1",
        )
    check_place(options.out, option="--out", is_folder=True)
    if options.publish is not None:
        check_weights_name(options.publish)
        check_place(options.publish, option="--publish", is_folder=True)
    from core.runs import read_history, read_split, score
    from core.training import train

    recorded = None if options.split is None else read_split(options.split)
    excluded = () if options.exclude is None else read_exclusions(options.exclude)
    if options.find_learning_rate:
        return _find_learning_rate(options, config, recorded, excluded, progress)
    paths = train(
        options.data,
        options.out,
        config,
        recorded_split=recorded,
        excluded=excluded,
        initial=options.init,
        stop_after=options.stop_after,
        on_progress=progress,
    )
    history = read_history(paths.history)
    best = max(history, key=score)
    figures: dict[str, Any] = {"epochs": len(history), "best": best, "last": history[-1]}
    lines = [
        f"{len(history)} epochs; best is epoch {best['epoch']:.0f}: validation lung Dice "
        f"{shown_figure(best['lung_dice'])}, infection Dice {shown_figure(best['infection_dice'])}",
        f"history in {paths.history}",
    ]
    if options.publish is not None:
        from core.publishing import publish

        progress.clear()
        info = publish(options.data, paths, options.publish, config, on_progress=progress)
        figures["weights_id"] = info.weights_id
        lines.append(f"published as {info.weights_id} in {info.folder}")
    return Result("\n".join(lines), figures)


def _find_learning_rate(
    options: argparse.Namespace,
    config: TrainConfig,
    recorded: dict[str, Any] | None,
    excluded: Sequence[Exclusion],
    progress: TerminalProgress,
) -> Result:
    from core.lr_range import range_csv, run_range_test

    found = run_range_test(
        options.data,
        config,
        RangeTestConfig(),
        recorded_split=recorded,
        excluded=excluded,
        on_progress=progress,
    )
    progress.clear()
    make_folder(options.out, option="--out folder")
    place = options.out / "learning_rates.csv"
    write_text(place, range_csv(found))
    advice = (
        "no rate can be suggested: the loss never fell"
        if math.isnan(found.suggestion)
        else f"suggested learning rate: {found.suggestion:.1e}, where the loss falls most steeply"
    )
    return Result(
        f"{advice}\n{len(found.rates)} batches in {place}",
        {"suggestion": found.suggestion, "rates": found.rates.tolist()},
    )


def read_training_config(path: Path | None) -> TrainConfig:
    """The config in a JSON file, a run's `run.json` or a manifest; defaults without a file.

    Raises:
        ConfigError: the file cannot be read or says something that is no setting.
    """
    if path is None:
        return TrainConfig()
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(
            f"The training config {shown_name(path)} cannot be read",
            got=(error.strerror if isinstance(error, OSError) else None) or "no JSON",
            expected="a JSON file",
            next_step="check the path given to --config",
        ) from error
    if isinstance(values, dict) and "training" in values:
        # A manifest records more of the run than can be set, such as its best epoch.
        recorded = values["training"]
        known = {setting.name for setting in fields(TrainConfig)}
        if isinstance(recorded, dict):
            recorded = {name: value for name, value in recorded.items() if name in known}
        values = recorded
    elif isinstance(values, dict) and "config" in values:
        values = values["config"]
    return from_json_dict(TrainConfig, values)
