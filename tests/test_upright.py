"""Which way is up, on drawn chests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.loading import load_pictures
from core.preprocessing.upright import CELLS, coarse_picture, rule_of_uprightness, uprightness
from core.segmentation.engines import load_engine
from core.segmentation.turning import find_quarter_turns
from core.segmentation.weights import find_weights
from core.training.mixture.sources import LabelledStudy
from core.training.uprightness import fit_uprightness, read_positions
from tests.studies import demo_study


def chest(*, doubt: bool = False, spine: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Two lungs with a bright spine between and behind them, (2, 96, 128): grey and probability."""
    grey = np.full((2, 96, 128), 150, dtype=np.uint8)
    lung = np.zeros((2, 96, 128), dtype=np.uint8)
    for columns in (slice(16, 54), slice(74, 112)):
        grey[:, 20:76, columns] = 40
        lung[:, 20:76, columns] = 140 if doubt else 250
    if spine:
        grey[:, 60:80, 57:71] = 250
    return grey, lung


def upside_down(pair: tuple[np.ndarray, np.ndarray]) -> list[np.ndarray]:
    return [slices[:, ::-1, ::-1] for slices in pair]


def test_a_spine_below_is_upright() -> None:
    assert rule_of_uprightness(*chest()) > rule_of_uprightness(*upside_down(chest()))


def test_doubt_outweighs_the_spine() -> None:
    """On its side a network doubts its lungs, and no spine makes up for that."""
    assert rule_of_uprightness(*upside_down(chest())) > rule_of_uprightness(*chest(doubt=True))


def test_without_a_spine_both_ways_are_alike() -> None:
    pair = chest(spine=False)
    assert rule_of_uprightness(*pair) == pytest.approx(rule_of_uprightness(*upside_down(pair)))


def test_no_lung_is_no_reason_to_fail() -> None:
    empty = np.zeros((1, 32, 32), dtype=np.uint8)
    assert uprightness(empty, empty) == 0.0


def test_slices_count_alike() -> None:
    grey, lung = chest()
    both = uprightness(np.concatenate([grey, grey]), np.concatenate([lung, lung]))
    assert both == pytest.approx(uprightness(grey, lung))


def test_a_coarse_picture_shows_what_is_not_empty() -> None:
    frame = np.zeros((40, 60), dtype=np.uint8)
    frame[10:34, 6:54] = 100
    lung = np.zeros_like(frame)
    lung[10:22, 6:54] = 255
    picture = coarse_picture(frame, lung).reshape(2, CELLS, CELLS)
    np.testing.assert_allclose(picture[0, : CELLS // 2], 1.0, atol=0.01)
    np.testing.assert_allclose(picture[0, CELLS // 2 :], 0.0, atol=0.01)
    np.testing.assert_allclose(picture[1], 0.0)


def test_the_fitted_weights_choose_the_upright_position(monkeypatch: pytest.MonkeyPatch) -> None:
    study = demo_study((128, 128, 24))
    assert study.truth is not None
    labelled = LabelledStudy("demo", "demo", "whole_chest", study.volume, study.truth)
    monkeypatch.setattr("core.training.uprightness.read_studies", lambda data: [labelled])
    segmenter = load_engine(find_weights())
    positions, sources = read_positions(Path("unread"), segmenter)
    assert positions.shape == (len(sources), 4, 2 * CELLS * CELLS)
    assert set(sources) == {"whole_chest"}
    weights = fit_uprightness(positions)
    assert ((positions @ weights.astype(np.float32)).argmax(axis=1) == 0).all()
    # Shuffled positions have nothing in common: what is fitted to them chooses by chance.
    mixed = np.stack([np.roll(four, n, axis=0) for n, four in enumerate(positions)])
    chosen = (positions @ fit_uprightness(mixed).astype(np.float32)).argmax(axis=1) == 0
    assert chosen.mean() < 0.9


@pytest.mark.real_data
def test_pictures_of_patients_not_fitted_to_are_turned(real_data: Path) -> None:
    """The MedSeg slices lie with the spine to the right; the fit has not used them."""
    segmenter = load_engine(find_weights())
    files = sorted((real_data / "medseg100_train" / "images").glob("*.jpg"))[::5]
    if not files:
        pytest.skip("no MedSeg slices")
    lying = [load_pictures([file]) for file in files]
    assert set(find_quarter_turns(lying, segmenter)) == {1}
