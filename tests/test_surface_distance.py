"""Distances between surfaces, against boxes worked out by hand and the published package."""

from __future__ import annotations

import math

import numpy as np
import pytest

from core.errors import GeometryError
from core.evaluation.surface_distance import SurfaceAgreement, compute_surface_agreement
from tests.test_metrics import row

THICK_SLICES_MM = (0.7, 0.7, 5.0)


def agreement(
    truth: np.ndarray, predicted: np.ndarray, *, spacing_mm: tuple[float, float, float], mm: float
) -> SurfaceAgreement:
    return compute_surface_agreement(truth, predicted, spacing_mm=spacing_mm, tolerance_mm=mm)


@pytest.mark.parametrize(("axis", "apart_mm"), [(0, 2.0), (1, 3.0), (2, 10.0)])
def test_surfaces_apart_by_one_voxel_of_each_size(axis: int, apart_mm: float) -> None:
    """Two sheets one voxel thick, two voxels apart along an axis."""
    spacing_mm = (1.0, 1.5, 5.0)
    truth = np.zeros((12, 12, 12), dtype=bool)
    np.moveaxis(truth, axis, 0)[4] = True
    predicted = np.roll(truth, 2, axis=axis)
    found = agreement(truth, predicted, spacing_mm=spacing_mm, mm=apart_mm)
    assert found == SurfaceAgreement(hd95_mm=pytest.approx(apart_mm), surface_dice=1.0)
    # The near side of each sheet is half as far away, the far side is not.
    nearer = agreement(truth, predicted, spacing_mm=spacing_mm, mm=apart_mm - 0.1)
    assert nearer.surface_dice == pytest.approx(0.5)
    nearer = agreement(truth, predicted, spacing_mm=spacing_mm, mm=apart_mm / 2 - 0.1)
    assert nearer.surface_dice == 0.0


def test_distances_are_between_surfaces_and_not_through_them() -> None:
    """A ball within a larger one: every surface element is about the difference of radii away."""
    grid = np.indices((61, 61, 61)) - 30
    distance = np.sqrt((grid**2).sum(axis=0))
    small, large = distance <= 15, distance <= 25
    found = agreement(small, large, spacing_mm=(0.8, 0.8, 0.8), mm=9.5)
    assert found.hd95_mm == pytest.approx(8.0, abs=0.8)
    assert found.surface_dice == 1.0
    back = agreement(large, small, spacing_mm=(0.8, 0.8, 0.8), mm=9.5)
    assert back == found


def test_a_few_strays_do_not_rule_hd95_but_count_in_surface_dice() -> None:
    truth = np.zeros((64, 64, 1), dtype=bool)
    truth[10:50, 10:50] = True
    length = 4 * 39 + 4 * math.sqrt(
        0.5
    )  # of its contour, corners cut; a lone pixel's is all corners
    predicted = truth.copy()
    predicted[60, 60] = True
    found = agreement(truth, predicted, spacing_mm=(1.0, 1.0, 9.0), mm=1.0)
    assert found.hd95_mm == 0.0
    assert found.surface_dice == pytest.approx(2 * length / (2 * length + 4 * math.sqrt(0.5)))


@pytest.mark.parametrize(
    ("truth", "predicted", "surface_dice"),
    [
        pytest.param(row(0, 0, 0), row(0, 0, 0), math.nan, id="both empty"),
        pytest.param(row(1, 0, 0), row(0, 0, 0), 0.0, id="nothing predicted"),
        pytest.param(row(0, 0, 0), row(0, 1, 0), 0.0, id="nothing there"),
    ],
)
def test_distance_to_nothing_is_undefined(
    truth: np.ndarray, predicted: np.ndarray, surface_dice: float
) -> None:
    found = agreement(truth, predicted, spacing_mm=(1.0, 1.0, 1.0), mm=1.0)
    assert math.isnan(found.hd95_mm)
    assert found.surface_dice == pytest.approx(surface_dice, nan_ok=True)


def test_equal_masks_that_touch_the_border_agree() -> None:
    mask = np.ones((6, 7, 8), dtype=bool)
    assert agreement(mask, mask, spacing_mm=(1.0, 2.0, 3.0), mm=0.0) == SurfaceAgreement(0.0, 1.0)


def test_surfaces_of_other_shapes_are_refused() -> None:
    with pytest.raises(GeometryError, match="the same shape"):
        agreement(row(1, 0), row(1, 0, 0), spacing_mm=(1.0, 1.0, 1.0), mm=1.0)


# ------------------------------------------------------------------ areas


def box_area_mm2(voxels: tuple[int, int, int], spacing_mm: tuple[float, float, float]) -> float:
    """Surface of a box through the middles between its voxels and those outside: rectangles of
    whole voxels, edges cut at the middles of two sides, corners at those of three."""
    total = 0.0
    for a, b, c in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        total += 2 * (voxels[a] - 1) * (voxels[b] - 1) * spacing_mm[a] * spacing_mm[b]
        total += 4 * (voxels[a] - 1) * spacing_mm[a] * math.hypot(spacing_mm[b], spacing_mm[c]) / 2
    return total + 8 * corner_area_mm2(spacing_mm)


