"""Classifier: figures, split, features, transfer, storing, the rule for scans."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from core.classification.classifier import heat, load_from_info, predict_features
from core.classification.config import BandConfig, ClassifierModelConfig
from core.classification.data import split_by_blocks
from core.classification.features import bottom_mean_weights, mask_statistics, pool_features
from core.classification.fitting import (
    MOST_CERTAIN,
    FitConfig,
    Mixture,
    assemble_head,
    balanced_weights,
    fit_axial,
    fit_logistic,
    main_axes,
    mix,
)
from core.classification.info import FitnessConfig, ScanConfig, find_classifier
from core.classification.metrics import (
    area_under_curve,
    bootstrap_interval,
    brier_score,
    expected_calibration_error,
    f1_score,
    fit_temperature,
    to_probability,
)
from core.classification.scan import choose_slices, highest_scoring_slices, scan_logit, shares
from core.classification.verdict import band_of
from core.config import to_json_dict
from core.errors import WeightsError
from core.volume import MaskPair


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


def test_temperature_is_found_and_keeps_order() -> None:
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 2, 20_000)
    labels = (generator.random(20_000) < to_probability(logits)).astype(np.int64)
    # Logits three times too sure are put right by a temperature of three.
    assert fit_temperature(labels, 3 * logits) == pytest.approx(3.0, rel=0.06)
    assert area_under_curve(labels, 3 * logits) == area_under_curve(labels, logits)


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
    taught = np.array([n for n, side in zip(numbers, sides, strict=True) if side == "train"])
    judged = np.array([n for n, side in zip(numbers, sides, strict=True) if side == "validation"])
    assert np.abs(taught[:, None] - judged[None, :]).min() > 10
    assert 0.15 < len(judged) / len(numbers) < 0.25
    # Two whole blocks judge: between the first and the last number of each nothing teaches.
    assert len(np.flatnonzero(np.diff(judged) > 2)) == 1


def test_features_are_means_and_deviations() -> None:
    level = np.zeros((2, 8, 8), dtype=np.float32)
    level[0, :, :4] = 1.0
    level[1] = 3.0
    masks = np.zeros((16, 16, 2), dtype=np.uint8)
    masks[:, :8, 0] = 255  # lung where filter 0 is one
    masks[:8, :8, 1] = 255
    row = pool_features([level], masks)
    mean, deviation, lung_mean, lung_deviation, infection_mean = row[:10].reshape(5, 2)
    np.testing.assert_allclose(mean, [0.5, 3.0])
    np.testing.assert_allclose(deviation, [0.5, 0.0], atol=1e-3)
    # 32 pixels of lung at one, drawn towards the mean of 0.5 by four.
    np.testing.assert_allclose(lung_mean, [(32 + 4 * 0.5) / 36, 3.0], rtol=1e-5)
    np.testing.assert_allclose(infection_mean[0], (16 + 4 * lung_mean[0]) / 20, rtol=1e-5)
    assert lung_deviation[0] < deviation[0]
    assert len(pool_features([level], None)) == 4
    lung_share, mean_share, *_ = mask_statistics(masks)
    assert lung_share == pytest.approx(0.5)
    assert mean_share == pytest.approx(np.sqrt(0.5), abs=0.01)


def test_heat_weights_are_the_averaged_gradients() -> None:
    """Grad-CAM's weights, by moving a whole filter of the coarsest level a little."""
    generator = np.random.default_rng(2)
    maps = [generator.random((3, 8, 8), dtype=np.float32), generator.random((5, 4, 4), np.float32)]
    masks = generator.integers(0, 256, (16, 16, 2), dtype=np.uint8)
    head = generator.normal(size=len(pool_features(maps, masks)))
    found = bottom_mean_weights(head, [3, 5], with_masks=True)
    step = np.float32(0.25)
    for k in range(5):
        moved = [maps[0], maps[1].copy()]
        moved[1][k] += step
        change = (pool_features(moved, masks) - pool_features(maps, masks)) @ head / step
        assert change == pytest.approx(found[k], rel=2e-3, abs=2e-3)


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


def test_sets_and_classes_have_their_share() -> None:
    sources = np.array(["ucsd"] * 3 + ["sars"] * 6)
    labels = np.array([1, 0, 0, 1, 1, 1, 1, 0, 0])
    weights = balanced_weights(sources, labels, ucsd_share=0.25)
    assert weights[:3].sum() / weights.sum() == pytest.approx(0.25)
    assert weights[labels == 1].sum() == pytest.approx(weights[labels == 0].sum())


