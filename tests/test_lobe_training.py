"""Training of the lobe network: what it learns from, runs that resume, weights with their card."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from core.cli import main
from core.config import (
    LOBES,
    LobeNetworkConfig,
    LobeTrainingConfig,
    from_json_dict,
    to_json_dict,
)
from core.errors import ConfigError, DatasetError, WeightsError
from core.segmentation.lobes.weights import find_lobe_weights, read_lobe_arrays, read_lobe_manifest
from core.training.lobes.deformation import (
    consolidated,
    cut_short,
    draw_sample,
    plain_sample,
    rough,
    with_bronchi,
)
from core.training.lobes.evaluating import (
    fissure_distance_mm,
    lobe_dice,
)
from core.training.lobes.sources import (
    LabelledLungs,
    assign_folds,
    load_lungs,
    make_codes,
    pack_lungs,
)
from tests.eager import assert_same_when_compiled
from tests.made_lungs import made_lobes, write_labels

GRID = (16, 16, 16)
TINY = LobeTrainingConfig(
    network=LobeNetworkConfig(grid=GRID, widths=(4, 4, 4), fine_width=2),
    epochs=2,
    steps_per_epoch=1,
    batch_size=2,
    warmup_steps=1,
    folds=2,
)


def made_lungs(case_id: str = "lobes_01") -> LabelledLungs:
    labels, _ = made_lobes("LPS", (2.5, 2.5, 2.5))
    codes = make_codes(labels, (2.5, 2.5, 2.5))
    assert codes is not None
    return LabelledLungs(case_id, case_id, codes)


def write_maps(folder: Path, count: int) -> Path:
    (folder / "lobes").mkdir(parents=True)
    for number in range(1, count + 1):
        spacing = (4.0, 4.0, 4.0 + 0.5 * number)
        labels, affine = made_lobes("LPS", spacing)
        write_labels(folder / "lobes" / f"lobes_{number:02d}.nii.gz", labels, affine)
    return folder


def test_maps_of_other_spacings_become_the_same_codes() -> None:
    fine = made_lungs()
    labels, _ = made_lobes("LPS", (1.25, 2.5, 5.0))
    coarse = make_codes(labels, (1.25, 2.5, 5.0))
    assert coarse is not None
    other = LabelledLungs("other", "other", coarse)
    shares = [
        np.bincount((one.lobes * one.lungs).ravel(), minlength=6)[1:] / one.lungs.sum()
        for one in (fine, other)
    ]
    assert np.abs(shares[0] - shares[1]).max() < 0.01
    assert (fine.lobes > 0).all()  # also around the lungs
    assert make_codes(np.where(labels == 2, 0, labels), (1.25, 2.5, 5.0)) is None


def test_packing_keeps_every_voxel(tmp_path: Path) -> None:
    lungs = (made_lungs(), replace(made_lungs(), case_id="lobes_02", patient_id="other"))
    path = tmp_path / "lobes.npz"
    assert pack_lungs(lungs, path) == path.stat().st_size
    again = load_lungs(path)
    assert [(one.case_id, one.patient_id) for one in again] == [
        ("lobes_01", "lobes_01"),
        ("lobes_02", "other"),
    ]
    assert all(np.array_equal(a.codes, b.codes) for a, b in zip(lungs, again, strict=True))
    path.write_bytes(b"no archive")
    with pytest.raises(DatasetError, match="cannot be read"):
        load_lungs(path)
    with pytest.raises(DatasetError, match="No label map"):
        load_lungs(tmp_path)


def test_a_patients_maps_stay_in_one_fold_and_folds_are_alike() -> None:
    lungs = [
        LabelledLungs(f"case_{n}", f"patient_{n // 2}", np.zeros((1, 1, 1), np.uint8))
        for n in range(20)
    ]
    folds = assign_folds(lungs, folds=5, seed=7)
    assert all(folds[f"case_{n}"] == folds[f"case_{n + 1}"] for n in range(0, 20, 2))
    assert np.bincount(list(folds.values())).tolist() == [0, 4, 4, 4, 4, 4]


def test_a_consolidation_takes_its_share_of_each_lung() -> None:
    source = made_lungs()
    left = consolidated(
        source.lungs, source.lobes, shares=(0.2, 0.0), generator=np.random.default_rng(3)
    )
    is_right = source.lobes < 4
    taken = source.lungs & ~left
    assert not (left & ~source.lungs).any()
    share = taken[is_right].sum() / source.lungs[is_right].sum()
    assert share == pytest.approx(0.2, abs=0.01)
    assert not taken[~is_right].any()


def test_lungs_are_cut_short_at_one_end() -> None:
    lungs = made_lungs().lungs
    height = np.count_nonzero(lungs.any(axis=(0, 1)))
    left = cut_short(lungs, share=0.25, generator=np.random.default_rng(0))
    assert np.count_nonzero(left.any(axis=(0, 1))) == height - round(0.25 * height)


def test_bronchi_join_the_lungs_only_where_they_are_near() -> None:
    lungs = made_lungs().lungs
    near = ndimage.binary_dilation(lungs) & ~lungs
    far = np.zeros_like(lungs)
    far[0, 0, 0] = True
    joined = with_bronchi(lungs, near | far, reach_mm=5.0)
    assert joined[near].mean() > 0.5
    assert not joined[0, 0, 0]


def test_rough_borders_stay_near_the_true_ones() -> None:
    lungs = made_lungs().lungs
    changed = rough(lungs, np.random.default_rng(5)) != lungs
    inner = ndimage.binary_erosion(lungs, iterations=4)
    assert changed.any()
    assert not changed[inner].any()


def test_samples_keep_what_is_known_behind_what_was_taken_away() -> None:
    source = made_lungs()
    plain = plain_sample(source, source.lungs, GRID)
    assert np.array_equal(plain.mask, plain.lungs)
    # The box fills the grid but for two cells on each side; tips thinner than half a cell are lost.
    for axes in ((1, 2), (0, 2), (0, 1)):
        held = np.flatnonzero(plain.mask.any(axis=axes))
        assert held[0] in (2, 3)
        assert held[-1] in (12, 13)
    first, again = (draw_sample(source, GRID, np.random.default_rng(9)) for _ in range(2))
    assert np.array_equal(first.mask, again.mask)
    assert set(np.unique(first.lobes)) <= {1, 2, 3, 4, 5}
    for seed in range(12):
        sample = draw_sample(source, GRID, np.random.default_rng(seed))
        # Left stays left: lobes of the right lung lie towards the first cells.
        middles = [np.argwhere(sample.lobes == lobe)[:, 0].mean() for lobe in (3, 5)]
        assert middles[0] < middles[1]
        assert sample.mask.any()


def test_dice_and_distance_of_labels_moved_by_one_slice() -> None:
    true = np.zeros((20, 20, 20), dtype=np.uint8)
    true[:10, :, :10], true[:10, :, 10:15], true[:10, :, 15:] = 3, 2, 1
    true[10:, :, :8], true[10:, :, 8:] = 5, 4
    moved = true.copy()
    moved[10:, :, 8:11] = 5
    assert lobe_dice(true, true) == (1.0,) * 5
    dice = dict(zip(LOBES, lobe_dice(true, moved), strict=True))
    assert dice["left_lower"] == pytest.approx(2 * 8 / (8 + 11))
    assert dice["right_lower"] == 1.0
    assert fissure_distance_mm(true, true, (1.0, 1.0, 2.0)) == 0.0
    only_left = np.where(true > 3, true, 0).astype(np.uint8)
    moved_left = np.where(moved > 3, moved, 0).astype(np.uint8)
    assert fissure_distance_mm(only_left, moved_left, (1.0, 1.0, 2.0)) == pytest.approx(6.0)


def test_the_config_comes_back_from_json() -> None:
    stored = json.loads(json.dumps(to_json_dict(TINY)))
    assert from_json_dict(LobeTrainingConfig, stored) == TINY
    stored["network"]["grid"] = [16, 16]
    with pytest.raises(ConfigError, match="list of 3"):
        from_json_dict(LobeTrainingConfig, stored)
    with pytest.raises(ConfigError, match="multiples of 8"):
        LobeNetworkConfig(grid=(60, 48, 64))


def test_loss_and_gradient_are_the_same_when_compiled() -> None:
    pytest.importorskip("tensorflow")
    from core.training.lobes.losses import LobeLoss

    random = np.random.default_rng(0)
    lobes, weight = random.integers(0, 5, (2, 4, 4, 4)), random.uniform(0, 1, (2, 4, 4, 4))
    true = np.stack([lobes, weight], axis=-1).astype(np.float32)
    predicted = random.uniform(0.01, 0.99, (2, 4, 4, 4, 5)).astype(np.float32)
    assert_same_when_compiled(LobeLoss(), true, predicted)


@pytest.mark.usefixtures("eager")
def test_runs_resume_and_their_weights_record_the_validation(tmp_path: Path) -> None:
    from core.training.lobes.fit import train_lobes
    from core.training.lobes.publishing import publish_lobes
    from core.training.runs import RunPaths, epochs_done, read_record

    data = write_maps(tmp_path / "data", 4)
    lungs = load_lungs(data)
    held_out: set[str] = set()
    for fold in (1, 2):
        short = replace(TINY, epochs=1)  # folds may be of another length than the run
        paths = train_lobes(lungs, tmp_path / f"fold-{fold}", short, hold_out=fold)
        held_out |= set(read_record(paths.config)["split"]["held_out"])
    assert held_out == {one.case_id for one in lungs}
    seen: list[int] = []

    def cancel_after_first() -> bool:
        return epochs_done(RunPaths(tmp_path / "all")) >= 1

    from core.errors import Cancelled

    with pytest.raises(Cancelled):
        train_lobes(lungs, tmp_path / "all", TINY, hold_out=None, should_cancel=cancel_after_first)
    paths = train_lobes(
        lungs,
        tmp_path / "all",
        TINY,
        hold_out=None,
        on_progress=lambda stage, done, total: seen.append(done),
    )
    assert seen == [2]
    with pytest.raises(DatasetError, match="another run"):
        train_lobes(lungs, tmp_path / "all", replace(TINY, seed=8), hold_out=None)
    folds = [tmp_path / "fold-1", tmp_path / "fold-2"]
    with pytest.raises(DatasetError, match="each patient once"):
        publish_lobes(lungs, paths, tmp_path / "w" / "lobes-x", data=data, folds=folds[:1])
    assert not (tmp_path / "w" / "lobes-x").exists()
    info = publish_lobes(lungs, paths, tmp_path / "w" / "lobes-x", data=data, folds=folds)
    validation = info.manifest["validation"]
    assert validation["cases"] == 4
    assert validation["steps_of_folds"] == [1, 1]
    of_cases = [np.mean(row["dice"]) for row in validation["rows"]]
    assert info.mean_dice == pytest.approx(np.mean(of_cases))
    assert validation["worst_case_dice"] == pytest.approx(min(of_cases))
    assert find_lobe_weights(tmp_path / "w") == info
    card = info.card_path.read_text(encoding="utf-8")
    assert "non-commercial, share alike" in card
    assert all(case.case_id in card for case in lungs)
    _, mean = read_lobe_arrays(info)
    assert mean.shape == (4, 4, 4)
    (info.folder / "weights.npz").write_bytes(b"damaged")
    with pytest.raises(WeightsError, match="damaged"):
        read_lobe_arrays(read_lobe_manifest(info.folder))


def test_the_command_packs_and_refuses_wrong_combinations(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_maps(tmp_path / "data", 2)
    packed = tmp_path / "lobes.npz"
    assert main(["train-lobes", "--data", str(data), "--pack", str(packed), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["cases"] == 2
    run = ["train-lobes", "--data", str(packed)]
    for arguments, sentence in (
        (run, "one thing at a time"),
        ([*run, "--out", str(tmp_path / "r"), "--hold-out", "9"], "no such fold"),
        ([*run, "--out", str(tmp_path / "r"), "--publish", str(tmp_path / "w")], "published"),
    ):
        assert main(arguments) == 1
        assert sentence in capsys.readouterr().err
