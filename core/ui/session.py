"""What one person has open and has chosen: the one object that a session keeps.

Streamlit's session state holds it under one key, and besides only the values of widgets (see
`core.ui.widget_state`). A part of the app that keeps something of its own gives it a class and
asks for it by `this_session().part(ThatClass)`.
"""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import streamlit as st

from core.annotation import Annotation
from core.config import AugmentConfig, PreprocessConfig
from core.correction import Correction
from core.correction.project import Keeper, ProjectState
from core.ui.job_slot import JobSlot
from core.ui.jobs import NETWORK_QUEUE
from core.ui.kept_sessions import KeptSessions, collect_soon, seconds_to_keep, watch
from core.ui.streamlit_internals import browser_id, close_session, is_connected, server_session_id
from core.ui.viewer import DEFAULT_WINDOW, Place, Window, withdraw_slices
from core.volume import Intensity, MaskPair, Study

if TYPE_CHECKING:  # both are loaded where they are first needed
    from core.loading import SeriesInfo
    from core.segmentation import Segmentation

T = TypeVar("T")
Origin = Literal["demo", "case", "file", "upload"]

SESSION_KEY = "session"
SECOND_NETWORK = "Second network"
"""What the masks of another network are called on pages, and in the memo."""
_RESULT = "result corrected by hand"


@dataclass(eq=False)
class OpenStudy:
    """The open study and all that was computed from it in this session.

    Attributes:
        link, where: names it in the page's address; its case, or path in the data folder.
        token: new for each opening; keys widgets, so that none outlives its study.
        segmentation: the network's result, with the thresholds last chosen.
        correction: lung and infection as the person corrects them.
        memo: measures already computed, by name; those of the corrected masks stand apart.
        place: where in the scan the person is, once a viewer has shown it.
        asked_to_correct: how often correcting on View was asked for on another page.
    """

    study: Study
    origin: Origin
    link: str
    token: str = field(default_factory=lambda: secrets.token_hex(4))
    segmentation: Segmentation | None = None
    second: Segmentation | None = None
    """The result of another network, to compare with; see `set_second`."""
    memo: dict[object, Any] = field(default_factory=dict)
    place: Place | None = None
    notes: str = ""
    """What the person has written on the whole scan."""
    annotations: tuple[Annotation, ...] = ()
    """Notes, arrows, distances and regions on its slices."""
    annotations_command: int = 0
    """Counts changes of `annotations` that the browser does not know of."""
    where: str = ""
    turned_from: str = ""
    """Fingerprint of the scan as its file lies, where a person has turned it and that is kept."""
    asked_to_correct: int = 0
    look_first: tuple[int, ...] = ()
    """Axial slices that the network is least sure of, where that was measured."""
    keeper: Keeper | None = None
    """Keeps corrections, notes and marks; none where nothing is kept."""
    kept_state: ProjectState | None = None
    """How the scan was looked at on earlier days, and what was written on it."""
    recognised: Intensity = field(init=False)
    """What the values were taken for when the scan was opened."""
    correction: Correction = field(init=False)
    brought_back: str = ""
    """What was brought back of earlier corrections when the scan was opened, if anything."""
    _corrected_memo: tuple[int, dict[object, Any]] = field(
        default_factory=lambda: (0, {}), init=False
    )

    @property
    def turn(self) -> str:
        """How a person has said that the axes of its file lead, such as "LPS"; else empty."""
        volume = self.study.volume
        return "" if volume.source.stored_affine is None else volume.file_orientation

    @property
    def address(self) -> dict[str, str]:
        """What names it, laid as it is, in a page's address."""
        return {"case": self.link, **({"turn": self.turn} if self.turn else {})}

    def __post_init__(self) -> None:
        self.recognised = self.study.volume.intensity
        self.correction = Correction(self.study.volume)

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

    @property
    def second_prediction(self) -> MaskPair | None:
        """Masks of another network that is compared with, where it has run."""
        return self.second.masks if self.second is not None else None

    @property
    def corrected(self) -> MaskPair | None:
        """Masks as they were corrected by hand, where any were."""
        return self.correction.masks()

    @property
    def corrected_memo(self) -> dict[object, Any]:
        """Measures of the corrected masks as they are now; forgotten with the next stroke."""
        revision, memo = self._corrected_memo
        if revision != self.correction.revision:
            memo = {}
            self._corrected_memo = (self.correction.revision, memo)
        return memo

    @property
    def result(self) -> Segmentation | None:
        """The network's result, with the masks as they were corrected where any were, or what was
        drawn by hand alone. The same object until the next stroke."""
        corrected = self.corrected
        if corrected is None:
            return self.segmentation
        if _RESULT not in self.corrected_memo:
            from core.segmentation import drawn_by_hand, with_hand_correction

            by_hand = self.correction.record
            self.corrected_memo[_RESULT] = (
                drawn_by_hand(self.study.volume, corrected, by_hand)
                if self.segmentation is None
                else with_hand_correction(self.segmentation, corrected, by_hand)
            )
        found: Segmentation = self.corrected_memo[_RESULT]
        return found

    @property
    def result_memo(self) -> dict[object, Any]:
        """What was made of `result`, such as its report."""
        return self.memo if self.corrected is None else self.corrected_memo

    def set_segmentation(self, segmentation: Segmentation | None) -> None:
        """Takes a new result; what was measured on the old one is forgotten. What was corrected
        by hand stays."""
        self.segmentation = segmentation
        self.memo = {}
        self._corrected_memo = (self.correction.revision, {})
        self.correction.follow(self.prediction)

    def set_second(self, segmentation: Segmentation | None) -> None:
        """Takes the result of another network, or lets it go; what was measured on the one before
        is forgotten, and nothing else."""
        self.second = segmentation
        self.memo = {
            name: found
            for name, found in self.memo.items()
            if not (isinstance(name, tuple) and SECOND_NETWORK in name)
        }

    def let_go(self) -> None:
        """Drops all results: whoever still holds the study, such as the page drawn last, holds
        the scan alone."""
        self.correction.close()
        self.set_second(None)
        self.set_segmentation(None)
        self.correction = Correction(self.study.volume)


