"""The widgets of Classify: running the classifier beside the page, its verdict and its limits.

A verdict is kept for each scan, its masks and the weights. Stepping through slices reads it; the
heat of the slices that were looked at is computed with it and goes to the browser at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import streamlit as st
from scipy.special import expit, logit

from core.drawing import PREDICTION_COLOURS, heat_colours
from core.system import OnProgress, ShouldCancel, json_text
from core.ui import browsing, segmenting, session
from core.ui.biomarkers import scan_biomarkers, show_shares
from core.ui.charts.evaluation_figures import make_reliability_figure
from core.ui.jobs import NETWORK_LINE, BackgroundJob
from core.ui.quality_view import show_job
from core.ui.results import file_stem
from core.ui.session import Notice, OpenStudy, remember
from core.ui.slice_strip import StripRow, go_to, show_strip
from core.ui.tables import show_figure_table
from core.ui.text import escape_markdown, percent, score
from core.ui.viewer import Heat

if TYPE_CHECKING:  # loaded where they are first needed
    from core.classification import Classifier, ClassifierInfo, Verdict
    from core.classification.card import Calibration
    from core.segmentation import Segmentation

BAND_COLOURS = {"high": "#E69F00", "indeterminate": "#9fb1c1", "low": "#56B4E9"}
_LOUDEST_COLOUR = "#F0E442"
_JOB, _KEPT = "classify-job", "classify-verdicts"
_MOST_KEPT = 8
_HEAT_CELLS = 64
"""Longest side of a map of heat as it is sent; the network's own is coarser."""
_THUMBNAILS = 6
_WIDTH = 110
_PICTURES = "pictures"


@dataclass(frozen=True, eq=False)
class Judged:
    """A verdict with its maps: slice → (rows, columns) uint8, coarse, over the whole slice."""

    verdict: Verdict
    heats: Mapping[int, npt.NDArray[np.uint8]]
    in_lung: Mapping[int, float]
    """Slice → share of its heat that lies in the lung; nan without heat."""


def is_picture(current: OpenStudy) -> bool:
    """Whether the open study is one picture."""
    volume = current.study.volume
    return volume.source.format == _PICTURES and volume.shape[2] == 1


def show_origin(current: OpenStudy) -> None:
    """What a person must know of the open study before any verdict on it."""
    volume = current.study.volume
    if current.study.synthetic:
        st.warning(
            "**This scan is synthetic**, a generated chest. The classifier has never seen such "
            "pictures: what it says of this one means nothing, and only shows how the page works.",
            icon=":material/science:",
        )
    elif volume.source.format == _PICTURES and volume.shape[2] > 1:
        st.info(
            "The stack of pictures is taken for slices of one scan and judged as a whole. Pictures "
            "of several patients belong to the command line, one verdict each.",
            icon=":material/info:",
        )


def installed() -> ClassifierInfo:
    """The classifier that is installed.

    Raises:
        WeightsError: there is none, or its manifest cannot be read.
    """
    from core.classification import find_classifier

    return find_classifier()


def judge(current: OpenStudy, info: ClassifierInfo) -> Judged | None:
    """The verdict on the open study; where there is none yet, a button or the progress of a
    run."""
    if current.segmentation is not None:
        kept = _kept().get(_name(current, current.segmentation, info))
        if kept is not None:
            return kept
    asked: tuple[object, BackgroundJob[tuple[Segmentation, Judged]]] | None
    asked = st.session_state.get(_JOB)
    if asked is not None and asked[0] != (current.token, current.study.volume.intensity):
        asked[1].stop()
        del st.session_state[_JOB]
        asked = None
    if asked is not None:
        job = asked[1]
        if not job.finished:
            show_job(job, key="classify")
            return None
        del st.session_state[_JOB]
        _collect(current, info, job)
    elif segmenting.show_progress():
        return None
    _show_run_button(current, info)
    return None


def _collect(
    current: OpenStudy, info: ClassifierInfo, job: BackgroundJob[tuple[Segmentation, Judged]]
) -> None:
    """Keeps what a finished run has found and draws the page with it, or says why there is
    nothing."""
    if job.bug is not None:
        raise job.bug
    if job.result is None:
        stopped = Notice("warning", "The run was stopped. Nothing was changed.")
        failed = Notice("error", str(job.error))
        session.set_notice(stopped if job.error is None else failed)
        st.rerun()
    segmentation, judged = job.result
    if current.segmentation is None:
        current.set_segmentation(segmentation)
    kept = _kept()
    kept[_name(current, segmentation, info)] = judged
    while len(kept) > _MOST_KEPT:
        del kept[next(iter(kept))]
    st.rerun()


