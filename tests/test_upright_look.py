"""The glance that spares upright pictures the network's look at all four positions."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from core.segmentation.upright_look import SIDE, surely_upright, thumbnail_of


def test_a_thumbnail_does_not_depend_on_the_window() -> None:
    rows, columns = np.indices((120, 160))
    picture = (60 + rows // 2 + columns // 4).astype(np.uint8)
    one = thumbnail_of(picture)
    assert one.shape == (SIDE, SIDE)
    assert float(one.mean()) == pytest.approx(0, abs=1e-5)
    np.testing.assert_allclose(thumbnail_of(picture + np.uint8(60)), one, atol=0.1)


def test_what_shows_nothing_is_not_surely_upright() -> None:
    assert not surely_upright([np.zeros((64, 64), np.uint8)])


@pytest.mark.real_data
def test_most_upright_pictures_are_told_and_few_turned_ones(real_data: Path) -> None:
    """Pictures of a set that the line was not fitted on: stored turned by 90°."""
    paths = sorted((real_data / "medseg100_train" / "images").glob("*.jpg"))
    stored = [cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in paths]
    assert len(stored) == 50
    upright = [np.ascontiguousarray(np.rot90(one, -1)) for one in stored]
    told = np.mean([surely_upright([one]) for one in upright])
    assert told > 0.2
    for turns in (1, 2, 3):
        turned = [np.ascontiguousarray(np.rot90(one, turns)) for one in upright]
        assert np.mean([surely_upright([one]) for one in turned]) <= min(0.06, told / 3)
