"""The body box: it holds the body and leaves table and air outside."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from core.errors import GeometryError
from core.loading import open_study
from core.loading.case_table import load_case, load_case_table
from core.preprocessing.roi import BoundingBox, find_body_box, find_lung_box, whole_slice_box
from core.preprocessing.spatial import turn_volume
from core.volume import BoolArray, Volume
from tests.spheres import GREY, make_volume

SHAPE = (180, 220, 6)
SPACING_MM = (2.0, 1.2, 5.0)
CENTER_MM = (180.0, 120.0)


def torso(
    *,
    center_mm: tuple[float, float] = CENTER_MM,
    half_mm: tuple[float, float] = (140.0, 90.0),
    seed: int = 1,
) -> tuple[npt.NDArray[np.int16], BoolArray, BoolArray]:
    """HU (i, j, k), body and lungs of a chest that fills its lungs with air."""
    x, y = np.meshgrid(
        (np.arange(SHAPE[0]) + 0.5) * SPACING_MM[0],
        (np.arange(SHAPE[1]) + 0.5) * SPACING_MM[1],
        indexing="ij",
    )
    x, y = x - center_mm[0], y - center_mm[1]
    body = (x / half_mm[0]) ** 2 + (y / half_mm[1]) ** 2 < 1
    lungs = ((np.abs(x) - 62) / 48) ** 2 + (y / 62) ** 2 < 1
    hu = np.full(SHAPE[:2], -1000.0)
    hu[body] = 30.0
    hu[lungs] = -850.0
    stack = np.repeat(hu[:, :, None], SHAPE[2], axis=2)
    stack += np.random.default_rng(seed).normal(0, 20, SHAPE)
    return np.rint(stack).astype(np.int16), body, lungs


def scan(hu: npt.NDArray[np.int16]) -> Volume:
    return make_volume(hu, np.diag([-SPACING_MM[0], -SPACING_MM[1], SPACING_MM[2], 1.0]))


def extent(mask: BoolArray) -> tuple[int, int, int, int]:
    i, j = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return int(i[0]), int(i[-1]) + 1, int(j[0]), int(j[-1]) + 1


def assert_close_around(box: BoundingBox, body: BoolArray, *, margin_mm: float) -> None:
    """Nothing of the body outside, and no more air than margin and coarse grid explain."""
    i_start, i_stop, j_start, j_stop = extent(body)
    assert box.i_start <= i_start
    assert box.i_stop >= i_stop
    assert box.j_start <= j_start
    assert box.j_stop >= j_stop
    # Two pixels of the coarse grid of 128 a side.
    slack_i = margin_mm / SPACING_MM[0] + 2 * max(SHAPE[:2]) / 128 + 1
    slack_j = margin_mm / SPACING_MM[1] + 2 * max(SHAPE[:2]) / 128 + 1
    assert i_start - box.i_start <= slack_i
    assert box.i_stop - i_stop <= slack_i
    assert j_start - box.j_start <= slack_j
    assert box.j_stop - j_stop <= slack_j


@pytest.mark.parametrize("margin_mm", [0.0, 6.0, 20.0])
def test_box_around_a_body_in_anisotropic_pixels(margin_mm: float) -> None:
    hu, body, _ = torso()
    assert_close_around(find_body_box(scan(hu), margin_mm=margin_mm), body, margin_mm=margin_mm)


def test_margin_is_in_millimetres() -> None:
    hu, _, _ = torso()
    near, far = (find_body_box(scan(hu), margin_mm=mm) for mm in (0.0, 12.0))
    assert near.i_start - far.i_start == pytest.approx(12 / SPACING_MM[0], abs=1)
    assert far.j_stop - near.j_stop == pytest.approx(12 / SPACING_MM[1], abs=1)


@pytest.mark.parametrize("shift_mm", [(-35.0, 0.0), (30.0, 20.0), (0.0, -25.0)])
def test_box_follows_the_body(shift_mm: tuple[float, float]) -> None:
    center = (CENTER_MM[0] + shift_mm[0], CENTER_MM[1] + shift_mm[1])
    hu, body, _ = torso(center_mm=center)
    assert_close_around(find_body_box(scan(hu)), body, margin_mm=6.0)


def test_grey_scan_gives_the_same_box() -> None:
    hu, body, _ = torso()
    grey = np.clip(np.rint((hu + 1250.0) * 255 / 1500), 0, 255).astype(np.uint8)
    volume = make_volume(grey, scan(hu).affine, intensity=GREY)
    assert_close_around(find_body_box(volume), body, margin_mm=6.0)


@pytest.mark.parametrize("gap_mm", [0.0, 12.0])
def test_table_stays_outside(gap_mm: float) -> None:
    hu, body, _ = torso()
    bottom_mm = CENTER_MM[1] + 90.0 + gap_mm
    rows_mm = (np.arange(SHAPE[1]) + 0.5) * SPACING_MM[1]
    # Two shells of 2.4 mm with foam between, as wide as the field of view.
    for offset_mm in (0.0, 24.0):
        shell = (rows_mm >= bottom_mm + offset_mm) & (rows_mm < bottom_mm + offset_mm + 2.4)
        hu[:, shell] = -80
    box = find_body_box(scan(hu))
    assert_close_around(box, body, margin_mm=6.0)
    assert box.j_stop * SPACING_MM[1] < bottom_mm + 24.0


def test_arms_beside_the_chest_do_not_lose_lung() -> None:
    hu, _, lungs = torso(half_mm=(120.0, 85.0))
    x = (np.arange(SHAPE[0]) + 0.5) * SPACING_MM[0] - CENTER_MM[0]
    y = (np.arange(SHAPE[1]) + 0.5) * SPACING_MM[1] - CENTER_MM[1]
    for side in (-1, 1):
        arm = (x[:, None] - side * 152) ** 2 + y[None, :] ** 2 < 22**2
        hu[arm] = 40
    box = find_body_box(scan(hu))
    i_start, i_stop, j_start, j_stop = extent(lungs)
    assert box.i_start <= i_start < i_stop <= box.i_stop
    assert box.j_start <= j_start < j_stop <= box.j_stop


def test_padding_outside_the_field_of_view_does_not_mislead() -> None:
    hu, body, _ = torso()
    i, j = np.meshgrid(*(np.linspace(-1, 1, n) for n in SHAPE[:2]), indexing="ij")
    hu[(i**2 + j**2 > 1) & ~body] = -3024
    assert_close_around(find_body_box(scan(hu)), body, margin_mm=6.0)


def test_patient_cut_off_above_and_below_gives_the_whole_slice() -> None:
    hu, _, _ = torso(half_mm=(140.0, 160.0))
    volume = scan(hu)
    assert find_body_box(volume) == whole_slice_box(volume)


def test_picture_cropped_to_the_lungs_is_kept_whole() -> None:
    """Only a strand of tissue, thinner than an opening spares, reaches from above to below; the
    lungs lie open to the sides."""
    hu = np.full((200, 160, 1), -850, dtype=np.int16)
    hu[70:130, 40:130] = 40  # mediastinum
    hu[99:102, :40] = 40  # towards the breastbone
    hu[:, 130:] = 40  # back
    volume = make_volume(hu)
    assert find_body_box(volume) == whole_slice_box(volume)


def test_picture_whose_lungs_part_front_and_back_is_kept_whole() -> None:
    """Cropped to the chest: tissue lies along the upper and the lower edge, and between them both
    lungs meet in front of the heart."""
    hu = np.full((200, 160, 1), -850, dtype=np.int16)
    hu[:60, :20] = hu[140:, :20] = 40  # chest wall, gone in the middle
    hu[70:130, 40:130] = 40  # mediastinum
    hu[:, 130:] = 40  # back
    volume = make_volume(hu)
    assert find_body_box(volume) == whole_slice_box(volume)
    assert find_lung_box(volume, margin_mm=8.0) == whole_slice_box(volume)


def test_arms_above_and_a_table_below_cut_nothing_off() -> None:
    """Neither covers a quarter of its edge, or both."""
    hu, body, _ = torso()
    hu[20:50, :14] = 40  # a forearm at the upper edge
    hu[:, -6:] = 40  # the table
    box = find_body_box(scan(hu))
    i_start, i_stop, j_start, j_stop = extent(body)
    assert box.j_start > 10
    assert box.i_start <= i_start
    assert box.i_stop >= i_stop
    assert box.j_start <= j_start
    assert box.j_stop >= j_stop


@pytest.mark.real_data
def test_pictures_cropped_to_the_chest_are_kept_whole(real_data: Path) -> None:
    """Upright, every picture of this set reaches beyond the chest wall on some side."""
    for path in sorted((real_data / "medseg100_train" / "images").iterdir()):
        volume = turn_volume(open_study(path).volume, 1)
        assert find_lung_box(volume, margin_mm=8.0) == whole_slice_box(volume), path.name


@pytest.mark.parametrize("wall_mm", [5.0, 8.0])
def test_lung_behind_a_thin_chest_wall_is_kept(wall_mm: float) -> None:
    x = np.arange(300)[:, None] * 1.5 - 225.0
    y = np.arange(300)[None, :] * 1.5 - 225.0
    hu = np.full((300, 300), -1000, dtype=np.int16)
    hu[(x / 160) ** 2 + (y / 110) ** 2 < 1] = 30
    lung = (np.abs(x) > 90) & ((x / (160 - wall_mm)) ** 2 + (y / (110 - wall_mm)) ** 2 < 1)
    hu[lung] = -850
    volume = make_volume(hu[:, :, None].copy(), np.diag([-1.5, -1.5, 5.0, 1.0]))
    box = find_body_box(volume)
    i_start, i_stop, j_start, j_stop = extent(lung)
    assert box.i_start <= i_start < i_stop <= box.i_stop
    assert box.j_start <= j_start < j_stop <= box.j_stop
    assert box != whole_slice_box(volume)


def test_patient_wider_than_the_picture_is_kept_to_its_edges() -> None:
    hu, body, _ = torso(half_mm=(200.0, 90.0))
    box = find_body_box(scan(hu))
    assert (box.i_start, box.i_stop) == (0, SHAPE[0])
    assert_close_around(box, body, margin_mm=6.0)


def test_smaller_end_slices_do_not_shrink_the_box() -> None:
    hu, body, _ = torso()
    shoulders, _, _ = torso(half_mm=(70.0, 60.0))
    hu[:, :, :2] = shoulders[:, :, :2]
    assert_close_around(find_body_box(scan(hu)), body, margin_mm=6.0)


@pytest.mark.parametrize(
    "array",
    [
        pytest.param(np.full((64, 48, 3), -1000, dtype=np.int16), id="air"),
        pytest.param(np.full((64, 48, 3), 40, dtype=np.int16), id="tissue"),
        pytest.param(
            np.random.default_rng(0).normal(-1000, 30, (64, 48, 3)).astype(np.float32), id="noise"
        ),
    ],
)
def test_no_body_gives_the_whole_slice(array: npt.NDArray[np.int16]) -> None:
    volume = make_volume(array)
    assert find_body_box(volume) == BoundingBox(0, 64, 0, 48)


def test_a_thing_too_small_for_a_body_gives_the_whole_slice() -> None:
    hu = np.full((128, 128, 3), -1000, dtype=np.int16)
    hu[40:75, 50:60] = 100
    volume = make_volume(hu)
    assert find_body_box(volume) == whole_slice_box(volume)


def test_one_thin_slice_is_enough() -> None:
    hu, body, _ = torso()
    assert_close_around(find_body_box(scan(hu[:, :, :1])), body, margin_mm=6.0)


@pytest.mark.parametrize("sides", [(5, 5, 0, 9), (-1, 5, 0, 9), (0, 5, 9, 3)])
def test_empty_boxes_are_refused(sides: tuple[int, int, int, int]) -> None:
    with pytest.raises(GeometryError, match="empty or negative"):
        BoundingBox(*sides)


@pytest.mark.real_data
def test_no_lung_of_a_real_scan_is_lost(real_data: Path) -> None:
    lost = {}
    cropped = 0
    for case in load_case_table(real_data / "covid20"):
        study = load_case(case)
        assert study.truth is not None
        assert study.truth.lung is not None
        box = find_body_box(study.volume)
        cropped += box != whole_slice_box(study.volume)
        inside = study.truth.lung[box.i_start : box.i_stop, box.j_start : box.j_stop]
        lost[case.case_id] = int(study.truth.lung.sum()) - int(inside.sum())
    assert len(lost) == 15
    assert cropped >= 5  # else the box would be trivially safe
    assert not any(lost.values()), lost


@pytest.mark.parametrize("margin_mm", [0.0, 10.0])
def test_lung_box_holds_the_lungs_in_anisotropic_pixels(margin_mm: float) -> None:
    hu, _, lungs = torso(center_mm=(150.0, 110.0))
    box = find_lung_box(scan(hu), margin_mm=margin_mm)
    assert_close_around(box, lungs, margin_mm=margin_mm)


def test_lung_box_is_the_body_box_where_lungs_hold_no_air() -> None:
    hu, _, lungs = torso()
    hu[lungs] = 30
    assert find_lung_box(scan(hu), margin_mm=6.0) == find_body_box(scan(hu), margin_mm=6.0)


def test_lung_box_is_the_body_box_where_one_lung_is_filled() -> None:
    hu, _, lungs = torso()
    hu[lungs & (np.arange(SHAPE[0])[:, None] * SPACING_MM[0] > CENTER_MM[0])] = 20
    assert find_lung_box(scan(hu), margin_mm=6.0) == find_body_box(scan(hu), margin_mm=6.0)


def test_lung_box_of_no_chest_is_the_whole_slice() -> None:
    nothing = scan(np.full(SHAPE, -1000, dtype=np.int16))
    assert find_lung_box(nothing, margin_mm=6.0) == whole_slice_box(nothing)


@pytest.mark.real_data
def test_no_true_lung_lies_outside_the_lung_box(real_data: Path) -> None:
    for case in load_case_table(real_data / "covid20"):
        study = load_case(case)
        assert study.truth is not None
        assert study.truth.lung is not None
        box = find_lung_box(study.volume, margin_mm=8.0)
        outside = study.truth.lung.copy()
        outside[box.i_start : box.i_stop, box.j_start : box.j_stop] = False
        assert not outside.any(), case.case_id


@pytest.mark.parametrize("half_mm", [(56.0, 40.0), (35.0, 30.0)], ids=["child", "newborn"])
def test_a_small_body_in_a_wide_picture_is_found(half_mm: tuple[float, float]) -> None:
    x, y = np.meshgrid(
        (np.arange(SHAPE[0]) + 0.5) * SPACING_MM[0] - CENTER_MM[0],
        (np.arange(SHAPE[1]) + 0.5) * SPACING_MM[1] - CENTER_MM[1],
        indexing="ij",
    )
    body = (x / half_mm[0]) ** 2 + (y / half_mm[1]) ** 2 < 1
    lungs = ((np.abs(x) / half_mm[0] - 0.45) / 0.35) ** 2 + (y / half_mm[1] / 0.7) ** 2 < 1
    hu = np.where(body, np.where(lungs, -850.0, 30.0), -1000.0)
    stack = np.repeat(hu[:, :, None], SHAPE[2], axis=2)
    stack += np.random.default_rng(3).normal(0, 20, SHAPE)
    box = find_body_box(scan(np.rint(stack).astype(np.int16)), margin_mm=6.0)
    assert_close_around(box, body, margin_mm=6.0)


def test_a_fragment_of_a_body_gives_no_box() -> None:
    hu, body, _ = torso()
    # What a wrong threshold leaves of a body: pieces that hang together nowhere.
    i, j = np.ogrid[: SHAPE[0], : SHAPE[1]]
    pieces = body & (i % 40 < 20) & (j % 60 < 40)
    hu[body & ~pieces] = -1000
    volume = scan(hu)
    assert find_body_box(volume) == whole_slice_box(volume)
