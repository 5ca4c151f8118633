"""Weights on disk: what is damaged is named, what is foreign is refused."""

from __future__ import annotations

import io
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from core.config import ModelConfig, PostprocessConfig, PreprocessConfig
from core.errors import SaveError, WeightsError
from core.segmentation.models import build_model
from core.segmentation.weights import (
    WeightsInfo,
    find_weights,
    list_unusable_weights,
    list_weights,
    load_weights,
    read_manifest,
)
from core.segmentation.weights_files import file_sha256
from core.segmentation.weights_store import save_weights

SIZE = PreprocessConfig(rows=32, columns=48)
MODEL = ModelConfig(depth=1, width=2)


def make_weights(folder: Path, *, is_default: bool = False) -> WeightsInfo:
    keras.utils.set_random_seed(3)
    return save_weights(
        build_model(MODEL, rows=SIZE.rows, columns=SIZE.columns),
        folder,
        title="Tiny",
        model_config=MODEL,
        preprocess=SIZE,
        postprocess=PostprocessConfig(infection_threshold=0.4),
        record={"split": {}, "seed": 3},
        is_default=is_default,
    )


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights") / "tiny"
    make_weights(folder)
    return folder


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(saved, tmp_path / "tiny"))


def change_manifest(folder: Path, **values: Any) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**manifest, **values}), encoding="utf-8")


def replace_arrays(folder: Path, content: bytes) -> None:
    """Other bytes, with a manifest that vouches for them."""
    path = folder / "weights.npz"
    path.write_bytes(content)
    change_manifest(folder, file={"name": path.name, "sha256": file_sha256(path)})


def stored_arrays(folder: Path) -> dict[str, Any]:
    with np.load(folder / "weights.npz", allow_pickle=False) as stored:
        return dict(stored)


def npz(**arrays: Any) -> bytes:
    packed = io.BytesIO()
    np.savez(packed, **arrays)
    return packed.getvalue()


def test_what_was_saved_is_read(folder: Path) -> None:
    info = read_manifest(folder)
    assert info.weights_id == "tiny"
    assert info.title == "Tiny"
    assert (info.model, info.preprocess) == (MODEL, SIZE)
    assert info.postprocess == PostprocessConfig(infection_threshold=0.4)
    assert info.manifest["seed"] == 3
    assert info.manifest["file"]["bytes"] == (folder / "weights.npz").stat().st_size
    loaded = load_weights(info)
    stored = stored_arrays(folder)
    assert {v.path for v in loaded.weights} == set(stored)
    for variable in loaded.weights:
        value = keras.ops.convert_to_numpy(variable)
        assert np.array_equal(value, stored[variable.path].astype(np.float32))


def test_kernels_are_halved_and_vectors_are_not(folder: Path) -> None:
    for array in stored_arrays(folder).values():
        assert array.dtype == (np.float16 if array.ndim > 1 else np.float32)


def test_the_same_network_gives_the_same_file(saved: Path, tmp_path: Path) -> None:
    assert make_weights(tmp_path / "again").sha256 == read_manifest(saved).sha256


# ------------------------------------------------------------------ arrays


@pytest.mark.parametrize("place", [0, -1, 200])
def test_one_changed_byte_names_the_file(folder: Path, place: int) -> None:
    path = folder / "weights.npz"
    content = bytearray(path.read_bytes())
    content[place] ^= 0x10
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"tiny/weights\.npz is damaged: got sha256 \w{12}…"):
        load_weights(read_manifest(folder))


def test_half_a_download_names_the_file(folder: Path) -> None:
    path = folder / "weights.npz"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(WeightsError, match=r"tiny/weights\.npz is damaged"):
        load_weights(read_manifest(folder))


def test_missing_arrays_name_the_file(folder: Path) -> None:
    (folder / "weights.npz").unlink()
    with pytest.raises(WeightsError, match=r"tiny/weights\.npz is missing"):
        load_weights(read_manifest(folder))


def test_pickled_objects_are_never_read(folder: Path) -> None:
    """Even where the manifest vouches for the file: reading a pickle could run anything."""

    class Trap:
        touched = False

        def __reduce__(self) -> tuple[Any, ...]:
            return (setattr, (Trap, "touched", True))

    arrays = stored_arrays(folder)
    name = next(iter(arrays))
    packed = io.BytesIO()
    np.savez(packed, allow_pickle=True, **{**arrays, name: np.array([{"a": 1}], dtype=object)})
    replace_arrays(folder, packed.getvalue())
    with pytest.raises(WeightsError, match=r"tiny/weights\.npz .*got Python objects"):
        load_weights(read_manifest(folder))
    assert not Trap.touched


