"""Cutting out and putting back: voxels and millimetres come back exactly."""

from __future__ import annotations

import gzip
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from core.errors import GeometryError
from core.loading.nifti import load_nifti
from core.output.saving import volume_nifti_bytes
from core.preprocessing.roi import BoundingBox, VolumeBox, crop_volume, uncrop_array, uncrop_volume
from core.volume import Volume
from tests.spheres import AFFINES, GREY, HU, make_volume

SHAPE = (24, 30, 26)
LOWEST_HU = 1000


def numbered(affine: Any, **more: Any) -> Volume:
    """A scan in which no two voxels are alike, so that none can be mistaken for another."""
    count = int(np.prod(SHAPE))
    values = np.roll(np.arange(count), count // 2) - LOWEST_HU  # the lowest in the middle
    return make_volume(values.reshape(SHAPE).astype(np.int16), affine, **more)


def some_box(volume: Volume) -> VolumeBox:
    """A box that is off the middle along every axis."""
    a, b, c = volume.shape
    return VolumeBox(BoundingBox(2, a - 5, 6, b - 3), 4, c - 2)


@pytest.mark.parametrize("name", AFFINES)
def test_crop_and_uncrop_are_exact_inverses(name: str) -> None:
    volume = numbered(AFFINES[name])
    box = some_box(volume)
    cropped, record = crop_volume(volume, box)
    assert cropped.shape == box.shape
    back = uncrop_volume(cropped, record, outside=-1)
    assert np.array_equal(back.affine, volume.affine)
    assert back.source is volume.source
    assert np.array_equal(back.array[box.slices], volume.array[box.slices])
    left_out = np.ones(volume.shape, dtype=bool)
    left_out[box.slices] = False
    assert (back.array[left_out] == -1).all()
    again, _ = crop_volume(back, box)
    assert np.array_equal(again.array, cropped.array)
    assert np.array_equal(again.affine, cropped.affine)
    assert np.array_equal(again.source.file_affine, cropped.source.file_affine)
    assert again.source.file_shape == cropped.source.file_shape


@pytest.mark.parametrize("name", AFFINES)
def test_the_whole_box_changes_nothing(name: str) -> None:
    volume = numbered(AFFINES[name])
    whole = VolumeBox(BoundingBox(0, volume.shape[0], 0, volume.shape[1]), 0, volume.shape[2])
    cropped, _ = crop_volume(volume, whole)
    assert cropped.digest == volume.digest


@pytest.mark.parametrize("name", AFFINES)
def test_a_saved_crop_lies_over_the_original(name: str, tmp_path: Any) -> None:
    """Read by nibabel alone: each voxel of the small file lies, in mm, where the voxel of the same
    value lies in the large one."""
    volume = numbered(AFFINES[name])
    cropped, _ = crop_volume(volume, some_box(volume))
    whole = nib.Nifti1Image.from_bytes(gzip.decompress(volume_nifti_bytes(volume)))
    part = nib.Nifti1Image.from_bytes(gzip.decompress(volume_nifti_bytes(cropped)))
    assert nib.aff2axcodes(part.affine) == nib.aff2axcodes(whole.affine)
    small, large = np.asanyarray(part.dataobj), np.asanyarray(whole.dataobj)
    assert sorted(small.shape) == sorted(cropped.shape)
    place = np.empty((large.size, 3))
    place[large.ravel() + LOWEST_HU] = np.argwhere(np.ones(large.shape, dtype=bool))
    in_large_mm = nib.affines.apply_affine(whole.affine, place[small.ravel() + LOWEST_HU])
    index = np.argwhere(np.ones(small.shape, dtype=bool))
    np.testing.assert_allclose(nib.affines.apply_affine(part.affine, index), in_large_mm, atol=1e-4)
    path = tmp_path / "part.nii.gz"
    path.write_bytes(volume_nifti_bytes(cropped))
    opened = load_nifti(path)
    assert np.array_equal(opened.array, cropped.array)
    np.testing.assert_allclose(opened.affine, cropped.affine, atol=1e-4)


@pytest.mark.parametrize("intensity", [HU, GREY])
def test_the_meaning_of_values_goes_with_them(intensity: Any) -> None:
    volume = numbered(AFFINES["flipped"], intensity=intensity, spacing_nominal=True)
    cropped, _ = crop_volume(volume, some_box(volume))
    assert cropped.intensity is intensity
    assert cropped.spacing_nominal
    assert cropped.spacing_mm == volume.spacing_mm


def test_masks_come_back_to_their_voxels() -> None:
    volume = numbered(AFFINES["rotated"])
    box = some_box(volume)
    _, record = crop_volume(volume, box)
    mask = np.zeros(box.shape, dtype=bool)
    mask[0, 0, 0] = mask[3, 5, 2] = True
    whole = uncrop_array(mask, record)
    assert whole.dtype == np.bool_
    assert np.argwhere(whole).tolist() == [[2, 6, 4], [5, 11, 6]]


def test_what_does_not_fit_is_refused() -> None:
    volume = numbered(AFFINES["canonical"])
    with pytest.raises(GeometryError, match="beyond its scan"):
        crop_volume(volume, VolumeBox(BoundingBox(0, 25, 0, 30), 0, 26))
    _, record = crop_volume(volume, some_box(volume))
    with pytest.raises(GeometryError, match="does not fit the box"):
        uncrop_array(np.zeros(volume.shape), record)
