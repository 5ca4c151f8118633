"""The network at work: batches do not change what it says."""

from __future__ import annotations

import threading
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
import pytest

from core.config import ModelConfig, PostprocessConfig, PreprocessConfig
from core.errors import Cancelled
from core.segmentation.engines.inference import Segmenter, has_fast_bfloat16, prepare_device
from core.segmentation.models import build_model
from core.segmentation.weights_store import save_weights

SIZE = PreprocessConfig(rows=32, columns=48)
COUNT = 7


@pytest.fixture(scope="module")
def segmenter(tmp_path_factory: pytest.TempPathFactory) -> Segmenter:
    keras.utils.set_random_seed(11)
    config = ModelConfig(depth=2, width=4)
    model = build_model(config, rows=SIZE.rows, columns=SIZE.columns)
    generator = np.random.default_rng(0)
    for layer in model.layers:  # statistics that are not those of a fresh network
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.moving_mean.assign(generator.normal(0, 0.3, layer.moving_mean.shape))
            layer.moving_variance.assign(generator.uniform(0.5, 2, layer.moving_variance.shape))
    info = save_weights(
        model,
        tmp_path_factory.mktemp("weights") / "tiny",
        title="Tiny",
        model_config=config,
        preprocess=SIZE,
        postprocess=PostprocessConfig(),
        record={},
    )
    return Segmenter(info)


@pytest.fixture(scope="module")
def frames() -> npt.NDArray[np.uint8]:
    generator = np.random.default_rng(1)
    return generator.integers(0, 256, (COUNT, SIZE.rows, SIZE.columns), dtype=np.uint8)


@pytest.mark.parametrize("batch_size", [1, 3, 7, 16])
def test_output_is_that_of_the_network_for_grey_in_0_to_1(
    segmenter: Segmenter, frames: npt.NDArray[np.uint8], batch_size: int
) -> None:
    before = frames.copy()
    found = segmenter.predict(frames, batch_size=batch_size).pixels
    expected = segmenter.model.predict(frames[..., None].astype(np.float32) / 255, verbose=0)
    assert found.shape == (2, COUNT, SIZE.rows, SIZE.columns)
    assert found.dtype == np.uint8
    assert np.abs(np.moveaxis(found, 0, -1) / 255 - expected).max() <= 0.5 / 255 + 1e-5
    assert np.array_equal(frames, before)
    # The channels say different things, and neither says one thing everywhere.
    assert found[0].std() > 1
    assert not np.array_equal(found[0], found[1])


def test_the_last_batch_does_not_depend_on_the_one_before(
    segmenter: Segmenter, frames: npt.NDArray[np.uint8]
) -> None:
    together = segmenter.predict(frames, batch_size=4).pixels
    alone = segmenter.predict(frames[4:], batch_size=4).pixels
    assert np.array_equal(together[:, 4:], alone)


def test_no_slice_no_answer(segmenter: Segmenter) -> None:
    none = np.zeros((0, SIZE.rows, SIZE.columns), dtype=np.uint8)
    assert segmenter.predict(none, batch_size=4).pixels.shape == (2, 0, SIZE.rows, SIZE.columns)


def test_progress(segmenter: Segmenter, frames: npt.NDArray[np.uint8]) -> None:
    told: list[tuple[str, int, int]] = []
    segmenter.predict(frames, batch_size=3, on_progress=lambda *step: told.append(step))
    assert told == [("marking slices", done, COUNT) for done in (3, 6, 7)]


def test_cancel_between_batches(segmenter: Segmenter, frames: npt.NDArray[np.uint8]) -> None:
    told: list[int] = []
    with pytest.raises(Cancelled, match="marking slices"):
        segmenter.predict(
            frames,
            batch_size=3,
            on_progress=lambda _, done, __: told.append(done),
            should_cancel=lambda: bool(told),
        )
    assert told == [3]
    # And it works again afterwards.
    assert segmenter.predict(frames, batch_size=3).pixels.shape[1] == COUNT


def test_two_people_at_once(segmenter: Segmenter, frames: npt.NDArray[np.uint8]) -> None:
    inputs = [frames, frames[::-1].copy()]
    alone = [segmenter.predict(x, batch_size=2).pixels for x in inputs]
    together: dict[int, npt.NDArray[np.uint8]] = {}

    def run(number: int) -> None:
        together[number] = segmenter.predict(inputs[number], batch_size=2).pixels

    threads = [threading.Thread(target=run, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in (0, 1):
        assert np.array_equal(together[number], alone[number])


def test_device_is_named(segmenter: Segmenter) -> None:
    assert segmenter.device == prepare_device()
    assert segmenter.device.startswith(("CPU (", "GPU ("))
    assert isinstance(has_fast_bfloat16(), bool)


def test_warm_up_and_id(segmenter: Segmenter) -> None:
    segmenter.warm_up(2)
    assert segmenter.weights_id == "tiny"
    assert Path(segmenter.info.folder).name == "tiny"
