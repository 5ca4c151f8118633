"""All biomarkers of the open scan as a table, each with its definition and source on hover."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

import streamlit as st

from core.measuring.biomarkers import Biomarkers, Measurement
from core.ui.job_result import AT_ONCE_SECONDS, result_of
from core.ui.job_slot import JobSlot
from core.ui.jobs import MEASURING_QUEUE
from core.ui.scan.explained import measurement_cell
from core.ui.scan.lobe_table import lobe_keys, lobe_table
from core.ui.scan.lobes import lungs_of
from core.ui.scan.measures import CORRECTED, known_masks
from core.ui.scan.measuring import Measuring, start_measuring
from core.ui.session import OpenStudy, remember, this_session

STYLE = """<style>
.biomarkers { width: 100%; border-collapse: collapse; font-size: 0.9rem;
  font-variant-numeric: tabular-nums; margin: 0 0 0.9rem; }
.biomarkers th, .biomarkers td { padding: 0.26rem 0 0.26rem 0.7rem; text-align: right;
  border-bottom: 1px solid var(--line); font-weight: 400; }
.biomarkers td { white-space: nowrap; }
.biomarkers th:first-child { padding-left: 0; text-align: left; color: var(--quiet); }
.biomarkers thead th { color: var(--quiet); font-size: 0.84rem; }
.biomarkers thead th:first-child { color: inherit; }
.biomarkers.lobes th, .biomarkers.lobes td { padding-left: 0.35rem; }
.biomarkers.lobes th:first-child { padding-left: 0; }
.biomarkers + .note { margin: -0.4rem 0 0.9rem; color: var(--quiet); font-size: 0.84rem; }
.biomarkers .undefined { color: var(--faint); font-size: 0.84rem; }
.biomarkers tbody tr { position: relative; }
.biomarkers .explained { cursor: help; outline-offset: 2px; }
.biomarkers .explained > span { display: none; position: absolute; right: 0; top: 100%; z-index: 20;
  width: min(20rem, 100%); padding: 0.55rem 0.7rem; border-radius: 0.4rem; white-space: normal;
  text-align: left; color: var(--strong); background: var(--raised); border: 1px solid var(--edge);
  font-size: 0.82rem; line-height: 1.4; overflow-wrap: anywhere; }
.biomarkers tr:nth-last-child(-n+4) .explained > span { top: auto; bottom: 100%; }
.biomarkers th.explained > span { right: auto; left: 0; }
.biomarkers .explained:hover > span, .biomarkers .explained:focus > span { display: block; }
.biomarkers .explained i { display: block; margin-top: 0.3rem; color: var(--quiet);
  font-style: normal; }
