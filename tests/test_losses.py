"""Losses against numbers worked out by hand, and silence where truth is unknown."""

from __future__ import annotations

import keras
import numpy as np
import numpy.typing as npt
import pytest
from keras import ops

from core.config import LossConfig
from core.errors import ConfigError
from core.training.losses import (
    UNKNOWN,
    SegmentationLoss,
    binary_crossentropy,
    build_loss,
    focal_tversky_loss,
    soft_dice_loss,
    tversky_loss,
)

KINDS = ("bce", "dice", "bce_dice", "tversky", "focal_tversky")

Batch = npt.NDArray[np.float32]


def batch(lung: list[float], infection: list[float]) -> Batch:
    """(1, 1, n, 2)"""
    return np.array([lung, infection], dtype=np.float32).T[None, None]


def value(loss: object) -> float:
    return float(ops.convert_to_numpy(loss))


def test_cross_entropy_by_hand() -> None:
    truth = batch([1, 0], [0, 0])
    guess = batch([0.8, 0.4], [0.1, 0.5])
    lung = -(np.log(0.8) + np.log(0.6)) / 2
    infection = -(np.log(0.9) + np.log(0.5)) / 2
    assert value(binary_crossentropy(truth, guess)) == pytest.approx(
        (lung + infection) / 2, rel=1e-5
    )


def test_dice_by_hand() -> None:
    truth = batch([1, 1, 0, 0], [0, 0, 0, 1])
    guess = batch([0.9, 0.7, 0.2, 0.2], [0.0, 0.5, 0.0, 0.5])
    lung = 1 - (2 * 1.6 + 1) / (2 + 2 + 1)
    infection = 1 - (2 * 0.5 + 1) / (1 + 1 + 1)
    assert value(soft_dice_loss(truth, guess)) == pytest.approx((lung + infection) / 2, rel=1e-5)


def test_dice_is_of_the_batch_and_not_of_each_slice() -> None:
    """An infection-free slice that is rightly left empty neither adds nor takes."""
    truth = np.zeros((2, 1, 4, 2), dtype=np.float32)
    truth[0, 0, :3] = 1
    guess = truth * 0.8
    alone = value(soft_dice_loss(truth[:1], guess[:1]))
    assert value(soft_dice_loss(truth, guess)) == pytest.approx(alone, rel=1e-6)


def test_both_are_summed() -> None:
    truth, guess = batch([1, 0], [0, 1]), batch([0.6, 0.3], [0.2, 0.9])
    both = value(SegmentationLoss()(truth, guess))
    parts = value(binary_crossentropy(truth, guess)) + value(soft_dice_loss(truth, guess))
    assert both == pytest.approx(parts, rel=1e-6)


def test_tversky_by_hand() -> None:
    """Hit 1.6, false 0.4, missed 0.4 in the lung; hit 0.5, false 0.5, missed 0.5 in infection."""
    truth = batch([1, 1, 0, 0], [0, 0, 0, 1])
    guess = batch([0.9, 0.7, 0.2, 0.2], [0.0, 0.5, 0.0, 0.5])
    lung = 1 - (1.6 + 0.5) / (1.6 + 0.2 * 0.4 + 0.8 * 0.4 + 0.5)
    infection = 1 - (0.5 + 0.5) / (0.5 + 0.2 * 0.5 + 0.8 * 0.5 + 0.5)
    assert value(tversky_loss(truth, guess, alpha=0.2)) == pytest.approx(
        (lung + infection) / 2, rel=1e-5
    )
    assert value(focal_tversky_loss(truth, guess, alpha=0.2, gamma=2.0)) == pytest.approx(
        (lung**0.5 + infection**0.5) / 2, rel=1e-5
    )


def test_small_alpha_forgives_what_is_falsely_marked() -> None:
    truth = batch([1, 1, 0, 0], [1, 1, 0, 0])
    too_much, too_little = batch([1, 1, 1, 0], [1, 1, 1, 0]), batch([1, 0, 0, 0], [1, 0, 0, 0])
    assert value(tversky_loss(truth, too_much, alpha=0.2)) < value(
        tversky_loss(truth, too_little, alpha=0.2)
    )
    assert value(tversky_loss(truth, too_much, alpha=0.9)) > value(
        tversky_loss(truth, too_little, alpha=0.9)
    )


