"""Classifier: figures, frames, lesions, network, combination, storing, the rule for scans."""

from __future__ import annotations

import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.classification.classifier import heat, likeness, load_from_info
from core.classification.combination import MOST_CERTAIN, Combination, Line
from core.classification.config import BandConfig, ClassifierModelConfig
from core.classification.frames import AIR_GREY, TISSUE_GREY, standard_grey
from core.classification.info import Head, find_classifier
from core.classification.learning.augment import VariationConfig, augment
from core.classification.learning.combining import LESION_WEIGHT, cross_fitted, fit_combination
from core.classification.learning.data import split_by_blocks
from core.classification.learning.fitting import (
    balanced_weights,
    fit_axial,
    fit_logistic,
    main_axes,
)
from core.classification.learning.heat_checks import blanked
from core.classification.lesions import NAMES, lesion_row
from core.classification.metrics import (
    area_under_curve,
    bootstrap_interval,
    brier_score,
    expected_calibration_error,
    f1_score,
    to_probability,
    wilson_interval,
)
from core.classification.pooling import mask_cells, pool_evidence
from core.classification.scan import (
    ScanModel,
    choose_slices,
    highest_scoring_slices,
    lesion_logit,
    most_suspicious_slices,
    scan_logit,
    shares,
    suspicious_mean,
)
from core.classification.verdict import band_of, disagree
from core.errors import WeightsError
from core.volume import MaskPair
from tests.tiny_classifier import MODEL, frames_of, publish_tiny


def test_auc_counts_pairs_and_ties_half() -> None:
    labels = np.array([1, 1, 0, 0])
    # Pairs: 3>1, 3>2, 2>1 and 2=2: three and a half of four.
    assert area_under_curve(labels, np.array([3.0, 2.0, 1.0, 2.0])) == pytest.approx(3.5 / 4)
    assert math.isnan(area_under_curve(np.array([1, 1]), np.array([0.2, 0.3])))


def test_f1_and_brier_by_hand() -> None:
    labels, probabilities = np.array([1, 1, 0, 0]), np.array([0.9, 0.4, 0.6, 0.1])
    # One hit, one miss, one false alarm: precision and recall are one half.
    assert f1_score(labels, probabilities) == pytest.approx(0.5)
    assert brier_score(labels, probabilities) == pytest.approx((0.01 + 0.36 + 0.36 + 0.01) / 4)
    assert math.isnan(f1_score(np.array([0]), np.array([0.1])))


def test_calibration_error_weighs_bins_by_their_slices() -> None:
    # Three slices at 0.95, of which two positive; one at 0.05, negative.
    labels, probabilities = np.array([1, 1, 0, 0]), np.array([0.95, 0.95, 0.95, 0.05])
    expected = 3 / 4 * abs(0.95 - 2 / 3) + 1 / 4 * 0.05
    assert expected_calibration_error(labels, probabilities) == pytest.approx(expected)


def test_interval_of_a_share() -> None:
    low, high = wilson_interval(8, 10)
    assert (low, high) == pytest.approx((0.490, 0.943), abs=0.001)  # Newcombe 1998, by hand
    assert wilson_interval(0, 0) == (0.0, 1.0)
    assert wilson_interval(0, 20)[0] == 0.0


def test_bootstrap_interval_holds_the_value() -> None:
    generator = np.random.default_rng(1)
    labels = np.repeat([0, 1], 50)
    scores = labels + generator.normal(0, 1, 100)
    low, high = bootstrap_interval(labels, scores, area_under_curve, draws=200)
    assert low < area_under_curve(labels, scores) < high
    assert 0.02 < high - low < 0.3


def test_no_neighbours_on_both_sides_of_the_split() -> None:
    numbers = [n for n in range(1, 1253) if n % 7]
    sides = split_by_blocks(numbers)
    trained = np.array([n for n, side in zip(numbers, sides, strict=True) if side == "train"])
    validated = np.array(
        [n for n, side in zip(numbers, sides, strict=True) if side == "validation"]
    )
    assert np.abs(trained[:, None] - validated[None, :]).min() > 10
    assert 0.15 < len(validated) / len(numbers) < 0.25
    # Two whole blocks validate: no picture between their first and last is trained on.
    assert len(np.flatnonzero(np.diff(validated) > 2)) == 1


