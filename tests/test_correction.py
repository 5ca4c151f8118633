"""Correcting masks by hand: runs, strokes, parts, interpolation, undo; on arrays made by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core.config import CorrectionConfig
from core.correction.correction import Correction
from core.correction.edits import (
    BackToNetwork,
    Change,
    CopySlice,
    Edit,
    Interpolate,
    Paint,
    TogglePart,
)
from core.correction.history import Redo, SliceAt, Undo
from core.correction.runs import numbers_in_slice, read_runs, runs_of
from core.correction.shapes import hole_at, part_at, slices_between
from core.errors import CorrectionError, StaleCorrectionError
from core.volume import Intensity, MaskPair, Volume, volume_from_file

SHAPE = (7, 6, 9)
VOXEL_ML = 2.0 * 1.0 * 5.0 / 1000.0


def volume(shape: tuple[int, int, int] = SHAPE, *, nominal: bool = False) -> Volume:
    """Air, 2×1×5 mm, stored towards the right, front and feet."""
    return volume_from_file(
        np.full(shape, -1000, dtype=np.int16),
        np.diag([2.0, 1.0, -5.0, 1.0]),
        intensity=Intensity("HU", "made in HU"),
        name="air",
        format="generated",
        spacing_nominal=nominal,
    )


def network(shape: tuple[int, int, int] = SHAPE) -> MaskPair:
    """A block of lung, and a smaller one of infection in it."""
    lung = np.zeros(shape, dtype=bool, order="F")
    lung[1:6, 1:5, 1:8] = True
    infection = np.zeros_like(lung)
    infection[2:4, 2:4, 2:5] = True
    return MaskPair(lung, infection)


def box(*spans: tuple[int, int], shape: tuple[int, int, int] = SHAPE) -> np.ndarray:
    mask = np.zeros(shape, dtype=bool, order="F")
    mask[tuple(slice(low, high) for low, high in spans)] = True
    return mask


def runs_in(mask: np.ndarray):
    """The runs of a mask's voxels, through the plain definition of their numbers."""
    i, j, k = np.nonzero(mask)
    return runs_of(np.sort(i + mask.shape[0] * (j + mask.shape[1] * k.astype(np.int64))))


def paint(
    mask: np.ndarray,
    *,
    channel: str = "infection",
    marked: bool = True,
    at: SliceAt = SliceAt("axial", 0),  # noqa: B008  (frozen)
) -> Paint:
    return Paint(channel, marked, runs_in(mask), at)


def make(correction: Correction, edit: Edit, **options: bool) -> Change:
    return correction.apply(edit, revision=correction.revision, **options)


def same(correction: Correction, lung: np.ndarray, infection: np.ndarray) -> None:
    masks = correction.masks()
    assert masks is not None
    np.testing.assert_array_equal(masks.lung, lung)
    np.testing.assert_array_equal(masks.infection, infection)


# ---------------------------------------------------------------- runs


def test_runs_join_neighbours_across_rows_and_come_back():
    # Rows of 7: 5, 6 end the first, 7 begins the second.
    runs = runs_of(np.array([0, 5, 6, 7, 20]))
    assert runs.starts.tolist() == [0, 5, 20]
    assert runs.lengths.tolist() == [1, 3, 1]
    assert runs.numbers().tolist() == [0, 5, 6, 7, 20]
    again = read_runs(runs.to_bytes(), voxels=21, most_runs=3)
    assert again.numbers().tolist() == runs.numbers().tolist()
    assert runs.to_bytes()[:8] == b"\0\0\0\0\1\0\0\0"


@pytest.mark.parametrize(
    ("pairs", "reason"),
    [
        ([], "0 bytes"),
        ([(3, 0)], "empty or overlapping"),
        ([(3, 2), (4, 1)], "empty or overlapping"),
        ([(9, 1), (3, 1)], "empty or overlapping"),
        ([(20, 2)], "beyond the scan"),
        ([(0xFFFFFFFF, 0xFFFFFFFF)], "beyond the scan"),
        ([(0, 1), (2, 1), (4, 1), (6, 1)], "4 runs"),
    ],
)
def test_runs_that_do_not_fit_are_refused(pairs, reason):
    packed = np.array(pairs, dtype="<u4").tobytes()
    with pytest.raises(CorrectionError, match=reason):
        read_runs(packed, voxels=21, most_runs=3)