def cut(content: bytes) -> bytes:
    return content[: len(content) * 2 // 3]


def garbled(content: bytes) -> bytes:
    """Compressed data overwritten, the zip's directory left as it was."""
    return content[:80] + b"\xff" * 40 + content[120:]


def lone_array(content: bytes) -> bytes:
    packed = io.BytesIO()
    np.save(packed, np.zeros(3, dtype=np.float32))
    return packed.getvalue()


@pytest.mark.parametrize("damage", [cut, garbled, lone_array, lambda _: b"", lambda _: b"text"])
def test_files_that_are_no_archive(folder: Path, damage: Any) -> None:
    replace_arrays(folder, damage((folder / "weights.npz").read_bytes()))
    with pytest.raises(WeightsError, match=r"tiny/weights\.npz cannot be read"):
        load_weights(read_manifest(folder))


@pytest.mark.parametrize("dtype", ["<U4", np.int32, np.complex64, np.bool_])
def test_arrays_that_are_no_weights(folder: Path, dtype: Any) -> None:
    arrays = stored_arrays(folder)
    name = next(iter(arrays))
    replace_arrays(folder, npz(**{**arrays, name: np.zeros(arrays[name].shape, dtype=dtype)}))
    with pytest.raises(WeightsError, match=r"expected float16 and float32"):
        load_weights(read_manifest(folder))


def test_missing_renamed_and_misshapen_arrays(folder: Path) -> None:
    arrays = stored_arrays(folder)
    name = next(iter(arrays))
    rest = {key: value for key, value in arrays.items() if key != name}
    for changed in (rest, {**rest, "other": arrays[name]}, {**arrays, name: arrays[name][..., :1]}):
        replace_arrays(folder, npz(**changed))
        with pytest.raises(WeightsError, match="does not fit its architecture"):
            load_weights(read_manifest(folder))


@pytest.mark.parametrize(
    "model",
    [replace(MODEL, width=3), replace(MODEL, depth=2), replace(MODEL, normalization="none")],
)
def test_another_architecture(folder: Path, model: ModelConfig) -> None:
    change_manifest(
        folder,
        model={"depth": model.depth, "width": model.width, "normalization": model.normalization},
    )
    with pytest.raises(WeightsError, match=r"tiny/weights\.npz does not fit its architecture"):
        load_weights(read_manifest(folder))


# ------------------------------------------------------------------ manifest


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '"text"',
        "{}",
        '{"weights_id": "tiny"}',
        "\x00\xff",
    ],
)
def test_manifests_that_cannot_be_read(folder: Path, text: str) -> None:
    (folder / "manifest.json").write_text(text, encoding="latin-1")
    with pytest.raises(WeightsError, match=r"The manifest tiny/manifest\.json cannot be read"):
        read_manifest(folder)


@pytest.mark.parametrize(
    "values",
    [
        {"file": "weights.npz"},
        {"file": {}},
        {"model": {"architecture": "resnet"}},
        {"model": {"layers": 3}},
        {"model": []},
        {"preprocess": {"rows": 33}},
        {"preprocess": {"window_width": -1}},
        {"postprocess": {"lung_threshold": 2}},
    ],
)
def test_settings_that_make_no_sense(folder: Path, values: dict[str, Any]) -> None:
    change_manifest(folder, **values)
    with pytest.raises(WeightsError, match=r"The manifest tiny/manifest\.json cannot be read"):
        list_weights(folder.parent)


def test_missing_manifest(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"nothing/manifest\.json cannot be read"):
        read_manifest(tmp_path / "nothing")


@pytest.mark.parametrize("weights_id", ["other", "../tiny", "", "<b>tiny</b>"])
def test_manifest_of_another_folder(folder: Path, weights_id: str) -> None:
    change_manifest(folder, weights_id=weights_id)
    with pytest.raises(WeightsError, match=r"tiny/manifest\.json names other weights") as caught:
        read_manifest(folder)
    assert "<" not in str(caught.value)


# ------------------------------------------------------------------ choice


def test_default_first_then_by_name(tmp_path: Path) -> None:
    for name in ("b", "a", "d"):
        make_weights(tmp_path / name, is_default=name == "b")
    (tmp_path / "no-manifest").mkdir()
    (tmp_path / "README.md").write_text("text", encoding="utf-8")
    assert [info.weights_id for info in list_weights(tmp_path)] == ["b", "a", "d"]
    assert find_weights(folder=tmp_path).weights_id == "b"
    assert find_weights("d", folder=tmp_path).weights_id == "d"


def test_published_weights_stand_behind_the_shipped_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped, runs = tmp_path / "weights", tmp_path / "runs"
    monkeypatch.setattr("core.segmentation.weights.WEIGHTS_FOLDER", shipped)
    monkeypatch.setenv("LUNGLENS_RUNS_FOLDER", str(runs))
    make_weights(runs / "published" / "mine", is_default=True)
    assert find_weights().weights_id == "mine"  # better than none
    make_weights(shipped / "z", is_default=True)
    make_weights(shipped / "same")
    make_weights(runs / "published" / "same")
    assert [info.weights_id for info in list_weights()] == ["z", "same", "mine"]
    assert find_weights().weights_id == "z"
    assert find_weights("same").folder == shipped / "same"
    assert find_weights("mine").folder == runs / "published" / "mine"
    (runs / "published" / "mine" / "manifest.json").write_text("{", encoding="utf-8")
    assert [info.weights_id for info in list_weights()] == ["z", "same"]


