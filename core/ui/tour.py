"""A tour of five steps on the demo study; left at any time, and then never in the way again."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from core.ui.navigation import BROWSE, ENHANCE, HOME_PAGE, REPORT_PAGE, Part, go_to
from core.ui.session import this_session


@dataclass(frozen=True)
class Step:
    """One step: where it leads, and what there is to see.

    Attributes:
        marked_words: instead of `words`, once the open scan is marked.
    """

    where: str | Part
    title: str
    words: str
    marked_words: str = ""


STEPS = (
    Step(
        HOME_PAGE,
        "Open",
        "The demo study is a generated chest. Home opens scans of your own in the same way: drop "
        "a file on **Open a scan**. Step through the slices "
        "with the mouse wheel, by dragging or with the arrow keys.",
    ),
    Step(
        BROWSE,
        "Mark",
        "Press **Mark lung and infection**. After some seconds the result stands in one sentence: "
        "how much of the lung is infected, and where.",
        "Lung and infection are marked. Beside the picture the result stands in one sentence: how "
        "much of the lung is infected, and where. The small lungs show the share of each lobe.",
    ),
    Step(
        BROWSE,
        "Compare with the truth",
        "In a generated chest the truth is known: its masks are dashed, the network's are filled. "
        "**Agreement** above the picture shows what is right, missed and wrong; the tables show "
        "how much.",
    ),
    Step(
        ENHANCE,
        "Tune",
        "Choose **CLAHE** and drag **Clip limit**: picture and histogram follow. When you release "
        "it, the line below the picture shows how the network's result changes.",
    ),
    Step(
        REPORT_PAGE,
        "Report",
        "Press **Make the report** for two pages as PDF, and for masks and measurements as files. "
        "The tour ends here: open a scan of your own on Home.",
    ),
)


@dataclass(eq=False)
class _Tour:
    """Where this session is in the tour; none outside of it."""

    at: int | None = None


def _tour() -> _Tour:
    return this_session().part(_Tour)


def start_tour() -> None:
    """Goes to the first step."""
    _tour().at = 0


def show_tour_step() -> None:
    """The present step, with the way on and out; nothing outside of the tour."""
    tour = _tour()
    if tour.at is None:
        return
    step, number = STEPS[tour.at], tour.at
    current = this_session().opened
    is_marked = current is not None and current.segmentation is not None
    words = step.marked_words if is_marked and step.marked_words else step.words
    with st.container(border=True, key="tour"):
        st.markdown(f"**Tour, step {number + 1} of {len(STEPS)}: {step.title}.** {words}")
        with st.container(horizontal=True, gap="small"):
            if number > 0 and st.button("Back", key="tour-back", icon=":material/arrow_back:"):
                _go(number - 1)
            last = number == len(STEPS) - 1
            if not last and st.button(
                f"Next: {STEPS[number + 1].title.lower()}",
                key="tour-next",
                type="primary",
                icon=":material/arrow_forward:",
            ):
                _go(number + 1)
            if st.button("Finish" if last else "Leave the tour", key="tour-leave"):
                tour.at = None
                st.rerun()


def _go(number: int) -> None:
    _tour().at = number
    go_to(STEPS[number].where)