def test_the_same_slice_in_two_windows_becomes_one() -> None:
    rows, columns = np.indices((64, 96))
    lung = np.hypot(rows - 32, columns - 48) < 20
    truth = np.where(lung, 40, 200) + (rows + columns) % 7 - 3
    frames = np.zeros((1, 64, 96, 3), np.uint8)
    frames[0, ..., 1] = np.where(lung, 255, 0)
    shown = []
    for contrast, brightness in ((1.0, 0), (0.5, 60)):
        frames[0, ..., 0] = np.rint(truth * contrast + brightness)
        shown.append(standard_grey(frames)[0].astype(int))
    assert np.abs(shown[0] - shown[1]).max() <= 4
    assert np.median(shown[0][~lung]) == pytest.approx(TISSUE_GREY, abs=2)
    assert np.percentile(shown[0][lung], 5) == pytest.approx(AIR_GREY, abs=2)


def test_greys_without_lung_stay() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (1, 64, 96, 3), dtype=np.uint8)
    frames[..., 1] = 0
    np.testing.assert_array_equal(standard_grey(frames), frames[..., 0])


def test_lesions_in_numbers() -> None:
    """Two lungs of 40 × 30 pixels, a tenth of the left one marked, at its back."""
    frame = np.zeros((60, 100, 3), np.uint8)
    frame[..., 0] = TISSUE_GREY
    for left in (10, 60):
        frame[10:50, left : left + 30, 0] = AIR_GREY
        frame[10:50, left : left + 30, 1] = 255
    frame[46:50, 60:90, 2] = 255
    frame[46:50, 60:90, 0] = (AIR_GREY + TISSUE_GREY) // 2
    found = dict(zip(NAMES, lesion_row(frame), strict=True))
    assert found["share"] == found["sure share"] == pytest.approx(np.log10(0.05))
    assert found["smaller side's share"] == pytest.approx(np.log10(0.002))
    assert found["back's share less the front's"] == pytest.approx(0.1)
    assert found["rim's share less the core's"] > 0
    assert found["parts"] == pytest.approx(np.log(2))
    assert found["largest part of all"] == 1
    assert found["density"] == pytest.approx(0.5)
    assert found["texture"] == 0
    frame[..., 2] = 0
    assert lesion_row(frame)[0] == pytest.approx(np.log10(0.002))


def test_evidence_adds_up_and_lies_in_the_lung() -> None:
    generator = np.random.default_rng(2)
    config = replace(MODEL, attention=True)
    evidence = generator.normal(size=(3, 4, 6)).astype(np.float32)
    masks = np.zeros((64, 96, 2), np.uint8)
    masks[:32, :48, 0] = 255
    masks[:16, :16, 1] = 255
    found = pool_evidence(evidence, masks, config)
    assert found.evidence.sum() == pytest.approx(found.logit, abs=1e-5)
    assert not found.evidence[2:].any()
    assert not found.evidence[:, 3:].any()
    # One cell of infected lung: half of its evidence, as it is drawn towards none by one cell.
    alone = pool_evidence(evidence * np.array([0, 1, 0], np.float32)[:, None, None], masks, config)
    assert alone.logit == pytest.approx(evidence[1, 0, 0] / 2, rel=1e-4)


@pytest.mark.parametrize("masks", ["none", "pooling", "both"])
def test_training_and_prediction_add_up_alike(masks: str) -> None:
    import keras

    from core.classification.network import build_network, build_training_network, lower_maps

    config = replace(MODEL, masks=masks, attention=masks == "both")  # type: ignore[arg-type]
    network = build_network(config)
    training = build_training_network(network, config)
    frames = frames_of(2)
    shown = frames[..., : config.channels].astype(np.float32) / 255
    lower = keras.Model(network.input, network.get_layer(*lower_maps()).output)(shown)
    small = frames.reshape(2, 8, 8, 12, 8, 3).mean(axis=(2, 4)) / 255
    cells = np.stack([np.stack(mask_cells(frame[..., 1:], (4, 6)), axis=-1) for frame in frames])
    logits = np.asarray(training([np.asarray(lower), small.astype(np.float32), cells]))[:, 0]
    maps = np.moveaxis(np.asarray(network(shown)), -1, 1)
    ours = [
        pool_evidence(evidence, frame[..., 1:], config).logit
        for evidence, frame in zip(maps, frames, strict=True)
    ]
    np.testing.assert_allclose(ours, logits, atol=1e-4)


