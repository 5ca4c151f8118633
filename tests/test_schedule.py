"""Learning rates against numbers worked out by hand, under numpy and under Keras."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from core.config import ScheduleConfig, to_json_dict
from core.errors import ConfigError
from core.training.fit import LearningRateSchedule
from core.training.schedule import learning_rate_at, learning_rates

KINDS = ("constant", "exponential", "cosine", "cosine_restarts")


def rate(step: float, kind: str, **settings: float) -> float:
    config = ScheduleConfig(kind=kind, **settings)  # type: ignore[arg-type]
    return float(learning_rate_at(step, config, peak=2.0, warmup_steps=100, total_steps=1100))


@pytest.mark.parametrize("kind", KINDS)
def test_warm_up_is_a_straight_line_to_the_full_rate(kind: str) -> None:
    assert rate(0, kind) == pytest.approx(0.02)
    assert rate(50, kind) == pytest.approx((0.02 + 2.0) / 2)
    assert rate(100, kind) == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("kind", "middle", "end"),
    [("constant", 2.0, 2.0), ("exponential", 0.2, 0.02), ("cosine", (2.0 + 0.02) / 2, 0.02)],
)
def test_middle_and_end(kind: str, middle: float, end: float) -> None:
    assert rate(600, kind) == pytest.approx(middle)
    assert rate(1100, kind) == pytest.approx(end)
    assert rate(5000, kind) == pytest.approx(end)


def test_restarts_begin_anew_and_grow() -> None:
    """Cycles of 1/7, 2/7 and 4/7 of the thousand steps after warm-up."""
    seventh = 1000 / 7
    for start, length in ((0, 1), (1, 2), (3, 4)):
        begin, middle = 100 + seventh * start, 100 + seventh * (start + length / 2)
        assert rate(begin + 0.01, "cosine_restarts") == pytest.approx(2.0, rel=1e-3)
        assert rate(middle, "cosine_restarts") == pytest.approx(1.01, rel=1e-3)
        end = begin + seventh * length - 0.01
        assert rate(end, "cosine_restarts") == pytest.approx(0.02, rel=1e-2)


def test_equal_cycles() -> None:
    at = [
        rate(100 + 250 * n + 125, "cosine_restarts", cycles=4, cycle_growth=1.0) for n in range(4)
    ]
    assert at == pytest.approx([1.01] * 4)


@pytest.mark.parametrize("kind", KINDS)
def test_keras_computes_the_same_and_keeps_it_through_saving(kind: str) -> None:
    config = ScheduleConfig(kind=kind)  # type: ignore[arg-type]
    made = LearningRateSchedule(to_json_dict(config), peak=2.0, warmup_steps=100, total_steps=1100)
    kept = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(made))
    for step in (0, 30, 100, 333, 700, 1099, 1100):
        assert float(made(step)) == pytest.approx(rate(step, kind), rel=1e-3)
        assert float(kept(step)) == float(made(step))


def test_drawing_covers_the_run() -> None:
    epochs, rates = learning_rates(ScheduleConfig(), peak=1e-3, warmup_epochs=2, epochs=10)
    assert (epochs[0], epochs[-1]) == (0, 10)
    assert epochs[np.argmax(rates)] == pytest.approx(2.0, abs=0.05)
    assert rates[-1] == pytest.approx(1e-5)


@pytest.mark.parametrize("settings", [{"final_share": 0.0}, {"cycles": 0}, {"cycle_growth": 0.5}])
def test_settings_out_of_range_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="out of range"):
        ScheduleConfig(**settings)  # type: ignore[arg-type]
