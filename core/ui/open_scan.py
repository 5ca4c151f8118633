"""Opening scans: the demo study, cases, files of the data folder, uploads and links.

One study per session is held by reference; opening another lets the first go. Scans that several
sessions may want (the demo study, cases of the public set) are shared, read-only, through a
bounded cache.
"""

from __future__ import annotations

import re
import secrets
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import streamlit as st

from core.correction.project import has_scan, read_card, read_scan
from core.errors import LoadError, LungLensError, ProjectError
from core.system import OnProgress, ignore_progress
from core.ui.data_folder import case_study, data_folder, inside_data_folder
from core.ui.links import FILE_LINK, KEPT_LINK, FileLinks
from core.ui.projects import projects_folder
from core.ui.session import (
    OpenStudy,
    Origin,
    PendingLabels,
    PendingScale,
    PendingSeries,
    set_notice,
    this_session,
)
from core.ui.shared_studies import SharedStudies
from core.ui.turning import make_ready
from core.volume import Intensity, Study

if TYPE_CHECKING:  # loaded where it is first needed
    from streamlit.runtime.uploaded_file_manager import UploadedFile

_LINK_IS_OLD = (
    "This address led to a file in the server's data folder, and the server has been restarted "
    "since. Open the file again on Home."
)


@st.cache_resource(show_spinner=False)
def _shared_demo() -> SharedStudies:
    return SharedStudies(most=1)


def _demo_study(on_progress: OnProgress) -> Study:
    from core.phantom import kept_demo_study

    return _shared_demo().get("demo", lambda: kept_demo_study(on_progress=on_progress))


@st.cache_resource(show_spinner=False)
def _file_links() -> FileLinks:
    return FileLinks()


def open_demo(*, on_progress: OnProgress = ignore_progress) -> OpenStudy:
    """Opens the generated study; the first time on a machine it is computed."""
    study = _demo_study(on_progress)
    opened = this_session().open_study(study, origin="demo", link="demo")
    return make_ready(opened, where="demo")


def open_case(case_id: str, *, on_progress: OnProgress = ignore_progress) -> OpenStudy:
    """Opens a case of the public set, with its true masks."""
    study = case_study(case_id, on_progress=on_progress)
    opened = this_session().open_study(study, origin="case", link=case_id)
    return make_ready(opened, where=case_id)


def open_kept(
    name: str, *, study: Study | None = None, on_progress: OnProgress = ignore_progress
) -> OpenStudy:
    """Opens a scan that was kept on this machine, with its project.

    Args:
        study: the scan, where it was read already.

    Raises:
        ProjectError: there is none of that name, or it cannot be read.
    """
    folder = projects_folder()
    if folder is None or not re.fullmatch(r"[0-9a-f]{32}", name) or not has_scan(folder / name):
        raise ProjectError(
            "This scan is not kept on this machine", next_step="open or upload it again"
        )
    card = read_card(folder / name)
    if study is None:
        study = read_scan(folder / name, fingerprint=card.fingerprint, on_progress=on_progress)
    opened = this_session().open_study(study, origin="upload", link=f"{KEPT_LINK}{name}")
    opened.turned_from = card.turned_from
    return make_ready(opened, where=card.where)


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
    return _open_answered(pending, on_progress, series_uid=series_uid)


def open_with_scale(
    low_hu: float, high_hu: float, *, on_progress: OnProgress = ignore_progress
) -> OpenStudy | None:
    """Opens the scan that was asked about, its lowest and highest value standing for these HU."""
    pending = this_session().pending_scale
    if pending is None:
        raise LoadError("There is no scan to open", next_step="upload the files again")
    return _open_answered(
        pending, on_progress, series_uid=pending.series_uid, window=(low_hu, high_hu)
    )


def _open_answered(
    pending: PendingSeries | PendingScale,
    on_progress: OnProgress,
    *,
    series_uid: str | None,
    window: tuple[float, float] | None = None,
) -> OpenStudy | None:
    """Opens the files that a question was asked about, with its answer."""
    return _open_path(
        pending.path,
        origin=pending.origin,
        link=pending.link,
        on_progress=on_progress,
        keep=pending.keep,
        series_uid=series_uid,
        window=window,
    )


def forget_questions() -> None:
    """Drops what is asked before a scan is opened, and the uploaded files behind it."""
    session = this_session()
    session.pending_series = session.pending_scale = None