def test_a_network_starts_from_the_segmentation_encoder() -> None:
    from core.classification.network import build_network, start_from
    from core.segmentation import find_weights, read_arrays

    network = build_network(ClassifierModelConfig(rows=64, columns=64))
    arrays = read_arrays(find_weights())
    assert start_from(network, arrays, shown="these") == 240
    by_path = {variable.path: np.asarray(variable) for variable in network.weights}
    stem = by_path["stem_conv/kernel"]
    np.testing.assert_array_equal(stem[:, :, :1], arrays["stem_conv/kernel"].astype(np.float32))
    assert not stem[:, :, 1:].any()
    with pytest.raises(WeightsError, match="EfficientNet-Lite0"):
        start_from(network, {}, shown="nothing")


def test_augmentation_keeps_masks_with_the_grey() -> None:
    frame = frames_of(1)[0]
    frame[..., 0] = np.where(frame[..., 1] > 0, 20, 220)
    frame[..., 2] = frame[..., 1]
    quiet = VariationConfig(
        contrast=0, brightness=0, gamma=0, blur=0, noise=0, erase=0, drop_marks=0
    )
    for seed in range(5):
        varied = augment(frame, quiet, np.random.default_rng(seed))
        inside = varied[..., 1] > 0.99
        assert inside.sum() > 200
        assert varied[inside, 0].mean() < 0.1
        assert varied.min() >= 0
        assert varied.max() <= 1
    dropped = augment(frame, replace(quiet, drop_marks=1.0), np.random.default_rng(0))
    assert not dropped[..., 2].any()


def test_blanking_takes_away_the_lung_or_all_else() -> None:
    frames = frames_of(1)
    lung = frames[0, ..., 1] > 128
    without, alone = blanked(frames, lung=True)[0, ..., 0], blanked(frames, lung=False)[0, ..., 0]
    assert (without[lung] == AIR_GREY).all()
    np.testing.assert_array_equal(without[~lung], frames[0, ..., 0][~lung])
    np.testing.assert_array_equal(alone[lung], frames[0, ..., 0][lung])
    assert alone[0, 0] == TISSUE_GREY


def test_heat_is_between_nothing_and_one() -> None:
    shown = heat(np.array([[-1.0, 2.0], [1.0, -3.0]], dtype=np.float32))
    np.testing.assert_allclose(shown, [[0, 1], [0.5, 0]])
    assert heat(-np.ones((2, 2), dtype=np.float32)).max() == 0


def test_logistic_regression_finds_what_made_the_labels() -> None:
    generator = np.random.default_rng(3)
    rows = generator.normal(5, 3, (4000, 3)).astype(np.float32)
    labels = (generator.random(4000) < to_probability(rows[:, 0] - 5.0)).astype(np.int64)
    found = fit_logistic(rows, labels, penalty=1e-4)
    slopes = found.weights / found.scale
    np.testing.assert_allclose(slopes, [1, 0, 0], atol=0.08)
    assert found.logits(np.array([[5, 5, 5]], dtype=np.float32))[0] == pytest.approx(0, abs=0.15)


def test_sets_and_classes_have_the_same_share() -> None:
    sources = np.array(["ucsd"] * 3 + ["sars"] * 6)
    labels = np.array([1, 0, 0, 1, 1, 1, 1, 0, 0])
    weights = balanced_weights(sources, labels)
    assert weights[:3].sum() / weights.sum() == pytest.approx(0.5)
    assert weights[labels == 1].sum() == pytest.approx(weights[labels == 0].sum())


def test_batches_are_balanced_by_set_and_class() -> None:
    from core.classification.learning.batches import PictureBatches
    from core.classification.learning.lower import LowerFeatures
    from core.classification.learning.pack import Pictures

    labels = np.array([1, 0, 0, 0, 1, 1, 1, 1, 0])
    sources = np.array(["ucsd"] * 4 + ["sars"] * 5)
    none = np.zeros((9, 1, 1, 3), np.uint8)
    pictures = Pictures(none, labels, sources, sources, sources, sources)
    number = np.repeat(np.arange(9), 2)
    marked = number.astype(np.float16)[:, None, None, None] * np.ones((1, 1, 1, 1), np.float16)
    features = LowerFeatures(number, marked, marked, marked)
    kept = np.arange(9) != 1
    batches = PictureBatches(features, pictures, kept, mixup=0, batch_size=8, steps=20, seed=1)
    seen = np.concatenate([batches[n][0][0].ravel() for n in range(len(batches))]).astype(int)
    assert 1 not in seen
    drawn = [(sources[n], labels[n]) for n in seen]
    assert {drawn.count(one) for one in set(drawn)} == {40}
    targets = np.concatenate([batches[n][1].ravel() for n in range(len(batches))])
    np.testing.assert_array_equal(targets, labels[seen])
    np.testing.assert_array_equal(batches[3][0][0], batches[3][0][0])
    mixed = PictureBatches(features, pictures, kept, mixup=0.4, batch_size=8, steps=1, seed=1)
    assert set(np.unique(mixed[0][1])) - {0.0, 1.0}


