"""The widgets of Cohort: which scans of a batch, and what they have in common."""

from __future__ import annotations

from base64 import b64encode
from collections import Counter
from typing import Any

import pandas as pd
import streamlit as st

from core.batch import Cohort, Row, RowFilter, median_of, rows_csv, select_rows, sort_rows
from core.errors import WeightsError
from core.evaluation import side_of_case
from core.loading import case_of_scan
from core.segmentation import WeightsInfo, find_weights
from core.system import number_text
from core.ui.chart_view import show_chart
from core.ui.charts.spread import make_spread_figure
from core.ui.cohort.scan import BIOMARKERS, TABLE_BIOMARKERS, scan_picture
from core.ui.text import escape_markdown, percent, volume_text

_MOST_ROWS = 400
"""Shown at once: each carries a picture."""
_PICTURE_WIDTH = 96
_ROW_HEIGHT = 64
_REASON_WIDTH = 1100
_SHORT = {
    "infected_share": "Infected share",
    "lung_volume_ml": "Lung, ml",
    "infected_volume_ml": "Infected, ml",
    "mosmed_category": "MosMed-like",
    "lobar_score": "CT score of 25",
    "zonal_score": "Zonal score",
    "laterality": "Side",
    "lesion_count": "Lesions",
    "mean_lung_hu": "Mean HU",
    "ground_glass_share": "Ground glass",
    "consolidation_share": "Consolidation",
}
_GROUPINGS = {
    "None": "",
    "MosMed-like category": "mosmed_category",
    "Laterality": "laterality",
    "Kind of input": "kind",
    "Unit of values": "unit",
}
_SPREAD_FIRST = ("infected_share", "lung_volume_ml", "zonal_score", "lesion_count", "mean_lung_hu")
_DICE = {"Dice, lung": "lung_dice", "Dice, infection": "infection_dice"}
_ORDERS = {
    "As found": "",
    "Name": "name",
    **{_SHORT[key]: key for key in TABLE_BIOMARKERS},
    **_DICE,
}


def show_summary(cohort: Cohort) -> None:
    """Counts, and medians with how many scans they rest on."""
    cells = st.columns(5)
    cells[0].metric("Scans", str(len(cohort.rows)), help="Every scan that the batch has found.")
    cells[1].metric(
        "Done", str(cohort.count("done")), help="With masks, measurements and a picture."
    )
    cells[2].metric("Failed", str(cohort.count("failed")), help="With the reason below.")
    share, shares = median_of(cohort.rows, "infected_share")
    cells[3].metric(
        f"Median infected share (n = {shares})",
        percent(share),
        help=BIOMARKERS["infected_share"].definition,
    )
    lung, lungs = median_of(cohort.rows, "lung_volume_ml")
    cells[4].metric(
        f"Median lung volume (n = {lungs})",
        volume_text(lung),
        help="Only scans whose files give the voxel size. "
        + BIOMARKERS["lung_volume_ml"].definition,
    )
    _show_agreement(cohort)
    waiting = cohort.count("waiting")
    if waiting:
        st.caption(
            f"{waiting} scan{'s are' if waiting != 1 else ' is'} waiting: the batch is "
            "running, or was stopped and can be resumed."
        )
    weights = cohort.record.get("weights", {})
    if isinstance(weights, dict) and weights.get("weights_id"):
        versions = cohort.record.get("versions", {})
        version = versions.get("lunglens", "?") if isinstance(versions, dict) else "?"
        st.caption(
            f"Weights {escape_markdown(weights['weights_id'])}, LungLens "
            f"{escape_markdown(version)}. As marked by the network, not checked by anyone."
        )


def _show_agreement(cohort: Cohort) -> None:
    """Median Dice where true masks lie beside scans, and how many of them the weights know."""
    infection, scans = median_of(cohort.rows, "infection_dice")
    lung, lungs = median_of(cohort.rows, "lung_dice")
    if not scans and not lungs:
        return
    words = [
        f"{name} {number_text(value)} (n = {count})"
        for name, value, count in (("infection", infection, scans), ("lung", lung, lungs))
        if count
    ]
    text = f"Median Dice against true masks: {', '.join(words)}."
    info = _weights_of(cohort)
    if info is not None:
        compared = [row for row in cohort.rows if row["infection_dice"] is not None]
        learned = sum(side_of_case(case_of_scan(row["name"]), info) != "unseen" for row in compared)
        if learned:
            text += (
                f" The weights were trained or chosen on the patients of {learned} of these "
                f"{len(compared)} scans, where Dice is too optimistic."
            )
    st.caption(escape_markdown(text))


