"""What the commands that train share: arguments, the file given to --config, what a run reports."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from core.cli.terminal import Result
from core.config import (
    LobeTrainingConfig,
    MixtureConfig,
    NotJson,
    TrainConfig,
    from_json_dict,
    read_json,
)
from core.errors import ConfigError, shown_name

_Config = TypeVar("_Config", TrainConfig, MixtureConfig)
_Steps = TypeVar("_Steps", MixtureConfig, LobeTrainingConfig)
_RECORDED = ("best_epoch", "epochs_done", "members", "kind")
"""What a manifest records under "training" that is no setting."""


def read_training_config(path: Path | None, kind: type[_Config]) -> _Config:
    """The config in a JSON file, a run's `run.json` or a manifest; defaults without a file.

    Raises:
        ConfigError: the file cannot be read or holds something that is not a setting.
    """
    if path is None:
        return kind()
    try:
        values = read_json(path, finite_only=False)
    except NotJson as error:
        raise ConfigError(
            f"The training config {shown_name(path)} cannot be read",
            got=str(error),
            expected="a JSON file",
            next_step="check the path given to --config",
        ) from error
    if isinstance(values, dict) and "training" in values:
        values = values["training"]
        if isinstance(values, dict):
            values = {name: value for name, value in values.items() if name not in _RECORDED}
    elif isinstance(values, dict) and "config" in values:
        values = values["config"]
    return from_json_dict(kind, values)


def add_run_arguments(
    parser: argparse.ArgumentParser, defaults: MixtureConfig | LobeTrainingConfig, *, data: str
) -> None:
    """Where a run learns from and is kept, its length, and which fold it leaves out.

    Args:
        data: what the folder of `--data` holds.
    """
    parser.add_argument(
        "--data", type=Path, required=True, help=f"folder with {data}, or a file of --pack"
    )
    parser.add_argument("--out", type=Path, help="run folder; same folder resumes")
    parser.add_argument(
        "--hold-out",
        type=int,
        metavar="FOLD",
        help=f"fold whose patients are not trained on, 1 to {defaults.folds}; without it all are",
    )
    parser.add_argument("--epochs", type=int, help=f"default {defaults.epochs}")
    parser.add_argument("--steps", type=int, help=f"an epoch, default {defaults.steps_per_epoch}")
    parser.add_argument(
        "--batch-size", type=int, help=f"slices per step, default {defaults.batch_size}"
    )


def with_length(config: _Steps, options: argparse.Namespace) -> _Steps:
    """The config with what was given of `--epochs`, `--steps` and `--batch-size`."""
    given = {
        "epochs": options.epochs,
        "steps_per_epoch": options.steps,
        "batch_size": options.batch_size,
    }
    return replace(config, **{name: value for name, value in given.items() if value is not None})


def check_one_of(options: argparse.Namespace, *names: str) -> None:
    """Refuses none, and more than one, of options that each ask for something else.

    Raises:
        ConfigError: not exactly one is given.
    """
    wanted = [f"--{name}" for name in names]
    given = [f"--{name}" for name in names if getattr(options, name) is not None]
    if len(given) != 1:
        raise ConfigError(
            "The command does one thing at a time",
            got=" and ".join(given) or "none",
            expected="one of " + " and ".join((", ".join(wanted[:-1]), wanted[-1])),
        )


def run_result(epochs: int, history: Path, folder: Path) -> Result:
    """What a command reports of a run."""
    return Result(f"{epochs} epochs; history in {history}", {"epochs": epochs, "run": str(folder)})


def check_stop_after(options: argparse.Namespace) -> None:
    """Refuses to stop before the first epoch.

    Raises:
        ConfigError: `--stop-after` is below 1.
    """
    if options.stop_after is not None and options.stop_after < 1:
        raise ConfigError(
            "--stop-after must be at least 1",
            got=f"--stop-after {options.stop_after}",
            next_step="leave it out to train all epochs",
        )
