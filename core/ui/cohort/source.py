"""Which batch Cohort looks at: those in known folders, or a table from elsewhere."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from core.batch import BatchPaths, Cohort, find_batch_results, load_cohort, read_rows
from core.config import AppConfig
from core.errors import shown_name
from core.ui.data_folder import DATA_FOLDER_VARIABLE, app_config, data_folder
from core.ui.page import show_errors
from core.ui.session import this_session
from core.ui.widget_state import forget_widget, set_widget_value, widget_value

COHORT_FOLDER_VARIABLE = "LUNGLENS_COHORT_FOLDER"
CHOSEN_BATCH = "cohort-batch"
"""Key of the choice of a batch: the folder of its results."""
COMMAND = "python -m core batch FOLDER -o OUT --workers 2"


@dataclass(eq=False)
class _Asked:
    """The batch to show as soon as it has written its first table, by its folder."""

    folder: str = ""


@dataclass(eq=False)
class _Uploaded:
    """The uploaded table as it was read: a large one takes seconds, too long for each click."""

    file_id: str = ""
    cohort: Cohort | None = None


def show_when_there(folder: Path) -> None:
    """Chooses a batch that has just begun."""
    this_session().part(_Asked).folder = str(folder)


def cohort_config() -> AppConfig:
    """What the operator has set in the environment about batch results."""
    return AppConfig(
        data_folder=app_config().data_folder,
        cohort_folder=os.environ.get(COHORT_FOLDER_VARIABLE) or None,
    )


def _roots() -> tuple[Path, ...]:
    """The only folders that batch results are read from."""
    roots = (cohort_folder(), data_folder())
    return tuple(dict.fromkeys(root for root in roots if root is not None))


def cohort_folder() -> Path | None:
    """The folder that the operator names for batch results, resolved; none where there is none."""
    configured = cohort_config().cohort_folder
    chosen = None if configured is None else Path(configured).expanduser().resolve()
    return chosen if chosen is not None and chosen.is_dir() else None


def forget_found() -> None:
    """Batches are looked for again, since one has begun or its table has changed."""
    _results_in.clear()


@st.cache_resource(max_entries=4, ttl=20, show_spinner=False)
def _results_in(root: str) -> tuple[Path, ...]:
    return find_batch_results(Path(root))


@st.cache_resource(max_entries=4, show_spinner=False)
def _cohort(folder: str, stamp: tuple[int, ...]) -> Cohort:
    return load_cohort(Path(folder))


def _found() -> list[tuple[Path, Path]]:
    """Root and folder of every batch result."""
    return [(root, folder) for root in _roots() for folder in _results_in(str(root))]


def any_results() -> bool:
    """Whether there is a batch to look at."""
    return bool(_found())


def choose_cohort(*, running: bool) -> Cohort | None:
    """The batch to look at; none (and what to do) where there is none.

    Args:
        running: a batch is under way, so its table will come.
    """
    found = _found()
    choice, upload = st.container(), st.container()
    with upload:
        uploaded = _uploaded_cohort()
    with choice:
        if uploaded is not None:
            return uploaded
        if not found:
            if not running:
                _say_how_to_begin()
            return None
        return _chosen_cohort(found)


def _chosen_cohort(found: list[tuple[Path, Path]]) -> Cohort | None:
    roots = {str(folder): root for root, folder in found}
    asked = this_session().part(_Asked)
    if asked.folder in roots:
        set_widget_value(CHOSEN_BATCH, asked.folder)
        asked.folder = ""
    if widget_value(CHOSEN_BATCH) not in roots:
        forget_widget(CHOSEN_BATCH)
    chosen = st.selectbox(
        "Batch",
        tuple(roots),
        format_func=lambda name: _batch_name(roots[name], Path(name)),
        key=CHOSEN_BATCH,
        help="Folders in the data folder, or in the folder set for batch results, that "
        "batches have written into.",
    )
    folder = Path(chosen)
    with show_errors():
        return _cohort(str(folder), stamp_of(folder))
    return None


def stamp_of(folder: Path) -> tuple[int, ...]:
    """Changes whenever the batch has written its tables again."""
    paths = BatchPaths(folder)
    try:
        return tuple(path.stat().st_mtime_ns for path in (paths.table, paths.record))
    except OSError:
        return ()


def _batch_name(root: Path, folder: Path) -> str:
    parts = folder.relative_to(root).parts or (root.name,)
    return " / ".join(map(shown_name, parts))


def _uploaded_cohort() -> Cohort | None:
    with st.expander("View a cohort.csv from elsewhere", icon=":material/upload_file:"):
        file = st.file_uploader(
            "Table of a batch",
            type="csv",
            key="cohort-table",
            help="The cohort.csv that a batch wrote. All measurements and distributions are "
            "there; pictures and scans stay with the batch result.",
        )
    kept = this_session().part(_Uploaded)
    if file is None:
        kept.file_id, kept.cohort = "", None
        return None
    if file.file_id != kept.file_id:
        kept.file_id, kept.cohort = "", None
        with show_errors():
            kept.cohort = Cohort(read_rows(file.getvalue()))
            kept.file_id = file.file_id
    return kept.cohort


def _say_how_to_begin() -> None:
    st.info(
        "No batch result is here yet. A batch segments and measures every scan of a folder, "
        "and can be stopped and resumed at any time"
        + (": start one above, or" if data_folder() is not None else ":")
        + " with this command:",
        icon=":material/table_view:",
    )
    st.code(COMMAND, language="sh")
    where = [
        f"Put OUT in the data folder (`{DATA_FOLDER_VARIABLE}`), or start the app with "
        f"`{COHORT_FOLDER_VARIABLE}` set to it."
    ]
    configured = cohort_config().cohort_folder
    if configured and not Path(configured).expanduser().is_dir():
        where.append("The folder that was set does not exist.")
    st.caption(" ".join(where))
