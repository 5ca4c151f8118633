"""Engines: OpenVINO gives what Keras gives, is built from files alone, and names what it lacks."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pytest

from core.classification.classifier import Classifier
from core.config import ModelConfig, PostprocessConfig, Precision, PreprocessConfig
from core.errors import Cancelled, ConfigError, WeightsError
from core.loading import load_nifti
from core.preprocessing.model_input import build_model_input
from core.preprocessing.spatial import plan_spatial
from core.segmentation.engines import ENGINE_VARIABLE, choose_engine, default_engine, load_engine
from core.segmentation.engines.inference import Segmenter
from core.segmentation.engines.openvino_engine import OpenVinoSegmenter
from core.segmentation.engines.openvino_maps import OpenVinoMaps
from core.segmentation.engines.openvino_network import build_network
from core.segmentation.engines.openvino_ring import RequestRing
from core.segmentation.engines.protocol import Engine, EngineUnavailable
from core.segmentation.graph import Layer, describe_graph, graph_from_text, graph_to_text
from core.segmentation.models import build_model
from core.segmentation.postprocess import restore_masks
from core.segmentation.weights import WeightsInfo, find_weights, list_weights, read_graph
from core.segmentation.weights_files import GRAPH_NAME, read_arrays
from core.segmentation.weights_store import save_weights
from core.volume import MaskPair, Volume
from tests.studies import demo_study

SIZE = PreprocessConfig(rows=32, columns=48)
NETWORKS = {
    "unet": ModelConfig(depth=2, width=4),
    "unet, group, dropout": ModelConfig(depth=2, width=4, normalization="group", dropout=0.3),
    "unet, none": ModelConfig(depth=1, width=4, normalization="none"),
    "unetpp": ModelConfig(architecture="unetpp", depth=2, width=4),
    "unetpp, mean": ModelConfig(architecture="unetpp", depth=2, width=4, deep_supervision=True),
}


def save_tiny(folder: Path, config: ModelConfig) -> WeightsInfo:
    """Weights whose every array differs from what a fresh network has."""
    keras.utils.set_random_seed(3)
    model = build_model(config, rows=SIZE.rows, columns=SIZE.columns)
    generator = np.random.default_rng(0)
    for variable in model.weights:
        if len(variable.shape) == 1:
            variable.assign(generator.uniform(0.3, 1.5, variable.shape))
    return save_weights(
        model,
        folder,
        title="Tiny",
        model_config=config,
        preprocess=SIZE,
        postprocess=PostprocessConfig(),
        record={},
    )


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> WeightsInfo:
    return save_tiny(tmp_path_factory.mktemp("weights") / "tiny", NETWORKS["unet"])


@pytest.fixture(scope="module")
def frames() -> npt.NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, (7, SIZE.rows, SIZE.columns), dtype=np.uint8)


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("name", NETWORKS)
def test_same_probabilities_as_keras(
    name: str, frames: npt.NDArray[np.uint8], tmp_path: Path
) -> None:
    info = save_tiny(tmp_path / "tiny", NETWORKS[name])
    expected = Segmenter(info).predict(frames, batch_size=4).pixels.astype(int)
    assert expected.std() > 1  # the network is not saturated
    exact = OpenVinoSegmenter(info, precision="float32").predict(frames, batch_size=4).pixels
    assert exact.dtype == np.uint8
    assert np.abs(exact - expected).max() <= 1
    fast = OpenVinoSegmenter(info).predict(frames, batch_size=4).pixels
    assert np.abs(fast - expected).mean() < 0.5


@pytest.fixture(scope="module")
def in_keras() -> Segmenter:
    """The default weights in Keras, traced once."""
    return Segmenter(find_weights())


LARGEST_DIFFERENCE: dict[Precision, dict[str, float]] = {
    "float32": {"lung": 1e-4, "infection": 1e-3},
    # bfloat16 where the CPU has it: at the faint border of infection it moves some voxels.
    "auto": {"lung": 0.002, "infection": 0.04},
}


"""Voxels in one engine's mask only, as a share of the mask that Keras gives in float32."""


def assert_masks_are_those_of_keras(volume: Volume, in_keras: Segmenter) -> None:
    info = in_keras.info
    record = plan_spatial(volume, info.preprocess)
    slices = build_model_input(volume, record, info.preprocess, range(volume.shape[2]))

    def masks_of(engine: Engine) -> MaskPair:
        found = engine.predict(slices, batch_size=8).pixels
        return restore_masks(found, record, info.postprocess)

    expected = masks_of(in_keras)
    for precision, largest in LARGEST_DIFFERENCE.items():
        found = masks_of(OpenVinoSegmenter(info, precision=precision))
        for channel, most in largest.items():
            true, marked = getattr(expected, channel), getattr(found, channel)
            share = np.count_nonzero(true ^ marked) / np.count_nonzero(true)
            assert share <= most, (precision, channel)