def test_rows_out_of_distribution_are_reported_from_ordinary_rows() -> None:
    generator = np.random.default_rng(4)
    rows = generator.normal(0, 1, (300, 6)).astype(np.float32)
    unlike = generator.normal(0, 5, (60, 6)).astype(np.float32)
    mean, scale = rows.mean(axis=0), rows.std(axis=0)
    axes = main_axes(rows, mean, scale, components=4)
    head = Head(mean, scale, axes, fit_axial(rows, unlike, axes=axes, mean=mean, scale=scale))
    distance, ordinary = likeness(rows, head)
    _, odd = likeness(unlike, head)
    assert distance.mean() == pytest.approx(1.0, abs=0.1)
    labels = np.repeat([1, 0], [300, 60])
    assert area_under_curve(labels, np.concatenate([ordinary, odd])) > 0.95


def test_both_predictions_are_calibrated_together() -> None:
    generator = np.random.default_rng(8)
    truth = generator.normal(0, 1.5, 8000)
    labels = (generator.random(8000) < to_probability(truth)).astype(np.int64)
    noise = generator.normal(0, 1, 8000)
    found = fit_combination(labels, 2 * truth, noise, weights=np.ones(8000))
    assert found.lesions == pytest.approx(LESION_WEIGHT * found.network)
    # Logits twice too sure, one of nothing but noise.
    assert found.network_alone.slope == pytest.approx(0.5, abs=0.1)
    assert found.lesions_alone.slope == pytest.approx(0.0, abs=0.1)
    assert found.network < found.network_alone.slope
    truth = 2 * truth
    sure = np.array([50.0])
    assert found.logits(sure, sure * 0)[0] == found.logits(sure * 0 + MOST_CERTAIN, sure * 0)[0]
    assert Line(2.0, 1.0).of(np.array([1.0]))[0] == 3.0
    groups = np.repeat(np.arange(800), 10).astype(str)
    sources = np.full(8000, "a")
    left_out = cross_fitted(labels, truth, noise, groups=groups, sources=sources)
    together = found.logits(truth, noise)
    assert area_under_curve(labels, left_out) == pytest.approx(
        area_under_curve(labels, together), abs=0.01
    )
    assert not np.array_equal(left_out, together)


def test_predictions_that_contradict_each_other() -> None:
    bands = BandConfig()
    assert disagree(0.1, 0.9, bands)
    assert disagree(0.9, 0.1, bands)
    assert not disagree(0.4, 0.9, bands)
    assert not disagree(0.8, 0.9, bands)


@pytest.mark.parametrize(
    ("probability", "band"),
    [(0.0, "low"), (0.2999, "low"), (0.3, "indeterminate"), (0.7, "high"), (1.0, "high")],
)
def test_bands(probability: float, band: str) -> None:
    assert band_of(probability, BandConfig()) == band


def test_scan_probability_depends_on_its_most_suspicious_third_and_its_share() -> None:
    model = ScanModel(share=2.0, slices=0.5, bias=3.0, lesions_alone=1.0, lesions_bias=1.5)
    logits = np.array([-3.0, -3.0, 2.0, -3.0, 1.0, -3.0])
    assert suspicious_mean(logits, model) == pytest.approx(1.5)
    assert scan_logit(logits, 0.01, model) == pytest.approx(2 * -2 + 0.75 + 3)
    assert scan_logit(logits, float("nan"), model) == pytest.approx(1.5)
    assert scan_logit(logits, 0.0, model) == scan_logit(logits, 1e-6, model)
    assert lesion_logit(0.1, model) == pytest.approx(0.5)
    probabilities = to_probability(logits).tolist()
    assert most_suspicious_slices((10, 11, 12, 13, 14, 15), probabilities, model) == (12, 14)


