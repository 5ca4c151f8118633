"""Clean-up and thresholds, on a grid where network and scan agree pixel by pixel."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core.config import PostprocessConfig
from core.errors import Cancelled, ConfigError
from core.preprocessing.roi import BoundingBox
from core.preprocessing.spatial import SpatialRecord
from core.segmentation.postprocess import (
    Probabilities,
    blend_neighbours,
    blend_presence,
    clean_lung,
    clear_empty_slices,
    clear_open_air,
    probability_level,
    restore_masks,
    share_of_neighbours,
)
from tests.spheres import make_volume

ROWS, COLUMNS, COUNT = 64, 96, 6
SAME = SpatialRecord(
    slice_shape=(ROWS, COLUMNS),
    box=BoundingBox(0, COLUMNS, 0, ROWS),
    rows=ROWS,
    columns=COLUMNS,
    top=0,
    left=0,
    height=ROWS,
    width=COLUMNS,
)


def empty() -> Probabilities:
    return np.zeros((2, COUNT, ROWS, COLUMNS), dtype=np.uint8)


def two_lungs() -> Probabilities:
    probabilities = empty()
    probabilities[0, :, 12:52, 10:40] = 250
    probabilities[0, :, 12:52, 56:86] = 250
    return probabilities


def test_axes_are_those_of_the_scan() -> None:
    probabilities = two_lungs()
    probabilities[1, 2, 20:22, 30:35] = 255
    masks = restore_masks(probabilities, SAME, PostprocessConfig())
    assert masks.lung is not None
    assert masks.infection is not None
    assert masks.lung.shape == masks.infection.shape == (COLUMNS, ROWS, COUNT)
    assert masks.lung.dtype == masks.infection.dtype == np.bool_
    assert masks.lung.sum() == 2 * 40 * 30 * COUNT
    assert np.argwhere(masks.infection).min(axis=0).tolist() == [30, 20, 2]
    assert np.argwhere(masks.infection).max(axis=0).tolist() == [34, 21, 2]


def test_stray_parts_are_dropped_and_both_lungs_kept() -> None:
    probabilities = two_lungs()
    probabilities[0, 1:4, 56:62, 2:8] = 255  # 108 of about 14500 voxels
    probabilities[1, 1:4, 56:62, 2:8] = 255
    masks = restore_masks(probabilities, SAME, PostprocessConfig())
    assert masks.lung is not None
    assert masks.infection is not None
    assert masks.lung.sum() == 2 * 40 * 30 * COUNT
    assert not masks.infection.any()
    kept = restore_masks(probabilities, SAME, PostprocessConfig(min_lung_part_fraction=0.001))
    assert kept.lung is not None
    assert kept.lung.sum() == 2 * 40 * 30 * COUNT + 108


def test_a_small_lung_part_joined_in_another_slice_is_kept() -> None:
    probabilities = two_lungs()
    probabilities[0, 0] = 0
    probabilities[0, 0, 12:16, 10:14] = 255  # the tip of the left-hand lung
    lung = restore_masks(probabilities, SAME, PostprocessConfig()).lung
    assert lung is not None
    assert lung[:, :, 0].sum() == 16


def test_unconnected_slices_are_not_all_taken_for_strays() -> None:
    """Many slices with gaps between them: no part holds a share of note, yet all are lung."""
    probabilities = np.zeros((2, 60, ROWS, COLUMNS), dtype=np.uint8)
    probabilities[0, ::2, 12:52, 10:40] = 250
    lung = restore_masks(probabilities, SAME, PostprocessConfig()).lung
    assert lung is not None
    assert lung.sum() == 30 * 40 * 30


def test_holes_are_filled_in_every_slice() -> None:
    probabilities = two_lungs()
    probabilities[0, :, 30:36, 20:26] = 0  # a tunnel through all slices: no hole in 3D
    probabilities[1, :, 30:36, 20:26] = 200
    masks = restore_masks(probabilities, SAME, PostprocessConfig())
    assert masks.lung is not None
    assert masks.infection is not None
    assert masks.lung.sum() == 2 * 40 * 30 * COUNT
    assert masks.infection.sum() == 36 * COUNT
    open_ones = restore_masks(probabilities, SAME, PostprocessConfig(max_hole_fraction=0.0))
    assert open_ones.lung is not None
    assert open_ones.lung.sum() == (2 * 40 * 30 - 36) * COUNT


def test_mediastinum_between_fused_lungs_is_not_filled() -> None:
    probabilities = two_lungs()
    probabilities[0, :, 12:14, 40:56] = 250  # the lungs touch in front
    probabilities[0, :, 50:52, 40:56] = 250  # and behind
    lung = restore_masks(probabilities, SAME, PostprocessConfig()).lung
    assert lung is not None
    assert not lung[40:56, 14:50].any()


def test_a_bay_open_to_the_outside_is_no_hole() -> None:
    probabilities = two_lungs()
    probabilities[0, :, 30:33, 30:40] = 0
    lung = restore_masks(probabilities, SAME, PostprocessConfig()).lung
    assert lung is not None
    assert not lung[30:40, 30:33].any()


def test_lung_that_fills_the_frame() -> None:
    probabilities = np.full((2, COUNT, ROWS, COLUMNS), 255, dtype=np.uint8)
    masks = restore_masks(probabilities, SAME, PostprocessConfig())
    assert masks.lung is not None
    assert masks.infection is not None
    assert masks.lung.all()
    assert masks.infection.all()


def test_nothing_gives_nothing() -> None:
    masks = restore_masks(empty(), SAME, PostprocessConfig())
    assert masks.lung is not None
    assert masks.infection is not None
    assert not masks.lung.any()
    assert not masks.infection.any()


def test_infection_lies_inside_the_lung() -> None:
    probabilities = two_lungs()
    probabilities[1, :, 5:20, 5:20] = 255
    masks = restore_masks(probabilities, SAME, PostprocessConfig())
    assert masks.lung is not None
    assert masks.infection is not None
    assert not (masks.infection & ~masks.lung).any()
    assert masks.infection.sum() == 8 * 10 * COUNT


@pytest.mark.parametrize("threshold", [0.01, 0.2, 0.5, 0.501, 0.6, 0.8, 0.999])
@pytest.mark.parametrize("channel", [0, 1])
def test_threshold_is_a_probability(threshold: float, channel: int) -> None:
    """A ramp of all 256 levels: marked is what is at least the threshold."""
    probabilities = np.full((2, 1, 16, 256), 255, dtype=np.uint8)
    probabilities[channel] = np.arange(256, dtype=np.uint8)
    record = SpatialRecord((16, 256), BoundingBox(0, 256, 0, 16), 16, 256, 0, 0, 16, 256)
    names = ("lung_threshold", "infection_threshold")
    config = PostprocessConfig(**{names[channel]: threshold, "max_hole_fraction": 0.0})
    masks = restore_masks(probabilities, record, config)
    marked = (masks.lung, masks.infection)[channel]
    assert marked is not None
    expected = np.arange(256) / 255.0 >= threshold
    assert np.array_equal(marked[:, 0, 0], expected)


def test_a_threshold_counts_as_the_decimal_it_stands_for() -> None:
    assert 0.1 + 0.2 + 0.3 == 0.6000000000000001
    assert probability_level(0.1 + 0.2 + 0.3) == probability_level(0.6) == 153
    # The smallest whole number of 255ths that is at least each hundredth, in exact arithmetic.
    for hundredth in range(1, 100):
        exact = -(-hundredth * 255 // 100)
        for error in (-1e-12, 0.0, 1e-12):
            assert probability_level(hundredth / 100 + error) == exact
    # Above 0, so that nothing which is surely not there is marked.
    assert probability_level(1e-9) == 1


@pytest.mark.parametrize("threshold", [0.0, 1.0, -0.5, float("nan")])
def test_thresholds_that_are_no_probability_are_refused(threshold: float) -> None:
    with pytest.raises(ConfigError, match="between 0 and 1"):
        PostprocessConfig(lung_threshold=threshold)


def test_probabilities_are_not_changed() -> None:
    probabilities = two_lungs()
    probabilities[0, :, 30:36, 20:26] = 0
    probabilities[0, 0, 0:2, 0:2] = 255
    before = probabilities.copy()
    restore_masks(probabilities, SAME, PostprocessConfig())
    clean_lung(probabilities[0], PostprocessConfig())
    assert np.array_equal(probabilities, before)
    probabilities.flags.writeable = False
    restore_masks(probabilities, SAME, PostprocessConfig())


def test_cancel_between_slices() -> None:
    answers = iter([False, False, True])
    with pytest.raises(Cancelled, match="restoring masks"):
        restore_masks(two_lungs(), SAME, PostprocessConfig(), should_cancel=lambda: next(answers))


@pytest.mark.parametrize("last_slice_empty", [False, True])
def test_progress_ends_at_the_last_slice(last_slice_empty: bool) -> None:
    probabilities = two_lungs()
    if last_slice_empty:
        probabilities[:, -1] = 0
    told: list[tuple[str, int, int]] = []
    restore_masks(
        probabilities, SAME, PostprocessConfig(), on_progress=lambda *step: told.append(step)
    )
    assert told[-1] == ("restoring masks", COUNT, COUNT)


def test_neighbouring_slices_are_weighted_in() -> None:
    """A column of probabilities through five slices, worked out by hand."""
    column = np.array([0, 0, 200, 100, 40], dtype=np.uint8)
    probabilities = np.broadcast_to(column[None, :, None, None], (2, 5, 3, 4)).copy()
    blended = blend_neighbours(probabilities, 0.5)
    assert blended.shape == probabilities.shape
    np.testing.assert_array_equal(blended[0, :, 0, 0], [0, 50, 125, 110, 55])
    assert np.ptp(blended, axis=(0, 2, 3)).max() == 0
    np.testing.assert_array_equal(probabilities[1, :, 2, 3], column)


@pytest.mark.parametrize(
    ("step_mm", "share"), [(1.0, 0.5), (6.0, 0.5), (7.0, 0.25), (8.0, 0.0), (20.0, 0.0)]
)
def test_distant_slices_are_no_neighbours(step_mm: float, share: float) -> None:
    config = PostprocessConfig(neighbour_share=0.5)
    volume = make_volume(np.zeros((4, 4, 3), dtype=np.int16), np.diag([-1.0, -1.0, step_mm, 1.0]))
    assert share_of_neighbours(volume, config) == pytest.approx(share)
    # Where the distance is not known, slices are taken as neighbours; pictures never are.
    assert share_of_neighbours(replace(volume, spacing_nominal=True), config) == 0.5
    picture = replace(volume, source=replace(volume.source, format="pictures"))
    assert share_of_neighbours(picture, config) == 0.0


def test_a_certain_spot_in_one_slice_alone_is_kept() -> None:
    probabilities = np.zeros((1, 3, 4, 4), dtype=np.uint8)
    probabilities[0, 1, 1, 1] = 128
    config = PostprocessConfig(neighbour_share=0.5, infection_threshold=0.25)
    blended = blend_neighbours(probabilities, config.neighbour_share)
    assert blended[0, 1, 1, 1] >= 255 * config.infection_threshold
    assert (blended[0, [0, 2]] < 255 * config.infection_threshold).all()


@pytest.mark.parametrize(("slices", "share"), [(1, 0.5), (4, 0.0)])
def test_without_neighbours_or_share_nothing_changes(slices: int, share: float) -> None:
    probabilities = np.random.default_rng(0).integers(0, 256, (2, slices, 5, 6)).astype(np.uint8)
    np.testing.assert_array_equal(blend_neighbours(probabilities, share), probabilities)


@pytest.mark.parametrize("share", [-0.1, 0.7])
def test_neighbours_cannot_outweigh_the_slice(share: float) -> None:
    with pytest.raises(ConfigError, match="neighbour_share"):
        PostprocessConfig(neighbour_share=share)


# -------------------------------------------------------------------------- empty slices


def test_slices_that_show_none_are_cleared_by_channel() -> None:
    """Of 4 slices the head doubts lung in the first and infection in the first and the third."""
    probabilities = np.full((2, 4, 3, 5), 200, dtype=np.uint8)
    presence = np.array([[24, 26, 255, 255], [0, 255, 50, 51]], dtype=np.uint8)
    config = PostprocessConfig(min_lung_presence=0.1, min_infection_presence=0.2)
    cleared = clear_empty_slices(probabilities, presence, config)
    np.testing.assert_array_equal(cleared[0].any(axis=(1, 2)), [False, True, True, True])
    np.testing.assert_array_equal(cleared[1].any(axis=(1, 2)), [False, True, False, True])
    assert set(np.unique(cleared)) == {0, 200}
    assert (probabilities == 200).all()
    assert clear_empty_slices(probabilities, presence, PostprocessConfig()) is probabilities
    with pytest.raises(ConfigError, match="min_lung_presence"):
        PostprocessConfig(min_lung_presence=1.5)


def test_presence_is_blended_as_pixels_are() -> None:
    presence = np.array([[0, 0, 200, 100, 40], [255, 255, 255, 255, 255]], dtype=np.uint8)
    blended = blend_presence(presence, 0.5)
    np.testing.assert_array_equal(blended, [[0, 50, 125, 110, 55], [255] * 5])
    np.testing.assert_array_equal(blend_presence(presence[:, :1], 0.5), presence[:, :1])


# -------------------------------------------------------------------- air beside the neck


def neck_and_chest() -> tuple[Probabilities, Probabilities]:
    """A chest of three slices with two lungs, and above it three slices of a narrow neck, beside
    which the air reaches the edges and was taken for lung: probabilities and frames."""
    probabilities, frames = empty(), np.zeros((COUNT, ROWS, COLUMNS), dtype=np.uint8)
    probabilities[0, :3] = two_lungs()[0, :3]
    frames[:3] = 200
    frames[:3][probabilities[0, :3] > 0] = 60
    frames[3:] = 40
    frames[3:, 10:54, 35:61] = 200
    beside = np.zeros((ROWS, COLUMNS), dtype=bool)
    beside[8:56, 3:34] = beside[8:56, 62:93] = True
    probabilities[0, 3:, beside] = 240
    probabilities[1, 3:, beside] = 99
    return probabilities, frames


def test_air_beside_the_neck_is_no_lung() -> None:
    probabilities, frames = neck_and_chest()
    # One slice apart, as lungs and neck are: their air does not hang together.
    probabilities[:, 3] = 0
    cleared = clear_open_air(probabilities, frames, SAME)
    assert not cleared[:, 3:].any()
    np.testing.assert_array_equal(cleared[:, :3], probabilities[:, :3])


def test_lung_cut_off_by_the_picture_stays_where_it_is_connected_with_lung() -> None:
    """The lower slices of a small field of view: the lungs reach its edge."""
    probabilities = empty()
    frames = np.full((COUNT, ROWS, COLUMNS), 200, dtype=np.uint8)
    probabilities[0, 2:, 12:52, 10:40] = 250
    probabilities[0, :2, 12:52, :40] = 250
    frames[probabilities[0] > 0] = 60
    np.testing.assert_array_equal(clear_open_air(probabilities, frames, SAME), probabilities)


def test_lungs_of_pictures_cropped_to_them_stay() -> None:
    probabilities = empty()
    probabilities[0, :, :, :40] = 250
    probabilities[0, :, :, 56:] = 250
    frames = np.where(probabilities[0] > 0, 60, 200).astype(np.uint8)
    np.testing.assert_array_equal(clear_open_air(probabilities, frames, SAME), probabilities)


def test_a_lung_open_to_the_edge_stays_beside_one_that_is_shut_in() -> None:
    """One side of the chest lies outside the field of view."""
    probabilities = empty()
    probabilities[0, :, 12:52, 10:40] = 250
    probabilities[0, :, 12:52, 56:] = 250
    frames = np.where(probabilities[0] > 0, 60, 200).astype(np.uint8)
    np.testing.assert_array_equal(clear_open_air(probabilities, frames, SAME), probabilities)


def test_the_edge_is_that_of_the_box_and_not_of_the_frame() -> None:
    probabilities, frames = neck_and_chest()
    probabilities[:, 3] = 0
    inner = SpatialRecord(
        slice_shape=(ROWS - 8, COLUMNS - 8),
        box=BoundingBox(0, COLUMNS - 8, 0, ROWS - 8),
        rows=ROWS,
        columns=COLUMNS,
        top=4,
        left=4,
        height=ROWS - 8,
        width=COLUMNS - 8,
    )
    outside = np.ones((ROWS, COLUMNS), dtype=bool)
    outside[4:-4, 4:-4] = False
    frames[:, outside] = 0
    assert not clear_open_air(probabilities, frames, inner)[:, 4:].any()