def test_masks_of_the_demo_study_equal_those_of_keras(in_keras: Segmenter) -> None:
    assert_masks_are_those_of_keras(demo_study((256, 256, 24)).volume, in_keras)


@pytest.mark.real_data
def test_masks_of_a_real_scan_equal_those_of_keras(in_keras: Segmenter, real_data: Path) -> None:
    path = "covid20/ct_scans/radiopaedia_org_covid-19-pneumonia-10_85902_1-dcm.nii.gz"
    assert_masks_are_those_of_keras(load_nifti(real_data / path), in_keras)


def test_segmenting_imports_no_keras_and_opens_no_connection() -> None:
    program = """
import sys
connections = []
sys.addaudithook(
    lambda event, _: connections.append(event)
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto") else None
)
import numpy as np
from core.segmentation.segmenter import load_segmenter
engine = load_segmenter(engine="openvino")
p = engine.preprocess
engine.predict(np.zeros((2, p.rows, p.columns), np.uint8), batch_size=2)
print(sorted({"keras", "tensorflow", "torch", "jax"} & set(sys.modules)), connections)
"""
    root = Path(__file__).parent.parent
    without_ci = {name: value for name, value in os.environ.items() if name != "CI"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=root,
        check=True,
        env=without_ci,
    )
    assert done.stdout.strip() == "[] []"


def test_installed_weights_come_with_their_graph() -> None:
    for info in list_weights():
        assert info.graph_sha256 is not None, "segmenting would have to ask Keras first"
        size = info.preprocess
        model = build_model(info.model, rows=size.rows, columns=size.columns)
        assert read_graph(info) == describe_graph(model)


def test_the_graph_of_weights_without_one_comes_from_keras(tiny: WeightsInfo) -> None:
    assert read_graph(replace(tiny, graph_sha256=None)) == read_graph(tiny)


def test_a_changed_graph_is_refused(tmp_path: Path) -> None:
    info = save_tiny(tmp_path / "tiny", NETWORKS["unet, none"])
    path = info.folder / GRAPH_NAME
    path.write_text(path.read_text().replace("relu", "linear"))
    with pytest.raises(WeightsError, match=r"tiny/graph.json is damaged"):
        OpenVinoSegmenter(info)
    path.unlink()
    with pytest.raises(WeightsError, match="is missing"):
        OpenVinoSegmenter(info)


def test_a_graph_survives_its_text(tiny: WeightsInfo) -> None:
    graph = read_graph(tiny)
    assert graph_from_text(graph_to_text(graph), shown="x") == graph
    assert graph[0].kind == "InputLayer"
    assert graph[-1].name == "probabilities"
    join = next(layer for layer in graph if layer.name == "up0_join")
    assert join.inputs == ("down0_relu2", "up0_grow")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "[[1, 2]]",
        "[" * 100_000,
        json.dumps([["Activation", "a", ["b"], {}]]),
        json.dumps([["InputLayer", "a", [], {}], ["InputLayer", "a", [], {}]]),
    ],
)
def test_text_that_does_not_hold_a_graph_is_refused(text: str) -> None:
    with pytest.raises(WeightsError, match=r"The graph x cannot be read"):
        graph_from_text(text, shown="x")


def _changed(layers: tuple[Layer, ...], name: str, **changes: Any) -> tuple[Layer, ...]:
    return tuple(replace(layer, **changes) if layer.name == name else layer for layer in layers)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"name": "down0_relu1", "kind": "Lambda"}, "does not know layer down0_relu1"),
        ({"name": "down0_relu1", "settings": {"activation": "gelu"}}, "activation gelu"),
        ({"name": "up0_join", "settings": {"axis": 1}}, "axis 1"),
        ({"name": "up0_join", "inputs": ("up0_grow",)}, "does not fit its arrays"),
        ({"name": "up0_join", "inputs": ()}, "does not fit its arrays"),
    ],
)
def test_graphs_that_cannot_be_built(
    tiny: WeightsInfo, changes: dict[str, Any], sentence: str
) -> None:
    graph = _changed(read_graph(tiny), **changes)
    with pytest.raises(WeightsError, match=sentence):
        build_network(graph, read_arrays(tiny), shape=(32, 48), bfloat16=False, shown="tiny")