def test_half_a_run_is_refused():
    with pytest.raises(CorrectionError, match="12 bytes"):
        read_runs(b"\0" * 12, voxels=21, most_runs=3)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_numbers_of_a_slice_are_those_of_its_voxels_in_fortran_order(axis):
    every = np.arange(np.prod(SHAPE)).reshape(SHAPE, order="F")
    np.testing.assert_array_equal(numbers_in_slice(SHAPE, axis, 3), np.take(every, 3, axis=axis))


# ---------------------------------------------------------------- shapes


def test_a_part_is_connected_by_faces_and_not_by_corners():
    mask = np.array([[1, 1, 0], [0, 0, 1], [0, 0, 1]], dtype=bool)
    assert part_at(mask, (0, 0)).tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 0]]
    assert part_at(mask, (2, 2)).tolist() == [[0, 0, 0], [0, 0, 1], [0, 0, 1]]


def test_a_hole_is_what_is_closed_in():
    mask = np.ones((5, 5), dtype=bool)
    mask[2, 2] = mask[0, 0] = False
    assert np.argwhere(hole_at(mask, (2, 2))).tolist() == [[2, 2]]
    with pytest.raises(CorrectionError, match="open to the edge"):
        hole_at(mask, (0, 0))


def disc(radius_mm: float, spacing_mm: tuple[float, float] = (1.0, 1.0)) -> np.ndarray:
    rows, columns = (np.arange(81) - 40.0 for _ in range(2))
    return (rows[:, None] * spacing_mm[0]) ** 2 + (
        columns[None, :] * spacing_mm[1]
    ) ** 2 <= radius_mm**2


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0), (0.5, 2.0)])
def test_between_two_discs_lie_discs_of_radii_between(spacing_mm):
    found = slices_between(
        disc(5, spacing_mm), disc(17, spacing_mm), count=2, spacing_mm=spacing_mm
    )
    area = spacing_mm[0] * spacing_mm[1]
    for shape, radius in zip(found, (9.0, 13.0), strict=True):
        assert np.sqrt(np.count_nonzero(shape) * area / np.pi) == pytest.approx(radius, abs=0.75)


def test_between_two_alike_slices_lie_the_same_ones():
    for shape in slices_between(disc(9), disc(9), count=3, spacing_mm=(1.0, 1.0)):
        np.testing.assert_array_equal(shape, disc(9))


# ---------------------------------------------------------------- strokes


def test_a_stroke_marks_its_voxels_and_no_others():
    correction, stroke = Correction(volume(), network()), box((4, 6), (1, 3), (6, 8))
    change = make(correction, paint(stroke))
    same(correction, network().lung, network().infection | stroke)
    assert change.flips["infection"].voxels == 2 * 2 * 2
    assert change.text == f"Infection: {8 * VOXEL_ML:.3f} ml added."
    assert (change.revision, change.undoable, change.redoable) == (1, 1, 0)


def test_an_eraser_clears_its_voxels():
    correction, stroke = Correction(volume(), network()), box((2, 3), (0, 6), (0, 9))
    make(correction, paint(stroke, marked=False))
    same(correction, network().lung, network().infection & ~stroke)


def test_a_stroke_over_what_is_marked_changes_nothing_and_is_no_step():
    correction = Correction(volume(), network())
    change = make(correction, paint(box((2, 4), (2, 4), (2, 5))))
    assert change.text == "Nothing changed."
    assert (change.revision, change.undoable, change.touched) == (0, 0, False)
    assert correction.masks() is None


def test_infection_stays_inside_the_lung_unless_the_person_says_otherwise():
    correction, stroke = Correction(volume(), network()), box((0, 7), (3, 4), (3, 4))
    make(correction, paint(stroke))
    inside = network().infection | (stroke & network().lung)
    same(correction, network().lung, inside)
    make(correction, paint(stroke), free=True)
    same(correction, network().lung, network().infection | stroke)


def test_infection_goes_with_the_lung_it_lies_in_as_one_step():
    correction, stroke = Correction(volume(), network()), box((1, 3), (1, 5), (2, 3))
    change = make(correction, paint(stroke, channel="lung", marked=False))
    same(correction, network().lung & ~stroke, network().infection & ~stroke)
    assert change.text == (
        f"Lung: {8 * VOXEL_ML:.3f} ml removed. Infection: {2 * VOXEL_ML:.3f} ml removed."
    )
    make(correction, Undo())
    make(correction, paint(stroke, channel="lung", marked=False), free=True)
    same(correction, network().lung & ~stroke, network().infection)


