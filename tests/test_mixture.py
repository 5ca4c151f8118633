"""Training on sets with different labels: folds, frames, truth, losses, a whole tiny run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from core.cli import main
from core.config import (
    MixtureConfig,
    MixtureShares,
    ModelConfig,
    PostprocessConfig,
    PreprocessConfig,
    from_json_dict,
    to_json_dict,
)
from core.errors import ConfigError, DatasetError, LoadError
from core.segmentation import read_manifest
from core.segmentation.models import PIXELS, PRESENCE
from core.system import json_text
from core.training.imagenet import read_encoder
from core.training.losses import UNKNOWN
from core.training.mixture.batches import MixtureBatches, truth_of
from core.training.mixture.degradation import degrade
from core.training.mixture.evaluating import evaluate_scan, summarize
from core.training.mixture.fit import load_mixture_network, split_scans, train_mixture
from core.training.mixture.folds import (
    assign_folds,
    find_near_duplicates,
    group_patients,
    read_connections,
)
from core.training.mixture.frames import Frame, draw_box, draw_frame
from core.training.mixture.losses import UNVERIFIED, MixtureLoss, PresenceLoss, resolve_unverified
from core.training.mixture.packing import pack_scans, shrink_scans, unpack_scans
from core.training.mixture.publishing import evaluate_weights, publish_mixture
from core.training.mixture.sources import LabelledScan, LabelledStudy, SourceName
from core.training.runs import RunPaths
from core.volume import MaskPair
from tests.eager import assert_same_when_compiled, eager_keras, shrink_encoder
from tests.studies import small_volume

HEIGHT, WIDTH = 60, 80
TINY = MixtureConfig(
    model=ModelConfig(depth=5, width=2, max_filters=4, encoder="lite0", slice_head=True),
    preprocess=PreprocessConfig(crop="lungs", rows=32, columns=64),
    epochs=2,
    steps_per_epoch=1,
    batch_size=2,
    precision="float32",
)


def scan(
    name: str, source: SourceName = "covid20", *, slices: int = 3, seed: int = 0
) -> LabelledScan:
    """Two dark ovals in a bright body, a bright spot in one of them; the first slice holds none."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    ovals = ((y - 30) / 18) ** 2 + ((np.abs(x - 40) - 17) / 11) ** 2 < 1
    spot = (y - 38) ** 2 + (x - 24) ** 2 < 20
    images, lungs, infections = [], [], []
    for k in range(slices):
        picture = generator.normal(200, 4, (HEIGHT, WIDTH))
        if k:
            picture[ovals] = generator.normal(60, 4, int(ovals.sum()))
            picture[spot] = 150
        images.append(np.clip(picture, 0, 255))
        lungs.append(ovals if k else np.zeros_like(ovals))
        infections.append(spot if k else np.zeros_like(spot))
    knows_lung = source in ("covid20", "second_team", "whole_chest", "lung_slices")
    infection = np.stack(infections).astype(np.uint8)
    if source not in ("covid20", "second_team", "pictures"):
        infection[:] = 0
    return LabelledScan(
        scan_id=name,
        patient_id=name,
        source=source,
        images=np.stack(images).astype(np.uint8),
        lung=np.stack(lungs).astype(np.uint8) if knows_lung else None,
        infection=None if source == "lung_slices" else infection,
        body_box=(0, HEIGHT, 0, WIDTH),
        lung_box=(8, 52, 8, 72),
        infection_unverified=source == "unreviewed",
    )


def test_configs_go_through_json() -> None:
    assert from_json_dict(MixtureConfig, to_json_dict(TINY)) == TINY


@pytest.mark.parametrize(
    "wrong", [{"epochs": 0}, {"learning_rate": 0.0}, {"average_momentum": 1.0}, {"folds": 1}]
)
def test_impossible_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        replace(TINY, **wrong)


def test_negative_shares_are_refused() -> None:
    with pytest.raises(ConfigError):
        MixtureShares(covid20=-0.1)


def test_connected_patients_share_a_leader() -> None:
    found = group_patients("abcde", [("d", "b"), ("e", "d"), ("c", "x")])
    assert found == {"a": "a", "b": "b", "c": "c", "d": "b", "e": "b"}


def test_the_stored_connections_join_what_the_sets_share() -> None:
    group = group_patients(["luna_1", "ID_0112_Z_0085", "luna_3"], read_connections())
    series = "1.3.6.1.4.1.14519.5.2.1.6279.6001.100684836163890911914061745866"
    with_series = group_patients(["luna_1", "ID_0112_Z_0085", series], read_connections())
    assert len(set(with_series.values())) == 1
    assert group["luna_3"] != group["luna_1"]


