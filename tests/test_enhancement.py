"""Contrast up, range kept, nothing moved; figures of contrast that can be worked out by hand."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from skimage import exposure, filters

from core.config import (
    ENHANCE_PRESETS,
    ENHANCE_RANGES,
    EnhanceConfig,
    PreprocessConfig,
    TrainConfig,
    from_json_dict,
    preprocess_from_json,
    to_json_dict,
)
from core.errors import ConfigError
from core.preprocessing.enhancement import enhance
from core.segmentation.weights import list_weights
from core.system.folders import WEIGHTS_FOLDER

Grey = npt.NDArray[np.uint8]

RAMP: Grey = np.tile(np.arange(256, dtype=np.uint8), (64, 1))
METHODS = ("window", "clahe", "equalize", "gamma", "unsharp")
USED_BY = {
    "clip_limit": "clahe",
    "tile_grid": "clahe",
    "gamma": "gamma",
    "unsharp_radius": "unsharp",
    "unsharp_amount": "unsharp",
}


def noise(shape: tuple[int, int]) -> Grey:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def faint_checks() -> Grey:
    """Squares of 8 pixels that differ by 8 grey levels."""
    rows, columns = np.indices((128, 160)) // 8
    return (100 + 8 * ((rows + columns) % 2)).astype(np.uint8)


# ------------------------------------------------------------------ methods


def test_faint_differences_grow_with_the_clip_limit() -> None:
    grey = faint_checks()
    bright, dark = grey == 108, grey == 100
    contrast = []
    for limit in (1.0, 4.0, 16.0):
        config = EnhanceConfig("clahe", clip_limit=limit, tile_grid=4)
        result = enhance(grey, config).astype(float)
        contrast.append(result[bright].mean() - result[dark].mean())
    assert 0 < contrast[0] < contrast[1] < contrast[2]
    assert contrast[2] > 16


def test_brighter_stays_brighter_within_one_tile() -> None:
    result = enhance(RAMP, EnhanceConfig("clahe", clip_limit=3.0, tile_grid=1))
    assert (np.diff(result[0].astype(int)) >= 0).all()


def test_equalising_four_levels_spreads_them_by_their_cumulative_share() -> None:
    # 4, 2, 1 and 1 of 8 pixels: above the darkest lie 2, 3 and 4 of the other 4.
    grey = np.array([[10, 10, 10, 10], [20, 20, 30, 40]], dtype=np.uint8)
    result = enhance(grey, EnhanceConfig("equalize"))
    assert result.tolist() == [[0, 0, 0, 0], [128, 128, 191, 255]]


@pytest.mark.parametrize("gamma", [0.2, 0.5, 1.0, 2.0, 5.0])
def test_gamma_by_its_formula(gamma: float) -> None:
    result = enhance(RAMP, EnhanceConfig("gamma", gamma=gamma))[0]
    assert (result[0], result[255]) == (0, 255)
    expected = exposure.adjust_gamma(np.arange(256) / 255, gamma) * 255
    assert np.abs(result - expected).max() <= 0.5


@pytest.mark.parametrize(("radius", "amount"), [(0.5, 0.3), (2.0, 1.0), (6.0, 2.5)])
def test_unsharp_mask_is_that_of_scikit_image(radius: float, amount: float) -> None:
    grey = np.kron(noise((12, 14)), np.ones((8, 8))).astype(np.uint8)
    config = EnhanceConfig("unsharp", unsharp_radius=radius, unsharp_amount=amount)
    expected = 255 * filters.unsharp_mask(grey, radius=radius, amount=amount)
    # Kernels are cut off at other lengths, and edges are continued in other ways.
    inner = (slice(30, -30), slice(30, -30))
    assert np.abs(enhance(grey, config)[inner] - expected[inner]).max() <= 2.5


def test_unsharp_mask_overshoots_at_an_edge_and_nowhere_else() -> None:
    grey = np.full((40, 80), 60, dtype=np.uint8)
    grey[:, 40:] = 160
    result = enhance(grey, EnhanceConfig("unsharp", unsharp_radius=2.0, unsharp_amount=1.0))
    assert result[20, 39] < 60
    assert result[20, 40] > 160
    assert (result[:, :25] == 60).all()
    assert (result[:, 55:] == 160).all()


@pytest.mark.parametrize(
    "config",
    [
        EnhanceConfig(),
        EnhanceConfig("gamma", gamma=1.0),
        EnhanceConfig("unsharp", unsharp_amount=0.0),
    ],
    ids=["window", "gamma 1", "unsharp 0"],
)
def test_settings_that_do_nothing_do_nothing(config: EnhanceConfig) -> None:
    grey = noise((33, 47))
    assert np.array_equal(enhance(grey, config), grey)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(64, 64), (61, 97), (16, 300), (16, 16)])
def test_shape_and_type_stay_and_the_input_too(method: Any, shape: tuple[int, int]) -> None:
    grey = noise(shape)
    before = grey.copy()
    result = enhance(grey, EnhanceConfig(method))
    assert result.shape == shape
    assert result.dtype == np.uint8
    assert np.array_equal(grey, before)
    transposed = enhance(np.asfortranarray(grey), EnhanceConfig(method))
    assert np.array_equal(transposed, result)


@pytest.mark.parametrize("name", ENHANCE_RANGES)
@pytest.mark.parametrize("end", ["low", "high"])
@pytest.mark.parametrize("shape", [(16, 16), (97, 61)])
def test_extreme_settings_work(name: str, end: str, shape: tuple[int, int]) -> None:
    kind = type(getattr(EnhanceConfig(), name))
    extreme = kind(getattr(ENHANCE_RANGES[name], end))
    config = EnhanceConfig(USED_BY[name], **{name: extreme})  # type: ignore[arg-type]
    for grey in (noise(shape), np.full(shape, 0, np.uint8), np.full(shape, 255, np.uint8)):
        result = enhance(grey, config)
        assert result.shape == shape
        assert result.dtype == np.uint8


@pytest.mark.parametrize("name", ENHANCE_RANGES)
def test_settings_out_of_range_are_refused(name: str) -> None:
    allowed = ENHANCE_RANGES[name]
    for value in (allowed.low - allowed.step, allowed.high + allowed.step, math.nan):
        with pytest.raises(ConfigError, match=f"{name} is out of range"):
            EnhanceConfig(**{name: value})


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(ConfigError, match="'clahe'"):
        EnhanceConfig("retinex")  # type: ignore[arg-type]


@pytest.mark.parametrize("preset", ENHANCE_PRESETS, ids=lambda preset: preset.name)
def test_settings_go_through_json(preset: Any) -> None:
    config = PreprocessConfig(enhance=preset.config, smooth_sigma=0.7)
    text = json.dumps(to_json_dict(config))
    assert from_json_dict(PreprocessConfig, json.loads(text)) == config


@pytest.mark.parametrize(
    ("clahe", "expected"),
    [
        (None, EnhanceConfig()),
        ({"clip_limit": 3.0, "tile_grid": 4}, EnhanceConfig("clahe", clip_limit=3.0, tile_grid=4)),
        ({"clip_limit": 3.0}, EnhanceConfig("clahe", clip_limit=3.0)),
    ],
)
def test_settings_written_before_are_understood(clahe: Any, expected: EnhanceConfig) -> None:
    values = to_json_dict(PreprocessConfig(margin_mm=4.0))
    del values["enhance"]
    old = {**values, "clahe": clahe}
    wanted = PreprocessConfig(margin_mm=4.0, enhance=expected)
    assert from_json_dict(PreprocessConfig, old) == wanted
    training = {"preprocess": old, "epochs": 3}
    assert from_json_dict(TrainConfig, training) == replace(
        TrainConfig(), preprocess=wanted, epochs=3
    )


@pytest.mark.parametrize("values", [{"clahe": None, "enhance": {}}, {"clahe": 3}])
def test_settings_that_contradict_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="clahe"):
        from_json_dict(PreprocessConfig, values)


def test_shipped_weights_take_the_plain_window() -> None:
    shipped = list_weights(WEIGHTS_FOLDER)
    if not shipped:
        pytest.skip("no weights are installed")
    assert {info.preprocess.enhance.method for info in shipped} == {"window"}


BASE = PreprocessConfig(margin_mm=4.0, smooth_sigma=0.7)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, BASE),
        (to_json_dict(replace(BASE, window_width=900.0)), replace(BASE, window_width=900.0)),
        (
            {"preprocess": {"enhance": {"method": "gamma", "gamma": 0.5}}},
            replace(BASE, enhance=EnhanceConfig("gamma", gamma=0.5)),
        ),
        ({"clahe": {"clip_limit": 3.0}}, replace(BASE, enhance=EnhanceConfig("clahe", 3.0))),
        ({"preprocess": {"crop": "none"}, "weights_id": "unet-v2"}, replace(BASE, crop="none")),
    ],
    ids=["nothing", "everything", "one method", "old words", "manifest"],
)
def test_a_file_of_settings_changes_what_it_names(
    values: dict[str, Any], expected: PreprocessConfig
) -> None:
    assert preprocess_from_json(json.dumps(values), BASE) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not JSON"),
        ("[1, 2]", "a JSON object"),
        ('{"colour": 1}', "no such setting"),
        ('{"enhance": {"clip_limit": 1000}}', "clip_limit is out of range"),
        ('{"enhance": "clahe"}', "enhance is not understood"),
        ('{"window_width": NaN}', "window_width is not a number"),
        ('{"rows": 256}', "size of the network"),
    ],
)
def test_a_file_that_cannot_be_used_is_reported(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        preprocess_from_json(text, BASE)
