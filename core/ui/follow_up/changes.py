"""What changed between two scans, as tables and as files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

import streamlit as st

from core.measuring import (
    Change,
    changes_csv,
    changes_json_dict,
    compare_biomarkers,
    coverage_note,
)
from core.measuring.biomarkers import GROUPS, Biomarkers
from core.system import UNDEFINED_TEXT, json_text
from core.ui.follow_up.scans import masks_used
from core.ui.job_result import AT_ONCE_SECONDS, result_of
from core.ui.job_slot import JobSlot
from core.ui.jobs import MEASURING_QUEUE
from core.ui.scan.biomarkers import STYLE
from core.ui.scan.explained import explained_header
from core.ui.scan.measuring import Measuring, start_measuring
from core.ui.segment.results import file_stem
from core.ui.session import OpenStudy, this_session

_HEADLINES = (
    "infected_share",
    "infected_share_right",
    "infected_share_left",
    "infected_volume_ml",
    "lung_volume_ml",
    "mean_lung_hu",
    "well_aerated_share",
    "ground_glass_share",
    "consolidation_share",
    "lesion_count",
    "lesion_largest_ml",
    "lobar_score",
    "zonal_score",
    "mosmed_category",
    "laterality",
)
"""What is shown without asking."""


@dataclass(eq=False)
class _Measuring:
    """The job that measures both scans."""

    slot: Measuring = field(default_factory=lambda: JobSlot("changes", MEASURING_QUEUE))


def _both_measured(first: OpenStudy, second: OpenStudy) -> tuple[Biomarkers, ...] | None:
    """The biomarkers of both scans; none while they are measured, and where that was stopped."""
    slot = this_session().part(_Measuring).slot
    asked = tuple((one, masks_used(one) or "") for one in (first, second))
    found = start_measuring(slot, asked, wait_seconds=AT_ONCE_SECONDS)
    if found is None:
        result_of(slot, stop_help="Stops measuring the two scans. Both stay open.")
    return found


def show_changes(first: OpenStudy, second: OpenStudy) -> None:
    """What changed, as a table and as files."""
    found = _both_measured(first, second)
    if found is None:
        return
    changes = compare_biomarkers(*found)
    st.markdown(
        "**What changed**",
        help="Second scan minus first. Shares change in percentage points; the last column is "
        "the change in percent of the first value. What is undefined in one scan is "
        "undefined here.",
    )
    st.caption("Point at the name of a measurement, or tap it, for its definition and source.")
    by_key = {change.measurement.key: change for change in changes}
    _show_table([by_key[key] for key in _HEADLINES], "The main changes")
    with st.expander("All biomarkers of both scans", icon=":material/lab_profile:"):
        for group in GROUPS:
            st.markdown(f"**{group}**")
            _show_table([c for c in changes if c.measurement.group == group], group)
    if differ := coverage_note(changes):
        st.warning(differ, icon=":material/info:")
    for note in _notes(*found):
        st.caption(note)
    _show_files(first, second, changes)


def _notes(first: Biomarkers, second: Biomarkers) -> list[str]:
    """What holds for both scans once, and what holds for one with its name."""
    of_both = [note for note in first.notes if note in second.notes]
    one_each = (("First scan", first), ("Second scan", second))
    return of_both + [
        f"{name}: {note}" for name, one in one_each for note in one.notes if note not in of_both
    ]


def _show_table(changes: Sequence[Change], caption: str) -> None:
    columns = ("First", "Second", "Change", "in %")
    names = "".join(f'<th scope="col">{name}</th>' for name in columns)
    lines = "".join(
        f"<tr>{explained_header(change.measurement)}{_cells(change)}</tr>" for change in changes
    )
    st.html(
        f'{STYLE}<table class="biomarkers" aria-label="{escape(caption, quote=True)}"><thead><tr>'
        f"<th></th>{names}</tr></thead><tbody>{lines}</tbody></table>"
    )


def _cells(change: Change) -> str:
    values = (change.before_text, change.after_text)
    differences = (change.absolute_text, change.relative_text)
    reason = escape(change.reason, quote=True)
    return "".join(
        f'<td class="undefined" title="{reason}">{escape(short)}</td>'
        if text == UNDEFINED_TEXT
        else f"<td>{escape(text)}</td>"
        for texts, short in ((values, UNDEFINED_TEXT), (differences, "–"))
        for text in texts
    )


def _show_files(first: OpenStudy, second: OpenStudy, changes: tuple[Change, ...]) -> None:
    stem = f"{file_stem(first)}_to_{file_stem(second)}"
    names = (first.name, second.name)
    record = {
        "note": "Research software, never a diagnosis.",
        "first": {
            "name": first.name,
            "masks": masks_used(first),
            "synthetic": first.study.synthetic,
        },
        "second": {
            "name": second.name,
            "masks": masks_used(second),
            "synthetic": second.study.synthetic,
        },
        "changes": changes_json_dict(changes),
    }
    with st.container(horizontal=True):
        st.download_button(
            "Changes (CSV)",
            data=changes_csv(changes, names=names),
            file_name=f"{stem}.csv",
            mime="text/csv",
            icon=":material/download:",
            on_click="ignore",
            help="One measurement per line: both values, both changes, definition and source.",
        )
        st.download_button(
            "Changes (JSON)",
            data=json_text(record) + "\n",
            file_name=f"{stem}.json",
            mime="application/json",
            icon=":material/download:",
            on_click="ignore",
            help="The same, with the masks that were measured; undefined values are null.",
        )