@dataclass
class PendingSeries:
    """Several series were found; the person has yet to choose one."""

    path: Path | Sequence[Path]
    series: Sequence[SeriesInfo]
    origin: Origin
    link: str
    keep: tempfile.TemporaryDirectory[str] | None
    """Uploaded files wait here; the folder goes when this object goes."""


@dataclass
class PendingScale:
    """A scan whose values are not HU and no grey scale that is known; the person may say which HU
    the lowest and the highest of them stand for."""

    path: Path | Sequence[Path]
    series_uid: str | None
    origin: Origin
    link: str
    keep: tempfile.TemporaryDirectory[str] | None
    """Uploaded files wait here; the folder goes when this object goes."""


@dataclass
class PendingLabels:
    """True masks for the open scan, where the person has yet to say which labels are infection."""

    token: str
    """Of the open study."""
    paths: Mapping[Literal["lung", "infection"], Path]
    labels: tuple[int, ...]
    sentence: str
    """Why they are asked."""
    same_grid: bool
    keep: tempfile.TemporaryDirectory[str]


@dataclass(frozen=True)
class Notice:
    """A sentence to show once something was tried."""

    kind: Literal["success", "error", "warning"]
    text: str


@dataclass(eq=False)
class Session:
    """All that the app keeps for one person, as long as their page is open.

    Attributes:
        began: whether the first scan was opened, or at least tried.
        navigated: whether the entry script has run.
        laid: whether the scan was turned as the address says.
        page: title of the page last drawn.
        asked_part: name of the part that the next page is to begin with, if any.
        part_of_page: name of the part of it that was drawn, if not the first.
        notice: the sentence left by the last thing tried.
        opened: the open scan.
        second: the later scan of the Follow-up page.
        pending_series: the choice of a series that is still open.
        pending_scale: the question what the values of a scan stand for.
        pending_labels: the question which labels of a mask are infection.
        window: the grey scale last chosen, which the next scan takes over.
        network_run: marks lung and infection in one of the open scans.
        second_run: does so with another network, to compare.
        tuned_preprocess: the input last taken over from Preprocess.
        tuned_is_new: whether Train has yet to choose it.
        tuned_augmentation: the pipeline last taken over on the Augmentation page.
        settings: values of each page's `Settings`, by its name.
    """

    began: bool = False
    navigated: bool = False
    laid: bool = False
    page: str = ""
    asked_part: str = ""
    part_of_page: str = ""
    notice: Notice | None = None
    opened: OpenStudy | None = None
    second: OpenStudy | None = None
    pending_series: PendingSeries | None = None
    pending_scale: PendingScale | None = None
    pending_labels: PendingLabels | None = None
    window: Window = DEFAULT_WINDOW
    network_run: JobSlot[Segmentation] = field(
        default_factory=lambda: JobSlot("run", NETWORK_QUEUE)
    )
    second_run: JobSlot[Segmentation] = field(
        default_factory=lambda: JobSlot("second-run", NETWORK_QUEUE)
    )
    tuned_augmentation: AugmentConfig | None = None
    tuned_preprocess: PreprocessConfig | None = None
    tuned_is_new: bool = False
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    _parts: dict[type, Any] = field(default_factory=dict)

    def part(self, kind: type[T]) -> T:
        """What one part of the app keeps: an object of this class, made the first time."""
        if kind not in self._parts:
            self._parts[kind] = kind()
        found: T = self._parts[kind]
        return found

    def open_study(self, study: Study, *, origin: Origin, link: str) -> OpenStudy:
        """Opens a study in place of the one that is open; a run of the network ends."""
        if self.opened is not None:
            self.opened.correction.close()
            collect_soon()
        self.opened = OpenStudy(study=study, origin=origin, link=link)
        self.network_run.drop()
        self.second_run.drop()
        self.pending_labels = None
        return self.opened

    @property
    def link(self) -> str | None:
        """What names the open scan in the page's address; none where no scan is open."""
        return None if self.opened is None else self.opened.link

    @property
    def holds_scans(self) -> bool:
        """Whether there is anything of a person in it."""
        asked = self.pending_series or self.pending_scale or self.pending_labels
        return bool(self.opened or self.second or asked or self._parts)

    def follow_address(self, address: Mapping[str, str]) -> None:
        """After a reload: what the address says counts, as it does for a new session. It may have
        been changed by hand, and says all that the page shown last was set to."""
        self.navigated = self.laid = False
        self.settings = {}
        if self.opened is not None:
            self.opened.asked_to_correct = 0
            self.opened.place = None if "slice" in address else self.opened.place

    def end(self) -> None:
        """Lets go of scans, masks and files, ends what is under way, and takes the slices back."""
        for study in (self.opened, self.second):
            if study is not None:
                withdraw_slices(study)
                study.let_go()
        self.network_run.drop()
        self.second_run.drop()
        self.opened = self.second = None
        self.pending_series = self.pending_scale = self.pending_labels = None
        self._parts = {}


