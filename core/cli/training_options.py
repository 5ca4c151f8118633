"""What the commands that train share: the file given to --config, and the bound of --stop-after."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TypeVar

from core.config import MixtureConfig, NotJson, TrainConfig, from_json_dict, read_json
from core.errors import ConfigError, shown_name

_Config = TypeVar("_Config", TrainConfig, MixtureConfig)
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