def test_auto_falls_back_to_keras_for_an_unknown_layer(
    tiny: WeightsInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = _changed(read_graph(tiny), name="down0_relu1", kind="Lambda")
    monkeypatch.setattr("core.segmentation.engines.openvino_engine.read_graph", lambda info: graph)
    fallback = load_engine(tiny, "auto")
    assert isinstance(fallback, Segmenter)
    assert "does not know layer down0_relu1 of tiny" in fallback.fallback_reason
    assert load_engine(tiny, "keras").fallback_reason == ""
    with pytest.raises(WeightsError, match="does not know layer down0_relu1"):
        load_engine(tiny, "openvino")


@pytest.mark.parametrize(
    "error",
    [
        ImportError("libopenvino.so.2630: cannot open shared object file"),
        RuntimeError("Exception from src/inference/core.cpp:84:\nNo device CPU"),
    ],
)
def test_an_openvino_that_does_not_start(
    tiny: WeightsInfo, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(info: WeightsInfo, **settings: Any) -> None:
        raise error

    monkeypatch.setattr("core.segmentation.engines.openvino_engine.OpenVinoSegmenter", fail)
    fallback = load_engine(tiny, "auto")
    assert isinstance(fallback, Segmenter)
    assert re.search("does not start: got (libopenvino|No device)", fallback.fallback_reason)
    sentence = r"does not start: got (libopenvino|No device)[^\n]+; reinstall it, [^\n]+\.$"
    with pytest.raises(EngineUnavailable, match=sentence):
        load_engine(tiny, "openvino")


def test_auto_without_openvino_gives_the_reason(
    tiny: WeightsInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load_engine(tiny, "auto").fallback_reason == ""
    monkeypatch.setattr("core.segmentation.engines.choose.find_spec", lambda name: None)
    assert "openvino is not installed" in load_engine(tiny, "auto").fallback_reason
    monkeypatch.setattr(
        "core.segmentation.engines.inference.prepare_device", lambda: "GPU (made up)"
    )
    assert load_engine(tiny, "auto").fallback_reason == ""


def test_parallel_threads_get_their_own_predictions(tiny: WeightsInfo) -> None:
    engine = OpenVinoSegmenter(tiny)
    generator = np.random.default_rng(5)
    scans = [
        generator.integers(0, 256, (count, SIZE.rows, SIZE.columns), dtype=np.uint8)
        for count in (1, 2, 7, 30, 50)
    ]
    alone = [engine.predict(scan, batch_size=4).pixels for scan in scans]
    with ThreadPoolExecutor(len(scans)) as pool:
        together = list(pool.map(lambda scan: engine.predict(scan, batch_size=4).pixels, scans))
    for expected, found in zip(alone, together, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_arrays_that_do_not_fit(tiny: WeightsInfo) -> None:
    arrays = read_arrays(tiny)
    surplus = {**arrays, "ghost/kernel": np.zeros(1, np.float32)}
    missing = {name: array for name, array in arrays.items() if name != "down0_conv1/kernel"}
    misshapen = {**arrays, "down0_conv2/kernel": arrays["down0_conv2/kernel"][:, :, :2]}
    for wrong, sentence in (
        (surplus, "1 arrays of no layer, first ghost/kernel"),
        (missing, "down0_conv1/kernel"),
        (misshapen, "does not fit its arrays"),
    ):
        with pytest.raises(WeightsError, match=sentence):
            build_network(read_graph(tiny), wrong, shape=(32, 48), bfloat16=True, shown="tiny")


def test_cancel_and_progress(tiny: WeightsInfo, frames: npt.NDArray[np.uint8]) -> None:
    engine = OpenVinoSegmenter(tiny)
    expected = engine.predict(frames, batch_size=3).pixels
    slices_done: list[int] = []
    with pytest.raises(Cancelled):
        engine.predict(
            frames,
            batch_size=3,
            on_progress=lambda stage, done, total: slices_done.append(done),
            should_cancel=lambda: len(slices_done) == 2,
        )
    assert slices_done == [0, 3]
    # A run that was stopped leaves nothing behind in the next one.
    np.testing.assert_array_equal(engine.predict(frames, batch_size=100).pixels, expected)


class _Request:
    """Counts how many of its kind are under way; may fail."""

    under_way = 0

    def __init__(self) -> None:
        self._started = False
        self.fails = False

    def set_input_tensor(self, tensor: Any) -> None:
        assert not self._started, "it still reads its last slice"

    def start_async(self) -> None:
        assert not self._started
        self._started = True
        _Request.under_way += 1

    def wait(self) -> None:
        if self._started:
            self._started = False
            _Request.under_way -= 1
            if self.fails:
                raise RuntimeError("made up")

    def get_output_tensor(self, number: int) -> Any:
        return type("Tensor", (), {"data": np.zeros((1, 2, SIZE.rows, SIZE.columns), np.uint8)})()


@pytest.fixture
def ring_of_three(tiny: WeightsInfo) -> RequestRing:
    """A ring whose requests are stand-ins, so that none ends by itself."""
    _Request.under_way = 0
    ring = OpenVinoSegmenter(tiny)._ring
    ring._requests = [_Request() for _ in range(3)]
    return ring


def test_a_run_that_is_not_exhausted_leaves_nothing_under_way(
    ring_of_three: RequestRing, frames: npt.NDArray[np.uint8]
) -> None:
    with closing(ring_of_three.run(frames)) as found:
        next(found)
        next(found)
        assert _Request.under_way > 0
    assert _Request.under_way == 0
    assert len(list(ring_of_three.run(frames))) == len(frames)
    assert _Request.under_way == 0


def test_a_request_that_fails_leaves_nothing_under_way(
    ring_of_three: RequestRing, frames: npt.NDArray[np.uint8]
) -> None:
    for request in ring_of_three._requests[1:]:
        request.fails = True
    with pytest.raises(RuntimeError, match="made up"):
        list(ring_of_three.run(frames))
    assert _Request.under_way == 0
    assert not ring_of_three._lock.locked()


def test_cancelling_drains_the_ring_of_either_engine(
    tiny: WeightsInfo, ring_of_three: RequestRing, frames: npt.NDArray[np.uint8]
) -> None:
    segmenter = OpenVinoSegmenter(tiny)
    segmenter._ring = ring_of_three
    slices_done: list[int] = []
    with pytest.raises(Cancelled):
        segmenter.predict(
            frames,
            batch_size=2,
            on_progress=lambda stage, done, total: slices_done.append(done),
            should_cancel=lambda: bool(slices_done),
        )
    assert _Request.under_way == 0

    maps = OpenVinoMaps.__new__(OpenVinoMaps)
    maps._ring = ring_of_three
    classifier = Classifier.__new__(Classifier)
    classifier.info = SimpleNamespace(model=SimpleNamespace(channels=1))
    classifier._network = maps
    with pytest.raises(Cancelled) as caught:
        classifier.predict(np.stack([frames] * 3, axis=-1), should_cancel=lambda: True)
    assert caught.value is not None  # its traceback keeps the frames of the run alive
    assert _Request.under_way == 0
    assert not ring_of_three._lock.locked()


def test_no_slices_give_an_empty_prediction(tiny: WeightsInfo) -> None:
    none = np.zeros((0, SIZE.rows, SIZE.columns), dtype=np.uint8)
    assert OpenVinoSegmenter(tiny).predict(none, batch_size=4).pixels.shape == (2, 0, 32, 48)


@pytest.mark.parametrize(
    ("wanted", "installed", "gpu", "chosen"),
    [
        ("auto", True, False, "openvino"),
        ("auto", True, True, "keras"),
        ("auto", False, False, "keras"),
        ("auto", False, True, "keras"),
        ("openvino", True, True, "openvino"),
        ("keras", True, False, "keras"),
    ],
)
def test_engine_by_capability(
    monkeypatch: pytest.MonkeyPatch, wanted: Any, installed: bool, gpu: bool, chosen: str
) -> None:
    spec = object() if installed else None
    monkeypatch.setattr("core.segmentation.engines.choose.find_spec", lambda name: spec)
    monkeypatch.setattr("core.segmentation.engines.choose.may_have_gpu", lambda: gpu)
    monkeypatch.setattr(
        "core.segmentation.engines.inference.prepare_device", lambda: "GPU (x)" if gpu else "CPU"
    )
    assert choose_engine(wanted) == chosen


def test_openvino_asked_for_but_not_installed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.segmentation.engines.choose.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="pip install openvino"):
        choose_engine("openvino")


def test_the_environment_chooses_unless_the_caller_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ENGINE_VARIABLE, raising=False)
    assert default_engine() == "auto"
    monkeypatch.setenv(ENGINE_VARIABLE, "keras")
    assert default_engine() == "keras"
    monkeypatch.setenv(ENGINE_VARIABLE, "abacus")
    with pytest.raises(ConfigError, match=r"got abacus, expected auto, openvino, keras"):
        default_engine()


def test_the_environment_chooses_the_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    info = find_weights()
    monkeypatch.setenv("LUNGLENS_PRECISION", "float32")
    assert load_engine(info, "openvino").device.endswith("OpenVINO float32")
    monkeypatch.setenv("LUNGLENS_PRECISION", "half")
    with pytest.raises(ConfigError, match=r"names no precision: got half, expected auto, float32"):
        load_engine(info, "openvino")


@pytest.mark.usefixtures("eager")
def test_keras_computes_in_bfloat16_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    info = find_weights()
    frames = np.random.default_rng(0).integers(0, 256, (1, 192, 256), dtype=np.uint8)
    found = {}
    for name in ("float32", "bfloat16"):
        monkeypatch.setenv("LUNGLENS_PRECISION", name)
        engine = load_engine(info, "keras")
        found[name] = engine.predict(frames, batch_size=1).pixels.astype(np.int16)
    difference = np.abs(found["float32"] - found["bfloat16"])
    assert 0 < difference.mean() < 8.0
