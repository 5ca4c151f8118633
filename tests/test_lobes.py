"""Lobes of made lungs with known fissures, in any orientation; refusals; pieces; the command."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

from core.cli import main
from core.config import LOBES, LobeNetworkConfig
from core.errors import LoadError, WeightsError
from core.loading import NotLabelsError, load_label_map
from core.measuring.lobes import Lobes
from core.output import save_mask
from core.segmentation.lobes import checks, estimate_lobes, find_lobe_weights, find_lobes
from core.segmentation.lobes.grid import grid_of_box, network_input
from core.segmentation.lobes.pieces import join_fragments
from core.segmentation.lobes.resampling import lungs_box, restore_labels, shrink_mask
from core.segmentation.lobes.weights import LobeNetwork, load_lobe_network
from core.volume import Volume, volume_from_file
from tests.made_lungs import CENTRE_MM, GRIDS, SIZE_MM, lobes_at, made_lobes, write_labels
from tests.spheres import HU
from tests.studies import demo_study

GRID = (64, 48, 64)


class KnownFissures:
    """In place of a network: the very lobes of the made lungs, by the place in their box."""

    def predict(self, lungs: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        inner = np.array(GRID) / (np.array(GRID) - 4.0)
        left, back, up = (
            np.moveaxis(lungs[..., 1:], -1, 0)
            * inner.reshape(3, 1, 1, 1)
            * (1 - 1 / np.array(GRID)).reshape(3, 1, 1, 1)
        )
        x, y, z = -left, -back, up
        steep = 20.0

        def share(distance: Any) -> Any:
            return 1 / (1 + np.exp(np.clip(-steep * distance, -60, 60)))

        behind, below = share(-0.25 - 0.9 * y - z), share(-0.1 - z)
        right = share(x * 5)
        parts = (
            right * (1 - behind) * (1 - below),
            right * (1 - behind) * below,
            right * behind,
            (1 - right) * (1 - behind),
            (1 - right) * behind,
        )
        return np.stack(parts, axis=-1).astype(np.float32)


def known_network(mask: Any) -> LobeNetwork:
    """Such a network, for which the given lungs are what lungs look like."""
    coarse = mask.reshape(16, 4, 12, 4, 16, 4).mean(axis=(1, 3, 5))
    info: Any = type("Info", (), {"network": LobeNetworkConfig(), "mean_dice": 0.9})()
    info.weights_id = "known"
    return LobeNetwork(info, KnownFissures(), coarse.astype(np.float32))


def opened(tmp_path: Path, name: str) -> tuple[Volume, npt.NDArray[np.uint8]]:
    labels, affine = made_lobes(*GRIDS[name])
    path = write_labels(tmp_path / "lobes.nii.gz", labels, affine)
    return load_label_map(path), labels


@pytest.mark.parametrize("name", GRIDS)
def test_lobes_come_back_where_their_fissures_are(tmp_path: Path, name: str) -> None:
    volume, labels = opened(tmp_path, name)
    lung = volume.array > 0
    box = lungs_box(lung)
    assert box is not None
    found = estimate_lobes(lung, volume, known_network(shrink_mask(lung, box, GRID)))
    assert found.reason == ""
    assert found.labels is not None
    path = save_mask(found.labels, volume, tmp_path / "found.nii.gz")
    saved = nib.load(path)
    assert saved.shape == labels.shape
    assert np.allclose(saved.affine, nib.load(tmp_path / "lobes.nii.gz").affine)
    # In the file's own order: what differs lies within half a cell of a fissure.
    written = np.asarray(saved.dataobj)
    assert np.array_equal(written > 0, labels > 0)
    assert np.count_nonzero(written != labels) < 0.03 * np.count_nonzero(labels)


def test_labels_of_the_made_lungs_are_those_of_the_patients_sides() -> None:
    right, left = lobes_at(CENTRE_MM + SIZE_MM * [[0.3, 0.2, 0.2], [-0.3, 0.2, 0.2]])
    assert (right, left) == (1, 4)


def test_every_voxel_has_a_lobe_and_each_lobe_is_one_piece(tmp_path: Path) -> None:
    volume, _ = opened(tmp_path, "LPS, fine")
    lung = volume.array > 0
    box = lungs_box(lung)
    assert box is not None
    mask = shrink_mask(lung, box, GRID)
    noisy = KnownFissures().predict(network_input(mask))
    noisy = noisy + np.random.default_rng(1).normal(0, 0.35, noisy.shape).astype(np.float32)
    noisy = np.clip(noisy, 0, 1).astype(np.float32)
    labels = restore_labels(noisy, lung, box)
    assert max(ndimage.label(labels == lobe)[1] for lobe in range(1, 6)) > 1
    join_fragments(labels)
    assert np.array_equal(labels > 0, lung)
    assert [ndimage.label(labels == lobe)[1] for lobe in range(1, 6)] == [1] * 5


def test_a_fragment_takes_the_lobe_that_it_touches_most_and_an_island_keeps_its_own() -> None:
    labels = np.zeros((20, 12, 6), dtype=np.uint8, order="F")
    labels[:10, :, :3] = 1
    labels[10:17, :, :3] = 3
    labels[2:4, 2:4, 1] = 3  # inside lobe 1
    labels[19, 11, 5] = 2  # touches nothing
    labels[0, 0, 0] = 2
    join_fragments(labels)
    assert (labels[2:4, 2:4, 1] == 1).all()
    assert labels[19, 11, 5] == 2
    assert labels[0, 0, 0] == 1 or labels[19, 11, 5] == 2


def test_stray_specks_do_not_move_the_box_and_go_with_the_nearest_lobe(tmp_path: Path) -> None:
    volume, _ = opened(tmp_path, "LPS, fine")
    lung = np.asfortranarray(volume.array > 0)
    before = lungs_box(lung)
    lung[0, 0, 0] = lung[-1, -1, -1] = True
    assert lungs_box(lung) == before
    assert before is not None
    mask = shrink_mask(lung, before, GRID)
    labels = restore_labels(KnownFissures().predict(network_input(mask)), lung, before)
    assert labels[0, 0, 0] == 2  # to the right, in front, below: clamped into the box
    assert labels[-1, -1, -1] == 4  # to the left, above
    assert np.array_equal(labels > 0, lung)


def test_the_box_fills_the_grid_but_for_its_margin() -> None:
    low, high = np.array([9.5, -0.5, 3.5]), np.array([69.5, 43.5, 33.5])
    grid = grid_of_box(low, high, GRID)
    assert grid.step == (1.0, 1.0, 0.5)
    assert grid.first == (8.0, -2.0, 2.75)
    assert grid.cells_of(0, np.array([8.0, 71.0])).tolist() == [0.0, 63.0]


def test_thin_and_thick_slices_give_the_same_coarse_mask() -> None:
    masks = []
    for step in (1.5, 4.0, 6.5):
        labels, _ = made_lobes("LPS", (2.0, 2.0, step))
        lung = np.asfortranarray(labels > 0)
        box = lungs_box(lung)
        assert box is not None
        masks.append(shrink_mask(lung, box, GRID))
    for other in masks[1:]:
        assert np.mean(masks[0] != other) < 0.03


def hostile(name: str, lung: Any) -> Any:
    changed = np.zeros_like(lung)
    middle = lung.shape[0] // 2
    if name == "one voxel":
        changed[middle, 30, 40] = True
    elif name == "full":
        changed[:] = True
    elif name == "upside down":
        changed = lung[:, :, ::-1]
    elif name == "one lung":
        changed[middle:] = lung[middle:]
    elif name == "noise":
        changed = np.random.default_rng(0).random(lung.shape) < 0.3
    elif name == "lower half":
        changed[:, :, : lung.shape[2] // 2] = lung[:, :, : lung.shape[2] // 2]
    return np.asfortranarray(changed)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("empty", "no lung is marked"),
        ("one voxel", "none of its pieces is large"),
        ("full", "it fills 100"),
        ("upside down", "upside down"),
        ("one lung", "only one lung"),
        ("noise", "does not have the shape of two lungs"),
        ("lower half", "ends abruptly inside the scan"),
    ],
)
def test_masks_that_are_none_get_a_sentence(tmp_path: Path, name: str, sentence: str) -> None:
    volume, _ = opened(tmp_path, "LPS, fine")
    lung = volume.array > 0
    box = lungs_box(lung)
    assert box is not None
    network = known_network(shrink_mask(lung, box, GRID))
    found = estimate_lobes(hostile(name, lung), volume, network)
    assert found.labels is None
    assert sentence in found.reason
    assert found.reason.endswith(".")
    assert found.note == ""


def test_lungs_cut_off_by_the_scan_are_not_divided(tmp_path: Path) -> None:
    labels, affine = made_lobes("LPS", (2.0, 2.0, 2.5))
    held = np.flatnonzero(labels.any(axis=(0, 1)))
    for share, told in ((0.0, True), (0.3, False)):
        start = held[0] + round(share * len(held))
        volume = load_label_map(
            write_labels(tmp_path / f"{share}.nii.gz", labels[:, :, start:], affine)
        )
        lung = volume.array > 0
        box = lungs_box(lung)
        assert box is not None
        network = known_network(shrink_mask(lung, box, GRID))
        found = estimate_lobes(lung, volume, network)
        assert (found.labels is not None) == told, found.reason
        if not told:
            assert "nine tenths" in found.reason


def test_missing_height_by_the_areas_at_both_ends() -> None:
    areas = np.array([0, 10, 100, 60, 0])
    assert checks.missing_height(areas) == 0.0
    assert checks.missing_height(np.array([12, 100, 0])) == pytest.approx(0.1)
    assert checks.missing_height(np.array([12, 100, 30])) == pytest.approx(0.2)


def test_pictures_and_unknown_lungs_are_not_divided(tmp_path: Path) -> None:
    volume, _ = opened(tmp_path, "LPS, fine")
    lung = volume.array > 0
    pictures = replace(volume, source=replace(volume.source, format="pictures"))
    box = lungs_box(lung)
    assert box is not None
    network = known_network(shrink_mask(lung, box, GRID))
    assert estimate_lobes(lung, pictures, network).reason == checks.PICTURES
    assert find_lobes(None, volume).reason == checks.NO_LUNG


def test_damaged_weights_are_a_reason_and_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume, _ = opened(tmp_path, "LPS, fine")

    def broken() -> None:
        raise WeightsError("The weights file lobes-v1/weights.npz is damaged")

    monkeypatch.setattr("core.segmentation.lobes.estimate.load_lobe_network", broken)
    found = find_lobes(volume.array > 0, volume)
    assert found.labels is None
    assert "is damaged" in found.reason
    monkeypatch.setattr("core.segmentation.lobes.estimate.load_lobe_network", lambda: None)
    assert find_lobes(volume.array > 0, volume).reason == checks.NO_WEIGHTS


def test_a_label_map_opens_by_itself_and_a_scan_does_not(tmp_path: Path) -> None:
    affine = np.diag([-2.0, -2.0, 3.0, 1.0])
    scan = np.random.default_rng(0).normal(-500, 300, (40, 40, 8)).astype(np.int16)
    with pytest.raises(NotLabelsError, match="is not a mask"):
        load_label_map(write_labels(tmp_path / "scan.nii.gz", scan, affine))
    four = np.zeros((40, 40, 8, 2), dtype=np.uint8)
    with pytest.raises(LoadError, match=r"frames|axes|volumes"):
        load_label_map(write_labels(tmp_path / "four.nii.gz", four, affine))


def need_lobe_weights() -> None:
    if find_lobe_weights() is None:
        pytest.skip("no lobe weights are installed")


def test_both_engines_tell_the_same() -> None:
    need_lobe_weights()
    from core.segmentation.lobes.keras_lobes import KerasLobes
    from core.segmentation.lobes.weights import read_lobe_arrays

    network = load_lobe_network()
    assert network is not None
    arrays, mean = read_lobe_arrays(network.info)
    lungs = network_input(np.kron(mean > 0.5, np.ones((4, 4, 4))) > 0)
    keras = KerasLobes(network.info.network, arrays, shown="lobes").predict(lungs)
    assert np.abs(keras - network.predictor.predict(lungs)).max() < 1e-4
    assert np.allclose(keras.sum(axis=-1), 1, atol=1e-4)
    with pytest.raises(WeightsError, match="does not fit"):
        KerasLobes(network.info.network, dict(list(arrays.items())[1:]), shown="lobes")


def test_the_demo_study_gets_the_lobes_that_it_was_made_with() -> None:
    need_lobe_weights()
    from core.phantom.frame import Frame
    from core.phantom.lobes import lobe_of

    study = demo_study((128, 128, 48))
    assert study.truth is not None
    assert study.truth.lung is not None
    lung, volume = study.truth.lung, study.volume
    found = find_lobes(lung, volume)
    assert found.labels is not None, found.reason
    frame = Frame(volume.shape)
    i, j, k = np.nonzero(lung)
    z = frame.z_mm[k]
    true = lobe_of(np.stack([frame.x_mm(i), frame.y_mm(j, z), z], axis=1)) + 1
    told = found.labels[lung]
    overlap = [
        2 * np.sum((true == n) & (told == n)) / (np.sum(true == n) + np.sum(told == n))
        for n in range(1, 6)
    ]
    assert np.mean(overlap) > 0.75


def test_the_command_writes_lobes_beside_a_mask(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    volume, labels = opened(tmp_path, "RAS")
    found = Lobes(volume.array, mean_dice=0.91, weights_id="known")
    monkeypatch.setattr("core.cli.lobes.find_lobes", lambda lung, scan: found)
    source, target = tmp_path / "lobes.nii.gz", tmp_path / "out.nii.gz"
    assert main(["lobes", str(source), "-o", str(target), "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["labels"] == {name: n for n, name in enumerate(LOBES, start=1)}
    assert values["voxels"]["right_middle"] == np.count_nonzero(labels == 2)
    assert values["volume_ml"]["left_lower"] == pytest.approx(
        np.count_nonzero(labels == 5) * 2.0 * 2.5 * 3.0 / 1000
    )
    assert values["lobes_note"] == (
        "Lobes estimated from the shape of the lungs; mean Dice 0.91 on scans of other patients."
    )
    assert np.array_equal(np.asarray(nib.load(target).dataobj), labels)
    assert main(["lobes", str(source), "-o", str(target)]) == 0
    text = capsys.readouterr().out
    assert "Right middle lobe: " in text
    assert "never a diagnosis" in text


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("empty", "no lung is marked"), ("four", "frames"), ("png", "ends in .nii.gz")],
)
def test_the_command_says_why_it_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, sentence: str
) -> None:
    shape = (40, 40, 30, 2) if name == "four" else (40, 40, 30)
    affine = np.diag([-2.0, -2.0, 3.0, 1.0])
    path = write_labels(tmp_path / "mask.nii.gz", np.zeros(shape, dtype=np.uint8), affine)
    target = tmp_path / ("lobes.png" if name == "png" else "lobes.nii.gz")
    assert main(["lobes", str(path), "-o", str(target)]) == 1
    error = capsys.readouterr().err
    assert sentence in error
    assert "Traceback" not in error
    assert not target.exists()


def test_a_volume_without_lobes_has_no_note() -> None:
    nothing = volume_from_file(
        np.zeros((40, 40, 12), dtype=np.int16),
        np.eye(4),
        intensity=HU,
        name="nothing",
        format="nifti",
    )
    found = find_lobes(np.zeros(nothing.shape, dtype=bool), nothing)
    assert (found.labels, found.note, found.voxels()) == (None, "", {})
