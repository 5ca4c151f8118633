"""Lobes of the open scan as a table, and their infected shares for a picture."""

from __future__ import annotations

from html import escape

from core.config import LOBE_LABELS, LOBES, LobeName
from core.measuring.biomarkers import Biomarkers
from core.ui.scan.explained import explained_cell, measurement_cell

NEAR_FISSURE = "†"
_NO_BREAK = "\u00a0"
_COLUMNS = {
    "Volume": "{}_lobe_volume_ml",
    "Infected": "{}_lobe_infected_ml",
    "Share": "{}_lobe_infected_share",
    "Ground glass": "{}_lobe_ground_glass_ml",
    "Consol.": "{}_lobe_consolidation_ml",
    "Score": "lobe_score_{}",
}


def lobe_keys() -> tuple[str, ...]:
    """Keys of the measurements that stand in the table."""
    keys = (*_COLUMNS.values(), "{}_lobe_near_fissure_ml")
    return tuple(key.format(name) for name in LOBES for key in keys)


def lobe_shares(found: Biomarkers) -> dict[LobeName, float]:
    """Infected share of each lobe; empty where there are no lobes, nan where a share is not
    defined."""
    return {name: part.infected_share for name, part in found.lobes.items()}


def lobe_table(found: Biomarkers) -> str:
    """HTML: a row for each lobe, the score of all; a sentence where there are no lobes.

    A lobe with infection near a fissure is marked: it may belong to the neighbouring lobe.
    """
    if not found.lobes:
        words = escape(found.lobes_reason)
        return f'<p class="note">{words}</p>' if words else ""
    heads = "".join(f'<th scope="col">{name}</th>' for name in _COLUMNS)
    rows = "".join(_row(found, name) for name in LOBES)
    score = found.measurement("lobar_score")
    of_25 = f"{score.text} of 25" if score.defined else score.text
    total = explained_cell(of_25, score, undefined=not score.defined)
    near = found.config.fissure_mm
    marked = any(part.near_fissure_share > 0 for part in found.lobes.values())
    mark = (
        f" {NEAR_FISSURE} Infection within {near:g} mm of an estimated fissure: part of it may "
        "belong to the neighbouring lobe."
        if marked
        else ""
    )
    return (
        '<table class="biomarkers lobes" aria-label="Lobes"><thead><tr><th scope="col">Lobes</th>'
        f"{heads}</tr></thead><tbody>{rows}"
        f'<tr><th scope="row" colspan="{len(_COLUMNS)}">CT severity score</th>{total}</tr>'
        "</tbody></table>"
        f'<p class="note">{escape(found.lobes_note)}{escape(mark)}</p>'
    )


def _row(found: Biomarkers, name: LobeName) -> str:
    mark = f"{_NO_BREAK}{NEAR_FISSURE}" if found.lobes[name].near_fissure_share > 0 else ""
    cells = "".join(
        measurement_cell(found.measurement(key.format(name))) for key in _COLUMNS.values()
    )
    short = LOBE_LABELS[name].removesuffix(" lobe")
    return f'<tr><th scope="row">{short}{mark}</th>{cells}</tr>'