def _open_path(
    path: Path | Sequence[Path],
    *,
    origin: Origin,
    link: str,
    on_progress: OnProgress,
    keep: tempfile.TemporaryDirectory[str] | None = None,
    series_uid: str | None = None,
    window: tuple[float, float] | None = None,
) -> OpenStudy | None:
    from core.loading import SeveralSeriesError, UnknownScaleError, open_study

    session = this_session()
    try:
        study = open_study(path, series_uid=series_uid, window=window, on_progress=on_progress)
    except SeveralSeriesError as several:
        forget_questions()
        session.pending_series = PendingSeries(
            path=path, series=several.series, origin=origin, link=link, keep=keep
        )
        return None
    except UnknownScaleError:
        forget_questions()
        session.pending_scale = PendingScale(
            path=path, series_uid=series_uid, origin=origin, link=link, keep=keep
        )
        raise
    forget_questions()
    opened = session.open_study(study, origin=origin, link=link)
    root = data_folder()
    if origin == "file" and root is not None and isinstance(path, Path):
        return make_ready(opened, where=str(path.relative_to(root)))
    return make_ready(opened)


def open_link(link: str, *, on_progress: OnProgress = ignore_progress) -> OpenStudy | None:
    """What a page's address names; none (and a notice) where it is no longer there."""
    if link == "demo":
        return open_demo(on_progress=on_progress)
    if link.startswith(KEPT_LINK):
        try:
            return open_kept(link.removeprefix(KEPT_LINK), on_progress=on_progress)
        except LungLensError as error:
            set_notice("warning", str(error))
            return None
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
            found = open_file(str(path), on_progress=on_progress)
            if found is None:
                set_notice("warning", "There are several series: choose one on Home.")
            return found
        return open_case(link, on_progress=on_progress)
    except LungLensError as error:
        set_notice("warning", str(error))
        return None


def add_truth(
    lung_files: Sequence[UploadedFile],
    infection_files: Sequence[UploadedFile],
    *,
    same_grid: bool = False,
) -> bool:
    """Gives the open scan true masks from uploaded files; the scan and prediction stay.

    Args:
        lung_files, infection_files: one file of a mask each, or one for each picture of a stack.
        same_grid: lays them on the scan voxel by voxel, whatever position their files claim.

    Returns:
        False where the person has to say first which labels are infection.
    """
    from core.loading import UnknownLabelsError, stage_uploads

    current = _open_scan()
    this_session().pending_labels = None
    folder = tempfile.TemporaryDirectory(prefix="lunglens-")
    files: dict[Literal["lung", "infection"], Sequence[UploadedFile]]
    files = {"lung": lung_files, "infection": infection_files}
    paths: dict[Literal["lung", "infection"], Path] = {}
    for role, several in files.items():
        if several:
            place = Path(folder.name) / role
            staged = stage_uploads([(file.name, file) for file in several], place)
            paths[role] = staged[0] if len(staged) == 1 else place
    try:
        _lay_masks(current, paths, same_grid=same_grid)
    except UnknownLabelsError as error:
        this_session().pending_labels = PendingLabels(
            token=current.token,
            paths=paths,
            labels=error.labels,
            sentence=str(error),
            same_grid=same_grid,
            keep=folder,
        )
        return False
    return True


def add_labelled_truth(infection_labels: Sequence[int]) -> None:
    """Gives the open scan the true masks that were asked about."""
    current, pending = _open_scan(), this_session().pending_labels
    if pending is None or pending.token != current.token:
        raise LoadError("There is no mask to read", next_step="choose its file again")
    this_session().pending_labels = None
    _lay_masks(
        current,
        pending.paths,
        same_grid=pending.same_grid,
        infection_labels=tuple(infection_labels),
    )


def _open_scan() -> OpenStudy:
    current = this_session().opened
    if current is None:
        raise LoadError("No scan is open", next_step="open the scan before its masks")
    return current


def _lay_masks(
    current: OpenStudy,
    paths: Mapping[Literal["lung", "infection"], Path],
    *,
    same_grid: bool,
    infection_labels: tuple[int, ...] = (),
) -> None:
    from core.loading import load_role_mask, with_mask

    study = current.study
    for role, path in paths.items():
        reading = load_role_mask(
            path,
            study.volume,
            role,
            trust_shape=same_grid,
            infection_labels=infection_labels,
        )
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
    session.second_run.drop()
    current.set_second(None)
    current.correction.use_intensity(intensity)
    current.set_segmentation(None)