def this_session() -> Session:
    """The session of the page that is being drawn; that of the page before it after a reload."""
    if SESSION_KEY not in st.session_state:
        st.session_state[SESSION_KEY] = _begin_session()
    found: Session = st.session_state[SESSION_KEY]
    return found


def _begin_session() -> Session:
    session_id = server_session_id()
    if session_id is None:
        return Session()
    kept, browser = _kept_sessions(), browser_id()
    session = kept.take_over(session_id, browser, st.query_params.get("case"))
    if session is None:
        session = Session()
        kept.add(session, session_id, browser)
    session.follow_address(st.query_params)
    return session


@st.cache_resource(show_spinner=False)
def _kept_sessions() -> KeptSessions[Session]:
    sessions: KeptSessions[Session] = KeptSessions(seconds_to_keep(), is_connected, close_session)
    watch(sessions)
    return sessions


def set_notice(kind: Literal["success", "error", "warning"], text: str) -> None:
    """Leaves a sentence for the next drawing of the page."""
    this_session().notice = Notice(kind, text)


def clear_notice() -> None:
    """Drops the sentence left by the last thing tried."""
    this_session().notice = None


def remember(
    current: OpenStudy,
    name: object,
    compute: Callable[[], T],
    *,
    doing: str = "Measuring…",
    corrected: bool = False,
) -> T:
    """`compute()`, once per study and segmentation, where it is about the corrected masks once
    after each stroke; the page shows that it is busy."""
    memo = current.corrected_memo if corrected else current.memo
    if name not in memo:
        with st.spinner(doing):
            memo[name] = compute()
    measured: T = memo[name]
    return measured
