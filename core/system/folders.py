"""Where the program lies, and the folders beside it that it reads and writes."""

from __future__ import annotations

import os
from pathlib import Path

PROGRAM_FOLDER = Path(__file__).resolve().parents[2]
"""Holds `core/`, `pages/` and `weights/`; child processes are started from here."""
WEIGHTS_FOLDER = PROGRAM_FOLDER / "weights"
"""The weights that come with the program, a folder each."""

RUNS_FOLDER_VARIABLE = "LUNGLENS_RUNS_FOLDER"
PUBLISHED_NAME = "published"
"""Folder among the runs that holds the weights published here, a folder each."""


def runs_folder() -> Path:
    """Folder of runs as the operator named it, else `runs` beside the app; it need not be there."""
    named = os.environ.get(RUNS_FOLDER_VARIABLE)
    folder = Path(named).expanduser() if named else PROGRAM_FOLDER / "runs"
    return folder.resolve()
