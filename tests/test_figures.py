"""Colours of what is marked can be told apart."""

from __future__ import annotations

import numpy as np
import pytest

from core.drawing.overlays import AGREEMENT_COLOURS, PREDICTION_COLOURS, TRUTH_COLOURS
from core.ui.charts.curves import Curve, make_curve_figure
from core.ui.charts.histogram import make_histogram_figure
from core.ui.charts.style import LIGHT_PARTNERS, TEMPLATE, in_light_theme


@pytest.mark.parametrize("colours", [PREDICTION_COLOURS, TRUTH_COLOURS, AGREEMENT_COLOURS])
def test_colours_of_one_picture_differ(colours):
    assert len(set(colours.values())) == len(colours)
    assert all(len(colour) == 7 and colour.startswith("#") for colour in colours.values())


COUNTS = np.zeros(256, dtype=np.int64)
COUNTS[[10, 20, 200]] = 50, 30, 20


def test_a_histogram_shows_counts_and_their_running_share():
    figure = make_histogram_figure(
        {"Before": COUNTS, "After": COUNTS[::-1]},
        values=np.arange(256.0),
        value_label="Grey level",
        cumulative=True,
    )
    named = {trace.name: np.asarray(trace.y) for trace in figure.data}
    assert np.array_equal(named["Before"], COUNTS)
    assert np.array_equal(named["After"], COUNTS[::-1])
    share = named["Before, up to here"]
    assert share[[9, 10, 19, 20, 199, 200, 255]].tolist() == [0, 50, 50, 80, 80, 100, 100]


def test_on_a_logarithmic_scale_empty_levels_are_left_out_and_thresholds_drawn():
    figure = make_histogram_figure(
        {"Volume": COUNTS},
        values=np.arange(256.0) * 5 - 1024,
        value_label="HU",
        logarithmic=True,
        lines={"tissue above −499 HU": -499.0},
    )
    (trace,) = figure.data
    assert np.flatnonzero(np.isfinite(np.asarray(trace.y))).tolist() == [10, 20, 200]
    assert figure.layout.yaxis.type == "log"
    assert [line.x0 for line in figure.layout.shapes] == [-499.0]
    assert [text.text for text in figure.layout.annotations] == ["tissue above −499 HU"]


def test_a_histogram_of_nothing_can_be_drawn():
    figure = make_histogram_figure(
        {"Lung": np.zeros(256, dtype=np.int64)},
        values=np.arange(256.0),
        value_label="Grey level",
        cumulative=True,
    )
    assert not np.asarray(figure.data[1].y).any()


def test_a_mark_on_a_logarithmic_axis_has_its_name_beside_it():
    chart = make_curve_figure(
        [Curve("Loss", [1e-5, 1e-3, 1e-1], [1.0, 0.5, 2.0], "#56B4E9")],
        x_label="Learning rate",
        y_label="Loss",
        revision="range",
        logarithmic_x=True,
        lines={"suggested": 1e-3},
    )
    assert [line.x0 for line in chart.layout.shapes] == [1e-3]
    assert [text.x for text in chart.layout.annotations] == pytest.approx([-3.0])


def test_charts_differ_from_the_one_template_only_where_they_say_so():
    chart = make_histogram_figure(
        {"Volume": COUNTS}, values=np.arange(256.0), value_label="Grey level"
    )
    assert chart.layout.template.layout.to_plotly_json() == TEMPLATE.layout.to_plotly_json()
    for shared in ("paper_bgcolor", "plot_bgcolor", "font", "margin", "legend", "hoverlabel"):
        assert chart.layout.to_plotly_json().get(shared) in (None, {}), shared


def test_in_the_light_theme_only_colours_differ_and_none_of_the_dark_is_left():
    figure = make_histogram_figure(
        {"Before": COUNTS, "After": COUNTS[::-1]},
        values=np.arange(256.0),
        value_label="Grey level",
        lines={"threshold": 100.0},
    )
    light = in_light_theme(figure)
    assert light["layout"]["template"]["layout"]["paper_bgcolor"] == "#FFFFFF"
    assert light["data"][0]["y"] == figure.to_plotly_json()["data"][0]["y"]
    assert light["data"][0]["line"]["color"] == LIGHT_PARTNERS[figure.data[0].line.color]
    written = str(light)
    assert not [dark for dark in LIGHT_PARTNERS if dark in written]
