"""What a person leaves out of training: marked on the Quality page, exported as a list."""

from __future__ import annotations

from collections.abc import Iterable

import streamlit as st

from core.measuring.quality import Exclusion, exclusions_text, slice_ranges
from core.ui.session import OpenStudy, this_session
from core.ui.text import escape_markdown


class LeftOut:
    """Cases and slices marked in this session, whichever scan is open."""

    def __init__(self) -> None:
        self._cases: dict[str, set[int] | None] = {}

    def has_case(self, case_id: str) -> bool:
        """Whether a case is left out as a whole."""
        return case_id in self._cases and self._cases[case_id] is None

    def slices_of(self, case_id: str) -> tuple[int, ...]:
        """The slices of a case that are left out one by one, from 0."""
        return tuple(sorted(self._cases.get(case_id) or ()))

    def set_case(self, case_id: str, *, out: bool) -> None:
        """Leaves a case out as a whole, or takes it back with all its slices."""
        if out:
            self._cases[case_id] = None
        else:
            self._cases.pop(case_id, None)

    def set_slices(self, case_id: str, slices: Iterable[int], *, out: bool) -> None:
        """Leaves slices of a case out, or takes them back; a case left out stays so."""
        if self.has_case(case_id):
            return
        known = self._cases.get(case_id) or set()
        changed = known | set(slices) if out else known - set(slices)
        if changed:
            self._cases[case_id] = changed
        else:
            self._cases.pop(case_id, None)

    def clear(self) -> None:
        """Takes everything back."""
        self._cases.clear()

    @property
    def exclusions(self) -> tuple[Exclusion, ...]:
        """The list, by case."""
        return tuple(
            Exclusion(case_id, None if slices is None else tuple(sorted(slices)))
            for case_id, slices in sorted(self._cases.items())
        )


def left_out() -> LeftOut:
    """The marks of this session."""
    return this_session().part(LeftOut)


def case_id_of(current: OpenStudy) -> str:
    """What the list calls the open scan: its case, or else its file."""
    return current.study.case_id or current.study.volume.source.name


def show_marks(current: OpenStudy, slice_index: int, flagged: tuple[int, ...]) -> None:
    """Buttons that leave out this slice, all slices with findings, or the case."""
    marks, case_id = left_out(), case_id_of(current)
    whole, out = marks.has_case(case_id), marks.slices_of(case_id)
    is_out = slice_index in out
    with st.container(horizontal=True, gap="small"):
        st.button(
            f"Include slice {slice_index + 1} again"
            if is_out
            else f"Leave out slice {slice_index + 1}",
            key="leave-out-slice",
            on_click=marks.set_slices,
            args=(case_id, (slice_index,)),
            kwargs={"out": not is_out},
            disabled=whole,
        )
        st.button(
            "Leave out slices with findings",
            key="leave-out-flagged",
            help="Every slice with a finding of its own, such as those below and above the lungs.",
            on_click=marks.set_slices,
            args=(case_id, flagged),
            kwargs={"out": True},
            disabled=whole or not set(flagged) - set(out),
        )
        st.button(
            "Include the scan again" if whole or out else "Leave out the scan",
            key="leave-out-case",
            on_click=marks.set_case,
            args=(case_id,),
            kwargs={"out": not (whole or out)},
        )
    if whole:
        st.caption("The whole scan is left out.")
    elif out:
        st.caption(f"Left out: slices {slice_ranges(out)}.")


def show_list() -> None:
    """Everything marked so far, and the file that training takes."""
    marks = left_out()
    exclusions = marks.exclusions
    st.markdown("**Left out of training**")
    if not exclusions:
        st.caption(
            "Nothing yet. What you leave out here is kept while this page stays open, across "
            "all scans, and can be passed to `python -m core train --exclude`."
        )
        return
    for exclusion in exclusions:
        what = "all slices" if exclusion.slices is None else _slices_text(exclusion.slices)
        st.markdown(f"- {escape_markdown(exclusion.case_id)}: {what}")
    with st.container(horizontal=True, gap="small"):
        st.download_button(
            "List for training (JSON)",
            data=exclusions_text(exclusions),
            file_name="exclude.json",
            mime="application/json",
            icon=":material/download:",
            on_click="ignore",
            help="For `python -m core train --exclude exclude.json`. Slices in it count from 1.",
        )
        st.button("Include everything again", on_click=marks.clear)


def _slices_text(slices: tuple[int, ...]) -> str:
    return f"slice{'s' if len(slices) > 1 else ''} {slice_ranges(slices)}"
