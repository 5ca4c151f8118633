"""Which way is up, on drawn chests."""

from __future__ import annotations

import numpy as np
import pytest

from core.preprocessing.upright import uprightness


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
    assert uprightness(*chest()) > uprightness(*upside_down(chest()))


def test_doubt_outweighs_the_spine() -> None:
    """On its side a network doubts its lungs, and no spine makes up for that."""
    assert uprightness(*upside_down(chest())) > uprightness(*chest(doubt=True))


def test_without_a_spine_both_ways_are_alike() -> None:
    pair = chest(spine=False)
    assert uprightness(*pair) == pytest.approx(uprightness(*upside_down(pair)))


def test_no_lung_is_no_reason_to_fail() -> None:
    empty = np.zeros((1, 32, 32), dtype=np.uint8)
    assert uprightness(empty, empty) == 0.0


def test_slices_count_alike() -> None:
    grey, lung = chest()
    both = uprightness(np.concatenate([grey, grey]), np.concatenate([lung, lung]))
    assert both == pytest.approx(uprightness(grey, lung))
