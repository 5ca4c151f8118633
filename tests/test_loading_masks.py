"""Masks come onto the scan's own grid, whatever axes their file has."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from nibabel.orientations import apply_orientation, inv_ornt_aff
from PIL import Image

from core.errors import LungLensError
from core.loading import load_labels, load_mask, load_nifti, load_pictures, open_study
from tests.scans import (
    chest_hu,
    chest_picture,
    nifti_bytes,
    png_bytes,
    small_affine,
    zip_bytes,
)
from tests.test_volume import ORIENTATIONS


def write(path: Path, array: np.ndarray, affine: np.ndarray | None = None) -> Path:
    nib.save(nib.Nifti1Image(array, small_affine() if affine is None else affine), path)
    return path


@pytest.mark.parametrize("turn", ORIENTATIONS[::3], ids=lambda t: str(t.astype(int).tolist()))
def test_a_mask_of_other_axes_is_turned(
    turn: np.ndarray, small_chest: Path, tmp_path: Path
) -> None:
    volume = load_nifti(small_chest)
    lung = (chest_hu() < -700).astype(np.uint8)
    affine = small_affine() @ inv_ornt_aff(turn, lung.shape)
    path = write(tmp_path / "mask.nii.gz", apply_orientation(lung, turn), affine)
    mask = load_mask(path, volume)
    assert mask.dtype == np.bool_
    np.testing.assert_array_equal(mask, lung == 1)


@pytest.mark.parametrize("kind", ["uint8", "int16", "float32", "float64"])
def test_any_label_is_true(kind: str, small_chest: Path, tmp_path: Path) -> None:
    volume = load_nifti(small_chest)
    labels = np.zeros(volume.shape, kind)
    labels[5:10], labels[30:36], labels[20:22] = 1, 2, 255
    mask = load_mask(write(tmp_path / "mask.nii.gz", labels), volume)
    np.testing.assert_array_equal(mask, labels > 0)


def test_an_empty_mask_is_a_mask(small_chest: Path, tmp_path: Path) -> None:
    volume = load_nifti(small_chest)
    mask = load_mask(write(tmp_path / "mask.nii.gz", np.zeros(volume.shape, np.uint8)), volume)
    assert not mask.any()


def test_combined_labels(small_chest: Path, tmp_path: Path) -> None:
    volume = load_nifti(small_chest)
    labels = np.zeros(volume.shape, np.uint8)
    labels[5:15], labels[30:40], labels[32:34, 10:12] = 1, 2, 3
    truth = load_labels(write(tmp_path / "labels.nii.gz", labels), volume)
    np.testing.assert_array_equal(truth.lung, labels > 0)
    np.testing.assert_array_equal(truth.infection, labels == 3)
    labels[0] = 7
    with pytest.raises(LungLensError, match="label 7"):
        load_labels(write(tmp_path / "labels.nii.gz", labels), volume)


def test_rounding_of_the_affine_is_allowed(small_chest: Path, tmp_path: Path) -> None:
    volume = load_nifti(small_chest)
    affine = small_affine()
    affine[0, 3] += 0.02
    lung = (chest_hu() < -700).astype(np.uint8)
    np.testing.assert_array_equal(
        load_mask(write(tmp_path / "m.nii.gz", lung, affine), volume), lung == 1
    )


def test_shape_is_trusted_only_on_request(small_chest: Path, tmp_path: Path) -> None:
    volume = load_nifti(small_chest)
    lung = (chest_hu() < -700).astype(np.uint8)
    path = write(tmp_path / "mask.nii.gz", lung, np.diag([1.0, 1.0, 1.0, 1.0]))
    with pytest.raises(LungLensError, match=r"has another shape|lies elsewhere"):
        load_mask(path, volume)
    np.testing.assert_array_equal(load_mask(path, volume, trust_shape=True), lung == 1)


def test_masks_join_the_study(small_chest: Path, tmp_path: Path) -> None:
    lung = (chest_hu() < -700).astype(np.uint8)
    path = write(tmp_path / "lung.nii.gz", lung)
    study = open_study(small_chest, lung_mask_path=path)
    assert study.truth is not None
    assert study.truth.infection is None
    np.testing.assert_array_equal(study.truth.lung, lung == 1)


@pytest.mark.parametrize(("true", "ending"), [(1, ".png"), (255, ".png"), (255, ".jpg")])
def test_a_picture_as_the_mask_of_a_picture(true: int, ending: str, tmp_path: Path) -> None:
    (tmp_path / "slice.png").write_bytes(png_bytes(chest_picture()))
    mask = np.zeros(chest_picture().shape, np.uint8)
    mask[8:24, 16:32] = true
    path = tmp_path / f"mask{ending}"
    path.write_bytes(png_bytes(mask, ending))
    volume = load_pictures([tmp_path / "slice.png"])
    loaded = load_mask(path, volume)
    assert loaded.shape == volume.shape
    np.testing.assert_array_equal(loaded[:, :, 0].T, mask > 0)


def combined(lung: int, infection: int, *, right: int | None = None) -> np.ndarray:
    """Labels on the small chest: its lungs, and a heart-sized infection of soft tissue in them."""
    hu = chest_hu()
    labels = np.where(hu < -700, lung, 0).astype(np.uint8)
    if right is not None:
        labels[:24][labels[:24] > 0] = right
    labels[0:2] = labels[-2:] = labels[:, 0:2] = labels[:, -2:] = 0  # air around the body
    labels[20:26, 28:32, 2:5] = infection
    return labels


@pytest.mark.parametrize(
    ("labels", "lesion"),
    [
        (combined(1, 3), 3),
        (combined(1, 3, right=2), 3),
        (combined(2, 3), 3),
        (combined(1, 2), 2),
    ],
    ids=["1 lung 3 infection", "1 2 lungs 3 infection", "2 lung 3 infection", "own label map"],
)
def test_a_combined_mask_is_read_by_its_labels(
    labels: np.ndarray, lesion: int, small_chest: Path, tmp_path: Path
) -> None:
    path = write(tmp_path / "both.nii.gz", labels)
    study = open_study(small_chest, lung_mask_path=path, infection_mask_path=path)
    assert study.truth is not None
    np.testing.assert_array_equal(study.truth.infection, labels == lesion)
    np.testing.assert_array_equal(study.truth.lung, labels > 0)
    assert any(f"only {lesion} was taken" in note for note in study.volume.warnings)
    assert any("together they are read as the lungs" in note for note in study.volume.warnings)


def lesions_only() -> np.ndarray:
    """1 and 2 both on soft tissue, as sets that tell ground glass from consolidation."""
    labels = np.zeros(chest_hu().shape, np.uint8)
    labels[20:23, 28:32, 2:5], labels[23:26, 28:32, 2:5] = 1, 2
    return labels


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        (combined(1, 1, right=2), "marks the two lungs, not the infection"),
        (lesions_only(), "labels 1 and 2, expected one label"),
        (combined(1, 7), "labels 1 and 7"),
        (combined(10, 11), "labels 10 and 11"),
    ],
    ids=["both lungs", "kinds of lesion", "unknown label", "labels of an atlas"],
)
def test_other_labels_are_asked_about(
    labels: np.ndarray, sentence: str, small_chest: Path, tmp_path: Path
) -> None:
    path = write(tmp_path / "mask.nii.gz", labels)
    with pytest.raises(LungLensError, match=sentence) as caught:
        open_study(small_chest, infection_mask_path=path)
    assert "--infection-label" in str(caught.value)


def test_a_person_names_the_labels_of_the_infection(small_chest: Path, tmp_path: Path) -> None:
    labels = lesions_only()
    path = write(tmp_path / "mask.nii.gz", labels)
    study = open_study(small_chest, infection_mask_path=path, infection_labels=(1, 2))
    assert study.truth is not None
    np.testing.assert_array_equal(study.truth.infection, labels > 0)
    with pytest.raises(LungLensError, match=r"lacks a label: got 1 and 2, expected 5"):
        open_study(small_chest, infection_mask_path=path, infection_labels=(5,))


def lung_of_chest() -> np.ndarray:
    return (chest_hu() < -700).astype(np.uint8)


@pytest.mark.parametrize("factor", [0.9999, 1.0009, 255 * 1.000001])
def test_values_near_whole_numbers_are_labels(
    factor: float, small_chest: Path, tmp_path: Path
) -> None:
    volume = load_nifti(small_chest)
    path = write(tmp_path / "mask.nii.gz", lung_of_chest() * np.float32(factor))
    np.testing.assert_array_equal(load_mask(path, volume), lung_of_chest() == 1)


def test_scaled_integers_are_labels(small_chest: Path, tmp_path: Path) -> None:
    content = bytearray(nib.Nifti1Image(lung_of_chest() * 255, small_affine()).to_bytes())
    content[112:120] = np.array([1 / 255, 0.0], "<f4").tobytes()
    path = tmp_path / "mask.nii"
    path.write_bytes(content)
    np.testing.assert_array_equal(load_mask(path, load_nifti(small_chest)), lung_of_chest() == 1)


def test_probabilities_are_true_from_one_half(small_chest: Path, tmp_path: Path) -> None:
    share = np.random.default_rng(0).uniform(0, 1, chest_hu().shape).astype(np.float32)
    study = open_study(small_chest, infection_mask_path=write(tmp_path / "p.nii.gz", share))
    assert study.truth is not None
    np.testing.assert_array_equal(study.truth.infection, share >= 0.5)
    assert any("read as probability" in note for note in study.volume.warnings)


def test_a_sure_probability_needs_no_many_levels(small_chest: Path, tmp_path: Path) -> None:
    share = lung_of_chest().astype(np.float32) * 0.93 + 0.02
    study = open_study(small_chest, lung_mask_path=write(tmp_path / "p.nii.gz", share))
    assert study.truth is not None
    np.testing.assert_array_equal(study.truth.lung, lung_of_chest() == 1)


def test_voxels_of_a_mask_that_are_no_numbers_are_not_marked(
    small_chest: Path, tmp_path: Path
) -> None:
    lung = np.where(lung_of_chest() == 1, np.float32(1), np.float32(np.nan))
    study = open_study(small_chest, lung_mask_path=write(tmp_path / "p.nii.gz", lung))
    assert study.truth is not None
    np.testing.assert_array_equal(study.truth.lung, lung_of_chest() == 1)


@pytest.mark.parametrize("role", ["lung", "infection"])
@pytest.mark.parametrize("values", [(1, 1), (1, 0), (1, 2)], ids=["all", "inverted", "from 1"])
def test_a_mask_of_nearly_everything_is_refused(
    role: str, values: tuple[int, int], small_chest: Path, tmp_path: Path
) -> None:
    labels = np.full(chest_hu().shape, values[0], np.uint8)
    labels[18:24, 10:20] = values[1]
    path = write(tmp_path / "m.nii.gz", labels)
    with pytest.raises(LungLensError, match="marks nearly the whole scan"):
        open_study(small_chest, **{f"{role}_mask_path": path})


def test_the_lung_mask_as_infection_mask_is_doubted(small_chest: Path, tmp_path: Path) -> None:
    lung = write(tmp_path / "lung.nii.gz", (chest_hu() < -500).astype(np.uint8))
    study = open_study(small_chest, infection_mask_path=lung)
    assert any("check that it is not the lung mask" in note for note in study.volume.warnings)
    tissue = write(tmp_path / "t.nii.gz", (np.abs(chest_hu() - 40) < 60).astype(np.uint8))
    study = open_study(small_chest, infection_mask_path=tissue)
    assert not any("lung mask" in note for note in study.volume.warnings)


def test_an_archive_is_no_mask(small_chest: Path, tmp_path: Path) -> None:
    (tmp_path / "m.zip").write_bytes(zip_bytes([("m.nii", nifti_bytes(lung_of_chest()))]))
    with pytest.raises(LungLensError, match=r"m\.zip is an archive.*unpack it"):
        open_study(small_chest, lung_mask_path=tmp_path / "m.zip")


@pytest.mark.parametrize("turn", [ORIENTATIONS[0], ORIENTATIONS[21]], ids=["LPS", "turned"])
@pytest.mark.parametrize("way", ["cropped", "padded"])
def test_a_mask_saved_cropped_or_padded_lies_on_its_scan(
    way: str, turn: np.ndarray, small_chest: Path, tmp_path: Path
) -> None:
    lung = np.zeros(chest_hu().shape, np.uint8)
    lung[12:20, 10:30, 2:6] = 1
    affine = small_affine()
    held = np.argwhere(lung)
    if way == "cropped":
        first, last = held.min(axis=0), held.max(axis=0) + 1
        part = lung[first[0] : last[0], first[1] : last[1], first[2] : last[2]]
        affine[:3, 3] += affine[:3, :3] @ first
    else:
        part = np.pad(lung, ((3, 1), (2, 2), (1, 0)))
        affine[:3, 3] -= affine[:3, :3] @ (3, 2, 1)
    path = write(
        tmp_path / "m.nii.gz",
        apply_orientation(part, turn),
        affine @ inv_ornt_aff(turn, part.shape),
    )
    study = open_study(small_chest, lung_mask_path=path)
    assert study.truth is not None
    np.testing.assert_array_equal(study.truth.lung, lung == 1)
    assert any("voxels on the scan's grid" in note for note in study.volume.warnings)


def moved(**change: float) -> np.ndarray:
    affine = small_affine()
    affine[0, 3] += change.get("origin", 0.0)
    affine[0, 0] *= change.get("stretch", 1.0)
    return affine


@pytest.mark.parametrize(
    ("affine", "same"),
    [
        (moved(origin=0.149), True),
        (moved(origin=-0.15), True),
        (moved(origin=0.2), False),
        (moved(origin=1.5), False),
        (moved(stretch=1.001), True),
        (moved(stretch=0.9995), True),
        (moved(stretch=1.01), False),
        (moved(stretch=-1.0), False),
    ],
)
@pytest.mark.parametrize("turn", [ORIENTATIONS[0], ORIENTATIONS[21]], ids=["LPS", "turned"])
def test_what_is_the_same_grid(
    turn: np.ndarray, affine: np.ndarray, same: bool, small_chest: Path, tmp_path: Path
) -> None:
    volume = load_nifti(small_chest)
    lung = lung_of_chest()
    path = write(
        tmp_path / "m.nii.gz",
        apply_orientation(lung, turn),
        affine @ inv_ornt_aff(turn, lung.shape),
    )
    if same:
        np.testing.assert_array_equal(load_mask(path, volume), lung == 1)
    else:
        with pytest.raises(LungLensError, match=r"lies elsewhere.*--same-grid"):
            load_mask(path, volume)


def test_voxel_by_voxel_on_request(small_chest: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "m.nii.gz", lung_of_chest(), np.eye(4))
    study = open_study(small_chest, lung_mask_path=path, same_grid=True)
    assert study.truth is not None
    np.testing.assert_array_equal(study.truth.lung, lung_of_chest() == 1)
    assert any("voxel by voxel" in note for note in study.volume.warnings)


def _stack(folder: Path, names: list[str]) -> Path:
    folder.mkdir()
    for k, name in enumerate(names):
        (folder / name).write_bytes(png_bytes(chest_picture(k=k)))
    return folder


def _masks(folder: Path, names: list[str]) -> np.ndarray:
    """A mask for each name, each another block; (i, j, k)."""
    folder.mkdir()
    rows, columns = chest_picture().shape
    expected = np.zeros((columns, rows, len(names)), bool)
    for k, name in enumerate(names):
        expected[3 + k : 9 + 2 * k, 5:12, k] = True
        (folder / name).write_bytes(png_bytes(expected[:, :, k].T.astype(np.uint8) * 255))
    return expected


def test_a_folder_of_masks_belongs_to_a_stack_by_its_names(tmp_path: Path) -> None:
    stack = _stack(tmp_path / "slices", ["s10.png", "s9.png", "s11.png"])
    # The stack's order is s9, s10, s11, whatever the order and endings of the masks.
    expected = _masks(tmp_path / "masks", ["S9.PNG", "s10.png", "s11.bmp"])
    (tmp_path / "masks" / "s12.png").write_bytes(png_bytes(np.zeros((3, 3), np.uint8)))
    study = open_study(stack, lung_mask_path=tmp_path / "masks")
    assert study.truth is not None
    np.testing.assert_array_equal(study.truth.lung, expected)
    note = "1 masks without a picture of their name were left out."
    assert note in study.volume.warnings


def test_a_picture_without_a_mask_is_reported(tmp_path: Path) -> None:
    stack = _stack(tmp_path / "slices", ["a.png", "b.png"])
    _masks(tmp_path / "masks", ["a.png"])
    with pytest.raises(LungLensError, match="got 1 masks, none for b, expected 2 masks"):
        open_study(stack, lung_mask_path=tmp_path / "masks")


def test_pages_of_a_tiff_are_the_masks_of_a_stack(tmp_path: Path) -> None:
    stack = _stack(tmp_path / "slices", ["a.png", "b.png"])
    expected = _masks(tmp_path / "masks", ["a.png", "b.png"])
    pages = [Image.fromarray(expected[:, :, k].T.astype(np.uint8)) for k in range(2)]
    pages[0].save(tmp_path / "mask.tif", save_all=True, append_images=pages[1:])
    truth = open_study(stack, infection_mask_path=tmp_path / "mask.tif").truth
    assert truth is not None
    np.testing.assert_array_equal(truth.infection, expected)


def test_a_folder_of_pictures_is_no_mask_of_a_scan(small_chest: Path, tmp_path: Path) -> None:
    _masks(tmp_path / "masks", ["a.png"])
    with pytest.raises(LungLensError, match="expected a NIfTI mask"):
        open_study(small_chest, lung_mask_path=tmp_path / "masks")
