"""The result in one sentence, with a small picture of both lungs: the first thing to read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape

import streamlit as st

from core.measuring.biomarkers import Biomarkers, leading_zones
from core.ui.job_slot import POLL_SECONDS, JobSlot
from core.ui.jobs import MEASURING_QUEUE
from core.ui.scan.biomarkers import scan_biomarkers
from core.ui.scan.doubts import show_doubts
from core.ui.scan.lobe_picture import lobes_html
from core.ui.scan.lobes import LARGE_VOXELS
from core.ui.scan.lung_picture import lungs_html
from core.ui.scan.measures import known_masks, scan_burden
from core.ui.scan.measuring import Measuring, known_biomarkers, start_measuring
from core.ui.scan.whose import whose_sentence
from core.ui.session import OpenStudy, this_session
from core.ui.text import percent, volume_text
from core.ui.theme import ink

_STYLE = """<style>
.headline { display: flex; gap: 1.1rem; align-items: center; }
.headline img { flex: none; }
.headline p { margin: 0; line-height: 1.35; }
.headline .share { font-size: 1.2rem; }
.headline .share b { font-size: 1.65rem; font-variant-numeric: tabular-nums; }
.headline .quiet { opacity: 0.75; }
.headline .whose { opacity: 0.75; font-size: 0.86rem; margin-top: 0.35rem; }
.headline .empty { width: 132px; height: 96px; flex: none; border-radius: 8px;
  background: color-mix(in srgb, currentColor 7%, transparent); }
@media (max-width: 480px) { .headline { gap: 0.7rem; } .headline img, .headline .empty {
  width: 104px; height: 76px; } }
</style>"""
_LIES_IN = {"both": "both lungs", "right": "right lung", "left": "left lung"}
_AT_ONCE_SECONDS = 0.3


def show_headline(current: OpenStudy, *, key: str) -> None:
    """What was found in the open scan, whose masks say so, and what to be careful about; nothing
    before anything is marked.

    Args:
        key: of the chip with doubts, of which a page may have several.
    """
    name = _shown_masks(current)
    if name is None:
        show_doubts(current, key=key)
        return
    found = _where_it_lies(current, name)
    waiting = "" if found is not None else "Where it lies is being measured…"
    values = _values(current, name, found)
    show_headline_of(values, whose=whose_sentence(current, name), waiting=waiting)
    show_doubts(current, key=key, found=found)


def headline_words(current: OpenStudy) -> tuple[str, str] | None:
    """The same in two lines of plain text; none before anything is marked."""
    name = _shown_masks(current)
    if name is None:
        return None
    found = known_biomarkers(current, name)
    if found is None and current.study.volume.array.size <= LARGE_VOXELS:
        # Before the picture and not after it, which would be shown without the second line.
        found = scan_biomarkers(current, name)
    values = _values(current, name, found)
    share, volumes = first_line(values)
    plain = re.sub("<.*?>", "", share)
    return f"{plain} {volumes}".strip(), second_line(values)


def _shown_masks(current: OpenStudy) -> str | None:
    return next((name for name in known_masks(current) if name != "Truth"), None)


def _values(current: OpenStudy, name: str, found: Biomarkers | None) -> dict[str, object]:
    burden = scan_burden(current, name)
    values: dict[str, object] = {
        "infected_share": burden.infection_fraction,
        "lung_volume_ml": burden.lung_volume_ml,
        "infected_volume_ml": burden.infection_volume_ml,
    }
    if found is not None:
        values |= {one.key: one.value for one in found.measurements}
    return values


def show_headline_of(values: Mapping[str, object], *, whose: str = "", waiting: str = "") -> None:
    """The sentence and the picture of biomarkers by key, such as a row of a batch."""
    picture = lobes_html(values, ink=ink()) or lungs_html(values, ink=ink())
    picture = picture or ('<div class="empty"></div>' if waiting else "")
    share, volumes = first_line(values)
    second = waiting or second_line(values)
    quiet = f' <span class="quiet">{volumes}</span>' if volumes else ""
    words = [f'<p class="share">{share}{quiet}</p>']
    words += [f"<p>{escape(second)}</p>"] if second else []
    words += [f'<p class="whose">{escape(whose)}</p>'] if whose else []
    st.html(f'{_STYLE}<div class="headline">{picture}<div>{"".join(words)}</div></div>')


def first_line(values: Mapping[str, object]) -> tuple[str, str]:
    """How much is infected, as HTML, and the volumes in brackets where they are known."""
    share = _number(values.get("infected_share"))
    lung = _number(values.get("lung_volume_ml"))
    infected = _number(values.get("infected_volume_ml"))
    if share is None:
        return "The infected share is not defined", ""
    if share == 0:
        known = f"({volume_text(lung)} of lung)" if lung is not None else ""
        return "<b>No infection</b> is marked in the lung", known
    known = "" if lung is None else f"({volume_text(infected)} of {volume_text(lung)})"
    return f"<b>{percent(share)}</b> of the lung is infected", known


def second_line(values: Mapping[str, object]) -> str:
    """Where it lies and the category: "both lungs, mostly lower and dorsal · category CT-2"."""
    where = _LIES_IN.get(str(values.get("laterality")), "")
    zones = leading_zones(values)
    if where and zones:
        where += ", mostly " + " and ".join(zones)
    category = values.get("mosmed_category")
    known = isinstance(category, str) and category
    return " · ".join(part for part in (where, f"category {category}" if known else "") if part)


def _number(value: object) -> float | None:
    known = isinstance(value, (int, float)) and value == value
    return float(value) if known else None  # type: ignore[arg-type]


@dataclass(eq=False)
class _Measuring:
    """The job that measures a large scan beside the page."""

    slot: Measuring = field(default_factory=lambda: JobSlot("where", MEASURING_QUEUE))


def _where_it_lies(current: OpenStudy, name: str) -> Biomarkers | None:
    """The biomarkers of one pair of masks; none while they are measured, after which the page is
    drawn again."""
    if current.study.volume.array.size <= LARGE_VOXELS:
        return scan_biomarkers(current, name)
    slot = this_session().part(_Measuring).slot
    found = start_measuring(slot, ((current, name),), wait_seconds=_AT_ONCE_SECONDS)
    if found is not None:
        return found[0]
    if slot.take() is None:
        _draw_again(slot)
    return known_biomarkers(current, name)


@st.fragment(run_every=POLL_SECONDS)
def _draw_again(slot: Measuring) -> None:
    """Draws the page once more when the job is done."""
    if slot.job is None or slot.job.finished:
        st.rerun()
