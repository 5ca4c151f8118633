"""Networks with an EfficientNet-Lite encoder: shapes, the slice head, learning, engines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pytest

from core.config import ModelConfig, PostprocessConfig, PreprocessConfig
from core.errors import ConfigError
from core.segmentation import WeightsInfo, load_weights, save_weights
from core.segmentation.engines.inference import Segmenter
from core.segmentation.engines.openvino_engine import OpenVinoSegmenter
from core.segmentation.models import PIXELS, PRESENCE, build_model, training_network
from core.segmentation.models.efficientnet import centre_grey, encode
from core.segmentation.weights import read_graph

ROWS, COLUMNS = 32, 64
SMALL = ModelConfig(depth=5, width=4, max_filters=8, encoder="lite0", slice_head=True)
NESTED = ModelConfig(
    "unetpp",
    depth=5,
    width=4,
    max_filters=8,
    normalization="none",
    encoder="lite0",
    deep_supervision=True,
)


@pytest.mark.parametrize(
    ("name", "channels", "parameters"),
    [
        ("lite0", (16, 24, 40, 112, 320), 2_958_848),
        ("lite1", (16, 24, 40, 112, 320), 3_723_520),
        ("lite2", (16, 24, 48, 120, 352), 4_357_952),
    ],
)
def test_the_encoder_has_the_size_of_the_original(
    name: str, channels: tuple[int, ...], parameters: int
) -> None:
    inputs = keras.Input((64, 96, 3))
    features = encode(centre_grey(inputs), name)  # type: ignore[arg-type]
    model = keras.Model(inputs, features)
    shapes = [tuple(shape[1:]) for shape in model.output_shape]
    assert shapes == [
        (64 >> level, 96 >> level, count) for level, count in enumerate(channels, start=1)
    ]
    trained = sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)
    assert trained == parameters


def test_grey_levels_become_what_imagenet_pictures_were() -> None:
    inputs = keras.Input((1, 2, 1))
    centred = keras.Model(inputs, centre_grey(inputs))
    grey = np.array([0.0, 127.0, 255.0, 128.0], dtype=np.float32).reshape(2, 1, 2, 1)
    found = np.asarray(centred.predict_on_batch(grey / 255.0)).ravel()
    np.testing.assert_allclose(found, [-127 / 128, 0.0, 1.0, 1 / 128], atol=1e-6)


@pytest.mark.parametrize(
    "settings",
    [
        {"depth": 4, "encoder": "lite0"},
        {"depth": 4, "slice_head": True},
        {"depth": 5, "encoder": "resnet"},
        {"depth": 5, "width": 0, "encoder": "lite0"},
    ],
)
def test_impossible_networks_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        build_model(ModelConfig(**settings), rows=ROWS, columns=COLUMNS)


def test_sizes_that_the_encoder_cannot_halve_are_refused() -> None:
    with pytest.raises(ConfigError, match="multiples of 32"):
        build_model(SMALL, rows=48, columns=64)


def test_the_default_fits_its_bound_in_float16() -> None:
    config = ModelConfig(depth=5, width=16, max_filters=96, encoder="lite0", slice_head=True)
    assert build_model(config, rows=192, columns=256).count_params() < 4_000_000


@pytest.mark.usefixtures("eager", "small_encoder")
@pytest.mark.parametrize("config", [SMALL, NESTED])
def test_a_tiny_network_learns_is_saved_and_loaded(config: ModelConfig, tmp_path: Path) -> None:
    keras.utils.set_random_seed(1)
    model = build_model(config, rows=ROWS, columns=COLUMNS)
    x = np.random.default_rng(0).random((2, ROWS, COLUMNS, 1)).astype(np.float32)
    masks = np.repeat((x > 0.5).astype(np.float32), 2, axis=-1)
    trained = training_network(model)
    truth = {PIXELS: np.tile(masks, 5 if config.deep_supervision else 1)}
    if config.slice_head:
        truth[PRESENCE] = np.ones((2, 2), dtype=np.float32)
    trained.compile(optimizer="adam", loss=dict.fromkeys(truth, "binary_crossentropy"))
    before = [np.array(weight) for weight in model.get_weights()]
    assert np.isfinite(trained.train_on_batch(x, truth)).all()
    moved = [not np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True)]
    assert all(moved)
    info = saved(model, config, tmp_path / "tiny")
    loaded = load_weights(info)
    for found, expected in zip(outputs(loaded, x), outputs(model, x), strict=True):
        np.testing.assert_allclose(found, expected, atol=0.02)


def outputs(model: keras.Model, x: npt.NDArray[np.float32]) -> list[npt.NDArray[np.float32]]:
    found = model.predict_on_batch(x)
    return found if isinstance(found, list) else [found]


def saved(model: keras.Model, config: ModelConfig, folder: Path) -> WeightsInfo:
    return save_weights(
        model,
        folder,
        title="Tiny",
        model_config=config,
        preprocess=PreprocessConfig(rows=ROWS, columns=COLUMNS),
        postprocess=PostprocessConfig(),
        record={},
    )


def striped_slices() -> npt.NDArray[np.uint8]:
    generator = np.random.default_rng(2)
    rows, columns = np.mgrid[:ROWS, :COLUMNS]
    slices = [
        128
        + 100 * np.sin(columns / (4 + k)) * np.cos(rows / (5 + k))
        + generator.normal(0, 8, (ROWS, COLUMNS))
        for k in range(5)
    ]
    return np.clip(np.stack(slices), 0, 255).astype(np.uint8)


@pytest.mark.usefixtures("eager", "small_encoder")
@pytest.mark.parametrize("config", [SMALL, NESTED])
def test_openvino_and_keras_agree(config: ModelConfig, tmp_path: Path) -> None:
    keras.utils.set_random_seed(3)
    model = build_model(config, rows=ROWS, columns=COLUMNS)
    generator = np.random.default_rng(0)
    for variable in model.weights:
        if len(variable.shape) == 1:
            variable.assign(generator.uniform(0.3, 1.5, variable.shape))
    if config.slice_head:
        model.get_layer(PRESENCE).bias.assign([-0.2, -0.9])
    info = saved(model, config, tmp_path / "tiny")
    assert read_graph(info)[-1].name == "probabilities"
    slices = striped_slices()
    found = Segmenter(info).predict(slices, batch_size=4)
    expected = found.pixels.astype(int)
    assert expected.std() > 2.0, "a constant prediction would prove nothing"
    exact = OpenVinoSegmenter(info, precision="float32").predict(slices, batch_size=4)
    assert np.abs(expected - exact.pixels).max() <= 1
    fast = OpenVinoSegmenter(info).predict(slices, batch_size=4)
    middle = int(np.median(expected))
    assert np.mean((expected > middle) != (fast.pixels > middle)) < 0.005 + np.mean(
        np.abs(expected - middle) <= 2
    )
    assert np.abs(expected - fast.pixels).max() <= 8
    if not config.slice_head:
        assert found.presence is exact.presence is fast.presence is None
        return
    assert found.presence.shape == (2, len(slices))
    assert found.presence.min() < found.presence.max()
    assert np.abs(found.presence.astype(int) - exact.presence).max() <= 1
    assert np.abs(found.presence.astype(int) - fast.presence).max() <= 4
