"""The learning-rate range test: on made curves with a known answer, and on a tiny network."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.config import ModelConfig, RangeTestConfig
from core.errors import Cancelled, ConfigError
from core.training.lr_range import has_diverged, range_csv, run_range_test, smooth, suggest_rate
from tests.training_data import TINY, UNCHANGED, write_training_folder

pytestmark = pytest.mark.usefixtures("eager")

RATES = np.geomspace(1e-6, 1.0, 121)


def curve(fall_at: float) -> np.ndarray:
    """Falls from 1.5 to 0.5 around one rate, and explodes above 0.1."""
    position = np.log10(RATES) - math.log10(fall_at)
    explosion = np.exp(np.minimum(8 * np.log10(RATES / 0.1), 50))
    return np.asarray(1.0 - 0.5 * np.tanh(3 * position) + explosion)


@pytest.mark.parametrize("fall_at", [1e-4, 1e-3, 5e-3])
def test_steepest_fall_is_suggested(fall_at: float) -> None:
    found = suggest_rate(RATES, curve(fall_at))
    # The running mean lags by about ten of the 120 batches, half a decade.
    assert fall_at <= found.suggestion <= 5 * fall_at
    assert found.smoothed.shape == RATES.shape


@pytest.mark.parametrize(
    "losses", [np.full(121, 1.2), np.linspace(1.0, 5.0, 121)], ids=["flat", "only worse"]
)
def test_nothing_is_suggested_where_the_loss_never_falls(losses: np.ndarray) -> None:
    assert math.isnan(suggest_rate(RATES, losses).suggestion)


def test_losses_that_are_not_finite_are_left_out() -> None:
    losses = curve(1e-3)
    losses[-5:] = np.nan
    found = suggest_rate(RATES, losses)
    assert np.isnan(found.smoothed[-5:]).all()
    assert 1e-3 <= found.suggestion <= 5e-3
    assert math.isnan(suggest_rate(RATES[:4], np.full(4, np.nan)).suggestion)


def test_table_can_be_read_back() -> None:
    losses = curve(1e-3)
    losses[-1] = np.nan
    rows = list(csv.DictReader(io.StringIO(range_csv(suggest_rate(RATES, losses)))))
    assert len(rows) == len(RATES)
    assert float(rows[60]["learning_rate"]) == pytest.approx(1e-3)
    assert float(rows[0]["loss"]) == pytest.approx(losses[0], rel=1e-4)
    assert (rows[-1]["loss"], rows[-1]["smoothed_loss"]) == ("", "")


def test_running_mean_has_no_bias_towards_zero() -> None:
    np.testing.assert_allclose(smooth(np.full(50, 0.7)), 0.7)
    assert smooth(np.array([1.0, 0.0]))[1] == pytest.approx(0.9 / 1.9)


@pytest.mark.parametrize(
    ("losses", "expected"),
    [([1.0, 0.9, 0.8], False), ([1.0, math.nan], True), ([1.0] * 5 + [400.0], True)],
)
def test_divergence_is_recognised(losses: list[float], expected: bool) -> None:
    assert has_diverged(losses) is expected


def test_a_range_test_of_a_tiny_network_runs_and_can_be_stopped(tmp_path: Path) -> None:
    data = write_training_folder(tmp_path / "data")
    network = ModelConfig(depth=1, width=2, normalization="none")
    training = replace(TINY, model=network, augment=UNCHANGED)
    config = RangeTestConfig(lowest=1e-5, highest=1e-1, batches=10)
    batches_done: list[int] = []
    found = run_range_test(
        data, training, config, on_progress=lambda stage, done, total: batches_done.append(done)
    )
    assert len(found.rates) == len(found.losses) <= 10
    np.testing.assert_allclose(found.rates, np.geomspace(1e-5, 1e-1, 10)[: len(found.rates)])
    assert batches_done[-1] == 10
    assert np.ptp(found.losses) > 0
    with pytest.raises(Cancelled, match="learning rates"):
        run_range_test(data, training, config, should_cancel=lambda: True)


@pytest.mark.parametrize(
    "settings", [{"lowest": 0.0}, {"lowest": 1.0, "highest": 0.1}, {"batches": 3}]
)
def test_empty_ranges_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        RangeTestConfig(**settings)  # type: ignore[arg-type]
