"""Networks: shapes, size, and tiny ones through save, load, predict and fit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import pytest

from core.config import ModelConfig, PostprocessConfig, PreprocessConfig
from core.errors import ConfigError
from core.segmentation.models import (
    averaged,
    build_model,
    build_unet,
    build_unetpp,
    join_members,
    supervised,
)
from core.segmentation.weights import load_weights
from core.segmentation.weights_store import save_weights
from core.training.losses import SegmentationLoss

pytestmark = pytest.mark.usefixtures("eager")

TINY = PreprocessConfig(rows=32, columns=48)


def test_default_size() -> None:
    model = build_model(ModelConfig(), rows=192, columns=256)
    assert model.input_shape == (None, 192, 256, 1)
    assert model.output_shape == (None, 192, 256, 2)
    assert model.count_params() == pytest.approx(1.94e6, rel=0.01)


@pytest.mark.parametrize(
    ("build", "depth", "width", "channels_in", "channels_out"),
    [
        (build_unet, 1, 2, 1, 2),
        (build_unet, 2, 4, 3, 1),
        (build_unet, 3, 6, 1, 2),
        (build_unetpp, 1, 2, 3, 1),
        (build_unetpp, 2, 4, 1, 2),
        (build_unetpp, 3, 6, 3, 1),
    ],
)
def test_output_is_as_large_as_the_input(
    build: Callable[..., keras.Model], depth: int, width: int, channels_in: int, channels_out: int
) -> None:
    config = ModelConfig(
        depth=depth, width=width, input_channels=channels_in, output_channels=channels_out
    )
    model = build(config, rows=16, columns=24)
    x = np.random.default_rng(0).random((3, 16, 24, channels_in)).astype(np.float32)
    y = model.predict_on_batch(x)
    assert y.shape == (3, 16, 24, channels_out)
    assert y.dtype == np.float32
    assert (y > 0).all()
    assert (y < 1).all()


def test_parameters_by_hand() -> None:
    """Depth 1, width 1, no normalisation: 3×3 kernels 1→1→1, 1→2→2, a 2×2 kernel 2→1, then
    2→1→1 and two 1×1 kernels, each with its bias."""
    model = build_unet(ModelConfig(depth=1, width=1, normalization="none"), rows=4, columns=4)
    double = lambda a, b: (9 * a * b + b) + (9 * b * b + b)  # noqa: E731
    grow = 4 * 2 * 1 + 1
    assert model.count_params() == double(1, 1) + double(1, 2) + grow + double(2, 1) + 2 * (1 + 1)


def test_a_pixel_sees_its_neighbourhood_in_full_resolution() -> None:
    """Skip connections: a change of one pixel shows at that very pixel, and near it most."""
    keras.utils.set_random_seed(0)
    model = build_unet(ModelConfig(depth=2, width=4, normalization="none"), rows=32, columns=32)
    x = np.full((1, 32, 32, 1), 0.5, dtype=np.float32)
    changed = x.copy()
    changed[0, 9, 21] = 1.0
    difference = np.abs(model.predict_on_batch(changed) - model.predict_on_batch(x))[0].max(axis=-1)
    peak = np.unravel_index(int(difference.argmax()), difference.shape)
    assert abs(int(peak[0]) - 9) <= 2
    assert abs(int(peak[1]) - 21) <= 2


@pytest.mark.parametrize("size", [(30, 48), (32, 50), (8, 24)])
def test_sizes_that_cannot_be_halved_are_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ConfigError, match="multiples of 16"):
        build_unet(ModelConfig(depth=4, width=2), rows=size[0], columns=size[1])


@pytest.mark.parametrize(
    "settings",
    [
        {"depth": 0},
        {"width": 0},
        {"dropout": 1.0},
        {"dropout": -0.1},
        {"output_channels": 0},
        {"input_channels": 0},
        {"architecture": "other"},
        {"normalization": "other"},
        {"deep_supervision": True},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_impossible_networks_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        build_model(ModelConfig(**settings), rows=32, columns=32)


@pytest.mark.parametrize("width", [1, 4, 6, 12, 16, 20])
def test_group_normalisation_fits_every_width(width: int) -> None:
    model = build_unet(ModelConfig(depth=1, width=width, normalization="group"), rows=4, columns=4)
    assert model.output_shape == (None, 4, 4, 2)


@pytest.mark.parametrize(
    "config",
    [
        ModelConfig(depth=2, width=4),
        ModelConfig(depth=1, width=4, normalization="group"),
        ModelConfig(depth=1, width=4, normalization="none", dropout=0.2),
        ModelConfig(depth=1, width=4, max_filters=4),
        ModelConfig(depth=1, width=2, members=2),
        ModelConfig("unetpp", depth=2, width=4),
        ModelConfig("unetpp", depth=2, width=4, deep_supervision=True),
    ],
)
def test_tiny_network_learns_is_saved_and_loaded(config: ModelConfig, tmp_path: Path) -> None:
    keras.utils.set_random_seed(1)
    model = build_model(config, rows=TINY.rows, columns=TINY.columns)
    generator = np.random.default_rng(0)
    x = generator.random((4, TINY.rows, TINY.columns, 1)).astype(np.float32)
    y = np.repeat((x > 0.5).astype(np.float32), 2, axis=-1)
    before = [keras.ops.convert_to_numpy(v).copy() for v in model.trainable_variables]
    trained = supervised(model)
    trained.compile(optimizer="adam", loss=SegmentationLoss())
    loss = trained.train_on_batch(x, y)
    assert np.isfinite(loss)
    assert all(
        (keras.ops.convert_to_numpy(v) != old).any()
        for v, old in zip(model.trainable_variables, before, strict=True)
    )
    info = save_weights(
        model,
        tmp_path / "tiny",
        title="Tiny",
        model_config=config,
        preprocess=TINY,
        postprocess=PostprocessConfig(),
        record={},
    )
    loaded = load_weights(info)
    # Kernels are stored in half precision.
    assert np.abs(loaded.predict_on_batch(x) - model.predict_on_batch(x)).max() < 5e-3
    assert loaded.count_params() == model.count_params()


def test_bfloat16_gives_float32_probabilities() -> None:
    previous = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy("mixed_bfloat16")
    try:
        model = build_unet(ModelConfig(depth=1, width=2), rows=4, columns=4)
    finally:
        keras.mixed_precision.set_dtype_policy(previous)
    assert model.predict_on_batch(np.zeros((1, 4, 4, 1), dtype=np.float32)).dtype == np.float32


NESTED = ModelConfig("unetpp", depth=3, width=4, deep_supervision=True)


def test_nested_network_by_hand() -> None:
    """Depth 1 is a U-Net of depth 1, whatever it is called."""
    config = ModelConfig("unetpp", depth=1, width=3)
    nested, plain = build_unetpp(config, rows=8, columns=8), build_unet(config, rows=8, columns=8)
    assert nested.count_params() == plain.count_params()


def test_every_head_of_a_nested_network_can_be_had_alone() -> None:
    keras.utils.set_random_seed(2)
    model = build_unetpp(NESTED, rows=16, columns=24)
    x = np.random.default_rng(0).random((2, 16, 24, 1)).astype(np.float32)
    heads = supervised(model).predict_on_batch(x)
    assert heads.shape == (2, 16, 24, 3 * 2)
    ends = [model.get_layer(f"head{level}").output for level in (1, 2, 3)]
    parts = [keras.Model(model.input, end) for end in ends]
    alone = [part.predict_on_batch(x) for part in parts]
    np.testing.assert_allclose(np.concatenate(alone, axis=-1), heads, atol=1e-6)
    np.testing.assert_allclose(model.predict_on_batch(x), np.mean(alone, axis=0), atol=1e-6)
    sizes = [part.count_params() for part in parts]
    assert sizes[0] < sizes[1] < sizes[2] < model.count_params()


def test_supervision_can_be_taken_off_again() -> None:
    keras.utils.set_random_seed(2)
    model = build_unetpp(NESTED, rows=16, columns=16)
    x = np.random.default_rng(0).random((2, 16, 16, 1)).astype(np.float32)
    before = model.predict_on_batch(x)
    np.testing.assert_array_equal(averaged(supervised(model)).predict_on_batch(x), before)


def test_networks_without_several_heads_stay_as_they_are() -> None:
    model = build_unet(ModelConfig(depth=1, width=2), rows=8, columns=8)
    assert supervised(model) is model
    assert averaged(model) is model


@pytest.mark.parametrize("architecture", ["unet", "unetpp"])
def test_no_level_has_more_filters_than_the_bound(architecture: Literal["unet", "unetpp"]) -> None:
    config = ModelConfig(architecture, depth=3, width=4, max_filters=8)
    model = build_model(config, rows=16, columns=16)
    widths = [layer.filters for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    assert max(widths) == 8
    assert min(widths[:-1]) == 4


@pytest.mark.parametrize("bound", [3, 6])
def test_a_bound_that_does_not_fit_the_width_is_refused(bound: int) -> None:
    with pytest.raises(ConfigError, match="bound on filters"):
        build_model(ModelConfig(depth=1, width=4, max_filters=bound), rows=4, columns=4)


@pytest.mark.parametrize(
    "config",
    [ModelConfig(depth=1, width=4), ModelConfig("unetpp", depth=1, width=2, deep_supervision=True)],
)
def test_an_ensemble_is_the_mean_of_its_members(config: ModelConfig) -> None:
    keras.utils.set_random_seed(4)
    members = [build_model(config, rows=8, columns=12) for _ in range(3)]
    together = join_members(config, members)
    x = np.random.default_rng(0).random((2, 8, 12, 1)).astype(np.float32)
    singly = [member.predict_on_batch(x) for member in members]
    assert np.ptp(singly, axis=0).max() > 0.01
    assert np.abs(together.predict_on_batch(x) - np.mean(singly, axis=0)).max() < 1e-6
    assert together.count_params() == 3 * members[0].count_params()
