"""Quarter turns among the steps that move pixels: made as by hand, and undone to the voxel."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core.config import EnhanceConfig, PostprocessConfig, PreprocessConfig
from core.preprocessing.model_input import build_model_input, build_model_mask
from core.preprocessing.roi import BoundingBox
from core.preprocessing.spatial import (
    cut_slice,
    plan_spatial,
    restore_slice,
    restore_whole_slice,
    turn_volume,
)
from core.segmentation.postprocess import restore_masks
from core.volume import Volume
from tests.spheres import make_volume

SQUARE = PreprocessConfig(rows=128, columns=128, crop="none")
BODY = PreprocessConfig(rows=96, columns=128, enhance=EnhanceConfig("clahe"), smooth_sigma=0.7)
TURNS = pytest.mark.parametrize("turns", [0, 1, 2, 3])


def body() -> Volume:
    """A bright oval off the centre of slices that are wider than high, with a mark in it."""
    i, j, k = np.meshgrid(np.arange(150), np.arange(90), np.arange(3), indexing="ij")
    hu = np.full(i.shape, -1000, dtype=np.int16)
    hu[((i - 60) / 50) ** 2 + ((j - 50) / 30) ** 2 < 1] = 20
    hu[(i - 40) ** 2 + (j - 40) ** 2 < 60] = -600
    return make_volume(np.asfortranarray(hu + k.astype(np.int16)), np.diag([-1.0, -1.0, 5.0, 1.0]))


def test_a_turn_is_clockwise() -> None:
    array = np.zeros((30, 20, 1), dtype=np.int16)
    array[2, 3, 0] = 7  # column 2, row 3 of 30 columns and 20 rows
    turned = turn_volume(make_volume(np.asfortranarray(array)), 1)
    assert turned.shape == (20, 30, 1)
    # What was at the top is on the right, what was on the left is at the top.
    assert np.argwhere(turned.array == 7).tolist() == [[20 - 1 - 3, 2, 0]]


@TURNS
@pytest.mark.parametrize("config", [SQUARE, BODY], ids=["whole", "body"])
def test_input_is_that_of_slices_turned_beforehand(config: PreprocessConfig, turns: int) -> None:
    volume = body()
    upright = turn_volume(volume, turns)
    record = plan_spatial(volume, config, quarter_turns=turns)
    expected = plan_spatial(upright, config)
    assert (record.height, record.width) == (expected.height, expected.width)
    np.testing.assert_array_equal(
        build_model_input(volume, record, config, range(3)),
        build_model_input(upright, expected, config, range(3)),
    )


@TURNS
def test_the_box_lies_where_the_body_lies(turns: int) -> None:
    volume = body()
    record = plan_spatial(volume, replace(BODY, margin_mm=0.0), quarter_turns=turns)
    box = record.box
    assert record.slice_shape == (90, 150)
    assert np.abs(np.subtract((box.i_start, box.i_stop), (11, 110))).max() <= 3
    assert np.abs(np.subtract((box.j_start, box.j_stop), (21, 80))).max() <= 3


@TURNS
def test_an_even_fit_comes_back_to_the_voxel(turns: int) -> None:
    volume = make_volume(np.zeros((128, 96, 3), dtype=np.int16))
    mask = np.random.default_rng(2).random(volume.shape) < 0.4
    record = plan_spatial(volume, SQUARE, quarter_turns=turns)
    assert (record.height, record.width) == ((128, 96) if turns % 2 else (96, 128))
    frames = build_model_mask(mask, record, range(3))
    upright = np.rot90(mask[:, :, 0].T, -turns)
    top, left = (128 - upright.shape[0]) // 2, (128 - upright.shape[1]) // 2
    inner = frames[0][top : top + upright.shape[0], left : left + upright.shape[1]]
    assert np.array_equal(inner, upright)
    for k in range(3):
        assert np.array_equal(restore_slice(frames[k], record), mask[:, :, k].T)
        assert np.array_equal(restore_whole_slice(frames[k], record), mask[:, :, k])
        assert np.array_equal(cut_slice(mask[:, :, k], record), np.rot90(mask[:, :, k].T, -turns))


@TURNS
def test_a_crop_comes_back_to_its_place(turns: int) -> None:
    volume = body()
    mark = volume.array < -500
    mark &= volume.array > -700
    record = plan_spatial(volume, BODY, quarter_turns=turns)
    assert record.box != BoundingBox(0, 150, 0, 90)
    frames = build_model_mask(mark, record, range(3)) * np.uint8(255)
    config = PostprocessConfig(max_hole_fraction=0.0)
    found = restore_masks(np.stack([frames, frames]), record, config)
    assert found.lung is not None
    overlap = 2 * np.count_nonzero(found.lung & mark) / (found.lung.sum() + mark.sum())
    assert overlap >= 0.95
    np.testing.assert_array_equal(found.lung, found.infection)


@TURNS
def test_proportions_are_kept_in_millimetres(turns: int) -> None:
    """Pixels of 0.7 × 1.9 mm: whichever way the slice is turned, a frame pixel is a square."""
    volume = make_volume(np.zeros((97, 211, 2), dtype=np.int16), np.diag([-0.7, -1.9, 5.0, 1.0]))
    record = plan_spatial(volume, SQUARE, quarter_turns=turns)
    across, down = (97 * 0.7, 211 * 1.9)
    if turns % 2:
        across, down = down, across
    assert down / record.height == pytest.approx(
        across / record.width, rel=0.51 / min(record.height, record.width)
    )
    assert max(record.height, record.width) == 128


@TURNS
def test_turning_on_by_what_is_left_gives_the_volume_back(turns: int) -> None:
    volume = body()
    back = turn_volume(turn_volume(volume, turns), -turns)
    np.testing.assert_array_equal(back.array, volume.array)
