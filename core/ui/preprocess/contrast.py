"""Histograms and contrast of Enhance's two pictures."""

from __future__ import annotations

import time

import numpy as np
import streamlit as st

from core.config import RoiConfig
from core.preprocessing import Contrast, compute_contrast, compute_histogram
from core.preprocessing.roi import find_region, part_slice_of
from core.system import number_text
from core.ui.chart_view import show_chart
from core.ui.charts.histogram import make_histogram_figure
from core.ui.preprocess.enhance import BeforeAfter
from core.ui.scan.measures import known_masks
from core.ui.session import OpenStudy, remember
from core.ui.tables import show_number_table
from core.ui.text import percent
from core.volume import BoolArray


def show_contrast(current: OpenStudy, pictures: BeforeAfter) -> None:
    """Both histograms over each other, and measurements of contrast."""
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        where = st.segmented_control(
            "Counted",
            ("Whole picture", "Lung only"),
            default="Whole picture",
            key="enhance-where",
            required=True,
            persist_state="session",
            help="Lung of the prediction, else of the truth, else the air inside the body "
            "found by a threshold.",
        )
        scale = st.segmented_control(
            "Counts",
            ("Linear", "Logarithmic"),
            default="Linear",
            key="enhance-scale",
            required=True,
            persist_state="session",
            help="Logarithmic shows rare grey levels beside frequent ones.",
        )
        cumulative = st.toggle(
            "Cumulative",
            key="enhance-cumulative",
            persist_state="session",
            help="Also the share of pixels up to each grey level. A straight line means that "
            "all levels are used equally.",
        )
    started = time.perf_counter()
    mask, source = _lung_in_box(current, pictures) if where == "Lung only" else (None, "")
    counts = {
        name: compute_histogram(grey, mask)
        for name, grey in (("Before", pictures.before), ("After", pictures.after))
    }
    chart = make_histogram_figure(
        counts,
        values=np.arange(256.0),
        value_label="Grey level, black 0 to white 255",
        logarithmic=scale == "Logarithmic",
        cumulative=bool(cumulative),
    )
    spent = pictures.seconds + time.perf_counter() - started
    show_chart(chart, key="enhance-histogram")
    _show_measurements({name: compute_contrast(found) for name, found in counts.items()})
    st.caption(
        (f"Lung: {source}. " if source else "")
        + f"Pictures and histograms took {1000 * spent:.0f}\u00a0ms."
    )


def _lung_in_box(current: OpenStudy, pictures: BeforeAfter) -> tuple[BoolArray, str]:
    """Lung of the slice, on the picture of the box, and where it is known from."""
    lung, source = _lung_of_slice(current, pictures.slice_index)
    box = pictures.record.box
    return lung[box.j_start : box.j_stop, box.i_start : box.i_stop], source


def _lung_of_slice(current: OpenStudy, slice_index: int) -> tuple[BoolArray, str]:
    for name, pair in known_masks(current).items():
        if pair.lung is not None:
            return pair.lung[:, :, slice_index].T, name.lower()
    volume = current.study.volume
    region = remember(current, ("region", RoiConfig()), lambda: find_region(volume, RoiConfig()))
    return part_slice_of(volume, region, slice_index).lung, "air inside the body"


def _show_measurements(contrasts: dict[str, Contrast]) -> None:
    st.markdown(
        "**Contrast**",
        help="Of grey levels 0 to 255. *Entropy*: bits per pixel, 8 at most; noise raises it "
        "too. *RMS contrast*: standard deviation as a share of white. *Black*, *white*: share of "
        "pixels at either end, where differences are lost.",
    )
    show_number_table(
        {
            "Grey levels": {
                name: [
                    number_text(of.mean, digits=1),
                    number_text(of.standard_deviation, digits=1),
                    number_text(of.entropy_bits, digits=2),
                    number_text(of.rms_contrast, digits=3),
                    percent(of.black_share),
                    percent(of.white_share),
                    percent(of.saturated_share),
                ]
                for name, of in contrasts.items()
            }
        },
        rows=[
            "Mean",
            "Standard deviation",
            "Entropy, bits",
            "RMS contrast",
            "Black",
            "White",
            "Saturated",
        ],
        caption="Contrast before and after",
    )
