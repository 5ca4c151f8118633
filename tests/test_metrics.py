"""Overlap of masks, against masks that can be counted by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from core.errors import GeometryError
from core.evaluation.metrics import (
    Overlap,
    compute_overlap,
    compute_overlap_per_slice,
)

NAMES = ("dice", "iou", "precision", "recall")


def row(*cells: int) -> np.ndarray:
    return np.array(cells, dtype=bool).reshape(-1, 1, 1)


def assert_overlap(found: Overlap, **expected: float) -> None:
    for name in NAMES:
        assert getattr(found, name) == pytest.approx(expected[name], nan_ok=True), name


def test_by_hand() -> None:
    # 2 hits, 1 missed, 2 false
    found = compute_overlap(row(1, 1, 1, 0, 0, 0), row(1, 1, 0, 1, 1, 0))
    assert_overlap(found, dice=4 / 7, iou=2 / 5, precision=2 / 4, recall=2 / 3)
    assert found.specificity == pytest.approx(1 / 3)


def test_truth_and_prediction_are_not_exchangeable() -> None:
    truth, predicted = row(1, 1, 1, 1, 0), row(1, 0, 0, 0, 0)
    found, other = compute_overlap(truth, predicted), compute_overlap(predicted, truth)
    assert (found.precision, found.recall) == (1.0, 0.25)
    assert (other.precision, other.recall) == (0.25, 1.0)
    assert found.dice == other.dice == pytest.approx(0.4)


def test_shifted_cubes() -> None:
    truth = np.zeros((20, 20, 20), dtype=bool)
    truth[5:15, 5:15, 5:15] = True
    predicted = np.roll(truth, 2, axis=1)
    hits = 10 * 8 * 10
    assert_overlap(
        compute_overlap(truth, predicted),
        dice=hits / 1000,
        iou=hits / (2000 - hits),
        precision=0.8,
        recall=0.8,
    )


@pytest.mark.parametrize(
    ("truth", "predicted", "dice", "precision", "recall"),
    [
        pytest.param(row(0, 0), row(0, 0), math.nan, math.nan, math.nan, id="both empty"),
        pytest.param(row(1, 0), row(0, 0), 0.0, math.nan, 0.0, id="nothing predicted"),
        pytest.param(row(0, 0), row(1, 0), 0.0, 0.0, math.nan, id="nothing there"),
        pytest.param(row(1, 0), row(0, 1), 0.0, 0.0, 0.0, id="apart"),
        pytest.param(row(1, 1), row(1, 1), 1.0, 1.0, 1.0, id="equal"),
    ],
)
def test_undefined_stays_undefined(
    truth: np.ndarray, predicted: np.ndarray, dice: float, precision: float, recall: float
) -> None:
    found = compute_overlap(truth, predicted)
    assert_overlap(found, dice=dice, iou=dice, precision=precision, recall=recall)


def test_millions_of_voxels_do_not_overflow() -> None:
    mask = np.ones((1, 1, 3_000_000), dtype=bool)
    assert compute_overlap(mask, mask).dice == 1.0


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_per_slice_is_the_loop(axis: int) -> None:
    generator = np.random.default_rng(3)
    truth = generator.random((5, 6, 7)) < 0.3
    predicted = generator.random((5, 6, 7)) < 0.4
    for mask, empty in ((truth, (0, 1)), (predicted, (0, 2))):
        for index in empty:
            np.moveaxis(mask, axis, 0)[index] = False
    found = compute_overlap_per_slice(truth, predicted, axis=axis)
    slices = zip(np.moveaxis(truth, axis, 0), np.moveaxis(predicted, axis, 0), strict=True)
    for index, (one, other) in enumerate(slices):
        assert_overlap(compute_overlap(one, other), **{name: found[name][index] for name in NAMES})
    assert np.isnan(found["dice"][0])
    assert np.isnan(found["recall"][1])
    assert np.isnan(found["precision"][2])


@pytest.mark.parametrize("compute", [compute_overlap, compute_overlap_per_slice])
def test_other_shapes_are_refused_with_both_shapes(compute) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(GeometryError, match=r"\(2, 3, 4\) and \(2, 3, 5\)"):
        compute(np.zeros((2, 3, 4), dtype=bool), np.zeros((2, 3, 5), dtype=bool))