def test_folds_spread_every_source_and_split_no_patient() -> None:
    scans = [scan(f"coronacases_{n}") for n in range(6)]
    scans += [scan(f"lctsc_{n}", "whole_chest") for n in range(3)]
    scans += [scan(f"series_{n}", "unreviewed") for n in range(4)]
    scans += [scan("slice_of_0", "lung_slices")]
    fold_of = assign_folds(scans, folds=3, seed=1, connections=[("slice_of_0", "series_0")])
    assert sorted(fold_of[f"coronacases_{n}"] for n in range(6)) == [1, 1, 2, 2, 3, 3]
    assert sorted(fold_of[f"lctsc_{n}"] for n in range(3)) == [1, 2, 3]
    assert fold_of["slice_of_0"] == fold_of["series_0"]


def test_nearly_equal_slices_are_found() -> None:
    first, other = scan("a", seed=1), scan("b", seed=2)
    rng = np.random.default_rng(0)
    unlike = replace(scan("c"), images=rng.integers(0, 255, (1, HEIGHT, WIDTH), dtype=np.uint8))
    pairs = find_near_duplicates([first, other, unlike])
    assert [pair[:2] for pair in pairs] == [("a", "b")]


@pytest.mark.parametrize("seed", range(12))
def test_masks_move_with_their_picture(seed: int) -> None:
    """Lung is dark and everything else bright, before and after."""
    frame = draw_frame(
        scan("a"), 1, rows=64, columns=96, generator=np.random.default_rng([3, seed])
    )
    assert frame.image.shape == (64, 96)
    assert frame.lung is not None
    assert frame.infection is not None
    lung = (frame.lung > 0) & (frame.infection == 0)
    if lung.sum() > 40:
        assert np.median(frame.image[lung]) < 90
    assert not ((frame.infection > 0) & (frame.lung == 0)).sum() > 0.3 * frame.infection.sum() + 6


def test_boxes_stay_inside_the_slice() -> None:
    generator = np.random.default_rng(0)
    for _ in range(200):
        top, bottom, left, right = draw_box(scan("a"), generator)
        assert 0 <= top < bottom <= HEIGHT
        assert 0 <= left < right <= WIDTH


def test_degrading_keeps_shape_and_grey() -> None:
    generator = np.random.default_rng(0)
    image = scan("a").images[1]
    degraded = [degrade(image, generator) for _ in range(60)]
    assert {d.shape for d in degraded} == {image.shape}
    assert {d.dtype for d in degraded} == {np.dtype(np.uint8)}
    assert any(np.array_equal(d, image) for d in degraded)
    assert np.mean([np.abs(d.astype(float) - image).mean() > 3 for d in degraded]) > 0.3


def test_what_is_unknown_stays_unknown() -> None:
    empty = np.zeros((4, 6), dtype=np.uint8)
    pixels, presence = truth_of(Frame(empty, None, empty), scan("a", "reviewed"))
    assert (pixels[..., 0] == UNKNOWN).all()
    assert (pixels[..., 1] == 0).all()
    assert presence.tolist() == [1.0, 0.0]
    pixels, presence = truth_of(Frame(empty, None, empty), scan("a", "unreviewed"))
    assert (pixels[..., 1] == UNVERIFIED).all()
    assert presence.tolist() == [1.0, UNKNOWN]
    few = empty.copy()
    few[0, :3] = 1
    _, presence = truth_of(Frame(empty, few, empty), scan("a", "covid20"))
    assert presence.tolist() == [UNKNOWN, 0.0]


def test_unverified_pixels_are_ignored_where_the_network_is_confident() -> None:
    true = np.array([UNVERIFIED, UNVERIFIED, UNKNOWN, 1.0, 0.0], dtype=np.float32)
    predicted = np.array([0.9, 0.3, 0.9, 0.9, 0.9], dtype=np.float32)
    settled = np.asarray(keras.ops.convert_to_numpy(resolve_unverified(true, predicted)))
    assert settled.tolist() == [UNKNOWN, 0.0, UNKNOWN, 1.0, 0.0]


def test_losses_by_hand() -> None:
    true = np.array([[1.0, UNKNOWN], [0.0, UNKNOWN]], dtype=np.float32)
    predicted = np.array([[0.5, 0.9], [0.5, 0.1]], dtype=np.float32)
    found = float(keras.ops.convert_to_numpy(PresenceLoss()(true, predicted)))
    assert found == pytest.approx(np.log(2.0), rel=1e-4)
    perfect = np.zeros((1, 4, 4, 2), dtype=np.float32)
    perfect[:, :2] = 1.0
    loss = float(keras.ops.convert_to_numpy(MixtureLoss()(perfect, perfect)))
    assert loss == pytest.approx(0.0, abs=1e-4)