def _weights_of(cohort: Cohort) -> WeightsInfo | None:
    """The weights of a batch; none where they are not installed, or others of their name are."""
    used = cohort.record.get("weights")
    if not isinstance(used, dict):
        return None
    try:
        info = find_weights(str(used.get("weights_id")))
    except WeightsError:
        return None
    return info if info.sha256 == used.get("sha256") else None


def choose_rows(cohort: Cohort) -> list[Row]:
    """The rows that a person wants to see, in the order wanted."""
    # Labels in one line: the switch in the middle is less high than its neighbours.
    search, state, order = st.columns([4, 4, 4], vertical_alignment="top")
    text = search.text_input(
        "Search",
        placeholder="name, id, CT-3, left, warning …",
        key="cohort-text",
        help="Words that all have to occur in the name, id, kind, category, side, reason or "
        "warnings of a scan.",
    )
    status = state.segmented_control(
        "Scans",
        ("all", "done", "failed", "waiting"),
        default="all",
        required=True,
        format_func=str.capitalize,
        key="cohort-status",
        help="Failed scans have a reason instead of measurements.",
    )
    with order, st.container(horizontal=True, vertical_alignment="bottom"):
        by = st.selectbox(
            "Sort by",
            tuple(_ORDERS),
            key="cohort-order",
            help="Scans for which it is not defined come last.",
        )
        down = st.toggle("Largest first", key="cohort-descending", help="Reverses the order.")
    share_side, volume_side = st.columns(2)
    with share_side:
        share = _choose_range(cohort, "infected_share", "Infected share, %", factor=100.0, step=0.1)
    with volume_side:
        volume = _choose_range(cohort, "lung_volume_ml", "Lung volume, ml", factor=1.0, step=10.0)
    wanted = RowFilter(
        text=text or "",
        status=None if status in (None, "all") else status,
        infected_share=share,
        lung_volume_ml=volume,
    )
    rows = select_rows(cohort.rows, wanted)
    return sort_rows(rows, _ORDERS[by], descending=down) if _ORDERS[by] else rows


def _choose_range(
    cohort: Cohort, column: str, label: str, *, factor: float, step: float
) -> tuple[float, float] | None:
    """None as long as the whole range is chosen, so that what is not defined stays."""
    values = [factor * row[column] for row in cohort.rows if isinstance(row[column], float)]
    if len(set(values)) < 2:
        return None
    low = float(int(min(values) / step) * step)
    high = float((int(max(values) / step) + 1) * step)
    chosen: tuple[float, float] = st.slider(
        label,
        low,
        high,
        (low, high),
        step=step,
        format="%.1f" if step < 1 else "%.0f",
        key=f"cohort-range-{column}",
        help="When narrowed, it leaves out scans for which this is not defined. "
        + BIOMARKERS[column].definition,
    )
    if chosen == (low, high):
        return None
    # Shown rounded, so a value at either end must not fall out.
    return (chosen[0] - step / 100) / factor, (chosen[1] + step / 100) / factor


def show_table(cohort: Cohort, rows: list[Row]) -> Row | None:
    """One row a scan, with its picture; the row that a person has picked."""
    st.markdown(
        f"**{len(rows)} of {len(cohort.rows)} scans**"
        + (f", the first {_MOST_ROWS} of them shown" if len(rows) > _MOST_ROWS else "")
    )
    if not rows:
        st.info(
            "No scan matches. Widen the ranges or clear the search.", icon=":material/search_off:"
        )
        return None
    shown = rows[:_MOST_ROWS]
    table: dict[str, list[Any]] = {}
    formats: dict[str, Any] = {"Scan": st.column_config.TextColumn(pinned=True, width="medium")}
    if cohort.folder is not None:
        table["Picture"] = [_picture_address(cohort, row) for row in shown]
        formats["Picture"] = st.column_config.ImageColumn(
            "Key slice",
            width=84,
            pinned=True,
            help="The slice with most infection, else with most lung. Blue: lung, orange: "
            "infection.",
        )
    table["Scan"] = [row["name"] for row in shown]
    table["State"] = [row["status"] for row in shown]
    for name, column in _DICE.items():
        if any(row[column] is not None for row in shown):
            table[name] = [row[column] for row in shown]
            formats[name] = st.column_config.NumberColumn(
                format="%.3f", help="Agreement with the true mask found beside the scan."
            )
    for key in TABLE_BIOMARKERS:
        figure, name = BIOMARKERS[key], _SHORT[key]
        table[name] = [_shown(row[key], figure.unit) for row in shown]
        formats[name] = _format(figure.unit, figure.definition, words=key in _WORDS)
    table["Slices"] = [row["slices"] for row in shown]
    table["Reason and warnings"] = [row["reason"] or row["warnings"] for row in shown]
    table["Id"] = [row["scan_id"] for row in shown]
    formats["Slices"] = st.column_config.NumberColumn(format="%d")
    # In three lines at most, so that the height of a row does not cut through words.
    formats["Reason and warnings"] = st.column_config.TextColumn(width=_REASON_WIDTH)
    formats["Id"] = st.column_config.TextColumn(
        help="Name of the scan's folder in the batch result; paths.json there gives its location."
    )
    picked = st.dataframe(
        pd.DataFrame(table),
        hide_index=True,
        column_config=formats,
        placeholder="–",
        row_height=_ROW_HEIGHT if cohort.folder is not None else None,
        height=min(_ROW_HEIGHT * len(shown) + 40, 620) if cohort.folder is not None else "auto",
        on_select="rerun",
        selection_mode=["single-row", "single-cell"],
        key="cohort-rows",
    )
    st.caption("– means not defined; point at a column heading for its definition.")
    chosen = [*picked["selection"]["rows"], *(row for row, _ in picked["selection"]["cells"])]
    return shown[chosen[0]] if chosen and chosen[0] < len(shown) else None