def test_drawing_starts_from_nothing():
    correction, stroke = Correction(volume()), box((0, 2), (0, 2), (0, 2))
    assert correction.masks() is None
    change = make(correction, paint(stroke))
    masks = correction.masks()
    np.testing.assert_array_equal(masks.infection, stroke)
    assert masks.lung is None, "no lung was drawn, and none is known to be empty"
    assert change.touched
    assert not correction.from_network


def test_voxels_are_counted_where_the_spacing_is_nominal():
    change = make(Correction(volume(nominal=True)), paint(box((0, 1), (0, 1), (0, 1))))
    assert change.text == "Infection: 1 voxel added."


def test_returned_masks_do_not_change_later():
    correction, before = Correction(volume(), network()), network()
    make(correction, paint(box((4, 6), (1, 3), (6, 8))))
    handed = correction.masks()
    kept = handed.infection.copy()
    make(correction, paint(box((1, 6), (1, 5), (7, 8))))
    np.testing.assert_array_equal(handed.infection, kept)
    assert not handed.infection.flags.writeable
    assert correction.masks() is not handed
    np.testing.assert_array_equal(before.infection, network().infection)


def test_a_stroke_made_for_older_masks_is_refused():
    correction = Correction(volume(), network())
    make(correction, paint(box((4, 6), (1, 3), (6, 8))))
    with pytest.raises(StaleCorrectionError, match="has changed since"):
        correction.apply(paint(box((0, 1), (0, 1), (0, 1))), revision=0)
    assert correction.revision == 1


# ---------------------------------------------------------------- parts


def test_a_click_removes_a_part_in_its_slice_or_in_all():
    masks = network()
    masks.infection[5, 4, 3] = True  # apart from the block
    correction = Correction(volume(), masks)
    at = SliceAt("axial", 3)
    make(correction, TogglePart("infection", (2, 2, 3), at, whole=False))
    expected = masks.infection & ~box((2, 4), (2, 4), (3, 4))
    same(correction, masks.lung, expected)
    make(correction, Undo())
    make(correction, TogglePart("infection", (2, 2, 3), at, whole=True))
    same(correction, masks.lung, masks.infection & ~box((2, 4), (2, 4), (2, 5)))


@pytest.mark.parametrize("whole", [False, True])
def test_a_click_fills_a_hole(whole):
    masks = network()
    masks.lung[3, 2, 4] = False
    masks.infection[:] = False
    correction = Correction(volume(), masks)
    make(correction, TogglePart("lung", (3, 2, 4), SliceAt("coronal", 2), whole=whole))
    same(correction, network().lung, masks.infection)


@pytest.mark.parametrize("whole", [False, True])
def test_a_click_outside_fills_nothing(whole):
    correction = Correction(volume(), network())
    with pytest.raises(CorrectionError, match="open to the edge"):
        make(correction, TogglePart("lung", (0, 0, 0), SliceAt("axial", 0), whole=whole))
    assert correction.masks() is None
    assert correction.revision == 0


# ---------------------------------------------------------------- interpolation, copying


@pytest.mark.parametrize(("plane", "axis"), [("sagittal", 0), ("coronal", 1), ("axial", 2)])
def test_slices_between_two_drawn_ones_are_filled_in_every_plane(plane, axis):
    shape = (9, 9, 9)
    correction = Correction(volume(shape))
    for index in (1, 5):
        spans = [(2, 6)] * 3
        spans[axis] = (index, index + 1)
        make(correction, paint(box(*spans, shape=shape), at=SliceAt(plane, index)))
    change = make(correction, Interpolate("infection", SliceAt(plane, 5)))
    spans = [(2, 6)] * 3
    spans[axis] = (1, 6)
    np.testing.assert_array_equal(correction.masks().infection, box(*spans, shape=shape))
    assert change.text.startswith("Infection in slices 3 to 5, interpolated: ")


def test_what_lay_between_is_replaced():
    correction = Correction(volume(), network())
    for index in (2, 4):
        stroke = box((1, 6), (1, 5), (index, index + 1))
        make(correction, paint(stroke, marked=False, at=SliceAt("axial", index)))
        kept = box((4, 6), (3, 5), (index, index + 1))
        make(correction, paint(kept, at=SliceAt("axial", index)))
    make(correction, Interpolate("infection", SliceAt("axial", 3)))
    same(correction, network().lung, box((4, 6), (3, 5), (2, 5)))


