"""What a person has open, and how it gets opened.

One study per session is held by reference; opening another lets the first go. Scans that several
sessions may want (the demo study, cases of the public set) are shared, read-only, through a
bounded cache.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from core.config import AppConfig
from core.errors import LoadError, LungLensError, shown_name
from core.system import OnProgress, ignore_progress
from core.ui.jobs import BackgroundJob
from core.ui.links import FILE_LINK, FileLinks
from core.volume import Intensity, MaskPair, Study

if TYPE_CHECKING:  # both are loaded where they are first needed
    from streamlit.runtime.uploaded_file_manager import UploadedFile

    from core.loading import Case, SeriesInfo
    from core.segmentation import Segmentation

T = TypeVar("T")
Origin = Literal["demo", "case", "file", "upload"]

DATA_FOLDER_VARIABLE = "LUNGLENS_DATA_FOLDER"


@dataclass(eq=False)
class OpenStudy:
    """The open study and all that was computed from it in this session.

    Attributes:
        link: names the study in the page's address.
        token: new for each opening; keys widgets, so that none outlives its study.
        segmentation: the network's result, with the thresholds last chosen.
        memo: measures already computed, by name.
    """

    study: Study
    origin: Origin
    link: str
    token: str = field(default_factory=lambda: secrets.token_hex(4))
    segmentation: Segmentation | None = None
    memo: dict[object, Any] = field(default_factory=dict)
    recognised: Intensity = field(init=False)
    """What the values were taken for when the scan was opened."""

    def __post_init__(self) -> None:
        self.recognised = self.study.volume.intensity

    @property
    def name(self) -> str:
        """What to call it: the case, or the file."""
        named_by_file = self.study.synthetic or not self.study.case_id
        return self.study.volume.source.name if named_by_file else self.study.case_id

    @property
    def stamp(self) -> str:
        """The word that goes into every picture of a generated scan."""
        return "SYNTHETIC" if self.study.synthetic else ""

    @property
    def prediction(self) -> MaskPair | None:
        """Masks of the network, where it has run."""
        return self.segmentation.masks if self.segmentation is not None else None

    def set_segmentation(self, segmentation: Segmentation | None) -> None:
        """Takes a new result; what was measured on the old one is forgotten."""
        self.segmentation = segmentation
        self.memo = {}


@dataclass
class PendingSeries:
    """Several series were found; the person has yet to choose one."""

    path: Path | Sequence[Path]
    series: Sequence[SeriesInfo]
    origin: Origin
    link: str
    keep: tempfile.TemporaryDirectory[str] | None
    """Uploaded files wait here; the folder goes when this object goes."""


@dataclass(frozen=True)
class Notice:
    """A sentence to show once something was tried."""

    kind: Literal["success", "error", "warning"]
    text: str


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
            next_step="give its path from the data folder on",
        )
    return path


def opened() -> OpenStudy | None:
    """The open study of this session."""
    return st.session_state.get("opened")


def notice() -> Notice | None:
    """The sentence left by the last thing tried."""
    return st.session_state.get("notice")


def set_notice(new: Notice | None) -> None:
    """Leaves a sentence for the next drawing of the page."""
    st.session_state["notice"] = new


def _set_opened(study: Study, *, origin: Origin, link: str) -> OpenStudy:
    fresh = OpenStudy(study=study, origin=origin, link=link)
    st.session_state["opened"] = fresh
    drop_job()
    return fresh


def drop_job() -> None:
    """Ends the run under way, if any; what it would still find out is not wanted any more."""
    job: BackgroundJob[Any] | None = st.session_state.pop("job", None)
    if job is not None:
        job.stop()


@st.cache_resource(max_entries=1, show_spinner=False)
def _demo_study() -> Study:
    from core.phantom import build_demo_study

    return build_demo_study()


@st.cache_resource(max_entries=2, show_spinner=False)
def _case_study(folder: str, case_id: str) -> Study:
    from core.loading import load_case

    for case in load_cases(folder):
        if case.case_id == case_id:
            return load_case(case)
    raise LoadError(
        "There is no such case",
        got=shown_name(case_id),
        expected="one of the table on Home",
        next_step="choose it there",
    )


@st.cache_resource(max_entries=4, ttl=60, show_spinner=False)
def load_cases(folder: str) -> tuple[Case, ...]:
    """The cases of the public set in `folder`."""
    from core.loading import load_case_table

    return tuple(load_case_table(folder))


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


def open_demo() -> OpenStudy:
    """Opens the generated study; the first time it is computed."""
    return _set_opened(_demo_study(), origin="demo", link="demo")


def open_case(case_id: str) -> OpenStudy:
    """Opens a case of the public set, with its true masks."""
    return _set_opened(case_study(case_id), origin="case", link=case_id)


def case_study(case_id: str) -> Study:
    """A case of the public set, with its true masks; what is open stays open."""
    folder = find_case_folder()
    if folder is None:
        raise LoadError(
            "The public set is not here",
            expected="its metadata.csv in the data folder",
            next_step="fetch it or open another scan on Home",
        )
    return _case_study(str(folder), case_id)


@st.cache_resource(show_spinner=False)
def _file_links() -> FileLinks:
    return FileLinks()


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


def give_back_uploads(files: Sequence[UploadedFile | None]) -> None:
    """Frees uploads that have been read; Streamlit would keep them as long as the page is open."""
    context = get_script_run_ctx(suppress_warning=True)
    if context is None:
        return
    remove_file = getattr(context.uploaded_file_mgr, "remove_file", None)
    for file in files:
        if file is not None and remove_file is not None:
            remove_file(context.session_id, file.file_id)


def pending_series() -> PendingSeries | None:
    """The choice of a series that is still open."""
    return st.session_state.get("pending_series")


def open_series(series_uid: str, *, on_progress: OnProgress = ignore_progress) -> OpenStudy | None:
    """Opens the chosen one of several series."""
    pending = pending_series()
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
    st.session_state.pop("pending_series", None)


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
        st.session_state["pending_series"] = PendingSeries(
            path=path, series=several.series, origin=origin, link=link, keep=keep
        )
        return None
    forget_series()
    return _set_opened(study, origin=origin, link=link)


_LINK_IS_OLD = (
    "This address led to a file in the server's data folder, and the server has been started "
    "anew since. Open the file again on Home."
)


def open_link(link: str) -> OpenStudy | None:
    """What a page's address names; none (and a notice) where it cannot be had again."""
    if link == "demo":
        return open_demo()
    if link.startswith("upload"):
        set_notice(
            Notice(
                "warning",
                "The scan in this address was uploaded, and uploads are kept only while their "
                "page stays open. Upload it again to go on.",
            )
        )
        return None
    try:
        if link.startswith(FILE_LINK):
            path = _file_links().path_of(link)
            if path is None:
                set_notice(Notice("warning", _LINK_IS_OLD))
                return None
            # By its path again, so that it must still lie inside the data folder.
            found = open_file(str(path))
            if found is None:
                set_notice(Notice("warning", "There are several series: choose one on Home."))
            return found
        return open_case(link)
    except LungLensError as error:
        set_notice(Notice("warning", str(error)))
        return None


