"""The verdict as a card: whether the classifier abstains, the probability, its band."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from core.system import UNDEFINED_TEXT, percent_text
from core.ui.classify.running import ExplainedVerdict
from core.ui.scan.pictures import is_picture
from core.ui.session import OpenStudy
from core.ui.text import escape_markdown

if TYPE_CHECKING:  # loaded where they are first needed
    from core.classification import ClassifierInfo, Verdict

BAND_COLOURS = {"high": "#E69F00", "indeterminate": "#9fb1c1", "low": "#56B4E9"}

_CARD_STYLE = """<style>
.verdict { border: 1px solid var(--edge); border-radius: 0.6rem;
  padding: 0.9rem 1.2rem 1rem; background: var(--panel); }
.verdict .row { display: flex; flex-wrap: wrap; align-items: center; gap: 0.5rem 2rem; }
.verdict .result { flex: 0 1 auto; min-width: 11rem; }
.verdict .worth { color: var(--strong); margin: 0 0 0.5rem; line-height: 1.45; }
.verdict .number { font-size: 1rem; margin: 0.1rem 0 0; font-variant-numeric: tabular-nums; }
.verdict .band { font-size: 1.35rem; font-weight: 600; }
.verdict .note { color: var(--strong); font-weight: 600; margin: 0.2rem 0 0; }
.verdict .small { color: var(--quiet); font-size: 0.9rem; margin: 0.35rem 0 0; line-height: 1.45; }
.verdict .scale { flex: 1 1 17rem; min-width: 15rem; position: relative;
  padding: 1.1rem 0 1.4rem; }
.verdict .bar { display: flex; height: 0.8rem; border-radius: 0.4rem; overflow: hidden; }
.verdict .bar span { display: block; opacity: 0.75; }
.verdict .names { display: flex; font-size: 0.82rem; color: var(--quiet); margin-top: 0.2rem; }
.verdict .names span { text-align: center; }
.verdict .mark { position: absolute; top: 0.7rem; width: 3px; height: 1.6rem;
  margin-left: -1.5px; background: var(--strong); border-radius: 2px; }
.verdict .mark.opinion { top: 0.95rem; height: 1.1rem; width: 2px; margin-left: -1px;
  background: var(--faint); }
.verdict.abstained .number, .verdict.abstained .band { color: var(--faint); font-weight: 400; }
.verdict .stamp { color: var(--amber); font-size: 0.82rem; font-weight: 600;
  letter-spacing: 0.06em; }
</style>"""


def show_verdict(current: OpenStudy, info: ClassifierInfo, explained: ExplainedVerdict) -> None:
    """What the number is worth, whether it abstains, the band, the number, and both opinions."""
    verdict = explained.verdict
    if verdict.abstained:
        st.warning(
            f"**The classifier abstains**: {escape_markdown(verdict.reason)}. A probability is "
            "shown nevertheless and should not be relied on.",
            icon=":material/block:",
        )
    st.html(_CARD_STYLE + _card(current, info, verdict))


def _card(current: OpenStudy, info: ClassifierInfo, verdict: Verdict) -> str:
    from core.classification.card import worth_of_pictures, worth_of_scans

    stamp = f'<div class="stamp">{escape(current.stamp)}</div>' if current.stamp else ""
    worth = worth_of_pictures(info) if is_picture(current) else worth_of_scans(info)
    shown = probability_text(verdict.covid_probability)
    of = "this picture" if is_picture(current) else "this scan"
    reason = "" if verdict.abstained else f"For {of}: {escape(verdict.reason)}. "
    kind = "verdict abstained" if verdict.abstained else "verdict"
    return (
        f'<section class="{kind}" aria-label="Verdict">{stamp}'
        f'<p class="worth">{escape(worth)}</p>'
        f'<div class="row"><div class="result"><span class="band">{band_text(verdict)}</span>'
        f'<p class="number">Probability of COVID-19: {shown}</p>'
        f'<p class="note">Not a diagnosis.</p></div>{_scale(info, verdict, shown)}</div>'
        f'<p class="small">{escape(opinions_sentence(verdict))} {reason}Predicted by '
        f"{escape(info.weights_id)}. "
        f"Bands: low below {percent_text(info.bands.low_below, digits=0)}, "
        f"high from {percent_text(info.bands.high_from, digits=0)}; indeterminate where the two "
        "opinions contradict each other.</p></section>"
    )


def _scale(info: ClassifierInfo, verdict: Verdict, shown: str) -> str:
    """The bands as a bar, with a mark for the probability and one for each opinion."""
    low, high = 100 * info.bands.low_below, 100 * info.bands.high_from
    parts = (("low", low), ("indeterminate", high - low), ("high", 100 - high))
    bar = "".join(
        f'<span style="width:{width:.2f}%;background:{BAND_COLOURS[name]}"></span>'
        for name, width in parts
    )
    names = "".join(f'<span style="width:{width:.2f}%">{name}</span>' for name, width in parts)
    opinions = "".join(
        f'<div class="mark opinion" title="{title}" style="left:{100 * value:.2f}%"></div>'
        for title, value in (
            ("what the network sees", verdict.network_probability),
            ("what is marked", verdict.lesion_probability),
        )
    )
    at = 100 * verdict.covid_probability
    return (
        f'<div class="scale" role="img" aria-label="Probability {shown}, band {verdict.band}">'
        f'<div class="bar">{bar}</div>{opinions}<div class="mark" style="left:{at:.2f}%"></div>'
        f'<div class="names">{names}</div></div>'
    )


def band_text(verdict: Verdict) -> str:
    """The band as it stands first on the card."""
    return verdict.band.capitalize()


def opinions_sentence(verdict: Verdict) -> str:
    """Both opinions, and whether they contradict each other."""
    both = (
        f"What the network sees alone gives {probability_text(verdict.network_probability)}, what "
        f"is marked as infected alone {probability_text(verdict.lesion_probability)}."
    )
    return f"The two contradict each other. {both}" if verdict.disagreement else both


def probability_text(probability: float) -> str:
    """Whole percents, and never a certainty."""
    if not np.isfinite(probability):
        return UNDEFINED_TEXT
    if probability < 0.01:
        return f"under {percent_text(0.01, digits=0)}"
    if probability > 0.99:
        return f"over {percent_text(0.99, digits=0)}"
    return percent_text(probability, digits=0)