</style>"""

_SIDED: dict[str, dict[str, tuple[str, ...]]] = {
    "Lungs": {
        "Lung volume": ("right_lung_volume_ml", "left_lung_volume_ml", "lung_volume_ml"),
        "Infected lung": (
            "right_infected_volume_ml",
            "left_infected_volume_ml",
            "infected_volume_ml",
        ),
        "Infected share": ("infected_share_right", "infected_share_left", "infected_share"),
        "Mean density": ("right_mean_lung_hu", "left_mean_lung_hu", "mean_lung_hu"),
    },
    "Infected share by zone": {
        name.capitalize(): (
            f"infected_share_right_{name}",
            f"infected_share_left_{name}",
            f"infected_share_{name}",
        )
        for name in ("upper", "middle", "lower", "ventral", "dorsal", "peripheral", "central")
    },
    "Zonal grade, 0 to 4": {
        name.capitalize(): (f"zone_score_right_{name}", f"zone_score_left_{name}")
        for name in ("upper", "middle", "lower")
    },
}
"""Heading → row → biomarkers of the right lung, the left lung and, where there is one, of both."""


def scan_biomarkers(current: OpenStudy, name: str) -> Biomarkers:
    """The biomarkers of one pair of masks, measured once."""
    pair, lungs = known_masks(current)[name], lungs_of(current, name)
    return remember(
        current,
        ("biomarkers", name),
        lambda: lungs.biomarkers(pair),
        doing="Measuring both lungs…",
        corrected=name == CORRECTED,
    )


@st.fragment
def show_biomarkers(current: OpenStudy) -> None:
    """The table, measured once a person opens it."""
    names = tuple(known_masks(current))
    if not names:
        return
    section = st.expander(
        "Biomarkers", icon=":material/lab_profile:", key="biomarkers-open", on_change="rerun"
    )
    if not section.open:
        return
    with section:
        found = _measured(current, _choose_masks(names))
        if found is None:
            return
        st.caption(
            "Point at a value, or tap it, for its definition and source. Left and right are "
            "the patient's; zones are thirds and halves of each lung, not lobes."
        )
        show_biomarker_tables(found)
        for note in found.notes:
            # What is said of lobes stands below their table.
            if note not in (found.lobes_note, found.lobes_reason):
                st.caption(note)


@dataclass(eq=False)
class _Measuring:
    """The job that measures the masks chosen for the table."""

    slot: Measuring = field(default_factory=lambda: JobSlot("biomarkers", MEASURING_QUEUE))


def _measured(current: OpenStudy, name: str) -> Biomarkers | None:
    """The biomarkers of one pair of masks; none while they are measured, and where that was
    stopped."""
    slot = this_session().part(_Measuring).slot
    found = start_measuring(slot, ((current, name),), wait_seconds=AT_ONCE_SECONDS)
    if found is None:
        result_of(slot, stop_help="Stops measuring. Everything else stays.")
        return None
    return found[0]


def _choose_masks(names: tuple[str, ...]) -> str:
    if len(names) == 1:
        st.caption(f"Measured on the {names[0].lower()}.")
        return names[0]
    chosen: str | None = st.segmented_control(
        "Measured on",
        names,
        default=names[0],
        key="biomarkers-source",
        required=True,
        persist_state="session",
        help="The masks that are measured: as you corrected them, the network's, or those known "
        "to be true.",
    )
    return chosen or names[0]


def show_biomarker_tables(found: Biomarkers) -> None:
    """Both lungs side by side, then what describes the whole scan."""
    pieces = [STYLE]
    sided_keys: set[str] = set(lobe_keys())
    for heading, rows in _SIDED.items():
        for keys in rows.values():
            sided_keys.update(keys)
        pieces.append(_sided_table(found, heading, rows))
    pieces.insert(2, lobe_table(found))
    rest = [figure for figure in found.measurements if figure.key not in sided_keys]
    for heading in dict.fromkeys(figure.group for figure in rest):
        pieces.append(_plain_table(heading, [f for f in rest if f.group == heading]))
    st.html("".join(pieces))


def show_shares(found: Biomarkers) -> None:
    """Infected share of both lungs and of their zones; of pictures, which have neither, the one
    share there is."""
    zones = {
        name.capitalize(): (
            f"infected_share_right_{name}",
            f"infected_share_left_{name}",
            f"infected_share_{name}",
        )
        for name in ("upper", "middle", "lower")
    }
    whole = ("infected_share_right", "infected_share_left", "infected_share")
    if found.split is None:
        table = _plain_table("Both lungs", [found.measurement("infected_share")])
    else:
        table = _sided_table(found, "Infected share", {"Whole lung": whole, **zones})
    st.html(STYLE + table)


def _sided_table(found: Biomarkers, heading: str, rows: dict[str, tuple[str, ...]]) -> str:
    columns = ("Right", "Left", "Both")[: max(map(len, rows.values()))]
    names = "".join(f'<th scope="col">{name}</th>' for name in columns)
    lines = "".join(
        f'<tr><th scope="row">{escape(row)}</th>'
        + "".join(measurement_cell(found.measurement(key)) for key in keys)
        + "</tr>"
        for row, keys in rows.items()
    )
    return (
        f'<table class="biomarkers" aria-label="{escape(heading, quote=True)}"><thead><tr>'
        f'<th scope="col">{escape(heading)}</th>{names}</tr></thead><tbody>{lines}</tbody></table>'
    )


def _plain_table(heading: str, figures: Sequence[Measurement]) -> str:
    lines = "".join(
        f'<tr><th scope="row">{escape(figure.label)}</th>{measurement_cell(figure)}</tr>'
        for figure in figures
    )
    return (
        f'<table class="biomarkers" aria-label="{escape(heading, quote=True)}"><thead><tr>'
        f'<th scope="col">{escape(heading)}</th><th></th></tr></thead><tbody>{lines}</tbody>'
        "</table>"
    )