def add_truth(lung_file: UploadedFile | None, infection_file: UploadedFile | None) -> None:
    """Gives the open scan true masks from uploaded files; the scan and prediction stay."""
    from core.loading import load_mask, stage_uploads

    current = opened()
    if current is None:
        raise LoadError("No scan is open", next_step="open the scan before its masks")
    known = current.study.truth or MaskPair(lung=None, infection=None)
    with tempfile.TemporaryDirectory(prefix="lunglens-") as folder:
        for channel, file in (("lung", lung_file), ("infection", infection_file)):
            if file is None:
                continue
            path = stage_uploads([(file.name, file)], Path(folder) / channel)[0]
            mask = load_mask(path, current.study.volume)
            known = replace(known, **{channel: mask})
    current.study = replace(current.study, truth=known)
    current.memo = {}


def set_intensity(intensity: Intensity) -> None:
    """Gives the open scan's values another meaning.

    A prediction made before is dropped, and so is a run under way: it looks at the old values.
    """
    current = opened()
    if current is None:
        return
    volume = current.study.volume.with_intensity(intensity)
    # The person has just decided what this sentence asks about.
    kept = tuple(note for note in volume.warnings if not note.startswith("Not in HU"))
    current.study = replace(current.study, volume=replace(volume, warnings=kept))
    drop_job()
    current.set_segmentation(None)


def remember(
    current: OpenStudy, name: object, compute: Callable[[], T], *, doing: str = "Measuring…"
) -> T:
    """`compute()`, once per study and segmentation; the page says so while it takes long."""
    if name not in current.memo:
        with st.spinner(doing):
            current.memo[name] = compute()
    measured: T = current.memo[name]
    return measured
