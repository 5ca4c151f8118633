"""Training data: who stands on which side, and what each batch says."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from core.config import AugmentConfig
from core.errors import DatasetError, GeometryError, LoadError
from core.training.dataset import SliceBatches
from core.training.losses import UNKNOWN
from core.training.scans import TrainingScan, load_training_scans
from core.training.splits import Split, split_as_recorded, split_by_patient
from tests.training_data import (
    CASES,
    PATIENTS,
    TINY,
    UNCHANGED,
    chest_and_masks,
    write_training_folder,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_training_folder(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def scans(folder: Path) -> tuple[TrainingScan, ...]:
    return load_training_scans(folder, TINY.preprocess)


def made(scan_id: str, patient_id: str, role: str = "case", *, slices: int = 2) -> TrainingScan:
    """A scan of nothing, for questions of who goes where."""
    zeros = np.zeros((slices, 32, 48), dtype=np.uint8)
    lung = zeros if role == "case" else None
    return TrainingScan(scan_id, patient_id, role, zeros, lung, zeros)  # type: ignore[arg-type]


# ------------------------------------------------------------------ reading


def test_every_kind_is_read(scans: tuple[TrainingScan, ...]) -> None:
    assert Counter(scan.role for scan in scans) == {
        "case": 6,
        "picture": 4,
        "negative": 6,
        "healthy": 1,
    }
    for scan in scans:
        assert scan.images.shape == scan.infection.shape
        assert scan.images.shape[1:] == (32, 48)
        assert scan.images.dtype == np.uint8
        assert (scan.lung is None) == (scan.role != "case")
    assert {scan.patient_id for scan in scans if scan.role == "case"} == set(PATIENTS)
    assert {scan.patient_id for scan in scans if scan.role == "negative"} == {
        "1.3.6.0",
        "1.3.6.1",
        "1.3.6.2",
    }


def test_truth_lies_on_what_it_marks(scans: tuple[TrainingScan, ...]) -> None:
    """Lungs are dark, lesions brighter than lung; in pictures turned upright as well."""
    for scan in scans:
        infected = scan.infection.astype(bool)
        if scan.role in ("negative", "healthy"):
            assert not infected.any()
            continue
        assert infected.any()
        # -350 HU in [-1250, 250] is 153, -850 HU is 68, +40 HU is 219.
        assert np.median(scan.images[infected]) == pytest.approx(153, abs=8)
        if scan.lung is not None:
            lung = scan.lung.astype(bool)
            assert not (infected & ~lung).any()
            assert np.median(scan.images[lung & ~infected]) == pytest.approx(68, abs=8)


def test_grey_and_hu_scans_look_the_same(scans: tuple[TrainingScan, ...]) -> None:
    levels = [np.percentile(scan.images, [50, 99]) for scan in scans if scan.role == "case"]
    assert np.ptp(levels, axis=0).max() < 12


def test_pictures_are_put_upright(scans: tuple[TrainingScan, ...]) -> None:
    """The lesion lies beside the middle line, not above or below it, as it was made."""
    for scan in scans:
        if scan.role != "picture":
            continue
        number = int(scan.scan_id.removeprefix("medseg_"))
        _, _, infection = chest_and_masks(20 + number)
        i, j = np.argwhere(infection[:, :, 1]).mean(axis=0) / (np.array(infection.shape[:2]) - 1)
        row, column = np.argwhere(scan.infection[0]).mean(axis=0)
        height, width = scan.images.shape[1:]
        assert (column > width / 2) == (i > 0.5)
        # A mirrored picture would put it at 1 - j.
        assert row / height == pytest.approx(j, abs=0.1)


def test_a_folder_of_cases_alone_is_enough(folder: Path) -> None:
    alone = load_training_scans(folder / "covid20", TINY.preprocess)
    assert [scan.scan_id for scan in alone] == list(CASES)


def test_no_case_at_all(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match="holds no case"):
        load_training_scans(tmp_path, TINY.preprocess)


def test_cases_without_truth(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "covid20" / "ct_scans", tmp_path / "covid20" / "ct_scans")
    with pytest.raises(DatasetError, match=r"No training case found: .* --data\."):
        load_training_scans(tmp_path, TINY.preprocess)


def test_picture_without_its_mask(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "covid20", tmp_path / "covid20")
    shutil.copytree(folder / "medseg100_train", tmp_path / "medseg100_train")
    (tmp_path / "medseg100_train" / "infection_mask" / "2.png").unlink()
    with pytest.raises(LoadError, match=r"2\.png"):
        load_training_scans(tmp_path, TINY.preprocess)


def test_mask_of_another_size(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "covid20", tmp_path / "covid20")
    shutil.copytree(folder / "medseg100_train", tmp_path / "medseg100_train")
    mask = tmp_path / "medseg100_train" / "infection_mask" / "2.png"
    cv2.imwrite(str(mask), np.zeros((30, 30), dtype=np.uint8))
    with pytest.raises(GeometryError, match=r"2\.png") as caught:
        load_training_scans(tmp_path, TINY.preprocess)
    assert "30" in str(caught.value)


# ------------------------------------------------------------------ split


def sides(split: Split) -> tuple[set[str], set[str]]:
    return {s.patient_id for s in split.train}, {s.patient_id for s in split.validation}


@pytest.mark.parametrize("seed", range(8))
def test_no_patient_is_on_both_sides(scans: tuple[TrainingScan, ...], seed: int) -> None:
    split = split_by_patient(scans, validation_fraction=0.3, seed=seed)
    train, validation = sides(split)
    assert not train & validation
    assert len(split.train) + len(split.validation) == len(scans)
    for role in ("case", "picture", "negative"):
        assert any(scan.role == role for scan in split.train)
        assert any(scan.role == role for scan in split.validation)
    # Both origins of cases stand on both sides, the healthy chest is for validation only.
    for side in (train, validation):
        assert any(name.startswith("coronacases") for name in side)
        assert any(name.startswith("radiopaedia") for name in side)
    assert "normal001" in validation


def test_siblings_stay_together(scans: tuple[TrainingScan, ...]) -> None:
    seen = set()
    for seed in range(12):
        split = split_by_patient(scans, validation_fraction=0.3, seed=seed)
        ids = {scan.scan_id for scan in split.train}
        pair = {CASES[3], CASES[4]}
        assert pair <= ids or not pair & ids
        seen.add(bool(pair & ids))
    assert seen == {True, False}


def test_seed_repeats_the_split(scans: tuple[TrainingScan, ...]) -> None:
    first, again, *others = (
        split_by_patient(scans, validation_fraction=0.3, seed=seed).to_json_dict()
        for seed in (3, 3, 4, 5, 6)
    )
    assert first == again
    assert any(other != first for other in others)


def test_share_of_patients() -> None:
    many = tuple(made(f"coronacases_org_{n:03}", f"coronacases_{n:03}") for n in range(20))
    split = split_by_patient(many, validation_fraction=0.25, seed=1)
    assert (len(split.train), len(split.validation)) == (15, 5)


def test_cases_of_any_name_are_split() -> None:
    """Names of other sets share no beginning; each must not become a group of its own."""
    own = tuple(made(f"case{n}_scan", f"case{n}_scan") for n in range(6))
    split = split_by_patient(own, validation_fraction=0.3, seed=1)
    assert len(split.validation) == 2
    assert len(split.train) == 4


@pytest.mark.parametrize(
    "cases",
    [
        pytest.param((made("a", "p"), made("b", "p")), id="one patient"),
        pytest.param((made("a", "p"), made("luna", "q", "negative")), id="one case"),
        pytest.param(
            (made("coronacases_1", "p"), made("radiopaedia_1", "q")), id="one of each origin"
        ),
    ],
)
def test_too_few_patients(cases: tuple[TrainingScan, ...]) -> None:
    with pytest.raises(DatasetError, match="at least two patients"):
        split_by_patient(cases, validation_fraction=0.5, seed=1)


def test_recorded_split_is_respected(scans: tuple[TrainingScan, ...]) -> None:
    drawn = split_by_patient(scans, validation_fraction=0.3, seed=5)
    again = split_as_recorded(scans, drawn.to_json_dict())
    for one, other in ((drawn.train, again.train), (drawn.validation, again.validation)):
        assert [scan.scan_id for scan in one] == [scan.scan_id for scan in other]


def test_scans_a_record_does_not_name_are_left_out(scans: tuple[TrainingScan, ...]) -> None:
    record = {"train": {"case": [CASES[0]]}, "validation": {"case": [CASES[1]]}}
    split = split_as_recorded(scans, record)
    assert sides(split) == ({"coronacases_001"}, {"coronacases_002"})


def test_the_healthy_chest_is_never_trained_on(scans: tuple[TrainingScan, ...]) -> None:
    record = {
        "train": {"case": [CASES[0]], "healthy": ["normal001"]},
        "validation": {"case": [CASES[1]]},
    }
    assert "normal001" not in sides(split_as_recorded(scans, record))[0]


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(
            {"train": {"case": [CASES[3]]}, "validation": {"case": [CASES[4]]}}, id="siblings"
        ),
        pytest.param({"train": {"case": [CASES[3]]}, "validation": {}}, id="none to validate"),
        pytest.param({"train": {}, "validation": {"case": [CASES[3]]}}, id="none to learn"),
        pytest.param({}, id="empty"),
        pytest.param({"train": {"case": ["x"]}, "validation": {"case": ["y"]}}, id="other data"),
        pytest.param(
            {"train": {"picture": ["medseg_1"]}, "validation": {"case": [CASES[3]]}},
            id="pictures only",
        ),
    ],
)
def test_records_that_do_not_fit(scans: tuple[TrainingScan, ...], record: dict) -> None:  # type: ignore[type-arg]
    with pytest.raises(DatasetError, match="recorded split does not fit"):
        split_as_recorded(scans, record)


# ------------------------------------------------------------------ batches


def drawn_epoch(batches: SliceBatches) -> tuple[np.ndarray, np.ndarray]:
    parts = [batches[number] for number in range(len(batches))]
    return np.concatenate([x for x, _ in parts]), np.concatenate([y for _, y in parts])


def test_an_epoch(scans: tuple[TrainingScan, ...]) -> None:
    train = split_by_patient(scans, validation_fraction=0.3, seed=5).train
    batches = SliceBatches(train, TINY, epoch=0)
    images, truth = drawn_epoch(batches)
    of_cases = sum(len(scan.images) for scan in train if scan.role == "case")
    assert len(images) == of_cases + TINY.pictures_per_epoch + TINY.negatives_per_epoch
    assert images.shape[1:] == (32, 48, 1)
    assert truth.shape[1:] == (32, 48, 2)
    assert images.dtype == truth.dtype == np.float32
    assert images.min() >= 0
    assert images.max() <= 1
    unknown = (truth[..., 0] == UNKNOWN).all(axis=(1, 2))
    assert unknown.sum() == TINY.pictures_per_epoch + TINY.negatives_per_epoch
    assert set(np.unique(truth[~unknown])) <= {0.0, 1.0}
    assert set(np.unique(truth[unknown][..., 1])) <= {0.0, 1.0}


def test_full_batches_alone_hold_the_same_slices_and_some_twice(
    scans: tuple[TrainingScan, ...],
) -> None:
    train = [scan for scan in scans if scan.role != "healthy"]
    config = replace(TINY, augment=UNCHANGED, batch_size=7)
    plain = SliceBatches(train, config, epoch=0)
    filled = SliceBatches(train, config, epoch=0, only_full=True)
    assert len(plain[len(plain) - 1][0]) < 7
    assert [len(filled[n][0]) for n in range(len(filled))] == [7] * len(plain)
    images, filled_images = drawn_epoch(plain)[0], drawn_epoch(filled)[0]
    assert np.array_equal(filled_images[: len(images)], images)
    assert np.array_equal(filled_images[len(images) :], images[: len(filled_images) - len(images)])


def test_without_changes_every_slice_of_every_case_comes_once(
    scans: tuple[TrainingScan, ...],
) -> None:
    train = split_by_patient(scans, validation_fraction=0.3, seed=5).train
    images, truth = drawn_epoch(SliceBatches(train, replace(TINY, augment=UNCHANGED), epoch=0))
    known = truth[..., 0].max(axis=(1, 2)) >= 0
    seen = Counter(np.rint(image * 255).astype(np.uint8).tobytes() for image in images[known])
    wanted = Counter(
        picture.tobytes() for scan in train if scan.role == "case" for picture in scan.images
    )
    assert seen == wanted
    # And each with its own masks.
    for scan in train:
        if scan.role != "case" or scan.lung is None:
            continue
        for picture, lung, infection in zip(scan.images, scan.lung, scan.infection, strict=True):
            row = next(
                n
                for n, image in enumerate(images)
                if np.array_equal(np.rint(image[..., 0] * 255), picture)
            )
            assert np.array_equal(truth[row, ..., 0], lung)
            assert np.array_equal(truth[row, ..., 1], infection)


def test_epochs_differ_and_can_be_drawn_again(scans: tuple[TrainingScan, ...]) -> None:
    train = split_by_patient(scans, validation_fraction=0.3, seed=5).train
    going_on = SliceBatches(train, TINY, epoch=0)
    first = drawn_epoch(going_on)
    going_on.on_epoch_end()
    second = drawn_epoch(going_on)
    assert not np.array_equal(first[0], second[0])
    resumed = drawn_epoch(SliceBatches(train, TINY, epoch=1))
    assert np.array_equal(second[0], resumed[0])
    assert np.array_equal(second[1], resumed[1])


def test_the_scans_are_not_changed(scans: tuple[TrainingScan, ...]) -> None:
    before = [(scan.images.copy(), scan.infection.copy()) for scan in scans]
    train = split_by_patient(scans, validation_fraction=0.3, seed=5).train
    drawn_epoch(SliceBatches(train, TINY, epoch=0))
    for scan, (images, infection) in zip(scans, before, strict=True):
        assert np.array_equal(scan.images, images)
        assert np.array_equal(scan.infection, infection)


@pytest.mark.parametrize(
    ("count", "taken"),
    [(0, [0, 1, 2, 3]), (1, [0]), (2, [0, 3]), (3, [0, 2, 3]), (9, [0, 1, 2, 3])],
)
def test_a_scan_is_thinned_to_slices_that_are_evenly_spaced(count: int, taken: list[int]) -> None:
    slices = np.arange(4, dtype=np.uint8)[:, None, None] * np.ones((4, 2, 3), dtype=np.uint8)
    scan = TrainingScan("scan", "patient", "case", slices, None, slices).thinned(count)
    assert scan.images[:, 0, 0].tolist() == taken
    assert scan.infection[:, 0, 0].tolist() == taken
    assert scan.lung is None


@pytest.mark.parametrize("wanted", [3, 11])
def test_patients_weigh_alike_however_long_their_scans(wanted: int) -> None:
    """Every slice of one grey level by patient; two scans of one patient share its slices."""
    long = made("a1", "a", slices=20), made("a2", "a", slices=3)
    short = made("b", "b", slices=5)
    for scan, level in (*((one, 50) for one in long), (short, 200)):
        scan.images[...] = level
    config = replace(TINY, slices_per_patient=wanted, augment=UNCHANGED)
    images, _ = drawn_epoch(SliceBatches((*long, short), config, epoch=0))
    levels = Counter(np.rint(images[:, 0, 0, 0] * 255).astype(int).tolist())
    assert levels == {50: wanted, 200: wanted}


@pytest.mark.parametrize(("wanted", "expected"), [(0, 0), (1, 1), (9, 9)])
def test_negatives_are_drawn_as_often_as_asked(
    scans: tuple[TrainingScan, ...], wanted: int, expected: int
) -> None:
    train = split_by_patient(scans, validation_fraction=0.3, seed=5).train
    config = replace(TINY, negatives_per_epoch=wanted, pictures_per_epoch=0, augment=UNCHANGED)
    _, truth = drawn_epoch(SliceBatches(train, config, epoch=0))
    assert ((truth[..., 0] == UNKNOWN).all(axis=(1, 2))).sum() == expected


def test_cases_alone_need_no_extras() -> None:
    few = replace(TINY, batch_size=4)
    batches = SliceBatches((made("a", "p", slices=5),), few, epoch=0)
    assert len(batches) == 2
    assert batches[1][0].shape == (1, 32, 48, 1)


def test_sharp_batches_are_as_many_as_asked(scans: tuple[TrainingScan, ...]) -> None:
    """With moves and blur alone, a sharp batch is the slices themselves."""
    moving = AugmentConfig(
        flip=False, rotation_degrees=20.0, brightness=0.0, contrast=0.0, gamma=0.0, noise=0.0
    )
    known = {image.tobytes() for scan in scans for image in scan.images}
    for share in (0.0, 1.0):
        config = replace(TINY, augment=replace(moving, sharp_share=share))
        images, _ = drawn_epoch(SliceBatches(scans[:2], config, epoch=0))
        drawn = [np.rint(image[..., 0] * 255).astype(np.uint8).tobytes() for image in images]
        assert np.mean([slice_ in known for slice_ in drawn]) == share


def test_what_does_not_fit_into_memory_waits_in_files(
    folder: Path, scans: tuple[TrainingScan, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    within = scans
    room = sum(scan.images.nbytes * 3 for scan in within[:2])
    monkeypatch.setattr("core.training.scans.MOST_BYTES_IN_MEMORY", room)
    beyond = load_training_scans(folder, TINY.preprocess)
    in_files = [isinstance(scan.images, np.memmap) for scan in beyond]
    assert not any(in_files[:2])
    assert in_files[2]
    for one, other in zip(within, beyond, strict=True):
        np.testing.assert_array_equal(one.images, other.images)
        np.testing.assert_array_equal(one.infection, other.infection)
        assert (one.lung is None) == (other.lung is None)
    trained = ([scan for scan in some if scan.role != "healthy"] for some in (within, beyond))
    batches = [SliceBatches(some, TINY, epoch=0)[0] for some in trained]
    for first, second in zip(*batches, strict=True):
        np.testing.assert_allclose(first, second, atol=1e-6)
