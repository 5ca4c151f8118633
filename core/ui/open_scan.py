"""Opening scans: the demo study, cases, files of the data folder, uploads and links.

One study per session is held by reference; opening another lets the first go. Scans that several
sessions may want (the demo study, cases of the public set) are shared, read-only, through a
bounded cache.
"""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import streamlit as st

from core.errors import LoadError, LungLensError
from core.system import OnProgress, ignore_progress
from core.ui.data_folder import case_study, data_folder, inside_data_folder
from core.ui.links import FILE_LINK, FileLinks
from core.ui.projects import keep_corrections
from core.ui.session import OpenStudy, Origin, PendingSeries, set_notice, this_session
from core.volume import Intensity, Study

if TYPE_CHECKING:  # loaded where it is first needed
    from streamlit.runtime.uploaded_file_manager import UploadedFile

_LINK_IS_OLD = (
    "This address led to a file in the server's data folder, and the server has been restarted "
    "since. Open the file again on Home."
)


@st.cache_resource(max_entries=1, show_spinner=False)
def _demo_study() -> Study:
    from core.phantom import build_demo_study

    return build_demo_study()


@st.cache_resource(show_spinner=False)
def _file_links() -> FileLinks:
    return FileLinks()


def open_demo() -> OpenStudy:
    """Opens the generated study; the first time it is computed."""
    opened = this_session().open_study(_demo_study(), origin="demo", link="demo")
    return keep_corrections(opened, where="demo")


def open_case(case_id: str) -> OpenStudy:
    """Opens a case of the public set, with its true masks."""
    opened = this_session().open_study(case_study(case_id), origin="case", link=case_id)
    return keep_corrections(opened, where=case_id)


def open_file(text: str, *, on_progress: OnProgress = ignore_progress) -> OpenStudy | None:
    """Opens a path inside the data folder; none when a series has to be chosen first."""
    path = inside_data_folder(text)
    return _open_path(
        path, origin="file", link=_file_links().link_to(path), on_progress=on_progress
    )


def open_uploads(
    files: Sequence[UploadedFile], *, on_progress: OnProgress = ignore_progress
) -> OpenStudy | None:
    """Opens uploaded files as one scan; none when a series has to be chosen first."""
    from core.loading import stage_uploads

    folder = tempfile.TemporaryDirectory(prefix="lunglens-")
    paths = stage_uploads([(file.name, file) for file in files], folder.name)
    link = f"upload-{secrets.token_hex(3)}"
    return _open_path(paths, origin="upload", link=link, on_progress=on_progress, keep=folder)


def open_series(series_uid: str, *, on_progress: OnProgress = ignore_progress) -> OpenStudy | None:
    """Opens the chosen one of several series."""
    pending = this_session().pending_series
    if pending is None:
        raise LoadError("There is no series to choose from", next_step="upload the files again")
    return _open_path(
        pending.path,
        origin=pending.origin,
        link=pending.link,
        on_progress=on_progress,
        keep=pending.keep,
        series_uid=series_uid,
    )


def forget_series() -> None:
    """Drops the choice of series and the uploaded files behind it."""
    this_session().pending_series = None


def _open_path(
    path: Path | Sequence[Path],
    *,
    origin: Origin,
    link: str,
    on_progress: OnProgress,
    keep: tempfile.TemporaryDirectory[str] | None = None,
    series_uid: str | None = None,
) -> OpenStudy | None:
    from core.loading import SeveralSeriesError, open_study

    try:
        study = open_study(path, series_uid=series_uid, on_progress=on_progress)
    except SeveralSeriesError as several:
        this_session().pending_series = PendingSeries(
            path=path, series=several.series, origin=origin, link=link, keep=keep
        )
        return None
    forget_series()
    opened = this_session().open_study(study, origin=origin, link=link)
    root = data_folder()
    if origin == "file" and root is not None and isinstance(path, Path):
        return keep_corrections(opened, where=str(path.relative_to(root)))
    return keep_corrections(opened)


def open_link(link: str) -> OpenStudy | None:
    """What a page's address names; none (and a notice) where it is no longer there."""
    if link == "demo":
        return open_demo()
    if link.startswith("upload"):
        set_notice(
            "warning",
            "The scan in this address was uploaded, and uploads are kept only while their page "
            "stays open, and for a reload soon after. Upload it again to continue.",
        )
        return None
    try:
        if link.startswith(FILE_LINK):
            path = _file_links().path_of(link)
            if path is None:
                set_notice("warning", _LINK_IS_OLD)
                return None
            # By its path again, so that it must still lie inside the data folder.
            found = open_file(str(path))
            if found is None:
                set_notice("warning", "There are several series: choose one on Home.")
            return found
        return open_case(link)
    except LungLensError as error:
        set_notice("warning", str(error))
        return None


def add_truth(
    lung_file: UploadedFile | None,
    infection_file: UploadedFile | None,
    *,
    same_grid: bool = False,
) -> None:
    """Gives the open scan true masks from uploaded files; the scan and prediction stay.

    Args:
        same_grid: lays them on the scan voxel by voxel, whatever position their files claim.
    """
    from core.loading import load_role_mask, stage_uploads, with_mask

    current = this_session().opened
    if current is None:
        raise LoadError("No scan is open", next_step="open the scan before its masks")
    study = current.study
    with tempfile.TemporaryDirectory(prefix="lunglens-") as folder:
        roles: tuple[tuple[Literal["lung", "infection"], UploadedFile | None], ...] = (
            ("lung", lung_file),
            ("infection", infection_file),
        )
        for role, file in roles:
            if file is None:
                continue
            path = stage_uploads([(file.name, file)], Path(folder) / role)[0]
            reading = load_role_mask(path, study.volume, role, trust_shape=same_grid)
            study = with_mask(study, role, reading)
    current.study = study
    current.memo = {}


def set_intensity(intensity: Intensity) -> None:
    """Gives the open scan's values another meaning.

    A prediction made before is dropped, and so is a run under way: it looks at the old values.
    """
    session = this_session()
    current = session.opened
    if current is None:
        return
    volume = current.study.volume.with_intensity(intensity)
    # The person has just decided what this sentence asks about.
    kept = tuple(note for note in volume.warnings if not note.startswith("Not in HU"))
    current.study = replace(current.study, volume=replace(volume, warnings=kept))
    session.network_run.drop()
    current.correction.use_intensity(intensity)
    current.set_segmentation(None)