def test_the_origin_weighs_the_two_heads() -> None:
    one, other = np.array([2.0, 2.0, 100.0]), np.array([-2.0, -2.0, 100.0])
    found = mix(one, other, np.array([-50.0, 0.0, 50.0]))
    np.testing.assert_allclose(found, [2, 0, MOST_CERTAIN])


def test_stored_mixture_is_the_fitted_one() -> None:
    generator = np.random.default_rng(6)
    rows = generator.normal(2, 3, (200, 5)).astype(np.float32)
    parts = [
        fit_logistic(rows[part], (rows[part, n] > 2).astype(np.int64), penalty=0.1)
        for n, part in enumerate((slice(0, 100), slice(100, 200), slice(0, 200)))
    ]
    mixture = Mixture(*parts, doubt=0.7)
    mean, scale = rows.mean(axis=0), rows.std(axis=0)
    axes = main_axes(rows, mean, scale, components=3)
    head = assemble_head(mixture, mean, scale, axes, np.zeros(5, dtype=np.float32))
    none = np.zeros((1, 2, 1, 1), dtype=np.float32)
    np.testing.assert_allclose(
        predict_features(rows, head, none).logits, mixture.logits(rows), atol=1e-4
    )


def test_rows_out_of_distribution_are_reported_from_ordinary_rows() -> None:
    generator = np.random.default_rng(4)
    rows = generator.normal(0, 1, (300, 6)).astype(np.float32)
    strange = generator.normal(0, 5, (60, 6)).astype(np.float32)
    head = _head(rows, strange)
    none = np.zeros((1, 2, 1, 1), dtype=np.float32)
    ordinary, odd = predict_features(rows, head, none), predict_features(strange, head, none)
    assert ordinary.distance.mean() == pytest.approx(1.0, abs=0.1)
    assert (
        area_under_curve(np.repeat([1, 0], [300, 60]), np.concatenate([ordinary.axial, odd.axial]))
        > 0.95
    )


def _head(rows: np.ndarray, strange: np.ndarray):  # type: ignore[no-untyped-def]
    labels = (rows[:, 0] > 0).astype(np.int64)
    logistic = fit_logistic(rows, labels, penalty=0.1)
    axes = main_axes(rows, logistic.mean, logistic.scale, components=4)
    axial = fit_axial(rows, strange, axes=axes, mean=logistic.mean, scale=logistic.scale)
    mixture = Mixture(logistic, logistic, logistic, doubt=0.0)
    return assemble_head(mixture, logistic.mean, logistic.scale, axes, axial)


@pytest.mark.parametrize(
    ("probability", "band"),
    [(0.0, "low"), (0.2999, "low"), (0.3, "indeterminate"), (0.7, "high"), (1.0, "high")],
)
def test_bands(probability: float, band: str) -> None:
    assert band_of(probability, BandConfig()) == band


def test_scan_probability_depends_on_its_most_suspicious_third_and_its_share() -> None:
    config = replace(ScanConfig(), share_weight=0.5)
    logits = np.array([-3.0, -3.0, 2.0, -3.0, 1.0, -3.0])
    # A third of six slices: 2 and 1; a share of e times the half share adds its steepness.
    share = config.half_share * math.e
    expected = 0.5 * 1.5 + 0.5 * config.share_steepness
    assert scan_logit(logits, share, config) == pytest.approx(expected)
    assert scan_logit(logits, float("nan"), config) == pytest.approx(1.5)
    assert scan_logit(logits, 0.5, config) > scan_logit(logits, 0.0, config)


