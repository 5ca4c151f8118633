"""The slices that were classified: the picture with its heat, a strip and thumbnails."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from core.drawing import PREDICTION_COLOURS, heat_colours
from core.ui.classify.running import ExplainedVerdict
from core.ui.classify.verdict_card import BAND_COLOURS, probability_text
from core.ui.scan import browsing
from core.ui.scan.pictures import turns_of
from core.ui.scan.slice_strip import StripRow, go_to, show_strip
from core.ui.session import OpenStudy, remember
from core.ui.text import escape_markdown, percent
from core.ui.viewer import Heat

if TYPE_CHECKING:  # loaded where they are first needed
    from core.classification import ClassifierInfo, Verdict

_INFLUENTIAL_COLOUR = "#F0E442"
_THUMBNAILS = 6
_WIDTH = 110


@st.fragment
def show_slices(current: OpenStudy, info: ClassifierInfo, explained: ExplainedVerdict) -> None:
    """The picture with its heat, the strip and thumbnails; a click runs this part only."""
    from core.classification.config import CELL

    with st.container(horizontal=True, vertical_alignment="bottom", key="classify-heat"):
        shown = st.toggle(
            "Heat map",
            value=True,
            key="classify-heat-on",
            help="What each part of the lung adds to the network's logit: the brightest place adds "
            "the most in this slice, however little that is. A cell covers "
            f"{CELL} × {CELL} of {info.model.rows} × {info.model.columns} pixels, so borders are "
            "not exact.",
        )
        opacity = st.slider(
            "Opacity of the heat map, %",
            5,
            100,
            value=60,
            step=5,
            key="classify-heat-opacity",
            disabled=not shown,
            help="How much the heat map covers the picture at its highest value.",
        )
    heat = (
        Heat(f"{current.token} {explained.token}", explained.heats, opacity / 100)
        if shown
        else None
    )
    place = browsing.show_picture(
        current, key="classify-picture", tools="few", tallest=0.56, heat=heat, marks="outline"
    )
    k = place.voxel[2]
    if shown:
        _show_heat_legend(explained, k)
    if len(explained.verdict.slice_indices) > 1:
        _show_strip(current, info, explained.verdict, k)
        _show_thumbnails(current, info, explained.verdict, k)


def _show_heat_legend(explained: ExplainedVerdict, k: int) -> None:
    colours = heat_colours()[:: 255 // 5]
    ramp = ", ".join(f"rgb({red},{green},{blue})" for red, green, blue in colours)
    share = explained.in_lung.get(k)
    if share is None:
        note = "This slice was not classified, so it has no heat map."
    elif np.isnan(share):
        note = "There is no evidence for COVID-19 in this slice."
    else:
        note = (
            f"Evidence, little to most; {percent(share)} of it lay inside the lung before it was "
            "cut off there."
        )
    st.html(
        '<div style="display:flex;gap:0.6rem;align-items:center;font-size:0.86rem;'
        'color:var(--quiet)">'
        '<span style="display:inline-block;flex:none;width:6rem;height:0.6rem;'
        f'border-radius:0.3rem;background:linear-gradient(90deg,{ramp})"></span>{note}</div>'
    )


def _show_strip(current: OpenStudy, info: ClassifierInfo, verdict: Verdict, k: int) -> None:
    from core.classification.verdict import band_of

    bands: dict[str, list[int]] = {name: [] for name in BAND_COLOURS}
    for index, probability in _by_slice(verdict).items():
        bands[band_of(probability, info.bands)].append(index)
    rows = [StripRow(name.capitalize(), BAND_COLOURS[name], cells) for name, cells in bands.items()]
    rows.append(StripRow("Most influential", _INFLUENTIAL_COLOUR, most_influential(info, verdict)))
    show_strip(current, rows, shown=k, key="classify-strip", nothing="not classified")
    own = _by_slice(verdict).get(k)
    here = (
        f"Slice {k + 1} was not classified."
        if own is None
        else f"Slice {k + 1} by itself: {probability_text(own)}."
    )
    st.caption(
        f"{here} From the feet on the left to the head on the right; click to go there. "
        f"{len(verdict.slice_indices)} slices with enough lung were classified, each by itself."
    )


def _by_slice(verdict: Verdict) -> dict[int, float]:
    return dict(zip(verdict.slice_indices, verdict.slice_probabilities, strict=True))


def most_influential(info: ClassifierInfo, verdict: Verdict) -> tuple[int, ...]:
    """The most influential slices, highest probability first."""
    from core.classification.scan import most_suspicious_slices

    return most_suspicious_slices(verdict.slice_indices, verdict.slice_probabilities, info.scan)


def _show_thumbnails(current: OpenStudy, info: ClassifierInfo, verdict: Verdict, k: int) -> None:
    by_slice = _by_slice(verdict)
    chosen = most_influential(info, verdict)[:_THUMBNAILS]
    pictures = remember(
        current,
        ("classify thumbnails", chosen),
        lambda: {index: _thumbnail(current, index) for index in chosen},
    )
    st.markdown(
        "**Most influential slices**, highest probability first",
        help="Outlined: what is marked as infected. Click a number to go to its slice.",
    )
    with st.container(horizontal=True, gap="small", key="classify-thumbnails"):
        for index in chosen:
            with st.container(width=_WIDTH, gap="small"):
                st.image(pictures[index], width="stretch", output_format="PNG")
                st.button(
                    f"{index + 1} · {probability_text(by_slice[index])}",
                    key=f"classify-look-{index}",
                    type="primary" if index == k else "tertiary",
                    width="stretch",
                    on_click=go_to,
                    args=(current, index),
                    help=f"Slice {index + 1}, by itself "
                    f"{escape_markdown(probability_text(by_slice[index]))}: go there.",
                )


def _thumbnail(current: OpenStudy, index: int) -> bytes:
    from core.drawing import draw_key_slice

    prediction = current.prediction
    infection = None if prediction is None else prediction.infection
    masks = {} if infection is None else {PREDICTION_COLOURS["infection"]: infection}
    return draw_key_slice(
        current.study.volume, index, masks=masks, width=2 * _WIDTH, quarter_turns=turns_of(current)
    )
