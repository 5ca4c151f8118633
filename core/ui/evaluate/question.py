"""What to evaluate, and evaluating it beside the page; results are kept for the session."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import streamlit as st

from core.config import EvaluateConfig, SegmentConfig
from core.errors import Cancelled, LungLensError, shown_name
from core.loading import Case, case_of_scan, load_case
from core.system import OnProgress, ShouldCancel, raise_if_cancelled
from core.ui import segmenting
from core.ui.data_folder import find_case_folder, load_cases
from core.ui.job_slot import JobSlot
from core.ui.jobs import EVALUATION_QUEUE, NETWORK_QUEUE
from core.ui.own_cases import own_cases_folder
from core.ui.page import need_study, show_error, show_errors
from core.ui.segment import results
from core.ui.session import OpenStudy, this_session
from core.ui.text import escape_markdown
from core.volume import Study

if TYPE_CHECKING:  # loaded where they are first needed
    from core.evaluation import CaseReview
    from core.segmentation import WeightsInfo

_MAX_RUNS = 4

RunKey = tuple[str, str, float]
"""What was evaluated, with which weights (their sha256), at which tolerance."""


@dataclass(eq=False)
class Evaluated:
    """Cases evaluated in one way, so far."""

    reviews: dict[str, CaseReview] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    """What could not be evaluated, and why."""


@dataclass(eq=False)
class Evaluations:
    """All that this session has evaluated, and the job that evaluates more."""

    runs: dict[RunKey, Evaluated] = field(default_factory=dict)
    slot: JobSlot[None] = field(default_factory=lambda: JobSlot("evaluation", EVALUATION_QUEUE))

    def run(self, key: RunKey) -> Evaluated:
        """The run of that key, made where there is none; the oldest goes where there are many."""
        if key not in self.runs:
            while len(self.runs) >= _MAX_RUNS:
                del self.runs[next(iter(self.runs))]
            self.runs[key] = Evaluated()
        return self.runs[key]


@dataclass(frozen=True, eq=False)
class Question:
    """What the person wants evaluated.

    Attributes:
        study: the open scan, where that is what is evaluated; none for cases of the data folder.
        scope: distinguishes what is evaluated from anything else.
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

    def evaluated(self, info: WeightsInfo) -> Evaluated:
        """The results so far with these weights."""
        return _kept().run((self.scope, info.sha256, self.config.surface_tolerance_mm))

    def reviews(self, info: WeightsInfo) -> list[CaseReview]:
        """Finished cases, in the order of the table."""
        found = self.evaluated(info).reviews
        return [found[case.case_id] for case in self.cases if case.case_id in found]

    def left(self) -> int:
        """How many evaluations are missing."""
        runs = [self.evaluated(info) for info in self.networks]
        return sum(
            case.case_id not in run.reviews and case.case_id not in run.failures
            for case in self.cases
            for run in runs
        )


def _kept() -> Evaluations:
    return this_session().part(Evaluations)


def ask() -> Question | None:
    """What to evaluate, with which weights; none (and a sentence) where there is nothing."""
    folders = {"cases": find_case_folder(), "own": own_cases_folder()}
    with show_errors():
        found = {
            name: tuple(filter(_has_truth, load_cases(str(folder))))
            for name, folder in folders.items()
            if folder is not None
        }
        found = {name: cases for name, cases in found.items() if cases}
        current = this_session().opened if found else need_study()
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
    found: dict[str, tuple[Case, ...]], current: OpenStudy | None
) -> tuple[tuple[Case, ...], Study | None, str] | None:
    open_truth = current is not None and current.study.truth is not None
    words = {"cases": "cases of the data folder", "own": "own cases"}
    names = {name: f"{len(cases)} {words[name]}" for name, cases in found.items()}
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
        "Evaluate on",
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
    chosen = which if which in found else next(iter(found))
    folder = own_cases_folder() if chosen == "own" else find_case_folder()
    return found[chosen], None, str(folder)


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
        help="Evaluates every case with both networks, and shows the difference case by case.",
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
    """A button that evaluates what is left; progress and a way to stop meanwhile."""
    slot = _kept().slot
    if slot.show_progress():
        return
    outcome = slot.take()
    if outcome is not None and outcome.error is not None:
        show_error(outcome.error)
    elif outcome is not None and outcome.stopped:
        st.warning("Stopped. Cases that were finished are kept.", icon=":material/info:")
    failures = {
        name: reason
        for info in question.networks
        for name, reason in question.evaluated(info).failures.items()
    }
    for name, reason in failures.items():
        st.warning(escape_markdown(f"{name}: {reason}"), icon=":material/error:")
    left = question.left()
    if left:
        _show_start(question, left)


def _show_start(question: Question, left: int) -> None:
    total = len(question.cases) * len(question.networks)
    what = "the open scan" if question.study is not None else f"{left} cases"
    if question.second is not None:
        what = f"with both networks ({left} runs)"
    with st.container(horizontal=True, vertical_alignment="center"):
        clicked = st.button(
            f"Evaluate {what}" if left == total else f"Evaluate the remaining {left}",
            type="primary" if left == total else "secondary",
            icon=":material/play_arrow:",
            key="evaluation-start",
        )
        st.caption(
            "A few seconds per case; you can continue working meanwhile, and stop it at any time."
        )
    if clicked:
        start(question)
        st.rerun()


def start(question: Question) -> None:
    """Evaluates what is left in the background."""
    todo = {info.weights_id: (info, question.evaluated(info)) for info in question.networks}

    def work(on_progress: OnProgress, should_cancel: ShouldCancel) -> None:
        for done, case in enumerate(question.cases):
            raise_if_cancelled(should_cancel, "evaluating cases")

            def report(stage: str, *_: int, case: Case = case, done: int = done) -> None:
                on_progress(f"case {shown_name(case.case_id)}: {stage}", done, len(question.cases))

            open_jobs = [(i, run) for i, run in todo.values() if case.case_id not in run.reviews]
            if open_jobs:
                _evaluate(case, question, open_jobs, report, should_cancel)

    kept = _kept()
    kept.slot.start(work, owner=kept)


def _evaluate(
    case: Case,
    question: Question,
    open_jobs: list[tuple[WeightsInfo, Evaluated]],
    on_progress: OnProgress,
    should_cancel: ShouldCancel,
) -> None:
    """One case with each network that is left; a case that fails does not stop the others."""
    from core.evaluation import review_case
    from core.segmentation import load_segmenter, segment_volume

    on_progress("reading the scan", 0, 0)
    try:
        study = question.study or load_case(case, should_cancel=should_cancel)
        for info, run_so_far in open_jobs:
            config = SegmentConfig(weights_id=info.weights_id, postprocess=info.postprocess)
            on_progress("waiting for the network", 0, 0)
            with NETWORK_QUEUE.turn_unless_cancelled(should_cancel, "waiting for the network"):
                segmentation = segment_volume(
                    study.volume,
                    load_segmenter(info.weights_id),
                    config=config,
                    on_progress=on_progress,
                    should_cancel=should_cancel,
                )
            on_progress("comparing with the truth", 0, 0)
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
