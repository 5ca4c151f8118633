"""Slices of two scans at the same height in the lung, and what changed between them."""

from __future__ import annotations

import csv
import io
import json
import math

import numpy as np
import pytest

from core.measuring.biomarkers import compute_biomarkers, compute_burden
from core.measuring.follow_up import (
    FROM_NOTHING,
    NO_TRUE_ZERO,
    OTHER_RULE,
    Change,
    changes_csv,
    changes_json_dict,
    compare_biomarkers,
    coverage_note,
    match_slices,
    resample_matched,
)
from core.phantom import FOLLOW_UP_FRACTION, build_demo_follow_up
from core.volume import BoolArray, MaskPair, Volume
from tests.spheres import GREY, make_volume
from tests.studies import SMALL_DEMO, built_demo


def lung_in(slices: slice, count: int) -> BoolArray:
    mask = np.zeros((20, 20, count), dtype=bool, order="F")
    mask[2:18, 2:18, slices] = True
    return mask


def test_the_same_scan_matches_itself() -> None:
    lung = lung_in(slice(3, 17), 20)
    match = match_slices(lung, lung)
    assert match.slices.tolist() == list(range(20))
    assert (match.scale, match.offset, match.by_lung) == (1.0, 0.0, True)


def test_first_and_last_lung_slices_meet_and_the_rest_lies_between() -> None:
    # Lung in slices 2 to 10 and 5 to 21: eight steps to sixteen, so every second slice.
    match = match_slices(lung_in(slice(2, 11), 14), lung_in(slice(5, 22), 24))
    assert match.slices[2:11].tolist() == list(range(5, 22, 2))
    assert match.slices[:2].tolist() == [1, 3]
    assert match.slices[11:].tolist() == [23, -1, -1]  # the second scan ends at slice 23
    back = match_slices(lung_in(slice(5, 22), 24), lung_in(slice(2, 11), 14))
    assert back.slices[[5, 13, 21]].tolist() == [2, 6, 10]


def test_a_speck_does_not_move_the_match() -> None:
    first, second = lung_in(slice(4, 12), 16), lung_in(slice(4, 12), 16)
    second[5, 5, 0] = True
    assert match_slices(first, second).slices.tolist() == list(range(16))


def test_without_lung_whole_scans_are_laid_over_each_other() -> None:
    match = match_slices(lung_in(slice(0, 0), 5), lung_in(slice(2, 4), 9))
    assert not match.by_lung
    assert match.slices.tolist() == [0, 2, 4, 6, 8]


def test_lung_in_one_slice_goes_on_one_for_one() -> None:
    match = match_slices(lung_in(slice(3, 4), 6), lung_in(slice(1, 5), 6))
    assert match.slices.tolist() == [-1, -1, 0, 1, 2, 3]


def test_the_second_scan_on_the_slices_of_the_first_lies_where_it_lay() -> None:
    array = np.arange(24, dtype=np.int16) * np.ones((20, 20, 1), dtype=np.int16)
    affine = np.array([[-0.8, 0, 0, 5], [0, -0.7, 0.2, 6], [0, 0, 1.5, -40], [0, 0, 0, 1.0]])
    volume = make_volume(array, affine)
    match = match_slices(lung_in(slice(2, 11), 14), lung_in(slice(5, 22), 24))
    masks = MaskPair(lung_in(slice(5, 22), 24), None)
    seen, marked = resample_matched(volume, masks, match)
    assert seen.shape == (20, 20, 14)
    assert seen.array[3, 4].tolist() == [1, *range(3, 24, 2), -1024, -1024]
    assert not seen.array.flags.writeable
    assert marked.infection is None
    assert marked.lung is not None
    assert np.flatnonzero(marked.lung.any(axis=(0, 1))).tolist() == list(range(2, 11))
    for k in range(12):
        place = seen.affine @ [7, 8, k, 1]
        assert place == pytest.approx(volume.affine @ [7, 8, match.slices[k], 1])


def test_beyond_a_grey_scan_it_is_black() -> None:
    volume = make_volume(np.full((20, 20, 4), 90, dtype=np.uint8), intensity=GREY)
    match = match_slices(lung_in(slice(2, 4), 6), lung_in(slice(0, 2), 4))
    seen, _ = resample_matched(volume, MaskPair(None, None), match)
    assert seen.array[0, 0].tolist() == [0, 0, 90, 90, 90, 90]


SHAPE = (60, 50, 30)


def scan(infected_slices: int, *, hu: int = -800, **kind: bool) -> tuple[Volume, MaskPair]:
    lung = np.zeros(SHAPE, dtype=bool, order="F")
    lung[4:24, 10:40] = lung[36:56, 10:40] = True
    infection = np.zeros_like(lung)
    infection[4:24, 10:40, :infected_slices] = True
    array = np.full(SHAPE, hu, dtype=np.int16)
    array[infection] = -500
    return make_volume(array, **kind), MaskPair(lung, infection)  # type: ignore[arg-type]


