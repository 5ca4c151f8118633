"""What a run is started from, as its folder keeps it, and the names that runs may have."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.config import TrainConfig, from_json_dict, read_json, to_json_dict
from core.errors import ConfigError, DatasetError
from core.measuring.quality import Exclusion, exclusions_text, parse_exclusions
from core.system import PUBLISHED_NAME, json_text, write_text
from core.training.runs import RunPaths

RANGE_TEST_NAME = "learning-rate-test"
"""Folder among the runs that learning-rate range tests write into."""
DEMO_DATA = "demo"
"""Value of `--data` for the generated patients of `core.training.demo_patients`."""
_TAKEN_NAMES = (RANGE_TEST_NAME, PUBLISHED_NAME)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")


@dataclass(frozen=True)
class RunRequest:
    """All that a run is started and resumed from.

    Attributes:
        data: folder of cases, or `DEMO_DATA`.
        split: of `Split.to_json_dict`; none lets training draw one.
        initial: folder of the run that it starts from.
    """

    data: str
    config: TrainConfig
    split: dict[str, Any] | None = None
    excluded: tuple[Exclusion, ...] = ()
    initial: str | None = None


def check_run_name(name: str) -> str:
    """A name that can be a folder among the runs and nothing else.

    Raises:
        ConfigError: it cannot.
    """
    if not _NAME.fullmatch(name) or name in _TAKEN_NAMES:
        raise ConfigError(
            "This name cannot be used for a run",
            got=f"{len(name)} characters" if name else "no name",
            expected=f"1 to 40 letters, digits, - or _, and not {' or '.join(_TAKEN_NAMES)}",
        )
    return name


def run_names(root: Path) -> tuple[str, ...]:
    """The runs of a folder, the one started last first."""
    try:
        found = [folder for folder in root.iterdir() if _is_run(folder)]
        return tuple(f.name for f in sorted(found, key=_started, reverse=True))
    except OSError:
        return ()


def _is_run(folder: Path) -> bool:
    paths = RunPaths(folder)
    known = paths.request.is_file() or paths.config.is_file()
    named = _NAME.fullmatch(folder.name) is not None and folder.name not in _TAKEN_NAMES
    return named and known and not folder.is_symlink()


def _started(folder: Path) -> float:
    paths = RunPaths(folder)
    files = [path for path in (paths.request, paths.config) if path.is_file()]
    return min((path.stat().st_mtime for path in files), default=0.0)


def write_request(folder: Path, request: RunRequest) -> None:
    """Writes what a run starts from, unless the run was recorded before."""
    if RunPaths(folder).config.is_file():
        return
    excluded = json.loads(exclusions_text(request.excluded)) if request.excluded else None
    record = {
        "data": request.data,
        "config": to_json_dict(request.config),
        "split": request.split,
        "excluded": excluded,
        "initial": request.initial,
    }
    if record["split"] is None:
        del record["split"]
    write_text(RunPaths(folder).request, json_text(record))


def read_request(folder: Path) -> RunRequest:
    """What a run was started from.

    Raises:
        ConfigError, DatasetError: it was not written down, or cannot be read.
    """
    path = RunPaths(folder).request
    try:
        record = read_json(path)
        data, config = record["data"], record["config"]
        split, excluded = record.get("split"), record.get("excluded")
        initial = record.get("initial")
        if not (
            isinstance(data, str)
            and "\0" not in data
            and isinstance(split, (dict, type(None)))
            and isinstance(initial, (str, type(None)))
        ):
            raise TypeError
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DatasetError(
            "What the run was started from is unknown",
            got=f"no readable {path.name}",
            next_step="resume on the command line with the same data and settings",
        ) from error
    return RunRequest(
        data=data,
        config=from_json_dict(TrainConfig, config),
        split=split,
        excluded=() if excluded is None else parse_exclusions(excluded, name=path.name),
        initial=initial,
    )
