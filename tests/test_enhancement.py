"""CLAHE: local contrast up, range kept, nothing moved."""

from __future__ import annotations

import numpy as np
import pytest

from core.config import ClaheConfig
from core.enhancement import apply_clahe


def faint_checks() -> np.ndarray:
    """Squares of 8 pixels that differ by 8 grey levels."""
    rows, columns = np.indices((128, 160)) // 8
    return (100 + 8 * ((rows + columns) % 2)).astype(np.uint8)


def test_faint_differences_grow_with_the_clip_limit() -> None:
    grey = faint_checks()
    bright, dark = grey == 108, grey == 100
    contrast = []
    for limit in (1.0, 4.0, 16.0):
        result = apply_clahe(grey, ClaheConfig(clip_limit=limit, tile_grid=4)).astype(float)
        contrast.append(result[bright].mean() - result[dark].mean())
    assert 0 < contrast[0] < contrast[1] < contrast[2]
    assert contrast[2] > 16


@pytest.mark.parametrize("shape", [(64, 64), (61, 97), (16, 300)])
def test_shape_and_type_stay(shape: tuple[int, int]) -> None:
    grey = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    before = grey.copy()
    result = apply_clahe(grey, ClaheConfig())
    assert result.shape == shape
    assert result.dtype == np.uint8
    assert np.array_equal(grey, before)


def test_brighter_stays_brighter_within_one_tile() -> None:
    ramp = np.tile(np.arange(256, dtype=np.uint8), (64, 1))
    result = apply_clahe(ramp, ClaheConfig(clip_limit=3.0, tile_grid=1))
    assert (np.diff(result[0].astype(int)) >= 0).all()


def test_views_and_transposes_are_taken() -> None:
    grey = np.random.default_rng(1).integers(0, 256, (90, 70), dtype=np.uint8)
    straight = apply_clahe(np.ascontiguousarray(grey.T), ClaheConfig())
    assert np.array_equal(apply_clahe(grey.T, ClaheConfig()), straight)