def changes(before: int, after: int, **kind: bool) -> dict[str, Change]:
    first, second = scan(before), scan(after, **kind)
    found = compare_biomarkers(compute_biomarkers(*first), compute_biomarkers(*second))
    return {change.measurement.key: change for change in found}


def test_changes_by_hand() -> None:
    found = changes(12, 3)
    share = found["infected_share"]
    assert (share.before, share.after) == (pytest.approx(0.2), pytest.approx(0.05))
    assert share.absolute == pytest.approx(-0.15)
    assert share.relative == pytest.approx(-0.75)
    assert share.absolute_text == "\u221215.0\u00a0points"
    assert share.relative_text == "\u221275\u2009%"
    assert found["infected_volume_ml"].absolute == pytest.approx(-5.4)
    assert found["left_lung_volume_ml"].relative == 0.0
    score = found["zonal_score"]
    assert (score.before, score.after) == (4 + 1, 2)
    assert found["mosmed_category"].absolute_text == "same"
    hu = found["mean_lung_hu"]
    assert hu.absolute == pytest.approx(-0.15 * 300)
    assert math.isnan(hu.relative)
    assert hu.reason == NO_TRUE_ZERO


def test_undefined_stays_undefined() -> None:
    found = changes(0, 6)
    share = found["infected_share"]
    assert share.absolute == pytest.approx(0.1)
    assert math.isnan(share.relative)
    assert share.reason == FROM_NOTHING
    assert share.relative_text == "not defined"
    largest = found["lesion_largest_ml"]
    assert math.isnan(largest.absolute)
    assert largest.absolute_text == "not defined"
    assert found["mosmed_category"].absolute_text == "changed"
    assert found["laterality"].before == "none"


def test_a_nominal_second_scan_has_no_change_in_ml_and_none_by_another_rule() -> None:
    found = changes(6, 3, spacing_nominal=True)
    volume = found["lung_volume_ml"]
    assert (volume.before, math.isnan(float(volume.after))) == (36.0, True)
    assert math.isnan(volume.absolute)
    assert volume.reason
    assert found["infected_share"].absolute == pytest.approx(-0.05)
    rim = found["infected_share_peripheral"]
    assert rim.reason == OTHER_RULE
    assert math.isnan(rim.absolute)


def test_scans_of_other_parts_of_the_lung_are_warned_of() -> None:
    (volume, masks), lung = scan(6), scan(6)[1].lung
    assert lung is not None
    half = lung.copy(order="F")
    half[:, :, 15:] = False
    found = [compute_biomarkers(volume, pair) for pair in (masks, MaskPair(half, masks.infection))]
    assert "differ by 50\u2009%" in coverage_note(compare_biomarkers(*found))
    assert coverage_note(compare_biomarkers(found[0], found[0])) == ""


def test_changes_as_files_hold_no_nan_and_no_formula() -> None:
    first, second = (compute_biomarkers(*scan(count)) for count in (0, 6))
    found = compare_biomarkers(first, second)
    rows = list(csv.reader(io.StringIO(changes_csv(found, names=("=1+1", "later")))))
    assert rows[0][3:7] == ["'=1+1", "later", "change", "relative_change"]
    share = next(row for row in rows if row[0] == "infected_share")
    assert [float(cell) for cell in share[3:6]] == pytest.approx([0.0, 0.1, 0.1])
    assert share[6] == ""
    assert "nan" not in {cell for row in rows for cell in row}
    kept = json.loads(json.dumps(changes_json_dict(found), allow_nan=False))
    assert kept["infected_share"]["absolute"] == pytest.approx(0.1)
    assert kept["infected_share"]["relative"] is None
    assert kept["infected_share"]["source"]


def test_the_generated_follow_up_is_the_same_chest_with_less_disease() -> None:
    first, second = built_demo(SMALL_DEMO), build_demo_follow_up(shape=SMALL_DEMO)
    assert second.synthetic
    assert second.volume.shape == (96, 96, 37)
    assert first.truth is not None
    assert second.truth is not None
    assert first.truth.infection is not None
    assert second.truth.lung is not None
    assert second.truth.infection is not None
    # The same lung where both scans reach, in the same place of the patient.
    assert first.truth.lung is not None
    assert np.array_equal(second.truth.lung, first.truth.lung[:, :, 2:39])
    assert second.volume.affine @ [3, 4, 0, 1] == pytest.approx(first.volume.affine @ [3, 4, 2, 1])
    share = compute_burden(second.truth, second.volume).infection_fraction
    assert share == pytest.approx(FOLLOW_UP_FRACTION, abs=0.015)
    # What is left of the disease lies in what there was.
    before = first.truth.infection[:, :, 2:39]
    assert np.count_nonzero(second.truth.infection & ~before) == 0
    assert not np.array_equal(second.volume.array, first.volume.array[:, :, 2:39])