def corner_area_mm2(spacing_mm: tuple[float, float, float]) -> float:
    """Triangle between the points half a voxel along each axis."""
    x, y, z = (length / 2 for length in spacing_mm)
    return math.sqrt((x * y) ** 2 + (y * z) ** 2 + (z * x) ** 2) / 2


def box(voxels: tuple[int, int, int], at: tuple[int, int, int] = (3, 3, 3)) -> np.ndarray:
    mask = np.zeros((40, 40, 16), dtype=bool)
    mask[tuple(slice(start, start + n) for start, n in zip(at, voxels, strict=True))] = True
    return mask


def test_thick_slices_weigh_the_sides_of_a_box_more_than_its_top() -> None:
    """One slice of 5 mm more: the new top lies 5 mm away; of the old one the middle, where the
    sides are farther than the tolerance."""
    truth, predicted = box((20, 20, 6)), box((20, 20, 7))
    x, y, z = THICK_SLICES_MM
    new_top = 19 * 19 * x * y + 4 * 19 * x * math.hypot(y, z) / 2
    new_top += 4 * corner_area_mm2(THICK_SLICES_MM)
    old_top = 17 * 17 * x * y  # all but the edge and the points one voxel of 0.7 mm beside it
    both = box_area_mm2((20, 20, 6), THICK_SLICES_MM) + box_area_mm2((20, 20, 7), THICK_SLICES_MM)
    found = agreement(truth, predicted, spacing_mm=THICK_SLICES_MM, mm=1.0)
    assert found.surface_dice == pytest.approx(1 - (new_top + old_top) / both, rel=1e-12)
    assert found.hd95_mm == pytest.approx(5.0)  # the new top is more than 5 % of its box


def test_hd95_counts_area_and_not_elements() -> None:
    """The top of a tall box has a fifth of its elements and less than 5 % of its area: HD95 does
    not see that it has moved."""
    spacing_mm = (0.7, 0.7, 50.0)
    voxels = (20, 20, 14)
    elements_of_top, elements = 21 * 21, 2 * 21 * 21 + 4 * 20 * 13
    top_mm2 = 19 * 19 * 0.7 * 0.7 + 4 * 19 * 0.7 * math.hypot(0.7, 50.0) / 2
    top_mm2 += 4 * corner_area_mm2(spacing_mm)
    assert elements_of_top > 0.2 * elements
    assert top_mm2 < 0.05 * box_area_mm2(voxels, spacing_mm)
    found = agreement(
        box((20, 20, 13), at=(3, 3, 1)), box(voxels, at=(3, 3, 1)), spacing_mm=spacing_mm, mm=1.0
    )
    assert found.hd95_mm == 0.0


def test_box_moved_by_one_thick_slice() -> None:
    """Only walls lie on walls: those between the slices, and the rim of one face of each box."""
    x, y, z = THICK_SLICES_MM
    walls = 4 * (2 * (7 * x + 8 * y) * z + 4 * z * math.hypot(x, y) / 2)
    rim = 2 * (7 * x * math.hypot(y, z) + 8 * y * math.hypot(x, z)) / 2
    rim += 4 * corner_area_mm2(THICK_SLICES_MM)
    truth, moved = box((8, 9, 5)), box((8, 9, 5), at=(3, 3, 4))
    found = agreement(truth, moved, spacing_mm=THICK_SLICES_MM, mm=0.0)
    share = (walls + rim) / box_area_mm2((8, 9, 5), THICK_SLICES_MM)
    assert found.surface_dice == pytest.approx(share, rel=1e-12)


# ------------------------------------------------------------------ the published package


def blobs(seed: int, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Two masks that overlap, with smooth parts, holes, single voxels and voxels at the border."""
    from scipy.ndimage import gaussian_filter

    generator = np.random.default_rng(seed)
    field = gaussian_filter(generator.standard_normal(shape), 1.5)
    other = field + 0.3 * gaussian_filter(generator.standard_normal(shape), 1.0)
    truth, predicted = field > 0.1, other > 0.12
    truth ^= generator.random(shape) < 0.01
    return truth, predicted


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 1.0), THICK_SLICES_MM, (1.5, 0.4, 2.5)])
@pytest.mark.parametrize("shape", [(24, 20, 12), (30, 26, 1)])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the package's own use of SciPy
def test_same_as_the_published_package(
    shape: tuple[int, int, int], spacing_mm: tuple[float, float, float]
) -> None:
    published = pytest.importorskip("surface_distance")
    for seed in range(4):
        truth, predicted = blobs(seed, shape)
        if shape[2] == 1:
            distances = published.compute_surface_distances(
                truth[:, :, 0], predicted[:, :, 0], spacing_mm[:2]
            )
        else:
            distances = published.compute_surface_distances(truth, predicted, spacing_mm)
        for mm in (0.0, 1.0, 2.0):
            found = agreement(truth, predicted, spacing_mm=spacing_mm, mm=mm)
            expected = published.compute_surface_dice_at_tolerance(distances, mm * (1 + 1e-9))
            assert found.surface_dice == pytest.approx(expected, rel=1e-9)
        assert found.hd95_mm == pytest.approx(
            published.compute_robust_hausdorff(distances, 95), rel=1e-9
        )