def test_the_slice_drawn_before_is_the_other_one():
    shape = (4, 4, 30)
    correction = Correction(volume(shape))
    for index in (2, 20, 10):
        stroke = box((1, 3), (1, 3), (index, index + 1), shape=shape)
        make(correction, paint(stroke, at=SliceAt("axial", index)))
    change = make(correction, Interpolate("infection", SliceAt("axial", 10)))
    assert "slices 12 to 20" in change.text
    change = make(correction, Interpolate("infection", SliceAt("axial", 5)))
    assert "slices 4 to 10" in change.text


@pytest.mark.parametrize("drawn", [(), (3,), (3, 4)])
def test_without_a_gap_there_is_nothing_to_interpolate(drawn):
    correction = Correction(volume())
    for index in drawn:
        make(
            correction,
            paint(box((1, 3), (1, 3), (index, index + 1)), at=SliceAt("axial", index)),
        )
    with pytest.raises(CorrectionError, match="nothing to interpolate"):
        make(correction, Interpolate("infection", SliceAt("axial", 3)))


def test_a_slice_is_copied_from_the_one_before_it():
    correction = Correction(volume(), network())
    change = make(correction, CopySlice("infection", SliceAt("axial", 5), -1))
    same(correction, network().lung, box((2, 4), (2, 4), (2, 6)))
    assert change.text.startswith("Infection copied from slice 5: ")
    make(correction, CopySlice("infection", SliceAt("axial", 2), -1))
    same(correction, network().lung, box((2, 4), (2, 4), (3, 6)))


def test_before_the_first_slice_there_is_none():
    with pytest.raises(CorrectionError, match="no slice to copy from"):
        make(Correction(volume(), network()), CopySlice("lung", SliceAt("axial", 0), -1))


# ---------------------------------------------------------------- back


def test_one_slice_goes_back_to_the_networks_mask_or_all_do():
    correction = Correction(volume(), network())
    make(correction, paint(box((1, 6), (1, 5), (1, 8))))
    make(correction, BackToNetwork("infection", SliceAt("axial", 6)))
    expected = box((1, 6), (1, 5), (1, 8)) & ~box((0, 7), (0, 6), (6, 7))
    same(correction, network().lung, expected)
    make(correction, BackToNetwork("infection"))
    same(correction, network().lung, network().infection)
    make(correction, Undo())
    same(correction, network().lung, expected)


def random_edit(rng: np.random.Generator) -> Edit:
    """Any edit, at any place."""
    channel = ("lung", "infection")[rng.integers(2)]
    plane, axis = (("sagittal", 0), ("coronal", 1), ("axial", 2))[rng.integers(3)]
    at = SliceAt(plane, int(rng.integers(SHAPE[axis])))
    voxel = tuple(int(rng.integers(count)) for count in SHAPE)
    kind = rng.integers(6)
    if kind < 2:
        lows = [int(rng.integers(count)) for count in SHAPE]
        mask = box(*((low, low + int(rng.integers(1, 4))) for low in lows))
        return paint(mask, channel=channel, marked=bool(kind), at=at)
    return (
        TogglePart(channel, voxel, at, whole=bool(rng.integers(2))),
        Interpolate(channel, at),
        CopySlice(channel, at, int(rng.choice([-1, 1]))),
        BackToNetwork(channel, at if rng.integers(2) else None),
    )[kind - 2]


def test_150_edits_of_every_kind_are_undone_to_the_networks_mask_bit_by_bit_and_done_again():
    rng = np.random.default_rng(5)
    correction = Correction(volume(), network())
    states = []
    while correction.undoable < 150:
        try:
            change = make(correction, random_edit(rng), free=bool(rng.integers(2)))
        except CorrectionError:
            continue
        if change.flips:
            masks = correction.masks()
            states.append((masks.lung.copy(), masks.infection.copy()))
    for lung, infection in states[-2::-1]:
        make(correction, Undo())
        same(correction, lung, infection)
    change = make(correction, Undo())
    assert not change.touched
    assert correction.masks() is None
    np.testing.assert_array_equal(correction._masks["lung"], network().lung)
    np.testing.assert_array_equal(correction._masks["infection"], network().infection)
    with pytest.raises(CorrectionError, match="nothing to undo"):
        make(correction, Undo())
    for lung, infection in states:
        make(correction, Redo())
        same(correction, lung, infection)
    with pytest.raises(CorrectionError, match="nothing to redo"):
        make(correction, Redo())