def _kept() -> dict[object, Judged]:
    """This session's verdicts; what they are about is let go of with its study."""
    kept: dict[object, Judged] = st.session_state.setdefault(_KEPT, {})
    return kept


def _name(current: OpenStudy, segmentation: Segmentation, info: ClassifierInfo) -> object:
    """All that a verdict depends on."""
    masks = (segmentation.weights_id, repr(segmentation.config), segmentation.record.quarter_turns)
    return current.study.volume.digest, masks, info.sha256


def _show_run_button(current: OpenStudy, info: ClassifierInfo) -> None:
    what = "picture" if is_picture(current) else "scan"
    marks = "" if current.segmentation is not None else "It marks lung and infection first. "
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button(
            f"Judge this {what}",
            type="primary",
            icon=":material/play_arrow:",
            help="Runs the classifier once; you can go on browsing meanwhile, and stop it.",
        ):
            session.set_notice(None)
            job = _start(current, info)
            st.session_state[_JOB] = ((current.token, current.study.volume.intensity), job)
            st.rerun()
        st.caption(f"{marks}Takes some seconds. {_not_a_diagnosis()}")


def _start(current: OpenStudy, info: ClassifierInfo) -> BackgroundJob[tuple[Segmentation, Judged]]:
    volume, segmentation = current.study.volume, current.segmentation

    def work(on_progress: OnProgress, should_cancel: ShouldCancel) -> tuple[Segmentation, Judged]:
        from core.classification import (
            classify_volume,
            explain_slices,
            load_classifier,
            segment_for,
        )
        from core.classification.frames import heat_share, shrink_heat

        on_progress("loading the classifier", 0, 0)
        classifier: Classifier = load_classifier(info.weights_id)
        masks = segmentation or segment_for(
            volume, classifier, on_progress=on_progress, should_cancel=should_cancel
        )
        verdict = classify_volume(
            volume, masks, classifier, on_progress=on_progress, should_cancel=should_cancel
        )
        slices = verdict.slice_indices
        heats = explain_slices(
            volume,
            slices,
            masks,
            classifier,
            on_progress=on_progress,
            should_cancel=should_cancel,
        )
        small = (shrink_heat(heat, longest=_HEAT_CELLS) for heat in heats)
        coarse = dict(zip(slices, small, strict=True))
        lung = masks.masks.lung
        shares = (
            heat_share(heat, None if lung is None else lung[:, :, k])
            for k, heat in zip(slices, heats, strict=True)
        )
        in_lung = dict(zip(slices, shares, strict=True))
        return masks, Judged(verdict, coarse, in_lung)

    return BackgroundJob(work, line=NETWORK_LINE, owner=current)


def _not_a_diagnosis() -> str:
    from core.classification import NOT_A_DIAGNOSIS

    return NOT_A_DIAGNOSIS


_CARD_STYLE = """<style>
.verdict { border: 1px solid rgba(160, 180, 200, 0.22); border-radius: 0.6rem;
  padding: 0.9rem 1.2rem 1rem; background: #131a21; }
.verdict .row { display: flex; flex-wrap: wrap; align-items: center; gap: 0.5rem 2rem; }
.verdict .said { flex: 0 1 auto; min-width: 11rem; }
.verdict .number { font-size: 2.5rem; font-weight: 600; line-height: 1.1;
  font-variant-numeric: tabular-nums; }
.verdict .band { font-size: 1.15rem; margin-left: 0.6rem; }
.verdict .note { color: #f2f5f8; font-weight: 600; margin: 0.2rem 0 0; }
.verdict .small { color: #aab6c2; font-size: 0.9rem; margin: 0.35rem 0 0; line-height: 1.45; }
.verdict .scale { flex: 1 1 17rem; min-width: 15rem; position: relative;
  padding: 1.1rem 0 1.4rem; }
.verdict .bar { display: flex; height: 0.8rem; border-radius: 0.4rem; overflow: hidden; }
.verdict .bar span { display: block; opacity: 0.75; }
.verdict .names { display: flex; font-size: 0.82rem; color: #c6d0da; margin-top: 0.2rem; }
.verdict .names span { text-align: center; }
.verdict .mark { position: absolute; top: 0.7rem; width: 3px; height: 1.6rem;
  margin-left: -1.5px; background: #f2f5f8; border-radius: 2px; }
.verdict.abstained .number, .verdict.abstained .band { color: #8d99a5; font-weight: 400; }
.verdict .stamp { color: #E69F00; font-size: 0.82rem; font-weight: 600; letter-spacing: 0.06em; }
</style>"""


