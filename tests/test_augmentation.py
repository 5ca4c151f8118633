"""Augmentation: image and masks move together, masks stay binary, seeds repeat."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pytest

from core.config import AugmentConfig
from core.training.augmentation import (
    RandomBend,
    RandomClahe,
    RandomGamma,
    RandomNoise,
    RandomWindow,
    augment,
    build_augmentation,
)
from tests.training_data import UNCHANGED

Batch = npt.NDArray[np.float32]

GEOMETRY: dict[str, AugmentConfig] = {
    "flip": replace(UNCHANGED, flip=True),
    "rotation": replace(UNCHANGED, rotation_degrees=25.0),
    "zoom": replace(UNCHANGED, zoom=0.3),
    "shift": replace(UNCHANGED, shift=0.2),
    "elastic": replace(UNCHANGED, elastic=0.06),
    "all": replace(UNCHANGED, flip=True, rotation_degrees=12.0, zoom=0.15, shift=0.06),
}
GREY: dict[str, AugmentConfig] = {
    "window": replace(UNCHANGED, window=0.3),
    "clahe": replace(UNCHANGED, clahe=8.0),
    "brightness": replace(UNCHANGED, brightness=0.4),
    "contrast": replace(UNCHANGED, contrast=0.8),
    "gamma": replace(UNCHANGED, gamma=1.0),
    "noise": replace(UNCHANGED, noise=0.5),
    "blur": replace(UNCHANGED, blur=True),
}


def shapes(count: int = 6) -> Batch:
    """(n, 48, 64, 2) binary: an L, which no flip or turn leaves as it was, and a block."""
    masks = np.zeros((count, 48, 64, 2), dtype=np.float32)
    masks[:, 10:38, 14:24, 0] = 1
    masks[:, 28:38, 24:48, 0] = 1
    masks[:, 12:24, 36:50, 1] = 1
    return masks


def pictures(count: int = 6) -> Batch:
    generator = np.random.default_rng(1)
    return generator.random((count, 48, 64, 1)).astype(np.float32)


def center(picture: Batch) -> npt.NDArray[np.float64]:
    """Row and column of the centre of mass."""
    weights = picture / picture.sum()
    rows, columns = np.indices(picture.shape)
    return np.array([(rows * weights).sum(), (columns * weights).sum()])


@pytest.mark.parametrize("config", GEOMETRY.values(), ids=GEOMETRY.keys())
@pytest.mark.parametrize("channel", [0, 1])
def test_masks_move_with_the_image(config: AugmentConfig, channel: int) -> None:
    masks = shapes(12)
    alike = masks[..., channel : channel + 1]
    images, moved = augment(build_augmentation(config, seed=3), alike, masks)
    assert set(np.unique(moved)) <= {0.0, 1.0}
    steps = len(build_augmentation(config, seed=3)) - config.flip or 1
    changed = 0
    for image, mask, before in zip(
        images[..., 0], moved[..., channel], masks[..., channel], strict=True
    ):
        seen = image >= 0.5
        overlap = 2 * (seen & (mask > 0)).sum() / (seen.sum() + mask.sum())
        # Masks take the nearest pixel at every step, images mix: a little is lost each time.
        assert overlap > (0.95 if steps == 1 else 0.85)
        assert np.abs(center(image) - center(mask)).max() < 0.75 * steps
        changed += bool((mask != before).any())
    # Each slice has a draw of its own, and most draws do something.
    assert changed >= 3
    assert len({mask.tobytes() for mask in moved}) >= (2 if config.flip else 6)


@pytest.mark.parametrize("config", GREY.values(), ids=GREY.keys())
def test_grey_changes_leave_masks_alone(config: AugmentConfig) -> None:
    images, masks = pictures(), shapes()
    changed, moved = augment(build_augmentation(config, seed=3), images, masks)
    assert np.array_equal(moved, masks)
    assert changed.min() >= 0.0
    assert changed.max() <= 1.0
    assert not np.array_equal(changed, images)


def test_everything_at_once_stays_in_range() -> None:
    images, masks = pictures(), shapes()
    changed, moved = augment(build_augmentation(AugmentConfig(), seed=5), images, masks)
    assert changed.shape == images.shape
    assert moved.shape == masks.shape
    assert changed.dtype == moved.dtype == np.float32
    assert np.isfinite(changed).all()
    assert changed.min() >= 0.0
    assert changed.max() <= 1.0
    assert set(np.unique(moved)) <= {0.0, 1.0}


def test_nothing_asked_for_changes_nothing() -> None:
    images, masks = pictures(), shapes()
    before = images.copy(), masks.copy()
    steps = build_augmentation(UNCHANGED, seed=5)
    assert steps == []
    changed, moved = augment(steps, images, masks)
    assert np.array_equal(changed, before[0])
    assert np.array_equal(moved, before[1])


# How often batches stay sharp is for whoever draws the batches.
SETTINGS = [field.name for field in fields(AugmentConfig) if field.name != "sharp_share"]
OFF_BY_DEFAULT = {"elastic": 0.03, "window": 0.1, "clahe": 3.0}


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_does_something(name: str) -> None:
    setting = OFF_BY_DEFAULT.get(name, getattr(AugmentConfig(), name))
    config = replace(UNCHANGED, **{name: setting})
    images, masks = pictures(12), shapes(12)
    changed, _ = augment(build_augmentation(config, seed=2), images, masks)
    assert not np.allclose(changed, images, atol=1e-3)


def test_the_input_is_not_changed() -> None:
    images, masks = pictures(), shapes()
    before = images.copy(), masks.copy()
    augment(build_augmentation(AugmentConfig(), seed=5), images, masks)
    assert np.array_equal(images, before[0])
    assert np.array_equal(masks, before[1])


def test_seeds_repeat_and_differ() -> None:
    images, masks = pictures(), shapes()

    def run(seed: int) -> list[tuple[Batch, Batch]]:
        steps = build_augmentation(AugmentConfig(), seed=seed)
        return [augment(steps, images, masks) for _ in range(2)]

    first, again, other = run(7), run(7), run(8)
    for (one_image, one_mask), (two_image, two_mask) in zip(first, again, strict=True):
        assert np.array_equal(one_image, two_image)
        assert np.array_equal(one_mask, two_mask)
    assert not np.array_equal(first[0][0], other[0][0])
    assert not np.array_equal(first[0][0], first[1][0])  # the next batch has another draw


@pytest.mark.parametrize(
    "layer",
    [
        RandomGamma(0.5, seed=1),
        RandomNoise(0.2, seed=1),
        RandomWindow(0.2, seed=1),
        RandomClahe(4.0, seed=1),
        RandomBend(0.05, seed=1),
    ],
)
def test_own_layers_rest_outside_training_and_can_be_saved(layer: Any) -> None:
    batch = {"images": pictures(), "segmentation_masks": shapes()}
    assert np.array_equal(layer(batch, training=False)["images"], batch["images"])
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert copy.get_config() == layer.get_config()


def test_gamma_keeps_black_and_white_and_order() -> None:
    ramp = np.tile(np.linspace(0, 1, 64, dtype=np.float32), (8, 4, 1))[..., None]
    images, _ = augment(
        build_augmentation(GREY["gamma"], seed=1), ramp, np.zeros_like(ramp).repeat(2, -1)
    )
    assert np.allclose(images[:, :, 0], 0)
    assert np.allclose(images[:, :, -1], 1)
    assert (np.diff(images[:, 0, :, 0], axis=1) >= 0).all()
    # Some slices grow darker, some brighter.
    middle = images[:, 0, 32, 0] - ramp[:, 0, 32, 0]
    assert middle.min() < 0 < middle.max()


def test_window_stretches_grey_along_a_straight_line() -> None:
    ramp = np.tile(np.linspace(0, 1, 64, dtype=np.float32), (8, 4, 1))[..., None]
    images, _ = augment(
        build_augmentation(GREY["window"], seed=1), ramp, np.zeros_like(ramp).repeat(2, -1)
    )
    slopes = []
    for image in images[:, 0, :, 0]:
        inside = (image > 0) & (image < 1)
        steps = np.diff(image[inside])
        assert np.ptp(steps) < 1e-5
        slopes.append(steps.mean() * 63)
    # Between windows 1.6 and 0.4 times as wide.
    assert 1 / 1.6 <= min(slopes) < 1 < max(slopes) <= 1 / 0.4


def test_clahe_spreads_faint_contrast_of_some_slices() -> None:
    faint = 0.5 + 0.04 * (pictures(12) - 0.5)
    changed, _ = augment(build_augmentation(GREY["clahe"], seed=1), faint, shapes(12))
    gain = changed.std(axis=(1, 2, 3)) / faint.std(axis=(1, 2, 3))
    assert gain.max() > 2
    assert np.unique(gain.round(3)).size > 6


def test_sharp_layers_neither_move_nor_blur() -> None:
    """Flips and grey levels only: every mask is the old one or its mirror image, voxel by voxel."""
    images, masks = pictures(12), shapes(12)
    changed, moved = augment(build_augmentation(AugmentConfig(), seed=4, sharp=True), images, masks)
    assert not np.array_equal(changed, images)
    for before, after in zip(masks, moved, strict=True):
        assert np.array_equal(after, before) or np.array_equal(after, before[:, ::-1])
    only_resampling = AugmentConfig(
        flip=False, brightness=0.0, contrast=0.0, gamma=0.0, noise=0.0, blur=True
    )
    assert build_augmentation(only_resampling, seed=4, sharp=True) == []
