"""To the network's grid and back: grey levels, proportions in mm, places."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from core.config import EnhanceConfig, PostprocessConfig, PreprocessConfig
from core.errors import ConfigError
from core.preprocessing.enhancement import enhance
from core.preprocessing.model_input import (
    build_model_input,
    build_model_mask,
    window_to_grey,
)
from core.preprocessing.roi import BoundingBox, whole_slice_box
from core.preprocessing.spatial import plan_spatial, restore_slice
from core.segmentation.postprocess import restore_masks
from core.volume import BoolArray, Volume
from tests.spheres import AFFINES, GREY, ball, dice, make_volume

SMALL = PreprocessConfig(rows=96, columns=128)
WHOLE = replace(SMALL, crop="none")


def chest(shape: tuple[int, int, int], spacing_mm: tuple[float, float, float]) -> Volume:
    """A tissue ellipse in air with two dark ovals, noise throughout."""
    i, j, _ = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    hu = np.full(shape, -1000.0)
    hu[(i / 0.7) ** 2 + (j / 0.62) ** 2 < 1] = 30
    for side in (-1, 1):
        hu[((i - side * 0.32) / 0.24) ** 2 + (j / 0.42) ** 2 < 1] = -850
    hu += np.random.default_rng(5).normal(0, 20, shape)
    i_mm, j_mm, k_mm = spacing_mm
    return make_volume(np.rint(hu).astype(np.int16), np.diag([-i_mm, -j_mm, k_mm, 1.0]))


# ------------------------------------------------------------------ window


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_window_by_hand(dtype: type) -> None:
    hu = np.array([[-3024, -1250, -875, -500, -125, 250, 3000]], dtype=dtype)
    volume = make_volume(np.zeros((16, 16, 1), dtype=dtype))
    grey = window_to_grey(volume, hu, PreprocessConfig(window_center=-500, window_width=1500))
    assert grey.dtype == np.uint8
    assert grey.ravel().tolist() == pytest.approx([0, 0, 63.75, 127.5, 191.25, 255, 255], abs=0.51)


def test_grey_of_the_window_it_was_exported_with_stays() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    volume = make_volume(levels[:, :, None].copy(), intensity=GREY)
    config = PreprocessConfig(window_center=-500, window_width=1500)
    assert np.array_equal(window_to_grey(volume, levels, config), levels)


@pytest.mark.parametrize(("center", "width"), [(-500, 1500), (-600, 1500), (40, 400), (-500, 999)])
def test_grey_scan_is_seen_as_its_assumed_hu(center: float, width: float) -> None:
    config = PreprocessConfig(window_center=center, window_width=width)
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    grey_scan = make_volume(levels[:, :, None].copy(), intensity=GREY)
    hu = levels.astype(np.float32) * np.float32(1500 / 255) - 1250
    hu_scan = make_volume(hu[:, :, None].copy())
    by_grey = window_to_grey(grey_scan, levels, config).astype(int)
    by_hu = window_to_grey(hu_scan, hu, config).astype(int)
    assert np.abs(by_grey - by_hu).max() <= 1


def test_types_of_one_scan_agree() -> None:
    values = np.arange(256)
    volume = make_volume(np.zeros((16, 16, 1), dtype=np.int16), intensity=GREY)
    config = PreprocessConfig(window_center=-600, window_width=1300)
    results = [window_to_grey(volume, values.astype(t), config) for t in ("u1", "i2", "f4")]
    assert np.array_equal(results[0], results[1])
    assert np.array_equal(results[0], results[2])


def test_the_scan_itself_is_not_changed() -> None:
    volume = make_volume(np.linspace(-1000, 400, 768, dtype=np.float32).reshape(16, 16, 3).copy())
    before = volume.array.copy()
    build_model_input(volume, plan_spatial(volume, WHOLE), WHOLE, range(3))
    assert np.array_equal(volume.array, before)


# ------------------------------------------------------------------ frame


@pytest.mark.parametrize(
    ("shape", "spacing_mm"),
    [
        ((160, 120, 3), (1.0, 1.0, 3.0)),
        ((160, 120, 3), (0.7, 1.9, 3.0)),
        ((97, 211, 3), (2.2, 0.6, 1.0)),
        ((40, 300, 2), (1.0, 1.0, 1.0)),
        ((512, 512, 1), (0.68, 0.68, 5.0)),
    ],
)
@pytest.mark.parametrize("config", [SMALL, WHOLE], ids=["body", "none"])
def test_proportions_are_kept_in_millimetres(
    shape: tuple[int, int, int], spacing_mm: tuple[float, float, float], config: PreprocessConfig
) -> None:
    volume = chest(shape, spacing_mm)
    record = plan_spatial(volume, config)
    pixel_rows_mm = record.box.height * spacing_mm[1] / record.height
    pixel_columns_mm = record.box.width * spacing_mm[0] / record.width
    # The shorter side is rounded to a whole pixel.
    assert pixel_rows_mm == pytest.approx(
        pixel_columns_mm, rel=0.51 / min(record.height, record.width)
    )
    # One side fills the frame, the other is centred in it.
    assert record.height == config.rows or record.width == config.columns
    assert 0 <= config.rows - record.height - 2 * record.top <= 1
    assert 0 <= config.columns - record.width - 2 * record.left <= 1


def test_no_crop_takes_the_whole_slice() -> None:
    volume = chest((160, 120, 3), (1.0, 1.0, 3.0))
    assert plan_spatial(volume, WHOLE).box == whole_slice_box(volume)
    cropped = plan_spatial(volume, SMALL).box
    assert cropped.width < 140
    assert cropped.height < 100


def test_outside_the_box_is_black() -> None:
    volume = make_volume(np.full((64, 64, 2), 900, dtype=np.int16))
    record = plan_spatial(volume, WHOLE)
    frames = build_model_input(volume, record, WHOLE, range(2))
    assert frames.shape == (2, 96, 128)
    assert (record.top, record.left, record.height, record.width) == (0, 16, 96, 96)
    assert (frames[:, :, 16:112] == 255).all()
    assert not frames[:, :, :16].any()
    assert not frames[:, :, 112:].any()


@pytest.mark.parametrize(
    "chosen", [EnhanceConfig(), EnhanceConfig("clahe", clip_limit=3.0)], ids=["window", "clahe"]
)
def test_steps_in_their_order(chosen: EnhanceConfig) -> None:
    """Box, crop, window, enhance, resize, written out by hand."""
    volume = chest((200, 170, 3), (1.0, 1.0, 3.0))
    config = replace(SMALL, enhance=chosen)
    record = plan_spatial(volume, config)
    box = record.box
    cut = volume.array[box.i_start : box.i_stop, box.j_start : box.j_stop, 1].T
    low = config.window_center - config.window_width / 2
    grey = np.clip(np.rint((cut - low) / config.window_width * 255), 0, 255).astype(np.uint8)
    grey = enhance(grey, chosen)
    small = cv2.resize(grey, (record.width, record.height), interpolation=cv2.INTER_AREA)
    expected = np.zeros((config.rows, config.columns), dtype=int)
    expected[record.top : record.top + record.height, record.left : record.left + record.width] = (
        small
    )
    found = build_model_input(volume, record, config, [1])[0].astype(int)
    # Windowing in float32 may fall one level to the other side, which CLAHE then spreads.
    assert np.abs(found - expected).mean() < 0.05
    if chosen.method != "window":
        plain = build_model_input(volume, record, SMALL, [1])[0].astype(int)
        assert np.abs(found - plain).mean() > 1.0


def test_slices_come_in_the_order_asked_for() -> None:
    volume = chest((96, 80, 5), (1.0, 1.0, 3.0))
    record = plan_spatial(volume, SMALL)
    every = build_model_input(volume, record, SMALL, range(5))
    assert np.array_equal(build_model_input(volume, record, SMALL, [4, 0, 2]), every[[4, 0, 2]])
    assert build_model_input(volume, record, SMALL, []).shape == (0, 96, 128)


@pytest.mark.parametrize("size", [(100, 128), (16, 128), (0, 0)])
def test_sizes_that_do_not_fit_are_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ConfigError, match="multiples of 16"):
        PreprocessConfig(rows=size[0], columns=size[1])


# ------------------------------------------------------------------ there and back


def there_and_back(mask: BoolArray, volume: Volume, config: PreprocessConfig) -> BoolArray:
    record = plan_spatial(volume, config)
    frames = build_model_mask(mask, record, range(volume.shape[2]))
    assert set(np.unique(frames)) <= {0, 1}
    keep_all = PostprocessConfig(min_lung_part_fraction=0.0, max_hole_fraction=0.0)
    lung = restore_masks(np.stack([frames, frames]) * np.uint8(255), record, keep_all).lung
    assert lung is not None
    return lung


@pytest.mark.parametrize("config", [SMALL, WHOLE], ids=["body", "none"])
@pytest.mark.parametrize(
    ("shape", "spacing_mm"),
    [
        ((256, 256, 12), (1.4, 1.4, 6.0)),
        ((187, 233, 12), (1.9, 1.3, 6.0)),
        ((233, 187, 12), (1.0, 1.9, 6.0)),
        ((75, 61, 12), (4.1, 5.3, 8.0)),
    ],
)
def test_a_ball_survives(
    shape: tuple[int, int, int], spacing_mm: tuple[float, float, float], config: PreprocessConfig
) -> None:
    volume = chest(shape, spacing_mm)
    radius_mm = 0.22 * min(shape[0] * spacing_mm[0], shape[1] * spacing_mm[1])
    mask = ball(shape, volume.affine, radius_mm=radius_mm)
    back = there_and_back(mask, volume, config)
    assert back.shape == shape
    assert dice(mask, back) >= 0.97
    # Nothing has moved: centres agree within a tenth of a voxel.
    centers = [np.argwhere(m).mean(axis=0) for m in (mask, back)]
    assert np.abs(centers[0] - centers[1]).max() < 0.1


@pytest.mark.parametrize("affine", AFFINES.values(), ids=AFFINES.keys())
def test_a_ball_survives_in_any_orientation(affine: npt.NDArray[np.float64]) -> None:
    volume = make_volume(np.zeros((90, 80, 70), dtype=np.int16), affine)
    mask = ball(volume.shape, volume.affine, radius_mm=30.0)
    assert dice(mask, there_and_back(mask, volume, WHOLE)) >= 0.97


def test_an_even_fit_loses_nothing() -> None:
    volume = make_volume(np.zeros((128, 96, 3), dtype=np.int16))
    mask = np.random.default_rng(2).random(volume.shape) < 0.4
    record = plan_spatial(volume, WHOLE)
    assert (record.height, record.width) == (record.box.height, record.box.width)
    frames = build_model_mask(mask, record, range(3))
    back = np.stack([restore_slice(frame, record) for frame in frames], axis=-1)
    assert np.array_equal(back.transpose(1, 0, 2) == 1, mask)


def test_outside_the_box_stays_empty() -> None:
    volume = chest((160, 120, 2), (1.0, 1.0, 3.0))
    record = plan_spatial(volume, SMALL)
    frames = np.full((2, 2, 96, 128), 255, dtype=np.uint8)
    masks = restore_masks(frames, record, PostprocessConfig())
    expected = np.zeros(volume.shape, dtype=bool)
    box = record.box
    expected[box.i_start : box.i_stop, box.j_start : box.j_stop] = True
    assert np.array_equal(masks.lung, expected)
    assert box != BoundingBox(0, 160, 0, 120)


def test_smoothing_comes_last_and_takes_noise_but_no_level() -> None:
    """White noise of a flat slice loses most of its spread, and its mean stays."""
    noise = np.random.default_rng(5).normal(-500.0, 150.0, (128, 96, 2)).astype(np.int16)
    volume = make_volume(np.asfortranarray(noise), np.diag([-2.0, -2.0, 3.0, 1.0]))
    record = plan_spatial(volume, WHOLE)
    plain = build_model_input(volume, record, WHOLE, range(2))
    smooth = build_model_input(volume, record, replace(WHOLE, smooth_sigma=1.0), range(2))
    expected = np.stack([cv2.GaussianBlur(frame, (0, 0), 1.0) for frame in plain])
    np.testing.assert_array_equal(smooth, expected)
    inner = slice(plain.shape[1] // 4, -plain.shape[1] // 4)
    assert smooth[:, inner, inner].std() < 0.6 * plain[:, inner, inner].std()
    assert smooth[:, inner, inner].mean() == pytest.approx(plain[:, inner, inner].mean(), abs=1.0)


def test_impossible_smoothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="smooth_sigma"):
        PreprocessConfig(smooth_sigma=-1.0)