@pytest.mark.parametrize("loss", [MixtureLoss(), PresenceLoss()], ids=lambda loss: loss.name)
def test_losses_and_gradients_are_the_same_when_compiled(loss: keras.losses.Loss) -> None:
    pytest.importorskip("tensorflow")
    random = np.random.default_rng(0)
    true = random.choice([0.0, 1.0, UNKNOWN, UNVERIFIED], (2, 8, 8, 2)).astype(np.float32)
    predicted = random.uniform(0.01, 0.99, true.shape).astype(np.float32)
    assert_same_when_compiled(loss, true, predicted)


def test_batches_are_drawn_by_seed_and_epoch_alone() -> None:
    scans = [scan("coronacases_1"), scan("lctsc_1", "whole_chest"), scan("x", "unreviewed")]
    config = replace(TINY, steps_per_epoch=2)
    images, truth = MixtureBatches(scans, config, epoch=3)[1]
    again = MixtureBatches(scans, config, epoch=2)
    again.on_epoch_end()
    np.testing.assert_array_equal(again[1][0], images)
    assert images.shape == (2, 32, 64, 1)
    assert 0.0 <= images.min() <= images.max() <= 1.0
    assert truth[PIXELS].shape == (2, 32, 64, 2)
    assert truth[PRESENCE].shape == (2, 2)
    assert not np.array_equal(MixtureBatches(scans, config, epoch=3)[0][0], images)


def test_training_without_scans_is_refused() -> None:
    with pytest.raises(DatasetError):
        MixtureBatches([], TINY)


@pytest.mark.usefixtures("eager", "small_encoder")
def test_a_tiny_run_resumes_where_it_stopped(tmp_path: Path) -> None:
    config = replace(TINY, pretrained=False)
    scans = [scan(f"coronacases_{n}") for n in range(3)] + [scan("lctsc_0", "whole_chest")]
    training, kept = split_scans(scans, config, hold_out=1)
    assert {s.scan_id for s in training} | {s.scan_id for s in kept} == {s.scan_id for s in scans}
    assert kept
    train_mixture(scans, tmp_path / "run", config, hold_out=1, stop_after=1)
    paths = train_mixture(scans, tmp_path / "run", config, hold_out=1)
    assert len(paths.history.read_text().splitlines()) == 3
    network, found_config = load_mixture_network(paths)
    assert found_config == config
    pixels, presence = network.predict_on_batch(np.zeros((1, 32, 64, 1), dtype=np.float32))
    assert pixels.shape == (1, 32, 64, 2)
    assert presence.shape == (1, 2)
    with pytest.raises(DatasetError, match="another run"):
        train_mixture(scans, tmp_path / "run", replace(config, seed=8), hold_out=1)


def test_packing_keeps_masks_and_nearly_all_of_the_pictures(tmp_path: Path) -> None:
    scans = [
        scan("coronacases_0"),
        scan("x", "unreviewed", seed=1),
        scan("y", "lung_slices", seed=2),
    ]
    pack_scans(scans, tmp_path / "frames.npz", quality=95)
    found = unpack_scans(tmp_path / "frames.npz")
    for before, after in zip(scans, found, strict=True):
        assert (after.scan_id, after.source) == (before.scan_id, before.source)
        assert after.body_box == before.body_box
        assert after.lung_box == before.lung_box
        assert after.infection_unverified == before.infection_unverified
        assert np.abs(after.images.astype(int) - before.images).mean() < 4
        for mask, kept in ((before.lung, after.lung), (before.infection, after.infection)):
            assert (mask is None) == (kept is None)
            if mask is not None:
                np.testing.assert_array_equal(kept, mask)


def test_a_file_that_holds_no_scans_is_refused(tmp_path: Path) -> None:
    (tmp_path / "frames.npz").write_bytes(b"nothing")
    with pytest.raises(DatasetError, match=r"frames\.npz cannot be read"):
        unpack_scans(tmp_path / "frames.npz")


def test_large_slices_are_shrunk_with_their_boxes() -> None:
    (small,) = shrink_scans([scan("a")], most_pixels=40)
    assert small.images.shape == (3, 30, 40)
    assert small.lung_box == (4, 26, 4, 36)
    assert small.lung is not None
    assert small.lung[1].mean() == pytest.approx(scan("a").lung[1].mean(), abs=0.02)  # type: ignore[index]


