"""The folder of the server that scans may be opened from, and the cases in it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from core.config import AppConfig
from core.errors import LoadError, shown_name
from core.system import OnProgress, ignore_progress
from core.ui.shared_studies import SharedStudies
from core.volume import Study

if TYPE_CHECKING:  # loaded where it is first needed
    from core.loading import Case

DATA_FOLDER_VARIABLE = "LUNGLENS_DATA_FOLDER"

FileStamp = tuple[str, int, int]
"""Path, time of the last change in ns, and size in bytes of a file."""


def app_config() -> AppConfig:
    """What the operator has set in the environment."""
    return AppConfig(data_folder=os.environ.get(DATA_FOLDER_VARIABLE) or None)


def data_folder() -> Path | None:
    """The folder whose scans may be opened by path, resolved; none where not allowed."""
    configured = app_config().data_folder
    if configured is None:
        return None
    folder = Path(configured).expanduser().resolve()
    return folder if folder.is_dir() else None


def inside_data_folder(text: str) -> Path:
    """The existing path that `text` names inside the data folder.

    Raises:
        LoadError: no folder is allowed, the path leads outside it, or nothing is there.
    """
    root = data_folder()
    if root is None:
        raise LoadError(
            "Opening from a folder is switched off",
            next_step=f"the operator can allow a folder with {DATA_FOLDER_VARIABLE}",
        )
    cleaned = text.strip().strip("\"'")
    if not cleaned or "\0" in cleaned:
        raise LoadError("No path was given", expected="a file or folder inside the data folder")
    try:
        path = (root / cleaned).resolve()
        # The same words for "outside" and "not there", so that nobody can feel their way around.
        found = path.is_relative_to(root) and path.exists()
    except (OSError, RuntimeError, ValueError):
        found = False
    if not found:
        raise LoadError(
            "Nothing to open there",
            got=shown_name(cleaned),
            expected="a file or folder inside the data folder",
            next_step="give its path relative to the data folder",
        )
    return path


def find_case_folder() -> Path | None:
    """Where the public set lies: the data folder or one of the folders in it."""
    root = data_folder()
    if root is None:
        return None
    try:
        below = sorted(root.iterdir())
    except OSError:
        return None
    return next((folder for folder in (root, *below) if _holds_cases(folder)), None)


def _holds_cases(folder: Path) -> bool:
    from core.loading import is_case_folder

    try:
        return is_case_folder(folder)
    except OSError:  # one that may not be read, such as lost+found, is not the one looked for
        return False


@st.cache_resource(max_entries=4, ttl=60, show_spinner=False)
def load_cases(folder: str) -> tuple[Case, ...]:
    """The cases of the public set in `folder`."""
    from core.loading import load_case_table

    return tuple(load_case_table(folder))


@st.cache_resource(show_spinner=False)
def _shared_cases() -> SharedStudies:
    return SharedStudies(most=2)


def case_study(case_id: str, *, on_progress: OnProgress = ignore_progress) -> Study:
    """A case of the public set, with its true masks; what is open stays open.

    Read-only and shared by all sessions, as long as its files stay the same.

    Raises:
        LoadError: there is no public set, no such case, or a file of it cannot be read.
    """
    folder = find_case_folder()
    if folder is None:
        raise LoadError(
            "The public set is not here",
            expected="its metadata.csv in the data folder",
            next_step="download it or open another scan on Home",
        )
    case = next((case for case in load_cases(str(folder)) if case.case_id == case_id), None)
    if case is None:
        raise LoadError(
            "There is no such case",
            got=shown_name(case_id),
            expected="one of the table on Home",
            next_step="choose it there",
        )

    def load() -> Study:
        from core.loading import load_case

        return load_case(case, on_progress=on_progress)

    # By the stamps of its files too, so that a changed file is read again.
    return _shared_cases().get((str(folder), case_id, _file_stamps(case)), load)


def _file_stamps(case: Case) -> tuple[FileStamp, ...]:
    """What changes whenever the scan or a mask of a case does."""
    paths = (case.scan_path, case.lung_path, case.infection_path, case.label_path)
    return tuple(stamp for path in paths if path is not None for stamp in _stamps_of(path))


def _stamps_of(path: Path) -> list[FileStamp]:
    """Of a file; of a folder, of all its files. What is missing has a stamp of its own."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    stamps = []
    for file in files:
        try:
            facts = file.stat()
            stamps.append((str(file), facts.st_mtime_ns, facts.st_size))
        except OSError:  # loading will say what is wrong with it
            stamps.append((str(file), 0, 0))
    return stamps