def test_slices_with_little_lung_are_not_looked_at() -> None:
    lung = np.array([0, 10, 50, 100, 90, 45, 5, 0])
    config = ScanConfig()
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
    from core.classification.data import compute_features
    from core.classification.network import build_encoder
    from core.classification.publish import publish_classifier
    from core.classification.train import ClassifierTrainConfig, TrainedClassifier, build_maps
    from core.segmentation.graph import describe_graph
    from core.segmentation.weights import find_weights

    model = ClassifierModelConfig(side=32, depth=2, width=4)
    encoder = build_encoder(model)
    arrays = {variable.path: np.asarray(variable) for variable in encoder.weights}
    maps = build_maps(describe_graph(encoder), arrays, model)
    frames = np.random.default_rng(5).integers(0, 256, (24, 32, 32, 3), dtype=np.uint8)
    frames[::2, :16, :, 0] = 0
    rows = compute_features(frames, maps, with_masks=True)
    logistic = fit_logistic(rows, (np.arange(24) % 2).astype(np.int64), penalty=0.1)
    axes = main_axes(rows, logistic.mean, logistic.scale, components=4)
    axial = fit_axial(rows, -rows, axes=axes, mean=logistic.mean, scale=logistic.scale)
    mixture = Mixture(logistic, logistic, logistic, doubt=0.0)
    figures = {"auc": 0.5, "accuracy": 0.5, "f1": 0.5, "slices": 2}
    figures |= {f"{name}_interval": [0.4, 0.6] for name in ("auc", "accuracy", "f1")}
    one = {"ece": 0.1, "brier": 0.2, "reliability": []}
    record = {
        "fit": to_json_dict(FitConfig()),
        "results": {"classifier, both → ucsd": figures},
        "validation": {"ucsd": figures, "sars": figures},
        "calibration": {"ucsd": {"before": one, "after": one}},
        "abstaining": {
            "held_out_pictures": 1,
            "of_these_judged": 1.0,
            "out_of_distribution": 1,
            "of_these_refused": 1.0,
        },
    }
    folder = tmp_path_factory.mktemp("weights")
    publish_classifier(
        encoder,
        TrainedClassifier(
            assemble_head(mixture, logistic.mean, logistic.scale, axes, axial),
            2.0,
            BandConfig(),
            ScanConfig(),
            FitnessConfig(),
            record,
        ),
        folder / "tiny",
        ClassifierTrainConfig(model=model),
        segmentation=find_weights(),
        command="made by a test",
    )
    np.savez(folder / "frames.npz", frames=frames, logits=mixture.logits(rows))
    return folder


@pytest.mark.parametrize("engine", ["openvino", "keras"])
def test_stored_classifier_gives_what_was_fitted(tiny: Path, engine: str) -> None:
    info = find_classifier("tiny", folder=tiny)
    classifier = load_from_info(info, engine=engine)  # type: ignore[arg-type]
    with np.load(tiny / "frames.npz") as kept:
        frames, logits = kept["frames"], kept["logits"]
    predicted = classifier.predict(frames)
    # Kernels are stored as float16, which is three digits.
    np.testing.assert_allclose(predicted.logits, logits, atol=0.05)
    np.testing.assert_allclose(
        classifier.probability(predicted.logits), to_probability(logits, temperature=2.0), atol=0.02
    )
    assert predicted.evidence.shape == (24, 8, 8)
    labels = (np.arange(24) % 2).astype(np.int64)
    assert area_under_curve(labels, predicted.logits) > 0.95
    assert load_from_info(info, engine=engine) is classifier  # type: ignore[arg-type]


def test_damaged_classifier_is_refused(tiny: Path, tmp_path: Path) -> None:
    import shutil

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
    import shutil

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


def test_classifiers_are_no_segmentation_weights(tiny: Path) -> None:
    from core.segmentation.weights import list_weights

    assert list_weights(tiny) == ()
    with pytest.raises(WeightsError, match="No classifier"):
        find_classifier(folder=tiny / "tiny")


@pytest.mark.parametrize("architecture", ["unet", "unetpp"])
def test_transfer_copies_the_very_arrays(architecture: Literal["unet", "unetpp"]) -> None:
    """Of a U-Net the contracting half, of a U-Net++ its column, which has the same layers."""
    from core.classification.network import start_encoder, transfer_encoder
    from core.config import ModelConfig
    from core.segmentation.models import build_model

    source = ModelConfig(architecture=architecture, depth=2, width=4)
    arrays = {
        variable.path: np.asarray(variable)
        for variable in build_model(source, rows=32, columns=32).weights
    }
    config = ClassifierModelConfig(side=32, depth=2, width=4)
    encoder = start_encoder(config, None, seed=1)
    assert transfer_encoder(encoder, arrays, source=source, config=config) == len(encoder.weights)
    by_path = {variable.path: np.asarray(variable) for variable in encoder.weights}
    first, last = ("down0", "bottom") if architecture == "unet" else ("x0_0", "x2_0")
    for ours, theirs in (("x0_0", first), ("x2_0", last)):
        np.testing.assert_array_equal(
            by_path[f"{ours}_conv1/kernel"], arrays[f"{theirs}_conv1/kernel"]
        )
    with pytest.raises(WeightsError, match="depth 2"):
        transfer_encoder(encoder, arrays, source=source, config=replace(config, depth=1))
