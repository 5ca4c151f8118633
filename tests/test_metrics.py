"""Overlap figures, against masks that can be counted by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from core.errors import GeometryError
from core.evaluation.metrics import (
    Overlap,
    SurfaceAgreement,
    compute_overlap,
    compute_overlap_per_slice,
    compute_surface_agreement,
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


def agreement(
    truth: np.ndarray, predicted: np.ndarray, *, spacing_mm: tuple[float, float, float], mm: float
) -> SurfaceAgreement:
    return compute_surface_agreement(truth, predicted, spacing_mm=spacing_mm, tolerance_mm=mm)


@pytest.mark.parametrize(("axis", "apart_mm"), [(0, 2.0), (1, 3.0), (2, 10.0)])
def test_surfaces_apart_by_one_voxel_of_each_size(axis: int, apart_mm: float) -> None:
    """Two sheets one voxel thick, two voxels apart along an axis."""
    spacing_mm = (1.0, 1.5, 5.0)
    truth = np.zeros((12, 12, 12), dtype=bool)
    np.moveaxis(truth, axis, 0)[4] = True
    predicted = np.roll(truth, 2, axis=axis)
    found = agreement(truth, predicted, spacing_mm=spacing_mm, mm=apart_mm)
    assert found == SurfaceAgreement(hd95_mm=pytest.approx(apart_mm), surface_dice=1.0)
    assert agreement(truth, predicted, spacing_mm=spacing_mm, mm=apart_mm - 0.1).surface_dice == 0.0


def test_distances_are_between_surfaces_and_not_through_them() -> None:
    """A ball within a larger one: every surface voxel is about the difference of radii away."""
    grid = np.indices((61, 61, 61)) - 30
    distance = np.sqrt((grid**2).sum(axis=0))
    small, large = distance <= 15, distance <= 25
    found = agreement(small, large, spacing_mm=(0.8, 0.8, 0.8), mm=9.5)
    assert found.hd95_mm == pytest.approx(8.0, abs=0.8)
    assert found.surface_dice == 1.0
    back = agreement(large, small, spacing_mm=(0.8, 0.8, 0.8), mm=9.5)
    assert back == found


def test_a_few_strays_do_not_rule_hd95_but_count_in_surface_dice() -> None:
    truth = np.zeros((64, 64, 1), dtype=bool)
    truth[10:50, 10:50] = True  # 156 surface pixels in the plane
    predicted = truth.copy()
    predicted[60, 60] = True
    found = agreement(truth, predicted, spacing_mm=(1.0, 1.0, 9.0), mm=1.0)
    assert found.hd95_mm == 0.0
    assert found.surface_dice == pytest.approx((156 + 156) / (156 + 157))


@pytest.mark.parametrize(
    ("truth", "predicted", "surface_dice"),
    [
        pytest.param(row(0, 0, 0), row(0, 0, 0), math.nan, id="both empty"),
        pytest.param(row(1, 0, 0), row(0, 0, 0), 0.0, id="nothing predicted"),
        pytest.param(row(0, 0, 0), row(0, 1, 0), 0.0, id="nothing there"),
    ],
)
def test_distance_to_nothing_is_undefined(
    truth: np.ndarray, predicted: np.ndarray, surface_dice: float
) -> None:
    found = agreement(truth, predicted, spacing_mm=(1.0, 1.0, 1.0), mm=1.0)
    assert math.isnan(found.hd95_mm)
    assert found.surface_dice == pytest.approx(surface_dice, nan_ok=True)


def test_equal_masks_that_touch_the_border_agree() -> None:
    mask = np.ones((6, 7, 8), dtype=bool)
    assert agreement(mask, mask, spacing_mm=(1.0, 2.0, 3.0), mm=0.0) == SurfaceAgreement(0.0, 1.0)


def test_surfaces_of_other_shapes_are_refused() -> None:
    with pytest.raises(GeometryError, match="the same shape"):
        agreement(row(1, 0), row(1, 0, 0), spacing_mm=(1.0, 1.0, 1.0), mm=1.0)