def show_verdict(current: OpenStudy, info: ClassifierInfo, judged: Judged) -> None:
    """Whether it abstains, the probability with its band, and that it is no diagnosis."""
    verdict = judged.verdict
    if verdict.abstained:
        st.warning(
            f"**The classifier abstains**: {escape_markdown(verdict.reason)}. It gives a number "
            "all the same, which should not be relied on.",
            icon=":material/block:",
        )
    st.html(_CARD_STYLE + _card(current, info, verdict))


def _card(current: OpenStudy, info: ClassifierInfo, verdict: Verdict) -> str:
    low, high = 100 * info.bands.low_below, 100 * info.bands.high_from
    parts = (("low", low), ("indeterminate", high - low), ("high", 100 - high))
    bar = "".join(
        f'<span style="width:{width:.2f}%;background:{BAND_COLOURS[name]}"></span>'
        for name, width in parts
    )
    names = "".join(f'<span style="width:{width:.2f}%">{name}</span>' for name, width in parts)
    at = 100 * verdict.covid_probability
    stamp = f'<div class="stamp">{escape(current.stamp)}</div>' if current.stamp else ""
    shown = probability_text(verdict.covid_probability)
    of = "this picture" if is_picture(current) else "this scan"
    reason = "" if verdict.abstained else f"For {of}: {escape(verdict.reason)}. "
    if not is_picture(current):
        reason += f"{escape(parts_sentence(info, verdict))} "
    kind = "verdict abstained" if verdict.abstained else "verdict"
    return (
        f'<section class="{kind}" aria-label="Verdict"><div class="row"><div class="said">{stamp}'
        f'<span class="number">{shown}</span><span class="band">{verdict.band}</span>'
        f'<p class="note">Not a diagnosis.</p></div>'
        f'<div class="scale" role="img" aria-label="Probability {shown}, band {verdict.band}">'
        f'<div class="bar">{bar}</div><div class="mark" style="left:{at:.2f}%"></div>'
        f'<div class="names">{names}</div></div></div>'
        f'<p class="small">{reason}Probability of COVID-19 as {escape(info.weights_id)} sees it. '
        f"Bands: low below {low:.0f}\u00a0%, high from {high:.0f}\u00a0%.</p></section>"
    )


def parts_sentence(info: ClassifierInfo, verdict: Verdict) -> str:
    """What the slices of a scan and its infected share would say, each by itself."""
    from core.classification.scan import scan_parts

    slices, burden = (
        float(expit(part))
        for part in scan_parts(
            logit(np.array(verdict.slice_probabilities)), verdict.infected_share, info.scan
        )
    )
    alone = f"The loudest slices alone would give {probability_text(slices)}"
    if np.isnan(burden):
        return f"{alone}; there is no infected share to weigh in."
    return f"{alone}, the infected share alone {probability_text(burden)}."


def probability_text(probability: float) -> str:
    """Whole percents, and never a certainty."""
    if not np.isfinite(probability):
        return "not defined"
    if probability < 0.01:
        return "under 1\u00a0%"
    return "over 99\u00a0%" if probability > 0.99 else f"{100 * probability:.0f}\u00a0%"


def show_slices_and_limits(current: OpenStudy, info: ClassifierInfo, judged: Judged) -> None:
    """What the verdict rests on beside how far it can be trusted."""
    picture, words = st.columns([7, 5], gap="large")
    with picture:
        _show_slices(current, info, judged)
    with words:
        _show_calibration(current, info, judged.verdict)
        _show_infection(current)
        show_limits(info)
        _show_downloads(current, judged.verdict)