def test_a_new_stroke_ends_what_could_be_done_again():
    correction = Correction(volume(), network())
    make(correction, paint(box((1, 2), (1, 2), (1, 2))))
    make(correction, Undo())
    change = make(correction, paint(box((1, 2), (1, 2), (6, 7))))
    assert (change.undoable, change.redoable) == (1, 0)


def test_old_steps_go_once_they_take_too_much_memory_but_never_the_last_hundred():
    config = CorrectionConfig(history_bytes=0)
    correction = Correction(volume(), network(), config)
    for number in range(130):
        make(correction, paint(box((1, 2), (1, 2), (1, 2)), marked=number % 2 == 0))
    assert correction.undoable == 100
    for _ in range(100):
        change = make(correction, Undo())
    assert change.touched, "thirty steps are forgotten, so these need not be the network's masks"


# ---------------------------------------------------------------- the network runs again


def test_other_masks_of_the_network_leave_a_correction_as_it_is():
    correction, stroke = Correction(volume(), network()), box((4, 6), (1, 3), (6, 8))
    make(correction, paint(stroke))
    other = MaskPair(network().lung, box((2, 5), (2, 5), (2, 5)))
    correction.follow(other)
    same(correction, network().lung, network().infection | stroke)
    make(correction, Undo())
    same(correction, network().lung, network().infection)
    make(correction, BackToNetwork("infection"))
    same(correction, network().lung, other.infection)


def test_before_the_first_edit_a_correction_begins_with_the_networks_latest_masks():
    correction = Correction(volume())
    correction.follow(network())
    make(correction, paint(box((4, 6), (1, 3), (6, 8))))
    make(correction, Undo())
    correction.follow(MaskPair(network().lung, box((2, 5), (2, 5), (2, 5))))
    stroke = box((5, 6), (4, 5), (7, 8))
    make(correction, paint(stroke))
    same(correction, network().lung, box((2, 5), (2, 5), (2, 5)) | stroke)
    assert correction.from_network


# ---------------------------------------------------------------- growing between two HU


def layered() -> Volume:
    """-700 HU in a block that reaches through the slices 2 to 6, and in another apart from it."""
    array = np.full(SHAPE, -1000, dtype=np.int16)
    array[2:5, 1:4, 2:7] = -700
    array[6, 5, 4] = -700
    scan = volume()
    array = np.asfortranarray(array)
    return replace(scan, array=array)


@pytest.mark.parametrize(("whole", "slices"), [(False, (4, 5)), (True, (2, 7))])
def test_a_click_grows_through_connected_voxels_between_the_limits(whole, slices):
    correction = Correction(layered())
    edit = TogglePart("lung", (3, 2, 4), SliceAt("axial", 4), whole, limits_hu=(-750.0, -650.0))
    make(correction, edit)
    np.testing.assert_array_equal(correction.masks().lung, box((2, 5), (1, 4), slices))


def test_infection_grows_inside_the_lung_alone():
    lung = box((2, 4), (0, 6), (0, 9))
    correction = Correction(layered(), MaskPair(lung, np.zeros_like(lung)))
    at = SliceAt("coronal", 2)
    edit = TogglePart("infection", (3, 2, 4), at, whole=True, limits_hu=(-750.0, -650.0))
    make(correction, edit)
    same(correction, lung, box((2, 4), (1, 4), (2, 7)))
    make(correction, Undo())
    make(correction, edit, free=True)
    same(correction, lung, box((2, 5), (1, 4), (2, 7)))


def test_limits_hold_for_values_that_are_not_hu():
    grey = replace(layered(), intensity=Intensity("unknown", "made", slope=10.0, intercept=500.0))
    # -700 stands for -6500 HU, -1000 for -9500.
    edit = TogglePart("lung", (3, 2, 4), SliceAt("axial", 4), False, limits_hu=(-6600.0, -6400.0))
    correction = Correction(grey)
    make(correction, edit)
    np.testing.assert_array_equal(correction.masks().lung, box((2, 5), (1, 4), (4, 5)))


def test_from_a_voxel_outside_the_limits_nothing_grows():
    correction = Correction(layered())
    edit = TogglePart("lung", (0, 0, 4), SliceAt("axial", 4), True, limits_hu=(-750.0, -650.0))
    with pytest.raises(CorrectionError, match="No region can be grown"):
        make(correction, edit)
