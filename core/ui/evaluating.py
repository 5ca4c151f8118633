"""What Evaluate judges, and judging it beside the page; results are kept for the session."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import streamlit as st

from core.config import EvaluateConfig, SegmentConfig
from core.errors import Cancelled, LungLensError, shown_name
from core.loading import Case, case_of_scan, load_case
from core.system import OnProgress, ShouldCancel, raise_if_cancelled
from core.ui import results, segmenting, session
from core.ui.jobs import NETWORK_LINE, BackgroundJob, Line
from core.ui.page import need_study, show_error, show_errors
from core.ui.quality_view import show_job
from core.ui.session import OpenStudy
from core.ui.text import escape_markdown
from core.volume import Study

if TYPE_CHECKING:  # loaded where they are first needed
    from core.evaluation import CaseReview
    from core.segmentation import WeightsInfo

EVALUATING_LINE = Line()
"""Its first judges cases; the network's own line it joins anew for each of them, so that nobody
waits for a whole set."""

_MAX_RUNS = 4
_JOB = "evaluation-job"
_QUESTION_SECONDS = 0.2

RunKey = tuple[str, str, float]
"""What was judged, by which weights (their sha256), at which tolerance."""


@dataclass(eq=False)
class Judged:
    """Cases judged in one way, so far."""

    reviews: dict[str, CaseReview] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    """What could not be judged, and why."""


@dataclass(eq=False)
class _Kept:
    """All that this session has judged; the job stops when the session is gone."""

    runs: dict[RunKey, Judged] = field(default_factory=dict)

    def run(self, key: RunKey) -> Judged:
        """The run of that key, made where there is none; the oldest goes where there are many."""
        if key not in self.runs:
            while len(self.runs) >= _MAX_RUNS:
                del self.runs[next(iter(self.runs))]
            self.runs[key] = Judged()
        return self.runs[key]


@dataclass(frozen=True, eq=False)
class Question:
    """What the person wants judged.

    Attributes:
        study: the open scan, where that is what is judged; none for cases of the data folder.
        scope: tells what is judged apart from anything else.
        second: weights to compare with, if any.
    """

    cases: tuple[Case, ...]
    study: Study | None
    scope: str
    weights: WeightsInfo
    second: WeightsInfo | None
    config: EvaluateConfig

    @property
    def networks(self) -> tuple[WeightsInfo, ...]:
        """The first, and the second where there is one."""
        return (self.weights,) if self.second is None else (self.weights, self.second)

    def judged(self, info: WeightsInfo) -> Judged:
        """What is known so far by these weights."""
        return _kept().run((self.scope, info.sha256, self.config.surface_tolerance_mm))

    def reviews(self, info: WeightsInfo) -> list[CaseReview]:
        """Finished cases, in the order of the table."""
        found = self.judged(info).reviews
        return [found[case.case_id] for case in self.cases if case.case_id in found]

    def left(self) -> int:
        """How many answers are missing."""
        judged = [self.judged(info) for info in self.networks]
        return sum(
            case.case_id not in run.reviews and case.case_id not in run.failures
            for case in self.cases
            for run in judged
        )


def _kept() -> _Kept:
    kept: _Kept = st.session_state.setdefault("evaluation-kept", _Kept())
    return kept


def ask() -> Question | None:
    """What to judge, by which weights; none (and a sentence) where that cannot be."""
    folder = session.find_case_folder()
    with show_errors():
        found = () if folder is None else tuple(filter(_has_truth, session.load_cases(str(folder))))
        current = session.opened() if found else need_study()
        which, how = st.columns([5, 7], gap="large")
        with which:
            chosen = _choose_cases(found, current)
            if chosen is None:
                return None
            config = _choose_tolerance()
        cases, study, scope = chosen
        with how:
            networks = _choose_networks()
        if networks is not None:
            return Question(cases, study, scope, *networks, config)
    return None


def _has_truth(case: Case) -> bool:
    return any((case.lung_path, case.infection_path, case.label_path))


def _choose_cases(
    found: tuple[Case, ...], current: OpenStudy | None
) -> tuple[tuple[Case, ...], Study | None, str] | None:
    open_truth = current is not None and current.study.truth is not None
    names = {"cases": f"{len(found)} cases of the data folder"} if found else {}
    if open_truth:
        names["open"] = "The open scan"
    if not names:
        st.info(
            "The open scan has no true masks, so there is nothing to compare with. Add them on "
            "**Home**, open the demo study there, or let the operator set a data folder that "
            "holds cases with masks.",
            icon=":material/info:",
        )
        return None
    which = st.segmented_control(
        "What to judge",
        tuple(names),
        format_func=lambda choice: names[choice],
        default=next(iter(names)),
        required=True,
        key="evaluation-scope",
        persist_state="session",
        help="Cases need true masks beside them. They are loaded one at a time.",
    )
    if which == "open" and current is not None:
        case = case_of_scan(shown_name(current.name))
        volume = current.study.volume
        return (case,), current.study, f"{current.token} {volume.intensity}"
    return found, None, str(session.find_case_folder())


def _choose_networks() -> tuple[WeightsInfo, WeightsInfo | None] | None:
    weights = results.choose_weights()
    if weights is None:
        return None
    others = [
        info for info in segmenting.available_weights() if info.weights_id != weights.weights_id
    ]
    if not others:
        st.caption(
            "One network is installed, so there is none to compare it with. Networks you train "
            "appear here once you publish them on **Train**."
        )
        return weights, None
    second = st.selectbox(
        "Compare with",
        [None, *others],
        format_func=lambda info: "no other network" if info is None else results.weights_name(info),
        key="evaluation-second",
        persist_state="session",
        help="Judges every case by both networks, and shows the difference case by case.",
    )
    return weights, second


def _choose_tolerance() -> EvaluateConfig:
    default = EvaluateConfig().surface_tolerance_mm
    with st.expander("Tolerance of surface Dice", icon=":material/tune:"):
        tolerance = st.number_input(
            "Tolerance, mm",
            min_value=0.0,
            max_value=50.0,
            value=default,
            step=0.5,
            key="evaluation-tolerance",
            persist_state="session",
            help="Surfaces this close count as the same. Another tolerance is another run.",
        )
    return EvaluateConfig(surface_tolerance_mm=float(tolerance))


def run(question: Question) -> None:
    """A button that judges what is left; progress and a way to stop while it lasts."""
    job: BackgroundJob[None] | None = st.session_state.get(_JOB)
    if job is not None and not job.finished:
        show_job(job, key=_JOB)
        return
    if job is not None:
        _collect(job)
    failures = {
        name: told
        for info in question.networks
        for name, told in question.judged(info).failures.items()
    }
    for name, told in failures.items():
        st.warning(escape_markdown(f"{name}: {told}"), icon=":material/error:")
    left = question.left()
    if left:
        _show_start(question, left)


def _collect(job: BackgroundJob[None]) -> None:
    del st.session_state[_JOB]
    if job.bug is not None:
        raise job.bug
    if job.error is not None:
        show_error(job.error)
    elif job.state == "stopped":
        st.warning("Stopped. Cases that were finished are kept.", icon=":material/info:")


def _show_start(question: Question, left: int) -> None:
    total = len(question.cases) * len(question.networks)
    what = "the open scan" if question.study is not None else f"{left} cases"
    if question.second is not None:
        what = f"by both networks ({left} runs)"
    with st.container(horizontal=True, vertical_alignment="center"):
        clicked = st.button(
            f"Judge {what}" if left == total else f"Judge the {left} that are left",
            type="primary" if left == total else "secondary",
            icon=":material/play_arrow:",
            key="evaluation-start",
        )
        st.caption("Some seconds a case; you can go on meanwhile, and stop it at any time.")
    if clicked:
        start(question)
        st.rerun()


def start(question: Question) -> None:
    """Judges what is left in the background."""
    todo = {info.weights_id: (info, question.judged(info)) for info in question.networks}

    def work(on_progress: OnProgress, should_cancel: ShouldCancel) -> None:
        for done, case in enumerate(question.cases):
            raise_if_cancelled(should_cancel, "judging cases")

            def tell(stage: str, *_: int, case: Case = case, done: int = done) -> None:
                on_progress(f"case {shown_name(case.case_id)}: {stage}", done, len(question.cases))

            open_jobs = [(i, run) for i, run in todo.values() if case.case_id not in run.reviews]
            if open_jobs:
                _judge(case, question, open_jobs, tell, should_cancel)

    st.session_state[_JOB] = BackgroundJob(work, line=EVALUATING_LINE, owner=_kept())


def _judge(
    case: Case,
    question: Question,
    open_jobs: list[tuple[WeightsInfo, Judged]],
    tell: OnProgress,
    should_cancel: ShouldCancel,
) -> None:
    """One case by each network that has not seen it; a case that fails costs no other."""
    from core.evaluation import review_case
    from core.segmentation import load_segmenter, segment_volume

    tell("reading the scan", 0, 0)
    try:
        study = question.study or load_case(case, should_cancel=should_cancel)
        for info, run_so_far in open_jobs:
            config = SegmentConfig(weights_id=info.weights_id, postprocess=info.postprocess)
            tell("waiting for the network", 0, 0)
            with _network_turn(should_cancel):
                segmentation = segment_volume(
                    study.volume,
                    load_segmenter(info.weights_id),
                    config=config,
                    on_progress=tell,
                    should_cancel=should_cancel,
                )
            tell("comparing with the truth", 0, 0)
            run_so_far.reviews[case.case_id] = review_case(
                case,
                study,
                segmentation,
                info=info,
                config=question.config,
                should_cancel=should_cancel,
            )
    except Cancelled:
        raise
    except LungLensError as error:
        for _, run_so_far in open_jobs:
            if case.case_id not in run_so_far.reviews:
                run_so_far.failures[case.case_id] = str(error)


@contextmanager
def _network_turn(should_cancel: ShouldCancel) -> Iterator[None]:
    ticket = NETWORK_LINE.join()
    try:
        while not NETWORK_LINE.wait(ticket, timeout=_QUESTION_SECONDS):
            raise_if_cancelled(should_cancel, "waiting for the network")
        yield
    finally:
        NETWORK_LINE.leave(ticket)
