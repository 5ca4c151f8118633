"""Air outside the body and gas are no lung; lung at an edge, in grey scans and bullae stay."""

from __future__ import annotations

import numpy as np
import pytest

from core.preprocessing.roi import BoundingBox
from core.preprocessing.spatial import SpatialRecord
from core.segmentation.air import clear_gas, clear_outside_body
from core.segmentation.postprocess import Probabilities

ROWS, COLUMNS, COUNT = 64, 96, 8
TISSUE, LUNG, AIR = 200, 75, 44
RECORD = SpatialRecord(
    slice_shape=(ROWS, COLUMNS),
    box=BoundingBox(0, COLUMNS, 0, ROWS),
    rows=ROWS,
    columns=COLUMNS,
    top=0,
    left=0,
    height=ROWS,
    width=COLUMNS,
)
RIGHT, LEFT = np.s_[16:44, 22:42], np.s_[16:44, 54:74]


def chest(*lungs: tuple[slice, slice], grey: int = LUNG) -> tuple[Probabilities, Probabilities]:
    """A body in air, the same in all slices, with these lungs marked: probabilities, frames."""
    frames = np.full((COUNT, ROWS, COLUMNS), AIR, dtype=np.uint8)
    frames[:, 8:50, 14:82] = TISSUE
    probabilities = np.zeros((2, COUNT, ROWS, COLUMNS), dtype=np.uint8)
    for lung in lungs:
        frames[(slice(None), *lung)] = grey
        probabilities[(0, slice(None), *lung)] = 240
    return probabilities, frames


def test_air_beside_the_body_is_no_lung_at_any_height_or_size() -> None:
    probabilities, frames = chest(LEFT)
    only_lung = probabilities.copy()
    probabilities[0, :, 4:62, :12] = 240
    probabilities[1, :, 40:50, 2:8] = 200
    cleared = clear_outside_body(probabilities, frames, RECORD)
    np.testing.assert_array_equal(cleared, only_lung)


def test_without_a_lung_the_air_beside_the_body_is_none_either() -> None:
    probabilities, frames = chest()
    probabilities[0, :, 4:62, :12] = 240
    assert not clear_outside_body(probabilities, frames, RECORD).any()


def test_a_table_under_the_body_does_not_make_its_air_lung() -> None:
    probabilities, frames = chest(LEFT)
    only_lung = probabilities.copy()
    frames[:, 60:62, 2:94] = TISSUE
    probabilities[0, :, 52:59, 2:40] = 240
    np.testing.assert_array_equal(clear_outside_body(probabilities, frames, RECORD), only_lung)


@pytest.mark.parametrize("grey", [60, LUNG, 100])
def test_lung_that_the_edge_of_the_picture_cuts_off_stays(grey: int) -> None:
    probabilities, frames = chest(RIGHT, LEFT, grey=grey)
    # Nothing but the mediastinum is left of the body.
    for picture in frames:
        picture[:, :42] = grey
        picture[:, 54:] = grey
    probabilities[0, :, :, :42] = probabilities[0, :, :, 54:] = 240
    np.testing.assert_array_equal(clear_outside_body(probabilities, frames, RECORD), probabilities)


def with_gas(slices: slice, grey: int) -> tuple[Probabilities, Probabilities]:
    """Lungs in the upper half of the slices, and a bubble in these slices."""
    probabilities, frames = chest(RIGHT, LEFT)
    probabilities[:, : COUNT // 2] = 0
    frames[: COUNT // 2, 16:44, 22:74] = TISSUE
    frames[slices, 16:40, 24:60] = grey
    probabilities[0, slices, 16:40, 24:60] = 240
    return probabilities, frames


def test_gas_below_the_lungs_is_none_even_where_it_touches_them() -> None:
    probabilities, frames = with_gas(slice(0, 4), 46)
    cleared = clear_gas(probabilities, frames)
    assert not cleared[:, :4].any()
    np.testing.assert_array_equal(cleared[:, 4:], probabilities[:, 4:])


def test_grey_pieces_below_the_lungs_may_be_their_bases() -> None:
    probabilities, frames = with_gas(slice(0, 4), 60)
    np.testing.assert_array_equal(clear_gas(probabilities, frames), probabilities)


def test_a_bulla_within_the_height_of_the_lungs_stays() -> None:
    probabilities, frames = chest(RIGHT, LEFT)
    frames[2:5, 16:44, 22:42] = 46
    np.testing.assert_array_equal(clear_gas(probabilities, frames), probabilities)


def test_in_scans_whose_lungs_are_as_dark_nothing_is_gas() -> None:
    """Grey pictures, whose scale is not known."""
    probabilities, frames = with_gas(slice(0, 4), 46)
    frames[frames == LUNG] = 56
    np.testing.assert_array_equal(clear_gas(probabilities, frames), probabilities)


def test_nothing_marked_stays_so() -> None:
    probabilities, frames = chest()
    assert clear_gas(probabilities, frames) is probabilities
    assert clear_outside_body(probabilities, frames, RECORD) is probabilities