def test_slices_with_little_lung_are_left_out() -> None:
    lung = np.array([0, 10, 50, 100, 90, 45, 5, 0])
    config = ScanModel()
    assert choose_slices(lung, config) == (2, 3, 4, 5)
    assert choose_slices(np.zeros(9, dtype=np.int64), config) == (4,)
    assert highest_scoring_slices((2, 3, 4), (0.6, 0.2, 0.9)) == (4, 2)
    assert highest_scoring_slices((2, 3), (0.1, 0.2)) == (3,)


def test_shares_by_zone_and_side() -> None:
    """Axes point to the left, the back and the head."""
    lung = np.zeros((10, 4, 9), dtype=np.bool_)
    lung[:] = True
    infection = np.zeros_like(lung)
    infection[:5, :, :3] = True  # right, lower third
    share, by_zone = shares(MaskPair(lung, infection), has_zones=True)
    assert share == pytest.approx(1 / 6)
    assert by_zone == pytest.approx(
        {"upper": 0, "middle": 0, "lower": 0.5, "right": 1 / 3, "left": 0}
    )
    nothing, unknown = shares(MaskPair(lung & False, infection), has_zones=False)
    assert math.isnan(nothing)
    assert set(unknown) == {"right", "left"}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny classifier, stored: a folder of weights with it."""
    folder = tmp_path_factory.mktemp("weights")
    publish_tiny(folder / "tiny")
    return folder


@pytest.mark.usefixtures("eager")
def test_stored_classifier_is_read_alike_by_both_engines(tiny: Path) -> None:
    info = find_classifier("tiny", folder=tiny)
    assert info.combination == Combination(0.8, 0.4, -0.1, Line(0.9, 0.1), Line(0.7, -0.2))
    assert info.lesions.weights[2] == pytest.approx(0.2)
    frames = frames_of(2, seed=9)
    found = {}
    for engine in ("openvino", "keras"):
        classifier = load_from_info(info, engine=engine)  # type: ignore[arg-type]
        found[engine] = classifier.predict(frames)
        assert load_from_info(info, engine=engine) is classifier  # type: ignore[arg-type]
    one, other = found["openvino"], found["keras"]
    np.testing.assert_allclose(one.logits, other.logits, atol=1e-4)
    np.testing.assert_allclose(one.axial, other.axial, atol=1e-3)
    assert one.evidence.shape == (2, 4, 6)
    np.testing.assert_allclose(one.evidence.sum(axis=(1, 2)), one.logits, atol=1e-4)
    expected = 0.8 * one.logits + 0.4 * np.clip(one.lesions, -MOST_CERTAIN, MOST_CERTAIN) - 0.1
    np.testing.assert_allclose(classifier.combined_logits(one), expected, atol=1e-6)


def test_damaged_classifier_is_refused(tiny: Path, tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    shutil.copytree(tiny / "tiny", folder)
    content = bytearray((folder / "weights.npz").read_bytes())
    content[-30] ^= 1
    (folder / "weights.npz").write_bytes(bytes(content))
    with pytest.raises(WeightsError, match="damaged"):
        load_from_info(find_classifier("tiny", folder=tmp_path), engine="openvino")
    (folder / "manifest.json").write_text('{"kind": "classifier"}')
    with pytest.raises(WeightsError, match="cannot be read"):
        find_classifier(folder=tmp_path)


def test_no_other_classifier_takes_the_place_of_a_damaged_default(
    tiny: Path, tmp_path: Path
) -> None:
    shutil.copytree(tiny / "tiny", tmp_path / "tiny")
    manifest = (tmp_path / "tiny" / "manifest.json").read_text(encoding="utf-8")
    changed = manifest.replace('"default": true', '"default": false')
    (tmp_path / "tiny" / "manifest.json").write_text(changed, encoding="utf-8")
    assert find_classifier(folder=tmp_path).weights_id == "tiny"
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "manifest.json").write_text("{", encoding="utf-8")
    with pytest.raises(WeightsError, match=r"broken/manifest\.json cannot be read"):
        find_classifier(folder=tmp_path)
    assert find_classifier("tiny", folder=tmp_path).weights_id == "tiny"


def test_classifiers_are_not_listed_as_segmentation_weights(tiny: Path) -> None:
    from core.segmentation.weights import list_weights

    assert list_weights(tiny) == ()
    with pytest.raises(WeightsError, match="No classifier"):
        find_classifier(folder=tiny / "tiny")
