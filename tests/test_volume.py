"""A scan lies the same way in memory however its file lies, and results go back that way."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from nibabel.affines import apply_affine
from nibabel.orientations import aff2axcodes, apply_orientation, inv_ornt_aff

from core.errors import GeometryError
from core.volume import (
    Intensity,
    MaskPair,
    Volume,
    check_affine,
    pixel_size_mm,
    plane_slice,
    spacing_mm,
    to_file_order,
    volume_from_file,
)

HU = Intensity("HU", "made in a test")

ORIENTATIONS = [
    np.array(list(zip(order, flips, strict=True)), dtype=float)
    for order in itertools.permutations(range(3))
    for flips in itertools.product((1.0, -1.0), repeat=3)
]
"""All 48 ways in which axes can be exchanged and flipped, as nibabel writes them."""


def marked() -> np.ndarray:
    """(5, 6, 7) int16 in which every voxel differs."""
    return np.arange(5 * 6 * 7, dtype=np.int16).reshape(5, 6, 7)


def canonical_affine(*, oblique: bool = False) -> np.ndarray:
    """Axes L, P, S with 0.7×0.8×2.5 mm, turned by some degrees where `oblique`."""
    affine = np.diag([-0.7, -0.8, 2.5, 1.0])
    if oblique:
        a, b = np.deg2rad(14.0), np.deg2rad(-9.0)
        about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
        about_z = np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
        affine[:3, :3] = about_x @ about_z @ affine[:3, :3]
    affine[:3, 3] = (11.0, -22.0, 33.0)
    return affine


def load(array: np.ndarray, affine: np.ndarray) -> Volume:
    return volume_from_file(array, affine, intensity=HU, name="test", format="nifti")


@pytest.mark.parametrize("oblique", [False, True], ids=["straight", "oblique"])
@pytest.mark.parametrize("turn", ORIENTATIONS, ids=lambda t: str(t.astype(int).tolist()))
def test_every_orientation_of_a_file_gives_the_same_volume(turn: np.ndarray, oblique: bool) -> None:
    affine = canonical_affine(oblique=oblique)
    file_array = apply_orientation(marked(), turn)
    file_affine = affine @ inv_ornt_aff(turn, marked().shape)

    volume = load(file_array, file_affine)

    np.testing.assert_array_equal(volume.array, marked())
    np.testing.assert_allclose(volume.affine, affine, atol=1e-9)
    np.testing.assert_allclose(volume.spacing_mm, (0.7, 0.8, 2.5))
    assert volume.voxel_volume_ml == pytest.approx(0.7 * 0.8 * 2.5 / 1000)
    assert aff2axcodes(volume.affine) == ("L", "P", "S")
    assert volume.source.file_shape == file_array.shape
    np.testing.assert_array_equal(to_file_order(volume.array, volume.source), file_array)


@pytest.mark.parametrize("turn", ORIENTATIONS[::5])
def test_a_voxel_keeps_its_place_in_the_patient(turn: np.ndarray) -> None:
    affine = canonical_affine(oblique=True)
    file_array = apply_orientation(marked(), turn)
    file_affine = affine @ inv_ornt_aff(turn, marked().shape)
    volume = load(file_array, file_affine)
    for value in (0, 17, 101, 209):
        in_file = np.argwhere(file_array == value)[0]
        in_memory = np.argwhere(volume.array == value)[0]
        np.testing.assert_allclose(
            apply_affine(file_affine, in_file), apply_affine(volume.affine, in_memory), atol=1e-9
        )


def test_file_orientation_is_reported() -> None:
    turn = ORIENTATIONS[6]
    affine = canonical_affine() @ inv_ornt_aff(turn, marked().shape)
    volume = load(apply_orientation(marked(), turn), affine)
    assert volume.file_orientation == "".join(aff2axcodes(affine))


def test_planes_are_radiological() -> None:
    # One bright voxel: right, anterior, superior.
    array = np.zeros((5, 6, 7), np.int16)
    array[0, 0, 6] = 1
    top_left = {
        plane: plane_slice(array, plane, index)[0, 0]
        for plane, index in (("axial", 6), ("coronal", 0), ("sagittal", 0))
    }
    assert top_left == {"axial": 1, "coronal": 1, "sagittal": 1}
    assert plane_slice(array, "axial", 0).shape == (6, 5)
    assert plane_slice(array, "coronal", 0).shape == (7, 5)
    assert plane_slice(array, "sagittal", 0).shape == (7, 6)


def test_an_axial_picture_is_a_view() -> None:
    volume = load(np.asfortranarray(marked()), canonical_affine())
    assert np.shares_memory(plane_slice(volume.array, "axial", 3), volume.array)
    assert plane_slice(volume.array, "axial", 3).flags.c_contiguous


def test_pixel_sizes_follow_the_plane() -> None:
    volume = load(marked(), canonical_affine())
    assert pixel_size_mm(volume, "axial") == pytest.approx((0.8, 0.7))
    assert pixel_size_mm(volume, "coronal") == pytest.approx((2.5, 0.7))
    assert pixel_size_mm(volume, "sagittal") == pytest.approx((2.5, 0.8))


def test_a_sphere_has_its_volume_in_any_file() -> None:
    radius_mm = 20.0
    affine = canonical_affine(oblique=True)
    affine = affine @ np.diag([1.0, -1.0, 1.0, 1.0])
    shape = (90, 80, 30)
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    center = apply_affine(affine, (np.array(shape) - 1) / 2)
    inside = np.linalg.norm(apply_affine(affine, grid) - center, axis=-1) < radius_mm
    volume = load(inside.astype(np.int16), affine)
    measured_ml = int(volume.array.sum()) * volume.voxel_volume_ml
    assert measured_ml == pytest.approx(4 / 3 * np.pi * radius_mm**3 / 1000, rel=0.01)


def test_the_array_is_read_only() -> None:
    volume = load(marked(), canonical_affine())
    with pytest.raises(ValueError, match="read-only"):
        volume.array[0, 0, 0] = 1


def test_digest_follows_content_geometry_and_meaning() -> None:
    base = load(marked(), canonical_affine())
    same = load(marked(), canonical_affine())
    changed = marked()
    changed[2, 3, 4] += 1
    moved = canonical_affine()
    moved[0, 3] += 0.1
    others = (
        load(changed, canonical_affine()),
        load(marked(), moved),
        base.with_intensity(Intensity("unknown", "test", 2.0, 1.0)),
        load(marked()[::-1], canonical_affine() @ inv_ornt_aff(ORIENTATIONS[4], (5, 6, 7))),
        # Masks of these are written another way, so what is cached for one must not serve.
        replace(base, source=replace(base.source, trailing_axes=1)),
        replace(base, source=replace(base.source, file_unit="meter")),
    )
    assert base.digest == same.digest
    assert len({base.digest, *(other.digest for other in others)}) == 7


def test_hu_applies_the_assumed_window() -> None:
    volume = load(marked(), canonical_affine()).with_intensity(
        Intensity("unknown", "grey", 1500 / 255, -1250.0)
    )
    hu = volume.hu(np.array([0, 255], np.uint8))
    assert hu.dtype == np.float32
    np.testing.assert_allclose(hu, [-1250, 250], atol=1e-3)


@pytest.mark.parametrize(
    "affine",
    [
        np.diag([1.0, 0.0, 1.0, 1.0]),
        np.full((4, 4), np.nan),
        np.array([[1.0, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]),
        np.eye(3),
    ],
    ids=["zero spacing", "nan", "parallel axes", "3×3"],
)
def test_unusable_affines_are_refused(affine: np.ndarray) -> None:
    with pytest.raises(GeometryError):
        check_affine(affine)


def test_results_of_another_shape_do_not_go_back() -> None:
    volume = load(marked(), canonical_affine())
    with pytest.raises(GeometryError, match=r"\(5, 6, 6\)"):
        to_file_order(marked()[:, :, :6], volume.source)


def test_label_map_puts_infection_over_lung() -> None:
    lung = np.zeros((4, 4, 2), bool)
    lung[:3] = True
    infection = np.zeros_like(lung)
    infection[1] = True
    labels = MaskPair(lung, infection).label_map()
    assert labels.dtype == np.uint8
    assert np.bincount(labels.ravel()).tolist() == [8, 16, 8]


def test_spacing_is_the_length_of_columns() -> None:
    assert spacing_mm(canonical_affine(oblique=True)) == pytest.approx((0.7, 0.8, 2.5))
