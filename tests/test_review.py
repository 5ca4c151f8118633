"""Judging a case in full: slices, thresholds, worst pictures, pairs of networks, agreement."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from core.config import PostprocessConfig, PreprocessConfig, SegmentConfig
from core.drawing.thumbnails import crop_around, draw_agreement
from core.errors import Cancelled, DatasetError, GeometryError
from core.evaluation.bland_altman import compare_measurements
from core.evaluation.cases import VALUE_COLUMNS, mean_values, paired_differences
from core.evaluation.metrics import compute_overlap
from core.evaluation.review import CaseReview, find_worst, review_case, slices_csv
from core.evaluation.slice_scores import score_slices
from core.evaluation.threshold_curve import LevelCounts, count_levels, curve_of, mean_curves
from core.loading.case_table import Case
from core.preprocessing.spatial import plan_spatial
from core.segmentation.postprocess import restore_masks
from core.segmentation.result import Segmentation, apply_thresholds
from core.ui.charts.evaluation import (
    charts_html,
    make_bland_altman_figure,
    make_distribution_figure,
)
from tests.studies import small_study, small_truth, small_volume
from tests.test_evaluation import result

CASE = Case("small", "small", Path("small.nii.gz"))
COLOURS = {"hit": "#00ff00", "missed": "#ffff00", "wrong": "#ff00ff"}


def segmentation(*, lung_threshold: float = 0.5, infection_threshold: float = 0.5) -> Segmentation:
    """Made up: lung in the middle of the frame, infection rising from left to right."""
    volume = small_volume()
    record = plan_spatial(volume, PreprocessConfig())
    probabilities = np.zeros((2, 8, record.rows, record.columns), dtype=np.uint8)
    probabilities[0, :, 30:-30, 40:-40] = 220
    probabilities[1] = np.linspace(0, 255, record.columns).astype(np.uint8)
    postprocess = PostprocessConfig(
        lung_threshold=lung_threshold, infection_threshold=infection_threshold
    )
    return Segmentation(
        masks=restore_masks(probabilities, record, postprocess),
        probabilities=probabilities,
        record=record,
        seconds={},
        device="none",
        weights_id="made-up",
        config=SegmentConfig(weights_id="made-up", postprocess=postprocess),
    )


@pytest.fixture(scope="module")
def review() -> CaseReview:
    return review_case(CASE, small_study(), segmentation())


# ------------------------------------------------------------------ thresholds


def test_curve_counts_what_is_at_or_above_each_threshold() -> None:
    true, every = np.zeros(256, np.int64), np.zeros(256, np.int64)
    true[[51, 204]] = 3, 5
    every[[51, 102, 204]] = 4, 10, 6
    curve = curve_of(LevelCounts(true, every, in_true=10), (0.2, 0.21, 0.8, 0.81))
    assert curve.hit.tolist() == [8, 5, 5, 0]
    assert curve.false.tolist() == [12, 11, 1, 0]
    assert curve.missed.tolist() == [2, 5, 5, 10]
    np.testing.assert_allclose(curve.precision, [8 / 20, 5 / 16, 5 / 6, np.nan])
    np.testing.assert_allclose(curve.recall, [0.8, 0.5, 0.5, 0.0])
    np.testing.assert_allclose(curve.dice, [16 / 30, 10 / 26, 10 / 16, 0.0])
    # 0.6000000000000001 is 0.6, whose level is 153.
    true[153] = every[153] = 1
    assert curve_of(LevelCounts(true, every, 11), (0.1 + 0.2 + 0.3,)).hit.tolist() == [6]


@pytest.mark.parametrize("threshold", [0.25, 0.5, 0.6])
def test_curve_passes_through_the_values_of_the_masks(threshold: float) -> None:
    truth = small_truth().infection
    assert truth is not None
    made = segmentation()
    levels = review_case(CASE, small_study(), made).levels["infection"]
    postprocess = replace(made.config.postprocess, infection_threshold=threshold)
    overlap = compute_overlap(truth, apply_thresholds(made, postprocess).masks.infection)
    curve = curve_of(levels, (threshold,))
    assert curve.dice[0] == overlap.dice > 0
    assert curve.precision[0] == overlap.precision
    assert curve.recall[0] == overlap.recall


def test_lung_curve_passes_through_the_mask_at_its_own_threshold(review: CaseReview) -> None:
    curve = curve_of(review.levels["lung"], (0.5,))
    assert curve.dice[0] == review.result.lung.dice > 0


def test_mean_curve_is_over_patients_and_leaves_out_what_is_undefined() -> None:
    def curve(hit: int, false: int, missed: int):
        true, every = np.zeros(256, np.int64), np.zeros(256, np.int64)
        true[255], every[255] = hit, hit + false
        return curve_of(LevelCounts(true, every, hit + missed), (0.5,))

    mean = mean_curves({"a": [curve(1, 0, 1), curve(1, 0, 0)], "b": [curve(0, 0, 4)]})
    assert mean["recall"] == pytest.approx([(0.75 + 0.0) / 2])
    assert mean["precision"] == pytest.approx([1.0])
    assert mean_curves({})["dice"].size == 0


def test_mask_of_another_scan_has_no_curve() -> None:
    made = segmentation()
    with pytest.raises(GeometryError, match="cannot be compared"):
        count_levels(made.probabilities[1], np.zeros((4, 4, 8), dtype=bool), made.record)


# ------------------------------------------------------------------ slices


def test_every_slice_has_its_own_values() -> None:
    true = np.zeros((10, 10, 4), dtype=bool)
    pred = np.zeros_like(true)
    true[2:6, 2:6, 0], pred[2:6, 4:8, 0] = True, True
    true[2:6, 2:6, 1] = True
    pred[2:4, 2:4, 2] = True
    scores = score_slices(true, pred, spacing_mm=(1.0, 2.0, 5.0), tolerance_mm=1.0)
    assert scores.hit.tolist() == [8, 0, 0, 0]
    assert scores.missed.tolist() == [8, 16, 0, 0]
    assert scores.false.tolist() == [8, 0, 4, 0]
    np.testing.assert_allclose(scores.dice, [0.5, 0.0, 0.0, np.nan])
    np.testing.assert_allclose(scores.precision, [0.5, np.nan, 0.0, np.nan])
    np.testing.assert_allclose(scores.recall, [0.5, 0.0, np.nan, np.nan])
    np.testing.assert_allclose(scores.specificity, [76 / 84, 1.0, 96 / 100, 1.0])
    # Two voxels of 2 mm apart along j, whatever the distance of slices.
    np.testing.assert_allclose(scores.hd95_mm, [4.0, np.nan, np.nan, np.nan])
    np.testing.assert_allclose(scores.surface_dice[1:], [0.0, 0.0, np.nan])
    assert sorted(scores.worst(2, by="area")) == [0, 1]
    assert scores.worst(9, by="area")[2:] == [2]
    assert scores.worst(9, by="dice") == [1, 2, 0]
    assert scores.worst(1, by="dice") == [1]


def test_distances_are_unknown_without_spacing() -> None:
    true = np.ones((4, 4, 2), dtype=bool)
    scores = score_slices(true, true, spacing_mm=None, tolerance_mm=1.0)
    assert scores.dice.tolist() == [1.0, 1.0]
    assert np.isnan(scores.hd95_mm).all()
    assert scores.worst(3, by="dice") == []


def test_table_of_slices_can_be_read_back(review: CaseReview) -> None:
    rows = list(csv.DictReader(io.StringIO(slices_csv([review]))))
    assert [int(row["slice"]) for row in rows] == list(range(1, 9))
    assert rows[0]["infection_recall"] == ""  # no true infection there
    assert float(rows[4]["infection_dice"]) == pytest.approx(
        float(review.slices["infection"].dice[4]), abs=1e-5
    )
    share = float(rows[4]["infection_fraction_pred"]) - float(rows[4]["infection_fraction_true"])
    assert float(rows[4]["infection_fraction_error"]) == pytest.approx(share, abs=2e-5)


# ------------------------------------------------------------------ a case


def test_kept_answer_comes_back_as_it_was(review: CaseReview) -> None:
    made, back = segmentation(), review.kept.restore()
    np.testing.assert_array_equal(back.probabilities, made.probabilities)
    np.testing.assert_array_equal(back.masks.lung, made.masks.lung)
    np.testing.assert_array_equal(back.masks.infection, made.masks.infection)
    assert len(review.kept.packed) < made.probabilities.nbytes / 20


def test_case_without_truth_or_without_patience_is_refused() -> None:
    with pytest.raises(DatasetError, match="has no truth"):
        review_case(CASE, small_study(truth=False), segmentation())
    with pytest.raises(Cancelled):
        review_case(CASE, small_study(), segmentation(), should_cancel=lambda: True)


def test_one_bad_case_does_not_hide_the_others(review: CaseReview) -> None:
    other = replace(
        review,
        worst={
            key: tuple(replace(one, case_id="other", missed=0, false=1) for one in found)
            for key, found in review.worst.items()
        },
    )
    found = find_worst([review, other], "infection", by="area", count=5)
    assert [one.case_id for one in found] == ["small"] * 3 + ["other"] * 2
    errors = [one.missed + one.false for one in found[:3]]
    assert errors == sorted(errors, reverse=True)
    assert len(find_worst([review], "infection", by="area", count=5)) == 5


def test_small_picture_shows_hit_missed_and_false_where_they_are() -> None:
    volume = small_volume()
    true = np.zeros(volume.shape, dtype=bool)
    pred = np.zeros_like(true)
    true[0:32, :, 3], pred[16:48, :, 3] = True, True
    whole = (slice(None), slice(None))
    packed = draw_agreement(
        volume, 3, mask_true=true, mask_pred=pred, crop=whole, colours=COLOURS, width=96
    )
    picture = cv2.imdecode(np.frombuffer(packed, np.uint8), cv2.IMREAD_COLOR).astype(int)
    assert picture.shape == (80, 96, 3)
    missed, hit, false = (picture[40, column] for column in (16, 48, 80))
    assert missed[1] > missed[0] + 60
    assert missed[2] > missed[0] + 60
    assert hit[1] > max(hit[0], hit[2]) + 60
    assert min(false[0], false[2]) > false[1] + 60


def test_pictures_are_cut_around_the_lung() -> None:
    volume = small_volume()
    mask = np.zeros(volume.shape, dtype=bool)
    assert crop_around(mask, volume) == (slice(0, 48), slice(0, 40))
    mask[20:30, 15:18, 2] = True  # 8 mm are five voxels of 1.5 mm
    assert crop_around(mask, volume) == (slice(15, 35), slice(10, 23))


# ------------------------------------------------------------------ several cases


def test_differences_of_two_networks_are_of_the_same_case() -> None:
    first = [result("a", "a", 0.5), result("b", "b", 0.7, side="training"), result("c", "c", 0.1)]
    second = [
        result("b", "b", 0.6),
        result("a", "a", 0.75, side="validation"),
        result("d", "d", 0.9),
    ]
    found = paired_differences(first, second)
    assert [(one.case_id, one.side) for one in found] == [("b", "training"), ("a", "validation")]
    assert [one.infection.dice for one in found] == pytest.approx([-0.1, 0.25])
    assert found[0].lung.dice == 0.0
    assert math.isnan(found[0].infection.iou)
    assert mean_values(found)["infection_dice"] == pytest.approx(0.075)
    assert set(mean_values(found)) == set(VALUE_COLUMNS)


def test_bias_and_limits_of_agreement() -> None:
    found = compare_measurements([0.1, 0.2, 0.3, np.nan], [0.1, 0.3, 0.5, 0.9])
    np.testing.assert_allclose(found.mean, [0.1, 0.25, 0.4, np.nan])
    np.testing.assert_allclose(found.difference, [0.0, 0.1, 0.2, np.nan])
    assert found.bias == pytest.approx(0.1)
    assert (found.lower, found.upper) == pytest.approx((0.1 - 0.196, 0.1 + 0.196))
    few = compare_measurements([0.1, 0.2], [0.2, 0.2])
    assert few.bias == pytest.approx(0.05)
    assert math.isnan(few.lower)
    assert math.isnan(compare_measurements([], []).bias)


# ------------------------------------------------------------------ charts


def test_box_of_the_spread_leaves_training_cases_out() -> None:
    results = [result("a", "a", 0.5), result("b", "b", 0.9, side="training")]
    chart = make_distribution_figure(results, measurement="dice", label="Dice")
    boxes = {trace.y[0]: list(trace.x) for trace in chart.data if trace.boxpoints is False}
    assert boxes == {"Lung": [0.9], "Infection": [0.5]}
    training = next(trace for trace in chart.data if trace.name == "Training")
    assert list(training.x) == [0.9, 0.9]
    assert set(training.text) == {"b"}


def test_saved_charts_need_no_network() -> None:
    cases = [replace(result(name, name, 0.5), infection_fraction_pred=0.25) for name in "abc"]
    compared = compare_measurements(
        [one.infection_fraction_true for one in cases],
        [one.infection_fraction_pred for one in cases],
    )
    chart = make_bland_altman_figure(cases, compared, compared)
    assert list(chart.data[0].y) == [12.5] * 3
    page = charts_html({"One": chart, "Two": chart})
    assert page.count("<h2>") == 2
    assert "<script src=" not in page
    assert 4e6 < len(page) < 6e6
