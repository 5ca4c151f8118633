"""The widgets of Quality for the open scan: thresholds, strip, findings, picture."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial

import numpy as np
import pandas as pd
import streamlit as st

from core.config import QUALITY_RANGES, QualityConfig
from core.drawing import PREDICTION_COLOURS, TRUTH_COLOURS
from core.measuring.quality import (
    CHECKS,
    EmptySlices,
    Finding,
    QualityReport,
    check_named,
    find_empty_slices,
)
from core.ui.charts.style import QUIET_COLOUR, SERIES_COLOURS
from core.ui.quality.leaving_out import case_id_of, left_out
from core.ui.scan.browsing import show_picture
from core.ui.scan.measures import CORRECTED, known_masks
from core.ui.scan.slice_strip import StripRow, go_to, show_strip
from core.ui.session import OpenStudy, remember
from core.ui.settings import Settings
from core.ui.text import escape_markdown
from core.ui.widget_state import fresh_key, renew_key
from core.volume import BoolArray

FAMILY_COLOURS = dict(
    zip(("sampling", "values", "content"), SERIES_COLOURS[:2] + SERIES_COLOURS[3:4], strict=True)
)
_EMPTY = "Empty"
_SLICE_HEAD_COLOUR = SERIES_COLOURS[2]
_LEFT_OUT_COLOUR = QUIET_COLOUR


def read_settings() -> Settings:
    """The thresholds of this session, of the address, or the defaults."""
    return Settings("quality", asdict(QualityConfig()), lambda values: QualityConfig(**values))


def choose_thresholds(settings: Settings) -> QualityConfig:
    """A slider for each threshold; nothing is measured again."""
    with st.expander("Thresholds", icon=":material/tune:"):
        st.caption("The scan is measured only once; changed thresholds take effect immediately.")
        st.button(
            "Reset",
            icon=":material/restart_alt:",
            help="All thresholds back to their defaults.",
            on_click=settings.forget,
            key="quality-reset",
        )
        columns = st.columns(2)
        for number, check in enumerate(CHECKS):
            side = "at least" if check.is_lower_limit else "at most"
            with columns[number % 2]:
                settings.slide(
                    f"{check.label}, {side}",
                    check.setting,
                    QUALITY_RANGES[check.setting],
                    help=check.help,
                    format="percent" if check.unit == "share" else None,
                )
    return QualityConfig(**settings.values)


def show_scan_and_strip(current: OpenStudy, report: QualityReport) -> int:
    """The picture and below it the strip; gives the axial slice that is shown."""
    place = show_picture(current, key="quality-picture", tools="few", tallest=0.5)
    shown = place.voxel[2]
    rows = _strip_rows(current, report)
    show_strip(current, rows, shown=shown, key="quality-strip")
    has_empty = any(row.label.startswith(_EMPTY) for row in rows)
    st.caption(
        "From the feet on the left to the head on the right; click to go there. Blue: how the scan "
        "was sampled. Orange: its values. Pink: what it shows."
        + (f" {_EMPTY}: no infection." if has_empty else "")
    )
    return shown


def _strip_rows(current: OpenStudy, report: QualityReport) -> list[StripRow]:
    rows: list[StripRow] = []
    for outcome in report.outcomes:
        check = check_named(outcome.check)
        if outcome.findings and not check.whole_scan:
            cells = np.flatnonzero(outcome.flagged).tolist()
            colour = FAMILY_COLOURS[check.family]
            rows.append(StripRow(check.label, colour, cells))
    for name, empty in empty_slices(current).items():
        colours = TRUTH_COLOURS if name == "Truth" else PREDICTION_COLOURS
        cells = np.flatnonzero(empty.infected_pixels == 0).tolist()
        if cells:
            label = f"{_EMPTY}, {name.lower()}"
            rows.append(StripRow(label, colours["infection"], cells))
    by_head = _empty_by_slice_head(current)
    if by_head is not None and by_head.any():
        cells = np.flatnonzero(by_head).tolist()
        rows.append(StripRow(f"{_EMPTY}, slice head", _SLICE_HEAD_COLOUR, cells))
    marks, case_id = left_out(), case_id_of(current)
    whole = marks.has_case(case_id)
    out = list(range(report.slices)) if whole else list(marks.slices_of(case_id))
    if out:
        rows.append(StripRow("Left out", _LEFT_OUT_COLOUR, out))
    return rows


def empty_slices(current: OpenStudy) -> dict[str, EmptySlices]:
    """Slices without infection by each of the masks there are."""
    volume = current.study.volume
    pairs = known_masks(current)
    found = {
        name: remember(
            current,
            ("empty slices", name),
            partial(find_empty_slices, pair, volume),
            corrected=name == CORRECTED,
        )
        for name, pair in pairs.items()
    }
    return {name: empty for name, empty in found.items() if empty is not None}


def show_slice_findings(report: QualityReport, slice_index: int) -> None:
    """What is wrong with the whole scan, and with the slice that is shown."""
    for finding in report.findings:
        if finding.slice_index is None:
            st.warning(_sentence(finding), icon=":material/error:")
    found = report.of_slice(slice_index)
    if not found:
        st.success(f"Slice {slice_index + 1}: nothing found.", icon=":material/check_circle:")
    for finding in found:
        st.warning(_sentence(finding), icon=":material/info:")


def _sentence(finding: Finding) -> str:
    """For a page, with numbers and their percent signs on one line."""
    return escape_markdown(finding.sentence)


def show_empty_slices(current: OpenStudy) -> None:
    """How many slices show no infection, by truth and by prediction."""
    st.markdown(
        "**Slices without infection**",
        help="The curve under the picture is the infected area of each slice; the rows Empty "
        "mark those with none. In training they show lung without disease.",
    )
    found = empty_slices(current)
    if not found:
        st.caption("Not known: there is neither a prediction nor a true mask.")
    for name, empty in found.items():
        st.markdown(f"By {name.lower()}: {empty.empty} of {empty.slices} slices.")
    by_head = _empty_by_slice_head(current)
    if by_head is not None:
        st.markdown(
            f"By the slice head: {int(by_head.sum())} of {by_head.size} slices.",
            help="A part of the network of its own, which assesses a slice as a whole: these show "
            "infection with less than 50\u2009% probability.",
        )


def _empty_by_slice_head(current: OpenStudy) -> BoolArray | None:
    """(slices,) what the network's slice head takes to be free of infection; none without a
    prediction, or where the network has no such head."""
    if current.segmentation is None:
        return None
    infected = current.segmentation.slices_with("infection")
    return None if infected is None else ~infected


def show_table(current: OpenStudy, report: QualityReport) -> None:
    """Every finding of a slice, one a row; a click goes there."""
    rows = [finding for finding in report.findings if finding.slice_index is not None]
    st.markdown(
        f"**Findings** in {len(report.flagged_slices)} of {report.slices} slices",
        help="Click a row to go to its slice.",
    )
    if rows:
        picked = st.dataframe(
            pd.DataFrame(
                {
                    "Slice": [(finding.slice_index or 0) + 1 for finding in rows],
                    "What": [check_named(finding.check).label for finding in rows],
                    "Value": [check_named(f.check).show(f.value) for f in rows],
                    "Limit": [check_named(f.check).show(f.threshold) for f in rows],
                }
            ),
            hide_index=True,
            on_select="rerun",
            selection_mode=["single-row", "single-cell"],
            key=fresh_key("quality-findings"),
            height=min(36 * (len(rows) + 1) + 2, 260),
        )
        chosen = [*picked["selection"]["rows"], *(row for row, _ in picked["selection"]["cells"])]
        if chosen:
            renew_key("quality-findings")
            go_to(current, rows[chosen[0]].slice_index or 0)
            st.rerun(scope="fragment")
    for outcome in report.outcomes:
        if outcome.undefined:
            st.caption(f"{check_named(outcome.check).label}: not defined, {outcome.undefined}.")