def test_values_by_hand() -> None:
    """Two slices: one with a lung of 8 voxels, 2 of them infected; one with none of either."""
    lung, infection = np.zeros((2, 4, 4, 2), dtype=np.bool_)
    lung[:2, :, 0] = True
    infection[0, :2, 0] = True
    volume = small_volume()
    volume = replace(volume, array=np.asfortranarray(volume.array[:4, :4, :2]))
    study = LabelledStudy("a", "a", "covid20", volume, MaskPair(lung, infection))
    marked = lung.copy()
    marked[0, 0, 1] = True
    infected = infection.copy()
    infected[0, 0, 1] = True
    found = evaluate_scan(study, MaskPair(marked, infected))
    assert found.lung_dice == pytest.approx(16 / 17)
    assert found.infection_dice == pytest.approx(4 / 5)
    assert found.lung_in_free_slices == pytest.approx(1 / 8)
    assert found.infected_share == pytest.approx(3 / 9)
    assert found.infected_in_free_slices == pytest.approx(1.0)
    figures = summarize([found, replace(found, scan_id="b", lung_dice=1.0)])["covid20"]
    assert figures["lung_dice"] == pytest.approx((16 / 17 + 1) / 2)
    assert figures["worst_lung_dice"] == pytest.approx(16 / 17)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the command has trained on `frames.npz` into `run`, and published it."""
    folder = tmp_path_factory.mktemp("trained")
    pack_scans([scan(f"coronacases_{n}") for n in range(3)], folder / "frames.npz")
    config = replace(TINY, epochs=1, pretrained=False)
    (folder / "tiny.json").write_text(json_text(to_json_dict(config)))
    run = ["--out", str(folder / "run"), "--hold-out", "1"]
    with pytest.MonkeyPatch.context() as patch, eager_keras():
        shrink_encoder(patch)
        publish = ["--publish", str(folder / "weights" / "tiny")]
        assert main([*command_for(folder), *run, *publish]) == 0
    return folder


def command_for(folder: Path) -> list[str]:
    """The command and what it takes from a folder of `trained`."""
    data, config = str(folder / "frames.npz"), str(folder / "tiny.json")
    return ["train-mixture", "--data", data, "--config", config, "--quiet"]


@pytest.mark.usefixtures("eager", "small_encoder")
def test_a_tiny_run_is_published_and_evaluated(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scans, paths = unpack_scans(trained / "frames.npz"), RunPaths(trained / "run")
    chosen = PostprocessConfig(infection_threshold=0.3)
    info = publish_mixture(scans, paths, tmp_path / "weights" / "fold", postprocess=chosen)
    assert info.postprocess == chosen
    assert "Not evaluated yet." in info.card_path.read_text()
    with pytest.raises(DatasetError, match="have not been evaluated: got fold"):
        publish_mixture(
            scans, paths, tmp_path / "weights" / "all", postprocess=chosen, folds=[info.folder]
        )
    held_out = info.manifest["sets"]["held_out"]["covid20"]

    def fails(data: Path) -> None:
        raise LoadError("A scan cannot be read")

    monkeypatch.setattr("core.training.mixture.evaluating.read_studies", fails)
    with pytest.raises(LoadError):
        publish_mixture(
            scans, paths, tmp_path / "weights" / "never", postprocess=chosen, data=tmp_path
        )
    with pytest.raises(LoadError):
        evaluate_weights(tmp_path, info.folder)
    assert [path.name for path in (tmp_path / "weights").iterdir()] == ["fold"]
    assert "Not evaluated yet." in info.card_path.read_text()
    volume = small_volume()
    nothing = np.zeros(volume.shape, dtype=np.bool_)
    studies = [
        LabelledStudy(s.scan_id, s.patient_id, s.source, volume, MaskPair(nothing, nothing))
        for s in scans
    ]
    monkeypatch.setattr("core.training.mixture.evaluating.read_studies", lambda data: studies)
    info = evaluate_weights(tmp_path, info.folder)
    found = info.manifest["validation"]["scans"]
    assert [row["scan_id"] for row in found] == held_out
    assert "| `covid20` | 1 |" in info.card_path.read_text()
    every = publish_mixture(
        scans, paths, tmp_path / "weights" / "all", postprocess=chosen, folds=[info.folder] * 2
    )
    joined = every.manifest["cross_validation"]
    assert joined["scans"] == found * 2
    assert joined["folds"] == [{"steps": TINY.steps_per_epoch, "batch_size": TINY.batch_size}] * 2
    assert "2 networks of the same kind" in every.card_path.read_text()


def test_the_command_packs_trains_and_publishes(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = command_for(trained)
    assert main([*command, "--pack", str(tmp_path / "smaller.npz"), "--most-pixels", "40"]) == 0
    assert unpack_scans(tmp_path / "smaller.npz")[0].images.shape == (3, 30, 40)
    assert read_manifest(trained / "weights" / "tiny").model == TINY.model
    assert main(command) == 1
    assert "one of --out, --pack and --evaluate" in capsys.readouterr().err
    assert main([*command, "--out", str(tmp_path / "run"), "--stop-after", "0"]) == 1
    assert "--stop-after must be at least 1" in capsys.readouterr().err


def test_the_encoder_starts_from_imagenet_arrays() -> None:
    arrays = read_encoder("lite0")
    assert arrays["stem_conv/kernel"].shape == (3, 3, 3, 32)
    assert sum(array.size for path, array in arrays.items() if "moving" not in path) == 2_958_848
