"""Losses against numbers worked out by hand, and silence where truth is unknown."""

from __future__ import annotations

import keras
import numpy as np
import numpy.typing as npt
import pytest
from keras import ops

from core.losses import UNKNOWN, BinaryCrossentropyDice, binary_crossentropy, soft_dice_loss

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
    both = value(BinaryCrossentropyDice()(truth, guess))
    parts = value(binary_crossentropy(truth, guess)) + value(soft_dice_loss(truth, guess))
    assert both == pytest.approx(parts, rel=1e-6)


def test_perfect_prediction_costs_nothing() -> None:
    truth = (np.random.default_rng(0).random((2, 8, 8, 2)) < 0.3).astype(np.float32)
    assert value(BinaryCrossentropyDice()(truth, truth)) == pytest.approx(0, abs=1e-4)
    assert value(BinaryCrossentropyDice()(truth, 1 - truth)) > 5


def test_nothing_there_and_nothing_said_costs_nothing() -> None:
    none = np.zeros((2, 8, 8, 2), dtype=np.float32)
    assert value(BinaryCrossentropyDice()(none, none)) == pytest.approx(0, abs=1e-4)


def test_a_channel_that_is_known_nowhere_costs_nothing() -> None:
    truth = np.full((2, 4, 4, 2), UNKNOWN, dtype=np.float32)
    assert value(BinaryCrossentropyDice()(truth, np.full_like(truth, 0.7))) == pytest.approx(
        0, abs=1e-5
    )


def test_unknown_slices_count_neither_in_sum_nor_in_mean() -> None:
    generator = np.random.default_rng(4)
    truth = (generator.random((3, 6, 6, 2)) < 0.4).astype(np.float32)
    guess = generator.random((3, 6, 6, 2)).astype(np.float32)
    hidden = truth.copy()
    hidden[2] = UNKNOWN
    for loss in (binary_crossentropy, soft_dice_loss, BinaryCrossentropyDice()):
        assert value(loss(hidden, guess)) == pytest.approx(
            value(loss(truth[:2], guess[:2])), rel=1e-5
        )


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="gradients are TensorFlow's")
def test_unknown_lung_teaches_the_lung_channel_nothing() -> None:
    import tensorflow as tf

    generator = np.random.default_rng(4)
    truth = (generator.random((2, 6, 6, 2)) < 0.4).astype(np.float32)
    truth[1, ..., 0] = UNKNOWN
    guess = tf.Variable(generator.uniform(0.1, 0.9, (2, 6, 6, 2)).astype(np.float32))
    with tf.GradientTape() as tape:
        loss = BinaryCrossentropyDice()(truth, guess)
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
    assert np.isfinite(value(BinaryCrossentropyDice()(truth, np.full_like(truth, wrong))))


def test_survives_saving() -> None:
    loss = keras.losses.deserialize(keras.losses.serialize(BinaryCrossentropyDice()))
    truth, guess = batch([1, 0], [0, 1]), batch([0.6, 0.3], [0.2, 0.9])
    assert isinstance(loss, BinaryCrossentropyDice)
    assert value(loss(truth, guess)) == value(BinaryCrossentropyDice()(truth, guess))
