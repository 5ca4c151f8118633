"""Numbers are written one way everywhere."""

from __future__ import annotations

import io
import math

import pytest

from core.cli.terminal import encodable
from core.system.numbers import (
    number_text,
    percent_text,
    plain_text,
    short_percent_text,
    short_text,
    signed_text,
    size_text,
)


def test_numbers_have_a_real_minus_and_a_thin_space_before_percent() -> None:
    assert number_text(-1.25, digits=1) == "−1.2"
    assert signed_text(0.5, digits=2) == "+0.50"
    assert signed_text(-0.5, digits=2) == "−0.50"
    assert percent_text(0.1234) == "12.3\u2009%"
    assert percent_text(-0.1, digits=0) == "−10\u2009%"
    assert size_text((512, 512, 300)) == "512 × 512 × 300"


def test_what_is_not_defined_says_so() -> None:
    assert number_text(math.nan) == signed_text(None) == percent_text(math.nan) == "not defined"
    assert percent_text(None, undefined="–") == "–"


def test_terminals_without_these_signs_get_plain_ones() -> None:
    assert plain_text("−12.3\u2009% of 2 × 2") == "-12.3 % of 2 x 2"


def test_cut_offs_take_as_few_digits_as_they_need() -> None:
    assert short_percent_text(0.01) == "1\u2009%"
    assert short_percent_text(0.025) == "2.5\u2009%"
    assert [short_text(hu) for hu in (-500.0, -1024, 0.25)] == ["−500", "−1024", "0.25"]


@pytest.mark.parametrize(
    ("encoding", "shown"), [("utf-8", "−1.5\u2009% of 2 × 2"), ("ascii", "-1.5 % of 2 x 2")]
)
def test_a_terminal_without_the_signs_gets_plain_ones(encoding: str, shown: str) -> None:
    terminal = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="backslashreplace")
    assert encodable("−1.5\u2009% of 2 × 2", terminal) == shown