def test_unknown_id_lists_what_there_is(folder: Path) -> None:
    with pytest.raises(WeightsError, match=r"Unknown weights: got other, expected one of tiny\."):
        find_weights("other", folder=folder.parent)
    with pytest.raises(WeightsError) as caught:
        find_weights("<script>/x\n", folder=folder.parent)
    assert "<" not in str(caught.value)
    assert "\n" not in str(caught.value)


def break_manifest(folder: Path, text: str = "{") -> None:
    folder.mkdir(exist_ok=True)
    (folder / "manifest.json").write_text(text, encoding="utf-8")


def test_a_broken_manifest_costs_no_other_weights(tmp_path: Path) -> None:
    make_weights(tmp_path / "good", is_default=True)
    break_manifest(tmp_path / "bad")
    assert [info.weights_id for info in list_weights(tmp_path)] == ["good"]
    assert find_weights(folder=tmp_path).weights_id == "good"
    with pytest.raises(WeightsError, match=r"bad/manifest\.json cannot be read"):
        find_weights("bad", folder=tmp_path)
    shutil.rmtree(tmp_path / "good")
    with pytest.raises(WeightsError, match=r"bad/manifest\.json cannot be read"):
        find_weights(folder=tmp_path)


def test_broken_manifests_are_listed_with_the_reason(tmp_path: Path) -> None:
    make_weights(tmp_path / "good", is_default=True)
    break_manifest(tmp_path / "bad")
    break_manifest(tmp_path / "part", '{"weights_id": "part"}')
    break_manifest(tmp_path / "other-kind", '{"kind": "classifier"}')
    bad, part = list_unusable_weights(tmp_path)
    assert (bad.weights_id, bad.may_be_default) == ("bad", True)
    assert "bad/manifest.json cannot be read: got not JSON, from line 1 on" in str(bad.error)
    assert (part.weights_id, part.may_be_default) == ("part", False)
    assert "part/manifest.json cannot be read: got nothing under" in str(part.error)
    with pytest.raises(WeightsError, match=r"one of good; these are damaged .* bad, part\."):
        find_weights("none-of-these", folder=tmp_path)


@pytest.mark.parametrize("text", ["{", '{"weights_id": "first", "default": true}'])
def test_no_other_weights_take_the_place_of_a_broken_default(tmp_path: Path, text: str) -> None:
    make_weights(tmp_path / "second")
    assert find_weights(folder=tmp_path).weights_id == "second"
    break_manifest(tmp_path / "first", text)
    with pytest.raises(
        WeightsError,
        match=r"default weights cannot be used\. The manifest first/manifest\.json cannot be read: "
        r".*choose other weights by name \(second\)",
    ):
        find_weights(folder=tmp_path)
    assert find_weights("second", folder=tmp_path).weights_id == "second"
    assert [info.weights_id for info in list_weights(tmp_path)] == ["second"]


def test_a_broken_manifest_that_is_not_the_default_changes_nothing(tmp_path: Path) -> None:
    make_weights(tmp_path / "second")
    break_manifest(tmp_path / "first", '{"weights_id": "first", "default": false}')
    assert find_weights(folder=tmp_path).weights_id == "second"


def test_published_weights_do_not_stand_in_for_broken_shipped_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped, runs = tmp_path / "weights", tmp_path / "runs"
    monkeypatch.setattr("core.segmentation.weights.WEIGHTS_FOLDER", shipped)
    monkeypatch.setenv("LUNGLENS_RUNS_FOLDER", str(runs))
    make_weights(runs / "published" / "mine", is_default=True)
    make_weights(runs / "published" / "first")
    shipped.mkdir()
    break_manifest(shipped / "first")
    with pytest.raises(WeightsError, match=r"first/manifest\.json cannot be read"):
        find_weights()
    assert [info.weights_id for info in list_weights()] == ["mine"]
    assert [one.weights_id for one in list_unusable_weights()] == ["first"]


def test_weights_below_a_file_are_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text", encoding="utf-8")
    with pytest.raises(SaveError, match="tiny cannot be written"):
        make_weights(tmp_path / "file" / "tiny")


@pytest.mark.parametrize("exists", [True, False])
def test_no_weights_at_all(tmp_path: Path, exists: bool) -> None:
    place = tmp_path if exists else tmp_path / "absent"
    assert list_weights(place) == ()
    with pytest.raises(WeightsError, match="No weights are installed"):
        find_weights(folder=place)


@pytest.mark.parametrize("name", ["with space", ".hidden", "ä", "x" * 65])
def test_names_that_cannot_be_an_id(tmp_path: Path, name: str) -> None:
    with pytest.raises(WeightsError, match="cannot be used for a weights folder"):
        make_weights(tmp_path / name)
    assert not (tmp_path / name).exists()
