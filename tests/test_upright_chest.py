"""The weights by which the way a chest lies is recognised can be fitted again."""

from __future__ import annotations

import numpy as np
import pytest

from core.loading import upright_chest
from core.loading.upright_chest import CELLS, CHANNELS, TURNS, UPRIGHT, coarse_picture, find_turn
from core.training.upright_chest import fit_upright_chest
from tests.studies import demo_study


def test_weights_fitted_to_one_chest_recognise_it(monkeypatch: pytest.MonkeyPatch) -> None:
    hu = np.asarray(demo_study((128, 128, 48)).volume.array)[::2, ::2, ::2].astype(np.float32)
    weights = fit_upright_chest([hu], ["demo"], copies=4)
    assert weights.shape == (CHANNELS * CELLS**3,)
    laid = weights.reshape(CHANNELS, CELLS, CELLS, CELLS)
    np.testing.assert_allclose(laid, laid[:, ::-1], atol=2e-3)  # left and right count as one
    monkeypatch.setattr(upright_chest, "_weights", lambda: weights.astype(np.float64))
    assert find_turn(hu) == TURNS[UPRIGHT]
    assert find_turn(hu[:, ::-1, ::-1]) == ((0, 1, 2), (1, -1, -1))
    same = fit_upright_chest([hu], ["demo"], copies=4)
    np.testing.assert_array_equal(same, weights)


def test_a_coarse_picture_does_not_depend_on_the_size_of_voxels() -> None:
    hu = np.asarray(demo_study((128, 128, 48)).volume.array).astype(np.float32)
    fine, coarse = coarse_picture(hu), coarse_picture(hu[::2, ::2, ::2])
    assert fine is not None
    assert coarse is not None
    assert np.corrcoef(fine.ravel(), coarse.ravel())[0, 1] > 0.8