_WORDS = ("mosmed_category", "laterality")


def _format(unit: str, definition: str, *, words: bool) -> Any:
    if words:
        return st.column_config.TextColumn(help=definition)
    form = {"share": "%.1f\u2009%%", "ml": "%.0f", "HU": "%.0f"}.get(unit, "%d")
    return st.column_config.NumberColumn(format=form, help=definition)


def _shown(value: Any, unit: str) -> Any:
    """Shares in percent; what is not defined as nothing, also among words."""
    if unit == "share" and isinstance(value, float):
        return 100.0 * value
    return None if value == "" else value


def _picture_address(cohort: Cohort, row: Row) -> str | None:
    if cohort.folder is None or row["status"] != "done":
        return None
    picture = scan_picture(str(cohort.folder), row["scan_id"], row["finished"], _PICTURE_WIDTH)
    return None if picture is None else f"data:image/jpeg;base64,{b64encode(picture).decode()}"


def show_spread(rows: list[Row]) -> None:
    """How one measurement is distributed over the chosen scans."""
    known = Counter(key for row in rows for key in BIOMARKERS if isinstance(row[key], float))
    if not known:
        return
    st.subheader("Distribution", anchor=False)
    names = [key for key in _SPREAD_FIRST if known[key]]
    names += [key for key in BIOMARKERS if known[key] and key not in names]
    left, right = st.columns(2)
    key = left.selectbox(
        "Measurement",
        names,
        format_func=lambda name: BIOMARKERS[name].label,
        key="cohort-spread",
        help="Any measurement that is defined for at least one of the scans chosen above.",
    )
    grouping = right.selectbox(
        "Grouped by",
        tuple(_GROUPINGS),
        key="cohort-grouping",
        help="One box, and one colour, for each group.",
    )
    figure, column = BIOMARKERS[key], _GROUPINGS[grouping]
    groups: dict[str, list[tuple[str, float]]] = {}
    for row in rows:
        if isinstance(row[key], float):
            name = (row[column] or "not defined") if column else "All"
            groups.setdefault(name, []).append((row["name"], row[key]))
    unit = figure.unit if figure.unit not in ("", "share") else ""
    chart = make_spread_figure(
        dict(sorted(groups.items())),
        label=figure.label + (f", {unit}" if unit else ""),
        share=figure.unit == "share",
    )
    show_chart(chart, key=f"chart-cohort_{key}", file_name=f"cohort_{key}")
    missing = len(rows) - known[key]
    st.caption(
        escape_markdown(f"{known[key]} scans. {figure.definition} {figure.source}")
        + (f" Not defined for {missing} of the scans chosen above." if missing else "")
    )


def show_failures(cohort: Cohort) -> None:
    """Which scans failed, and why."""
    failed = [row for row in cohort.rows if row["status"] == "failed"]
    if not failed:
        return
    st.subheader("Failed scans", anchor=False)
    st.dataframe(
        pd.DataFrame(
            {
                "Scan": [row["name"] for row in failed],
                "Reason": [row["reason"] for row in failed],
                "Id": [row["scan_id"] for row in failed],
            }
        ),
        hide_index=True,
        column_config={"Reason": st.column_config.TextColumn(width=820)},
        row_height=56,  # two lines
        key="cohort-failures",
    )
    st.caption("Resume the batch with that choice to try them again, or add `--retry-failed`.")


def show_download(rows: list[Row]) -> None:
    """The chosen rows, in the chosen order."""
    st.download_button(
        f"These {len(rows)} rows (CSV)",
        data=lambda: rows_csv(rows).encode(),
        file_name="cohort_selection.csv",
        mime="text/csv",
        icon=":material/download:",
        on_click="ignore",
        disabled=not rows,
        help="Every column of cohort.csv for the scans chosen above, in their order; empty where "
        "not defined.",
    )
