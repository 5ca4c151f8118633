"""Volumes, areas and shares, against balls whose size is known."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest

from core.config import Plane
from core.measuring.biomarkers import compute_burden, compute_slice_burden
from core.volume import MaskPair, to_canonical
from tests.spheres import AFFINES, ball, make_volume

SHAPE = (61, 73, 40)
PLANES: tuple[Plane, ...] = ("axial", "coronal", "sagittal")


@pytest.mark.parametrize("affine", AFFINES.values(), ids=AFFINES.keys())
def test_volume_of_a_ball(affine: npt.NDArray[np.float64]) -> None:
    radius_mm = 22.0
    mask = ball(SHAPE, affine, radius_mm=radius_mm)
    volume = make_volume(np.zeros(SHAPE, dtype=np.int16), affine)
    lung = to_canonical(mask, affine)
    burden = compute_burden(MaskPair(lung, lung), volume)
    truth_ml = 4 / 3 * math.pi * radius_mm**3 / 1000
    assert burden.lung_volume_ml == pytest.approx(truth_ml, rel=0.01)
    assert burden.infection_volume_ml == pytest.approx(truth_ml, rel=0.01)
    assert burden.infection_fraction == 1.0


@pytest.mark.parametrize("plane", PLANES)
@pytest.mark.parametrize("name", ["canonical", "permuted", "rotated and flipped", "sheared"])
def test_areas_add_up_to_the_volume(name: str, plane: Plane) -> None:
    affine = AFFINES[name]
    volume = make_volume(np.zeros(SHAPE, dtype=np.int16), affine)
    lung = ball(volume.shape, volume.affine, radius_mm=22.0)
    slices = compute_slice_burden(MaskPair(lung, lung), volume, plane=plane)
    axis = {"sagittal": 0, "coronal": 1, "axial": 2}[plane]
    others = [volume.affine[:3, n] for n in range(3) if n != axis]
    normal = np.cross(*others) / np.linalg.norm(np.cross(*others))
    distance_mm = abs(float(normal @ volume.affine[:3, axis]))
    summed_ml = float(slices.lung_area_mm2.sum()) * distance_mm / 1000
    assert summed_ml == pytest.approx(compute_burden(MaskPair(lung, lung), volume).lung_volume_ml)
    # The largest cut through a ball is its great circle.
    assert slices.lung_area_mm2.max() == pytest.approx(math.pi * 22.0**2, rel=0.03)


def test_shares_by_hand() -> None:
    volume = make_volume(np.zeros((16, 16, 4), dtype=np.int16))
    lung = np.zeros(volume.shape, dtype=bool)
    infection = np.zeros_like(lung)
    lung[2:12, 2:12, 1:3] = True  # 100 voxels in slices 1 and 2
    infection[2:4, 2:12, 1] = True  # 20 of them
    infection[2:7, 2:12, 2] = True  # 50 of them
    infection[12:15, 2:12, 2] = True  # 30 outside the lung
    burden = compute_burden(MaskPair(lung, infection), volume)
    assert (burden.lung_voxels, burden.infection_voxels) == (200, 100)
    assert burden.infection_fraction == pytest.approx(70 / 200)
    assert burden.infected_slices == 2
    assert burden.lung_volume_ml == pytest.approx(0.2)
    slices = compute_slice_burden(MaskPair(lung, infection), volume)
    assert slices.infection_fraction.tolist() == pytest.approx(
        [np.nan, 0.2, 0.5, np.nan], nan_ok=True
    )
    assert slices.infection_pixels.tolist() == [0, 20, 80, 0]
    assert slices.most_infected == 2


def test_nominal_spacing_gives_no_millilitres_but_shares() -> None:
    volume = make_volume(np.zeros((16, 16, 2), dtype=np.uint8), spacing_nominal=True)
    lung = np.ones(volume.shape, dtype=bool)
    infection = np.zeros_like(lung)
    infection[:4] = True
    burden = compute_burden(MaskPair(lung, infection), volume)
    assert math.isnan(burden.lung_volume_ml)
    assert math.isnan(burden.infection_volume_ml)
    assert burden.infection_fraction == 0.25
    slices = compute_slice_burden(MaskPair(lung, infection), volume)
    assert np.isnan(slices.lung_area_mm2).all()
    assert slices.infection_fraction.tolist() == [0.25, 0.25]


def test_share_of_no_lung_is_undefined() -> None:
    volume = make_volume(np.zeros((16, 16, 2), dtype=np.int16))
    none = np.zeros(volume.shape, dtype=bool)
    burden = compute_burden(MaskPair(none, none), volume)
    assert math.isnan(burden.infection_fraction)
    assert burden.lung_volume_ml == 0.0
    slices = compute_slice_burden(MaskPair(none, none), volume)
    assert np.isnan(slices.infection_fraction).all()
    assert slices.most_infected is None


def test_unknown_lung() -> None:
    volume = make_volume(np.zeros((16, 16, 2), dtype=np.int16))
    infection = np.zeros(volume.shape, dtype=bool)
    infection[4:6, 4:6, 1] = True
    burden = compute_burden(MaskPair(None, infection), volume)
    assert burden.infection_volume_ml == pytest.approx(0.004)
    assert math.isnan(burden.lung_volume_ml)
    assert math.isnan(burden.infection_fraction)
    slices = compute_slice_burden(MaskPair(None, infection), volume)
    assert slices.most_infected == 1
    assert np.isnan(slices.lung_pixels).all()


def test_unknown_infection() -> None:
    volume = make_volume(np.zeros((16, 16, 2), dtype=np.int16))
    lung = np.ones(volume.shape, dtype=bool)
    burden = compute_burden(MaskPair(lung, None), volume)
    assert burden.lung_voxels == lung.size
    assert math.isnan(burden.infection_volume_ml)
    assert math.isnan(burden.infection_fraction)
    assert compute_slice_burden(MaskPair(lung, None), volume).most_infected is None
