"""Colours of what is marked can be told apart."""

from __future__ import annotations

import pytest

from core.figures import (
    AGREEMENT_COLOURS,
    PREDICTION_COLOURS,
    TRUTH_COLOURS,
)


@pytest.mark.parametrize("colours", [PREDICTION_COLOURS, TRUTH_COLOURS, AGREEMENT_COLOURS])
def test_colours_of_one_picture_differ(colours):
    assert len(set(colours.values())) == len(colours)
    assert all(len(colour) == 7 and colour.startswith("#") for colour in colours.values())
