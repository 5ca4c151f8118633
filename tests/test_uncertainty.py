"""How unsure the network is: computed by hand, and the order that follows from it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from core.errors import Cancelled, LoadError
from core.segmentation.uncertainty import (
    compare_probabilities,
    measure_uncertainty,
    rank_correlation,
    rank_scans,
)
from core.volume import Volume
from tests.studies import StandInSegmenter, small_volume


def probabilities(*blocks: tuple[int, slice, slice, int], slices: int = 3) -> np.ndarray:
    """(2, slices, 20, 20) with blocks of one value in the infection channel."""
    found = np.zeros((2, slices, 20, 20), np.uint8)
    for k, rows, columns, value in blocks:
        found[1, k, rows, columns] = value
    return found


def test_a_sure_edge_has_no_entropy_and_an_unsure_one_a_bit() -> None:
    sure = probabilities((1, slice(5, 15), slice(5, 15), 255))
    same = compare_probabilities(sure, sure, threshold=0.5)
    assert same.border_entropy == pytest.approx(0.0, abs=1e-9)
    assert same.disagreement == 0.0
    assert math.isnan(same.slice_entropy[0])
    unsure = sure.copy()
    unsure[1, 1][unsure[1, 1] == 0] = 127
    found = compare_probabilities(unsure, unsure, threshold=0.5)
    # Two pixels on both sides of the edge: inside without entropy, outside with one bit each.
    # The dilated square has 14 x 14 pixels, the eroded one 6 x 6, the square itself 10 x 10.
    assert found.border_entropy == pytest.approx((14**2 - 10**2) / (14**2 - 6**2), rel=1e-3)


def test_disagreement_is_one_minus_dice_by_slice_and_over_all() -> None:
    plain = probabilities((0, slice(0, 4), slice(0, 10), 255), (1, slice(0, 2), slice(0, 10), 255))
    mirrored = probabilities((0, slice(2, 6), slice(0, 10), 255))
    found = compare_probabilities(plain, mirrored, threshold=0.5)
    assert found.slice_disagreement[0] == pytest.approx(1 - 2 * 20 / 80)
    assert found.slice_disagreement[1] == 1.0
    assert math.isnan(found.slice_disagreement[2])
    assert found.disagreement == pytest.approx(1 - 2 * 20 / 100)
    assert found.slices_to_look_at(5) == (0, 1)
    assert found.slices_to_look_at(1) == (0,)


def test_nothing_marked_is_not_defined_and_comes_last() -> None:
    empty = compare_probabilities(probabilities(), probabilities(), threshold=0.5)
    assert math.isnan(empty.disagreement)
    assert math.isnan(empty.border_entropy)
    assert empty.score == 0.0
    assert empty.slices_to_look_at(3) == ()


def test_scans_are_ranked_and_what_cannot_be_opened_says_why() -> None:
    # The stand-in marks the left of every frame, so that the mirror image never agrees.
    segmenter = StandInSegmenter()
    found = measure_uncertainty(small_volume(), segmenter)
    assert found.disagreement == 1.0

    def missing() -> Volume:
        raise LoadError("Nothing there")

    ranked = rank_scans([("gone", missing), ("here", small_volume)], segmenter, slices=2)
    assert [one.name for one in ranked] == ["here", "gone"]
    assert len(ranked[0].slices) == 2
    assert ranked[1].trouble == "Nothing there."
    with pytest.raises(Cancelled):
        rank_scans([("here", small_volume)], segmenter, should_cancel=lambda: True)


def test_rank_correlation() -> None:
    assert rank_correlation([1, 2, 3, 10], [4, 3, 2, 1]) == pytest.approx(-1.0)
    assert rank_correlation([0.1, 0.4, 0.2], [1, 3, 2]) == pytest.approx(1.0)
    assert math.isnan(rank_correlation([1, 2], [1, 2]))
    assert math.isnan(rank_correlation([1, 1, 1], [1, 2, 3]))