@pytest.mark.parametrize("kind", KINDS)
def test_perfect_prediction_costs_nothing(kind: str) -> None:
    truth = (np.random.default_rng(0).random((2, 8, 8, 2)) < 0.3).astype(np.float32)
    loss = SegmentationLoss(kind)
    assert value(loss(truth, truth)) == pytest.approx(0, abs=1e-4)
    assert value(loss(truth, 1 - truth)) > 0.9


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_there_and_nothing_said_costs_nothing(kind: str) -> None:
    none = np.zeros((2, 8, 8, 2), dtype=np.float32)
    assert value(SegmentationLoss(kind)(none, none)) == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_a_channel_that_is_known_nowhere_costs_nothing(kind: str) -> None:
    truth = np.full((2, 4, 4, 2), UNKNOWN, dtype=np.float32)
    assert value(SegmentationLoss(kind)(truth, np.full_like(truth, 0.7))) == pytest.approx(
        0, abs=1e-4
    )


def test_unknown_slices_count_neither_in_sum_nor_in_mean() -> None:
    generator = np.random.default_rng(4)
    truth = (generator.random((3, 6, 6, 2)) < 0.4).astype(np.float32)
    guess = generator.random((3, 6, 6, 2)).astype(np.float32)
    hidden = truth.copy()
    hidden[2] = UNKNOWN
    for loss in map(SegmentationLoss, KINDS):
        assert value(loss(hidden, guess)) == pytest.approx(
            value(loss(truth[:2], guess[:2])), rel=1e-5
        )


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="gradients are TensorFlow's")
@pytest.mark.parametrize("kind", KINDS)
def test_unknown_lung_gives_the_lung_channel_no_gradient(kind: str) -> None:
    import tensorflow as tf

    generator = np.random.default_rng(4)
    truth = (generator.random((2, 6, 6, 2)) < 0.4).astype(np.float32)
    truth[1, ..., 0] = UNKNOWN
    guess = tf.Variable(generator.uniform(0.1, 0.9, (2, 6, 6, 2)).astype(np.float32))
    with tf.GradientTape() as tape:
        loss = SegmentationLoss(kind)(truth, guess)
    gradient = tape.gradient(loss, guess).numpy()
    assert not gradient[1, ..., 0].any()
    assert (gradient[0] != 0).all()
    assert (gradient[1, ..., 1] != 0).all()
    # Downhill is towards the truth.
    assert (gradient[0][truth[0] == 1] < 0).all()
    assert (gradient[0][truth[0] == 0] > 0).all()


@pytest.mark.parametrize("wrong", [0.0, 1.0])
def test_certain_and_wrong_stays_finite(wrong: float) -> None:
    truth = np.full((1, 4, 4, 2), 1 - wrong, dtype=np.float32)
    for loss in map(SegmentationLoss, KINDS):
        assert np.isfinite(value(loss(truth, np.full_like(truth, wrong))))


@pytest.mark.parametrize("kind", KINDS)
def test_survives_saving(kind: str) -> None:
    made = build_loss(LossConfig(kind=kind, alpha=0.2, gamma=1.5))  # type: ignore[arg-type]
    loss = keras.losses.deserialize(keras.losses.serialize(made))
    truth, guess = batch([1, 0, 0], [0, 1, 1]), batch([0.6, 0.3, 0.1], [0.2, 0.9, 0.3])
    assert isinstance(loss, SegmentationLoss)
    assert value(loss(truth, guess)) == value(made(truth, guess))


def test_kinds_differ() -> None:
    truth, guess = batch([1, 0, 0], [0, 1, 1]), batch([0.6, 0.3, 0.1], [0.2, 0.9, 0.3])
    assert len({round(value(SegmentationLoss(kind)(truth, guess)), 6) for kind in KINDS}) == 5


@pytest.mark.parametrize("settings", [{"alpha": 0.0}, {"alpha": 1.0}, {"gamma": 0.5}])
def test_settings_out_of_range_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="out of range"):
        LossConfig(**settings)  # type: ignore[arg-type]


def test_heads_count_alike() -> None:
    truth, good, bad = batch([1, 0], [0, 1]), batch([0.9, 0.1], [0.2, 0.8]), batch([0, 1], [1, 0])
    loss = SegmentationLoss()
    both = np.concatenate([good, bad], axis=-1)
    assert value(loss(truth, both)) == pytest.approx(
        (value(loss(truth, good)) + value(loss(truth, bad))) / 2, rel=1e-6
    )


def test_an_unknown_loss_is_refused() -> None:
    with pytest.raises(ConfigError, match="Unknown loss"):
        SegmentationLoss("hinge")
