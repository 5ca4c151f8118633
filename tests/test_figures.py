"""Plotly figures hold the values they are given, one point a slice, and mark where one is."""

from __future__ import annotations

import numpy as np
import pytest

from core.figures import (
    AGREEMENT_COLOURS,
    PREDICTION_COLOURS,
    TRUTH_COLOURS,
    make_infection_profile_figure,
)


def test_profile_has_one_point_per_slice_counted_from_one():
    values = np.array([0.0, 1.5, 4.0, 0.5])
    figure = make_infection_profile_figure(
        prediction=values, current_index=2, value_label="cm²", plane="coronal"
    )
    (trace,) = figure.data
    assert list(trace.x) == [1, 2, 3, 4]
    assert list(trace.y) == list(values)
    assert figure.layout.xaxis.title.text == "Coronal slice"
    assert figure.layout.yaxis.title.text == "cm²"


def test_profile_marks_the_current_slice():
    figure = make_infection_profile_figure(truth=[0, 1, 0], current_index=1, value_label="pixels")
    (mark,) = figure.layout.shapes
    assert (mark.x0, mark.x1) == (2, 2)


def test_truth_and_prediction_differ_by_dash_and_not_only_by_colour():
    figure = make_infection_profile_figure(
        prediction=[1, 2], truth=[2, 1], current_index=0, value_label="cm²"
    )
    prediction, truth = figure.data
    assert (prediction.name, truth.name) == ("Prediction", "Truth")
    assert prediction.line.dash != truth.line.dash
    assert prediction.line.color != truth.line.color
    assert figure.layout.showlegend


def test_profile_of_a_single_slice_shows_a_point():
    figure = make_infection_profile_figure(truth=[3], current_index=0, value_label="pixels")
    assert "markers" in figure.data[0].mode


def test_profile_keeps_undefined_values_undefined():
    figure = make_infection_profile_figure(
        prediction=[float("nan"), 1.0], current_index=0, value_label="cm²"
    )
    assert np.isnan(figure.data[0].y[0])


@pytest.mark.parametrize("colours", [PREDICTION_COLOURS, TRUTH_COLOURS, AGREEMENT_COLOURS])
def test_colours_of_one_picture_differ(colours):
    assert len(set(colours.values())) == len(colours)
    assert all(len(colour) == 7 and colour.startswith("#") for colour in colours.values())