@st.fragment
def _show_slices(current: OpenStudy, info: ClassifierInfo, judged: Judged) -> None:
    """The picture with its heat, the strip and thumbnails; a click runs this part only."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="classify-heat"):
        shown = st.toggle(
            "Heat",
            value=True,
            key="classify-heat-on",
            help="Where in a slice the evidence for COVID-19 lies (Grad-CAM): the brightest place "
            "has most of it in this slice, however little that is. Its grid has "
            f"{info.model.side // 2**info.model.depth} cells a side, so borders mean little.",
        )
        opacity = st.slider(
            "Opacity of the heat, %",
            5,
            100,
            value=60,
            step=5,
            key="classify-heat-opacity",
            disabled=not shown,
            help="How much the heat covers the picture where there is most of it.",
        )
    heat = Heat(f"{current.token} {id(judged)}", judged.heats, opacity / 100) if shown else None
    place = browsing.show_picture(
        current, key="classify-picture", tools="few", tallest=0.56, heat=heat, marks="outline"
    )
    k = place.voxel[2]
    if shown:
        _show_heat_legend(judged, k)
    if len(judged.verdict.slice_indices) > 1:
        _show_strip(current, info, judged.verdict, k)
        _show_thumbnails(current, info, judged.verdict, k)


def _show_heat_legend(judged: Judged, k: int) -> None:
    colours = heat_colours()[:: 255 // 5]
    ramp = ", ".join(f"rgb({red},{green},{blue})" for red, green, blue in colours)
    share = judged.in_lung.get(k)
    if share is None:
        said = "This slice was not looked at, so it has no heat."
    elif np.isnan(share):
        said = "Nothing in this slice speaks for COVID-19."
    else:
        said = (
            f"Evidence, little to most; {percent(share)} of it in the lung. Heat elsewhere speaks "
            "of window, crop or scanner, not of disease."
        )
    st.html(
        '<div style="display:flex;gap:0.6rem;align-items:center;font-size:0.86rem;color:#aab6c2">'
        '<span style="display:inline-block;flex:none;width:6rem;height:0.6rem;'
        f'border-radius:0.3rem;background:linear-gradient(90deg,{ramp})"></span>{said}</div>'
    )


def _show_strip(current: OpenStudy, info: ClassifierInfo, verdict: Verdict, k: int) -> None:
    from core.classification.verdict import band_of

    bands: dict[str, list[int]] = {name: [] for name in BAND_COLOURS}
    for index, probability in _by_slice(verdict).items():
        bands[band_of(probability, info.bands)].append(index)
    rows = [StripRow(name.capitalize(), BAND_COLOURS[name], cells) for name, cells in bands.items()]
    rows.append(StripRow("Drove it", _LOUDEST_COLOUR, loudest(info, verdict)))
    show_strip(current, rows, shown=k, key="classify-strip", nothing="not looked at")
    own = _by_slice(verdict).get(k)
    here = (
        f"Slice {k + 1} was not looked at."
        if own is None
        else f"Slice {k + 1} by itself: {probability_text(own)}."
    )
    st.caption(
        f"{here} From the feet on the left to the head on the right; click to go there. "
        f"{len(verdict.slice_indices)} slices with enough lung were looked at, each by itself."
    )


def _by_slice(verdict: Verdict) -> dict[int, float]:
    return dict(zip(verdict.slice_indices, verdict.slice_probabilities, strict=True))


def loudest(info: ClassifierInfo, verdict: Verdict) -> tuple[int, ...]:
    """The slices that drove the verdict, loudest first."""
    from core.classification.scan import most_suspicious_slices

    return most_suspicious_slices(verdict.slice_indices, verdict.slice_probabilities, info.scan)


def _show_thumbnails(current: OpenStudy, info: ClassifierInfo, verdict: Verdict, k: int) -> None:
    by_slice = _by_slice(verdict)
    chosen = loudest(info, verdict)[:_THUMBNAILS]
    pictures = remember(
        current,
        ("classify thumbnails", chosen),
        lambda: {index: _thumbnail(current, index) for index in chosen},
    )
    st.markdown(
        "**Slices that drove it**, loudest first",
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
    return draw_key_slice(current.study.volume, index, masks=masks, width=2 * _WIDTH)


def _show_calibration(current: OpenStudy, info: ClassifierInfo, verdict: Verdict) -> None:
    from core.classification.card import read_calibration

    st.markdown(
        "**What the number is worth**",
        help="Held-out pictures were not used to fit the head that was judged on them.",
    )
    sets = read_calibration(info)
    if not sets:
        st.caption("Not known: the weights say nothing of their calibration.")
        return
    if not is_picture(current):
        st.caption(
            "These figures are of single pictures. The rule that makes one number of a scan has "
            "not been calibrated on scans: take its percents as a rank, not as a frequency."
        )
    st.markdown(
        "\n".join(f"- {calibration_sentence(one, verdict.covid_probability)}" for one in sets)
    )
    st.plotly_chart(
        make_reliability_figure(
            {
                one.name: [
                    (b.low, b.high, b.count, b.mean_probability, b.share_positive) for b in one.bins
                ]
                for one in sets
            },
            marked=verdict.covid_probability if np.isfinite(verdict.covid_probability) else None,
        ),
        key="classify-reliability",
        config={"displayModeBar": False},
    )
    show_figure_table(
        {
            "Calibration error (ECE)": {
                "as it comes": [score(one.ece_before) for one in sets],
                "with temperature": [score(one.ece_after) for one in sets],
            },
            "": {"pictures": [str(one.pictures) for one in sets]},
        },
        rows=[one.name for one in sets],
        caption="Expected calibration error before and after temperature scaling",
    )


def calibration_sentence(one: Calibration, probability: float) -> str:
    """What became of held-out pictures that were given about this probability, as Markdown."""
    name = escape_markdown(one.name)
    held = one.bin_of(probability)
    if held is None:
        return f"{name}: no held-out picture was given such a probability."
    span = f"{100 * held.low:.0f} to {100 * held.high:.0f}\u00a0\\%"
    positive = round(held.count * held.share_positive)
    few = ", too few to lean on" if held.count < 20 else ""
    return (
        f"{name}: of 100 pictures given {span}, **{100 * held.share_positive:.0f}** showed "
        f"COVID-19 ({positive} of {held.count} held-out ones{few})."
    )


def _show_infection(current: OpenStudy) -> None:
    """Infected share by lung and zone, by the masks that the classifier was shown."""
    found = scan_biomarkers(current, "Prediction")
    st.markdown(
        "**How much is infected**",
        help="As the segmentation network marks it; the share of the whole lung is part of the "
        "verdict on a scan. Left and right are the patient's; zones are thirds of each lung.",
    )
    show_shares(found)
    for note in found.notes[:1] if found.split is None else ():
        st.caption(note)


def show_limits(info: ClassifierInfo) -> None:
    """What the classifier has not seen, and its card."""
    from core.classification.card import LIMITS, card_points, read_card, read_external_auc

    points = [
        "Scans as a whole: it learned from single slices, most of them cropped figures of papers, "
        "with its masks by another network."
    ]
    foreign = read_external_auc(info)
    if foreign:
        figures = ", ".join(
            f"{auc:.2f} on {escape_markdown(judged)} after {escape_markdown(taught)}"
            for taught, judged, auc in foreign
        )
        points.append(
            f"Your hospital. Taught by one set and judged on the other, its AUC is {figures}; "
            "0.5 is a coin."
        )
    card = read_card(info)
    points += [escape_markdown(point) for point in card_points(card, LIMITS)]
    st.markdown("**What the model has not seen**")
    st.markdown("\n".join(f"- {point}" for point in points))
    if card:
        with st.expander("Card of these weights", icon=":material/description:"):
            st.markdown(card)


def _show_downloads(current: OpenStudy, verdict: Verdict) -> None:
    """The verdict as JSON, and the row that the command would write."""
    from core.classification.scores import ScoreRow, table_text, verdict_record

    stem, name, synthetic = file_stem(current), current.name, current.study.synthetic
    files: tuple[tuple[str, str, str, Callable[[], str], str], ...] = (
        (
            "Verdict (JSON)",
            f"{stem}_verdict.json",
            "application/json",
            lambda: json_text(verdict_record(name, verdict, synthetic=synthetic)),
            "Probability, band, reason, every slice that was looked at, shares and weights.",
        ),
        (
            "Scores (CSV)",
            f"{stem}_scores.csv",
            "text/csv",
            lambda: table_text([ScoreRow(name, verdict)]),
            "One row with the columns that python -m core classify writes.",
        ),
    )
    with st.container(horizontal=True, key="classify-downloads"):
        for label, file_name, mime, data, words in files:
            st.download_button(
                label,
                data=data,
                file_name=file_name,
                mime=mime,
                icon=":material/download:",
                on_click="ignore",
                help=words,
                key=f"download-{label}",
            )
