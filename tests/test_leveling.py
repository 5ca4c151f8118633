"""Slices stretched against the rest of their scan are found, by how much, and put right."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from core.config import PreprocessConfig, from_json_dict, to_json_dict
from core.leveling import SliceLevels, find_slice_levels
from core.loading import open_study
from core.loading.kaggle import load_case, load_case_table
from core.loading.nifti import load_nifti
from core.phantom import build_demo_study
from core.preprocess import build_model_input, plan_spatial
from core.volume import Volume
from tests.spheres import GREY, make_volume

SHAPE = (96, 80, 12)
LOW, HIGH = -1250.0, 250.0
STRETCHED = {3: 0.4, 7: 0.6, 8: 1.25}
LEVELLED = PreprocessConfig(rows=96, columns=96, crop="none", level_slices=True)


def chest_hu() -> npt.NDArray[np.float32]:
    """Muscle, fat around it, bone, lungs that grow along k; HU (i, j, k)."""
    i, j = np.meshgrid(*(np.linspace(-1, 1, n) for n in SHAPE[:2]), indexing="ij")
    hu = np.full(SHAPE, -1000.0)
    for k in range(SHAPE[2]):
        hu[(i / 0.9) ** 2 + (j / 0.8) ** 2 < 1, k] = -100.0
        hu[(i / 0.8) ** 2 + (j / 0.7) ** 2 < 1, k] = 45.0
        hu[(i / 0.12) ** 2 + ((j - 0.55) / 0.12) ** 2 < 1, k] = 220.0
        high = 0.2 + 0.03 * k
        hu[((np.abs(i) - 0.4) / 0.25) ** 2 + (j / high) ** 2 < 1, k] = -850.0
    hu += np.random.default_rng(3).normal(0, 12, SHAPE)
    return np.clip(hu, -1100, 240).astype(np.float32)


def stretched(hu: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The same with some slices stretched about the scan's darkest value."""
    changed = hu.copy()
    for k, factor in STRETCHED.items():
        changed[:, :, k] = np.clip(hu.min() + factor * (hu[:, :, k] - hu.min()), hu.min(), HIGH)
    return changed


def test_stretched_slices_are_found_with_their_factors() -> None:
    levels = find_slice_levels(make_volume(stretched(chest_hu())), low=LOW, high=HIGH)
    assert levels is not None
    assert levels.slices_off == tuple(STRETCHED)
    for k, factor in STRETCHED.items():
        assert levels.factors[k] == pytest.approx(factor, rel=0.06)


@pytest.mark.parametrize("axis", [0, 1])
def test_it_does_not_matter_how_the_slices_lie(axis: int) -> None:
    flipped = np.ascontiguousarray(np.flip(stretched(chest_hu()), axis))
    levels = find_slice_levels(make_volume(flipped), low=LOW, high=HIGH)
    assert levels is not None
    assert levels.slices_off == tuple(STRETCHED)


def test_what_was_dark_is_put_right_and_the_rest_left_alone() -> None:
    hu = chest_hu()
    levels = find_slice_levels(make_volume(stretched(hu)), low=LOW, high=HIGH)
    assert levels is not None
    for k in (3, 7):
        right = levels.put_right(stretched(hu)[:, :, k], k)
        assert right.dtype == np.float32
        assert np.abs(right - hu[:, :, k]).max() < 60
    untouched = hu[:, :, 0]
    assert levels.put_right(untouched, 0) is untouched


def test_the_network_sees_the_slices_as_they_were() -> None:
    hu = chest_hu()
    plain = replace(LEVELLED, level_slices=False)
    whole = make_volume(hu)
    wanted = build_model_input(whole, plan_spatial(whole, plain), plain, [3, 5, 7])
    changed = make_volume(stretched(hu))
    record = plan_spatial(changed, LEVELLED)
    found = build_model_input(changed, record, LEVELLED, [3, 5, 7]).astype(int)
    assert np.abs(found - wanted).max() <= 12
    assert np.array_equal(found[1], wanted[1])
    assert plan_spatial(changed, plain).levels is None
    dark = build_model_input(changed, plan_spatial(changed, plain), plain, [3]).astype(int)
    assert np.abs(dark[0] - wanted[0]).max() > 80


def test_eight_bit_scans_are_levelled_too() -> None:
    grey = np.rint((stretched(chest_hu()) - LOW) * 255 / (HIGH - LOW)).astype(np.uint8)
    record = plan_spatial(make_volume(grey, intensity=GREY), LEVELLED)
    assert record.levels is not None
    assert record.levels.slices_off == tuple(STRETCHED)


def test_a_scan_in_step_is_left_alone() -> None:
    hu = chest_hu()
    assert find_slice_levels(make_volume(hu), low=LOW, high=HIGH) is None
    # Contrast medium moves the brightest tissue alone, a belly of fat the darkest.
    bright = hu.copy()
    bright[:, :, 4][hu[:, :, 4] > 150] = 900
    fat = hu.copy()
    fat[:, :, 5][(hu[:, :, 5] > -60) & (np.arange(SHAPE[1]) < 44)] = -100
    for array in (bright, fat):
        assert find_slice_levels(make_volume(array), low=LOW, high=HIGH) is None


def test_slices_without_a_body_are_not_judged() -> None:
    hu = chest_hu()
    hu[:, :, :2] = np.random.default_rng(1).normal(-1000, 8, (*SHAPE[:2], 2))
    assert find_slice_levels(make_volume(hu), low=LOW, high=HIGH) is None


@pytest.mark.parametrize("count", [1, 4])
def test_too_few_slices_are_not_judged(count: int) -> None:
    few = np.ascontiguousarray(stretched(chest_hu())[:, :, 2 : 2 + count])
    assert find_slice_levels(make_volume(few), low=LOW, high=HIGH) is None


def test_one_value_throughout_is_not_judged() -> None:
    flat = np.zeros(SHAPE, dtype=np.int16)
    assert find_slice_levels(make_volume(flat), low=LOW, high=HIGH) is None


def test_the_setting_is_read_back_and_off_where_it_is_not_named() -> None:
    values = to_json_dict(LEVELLED)
    assert from_json_dict(PreprocessConfig, values) == LEVELLED
    del values["level_slices"]
    assert from_json_dict(PreprocessConfig, values).level_slices is False


def test_pictures_need_not_be_of_one_scan() -> None:
    volume = make_volume(stretched(chest_hu()))
    pictures = replace(volume, source=replace(volume.source, format="pictures"))
    assert plan_spatial(pictures, LEVELLED).levels is None


def test_the_demo_study_is_in_step() -> None:
    assert _levels_of(build_demo_study().volume) is None


@pytest.mark.real_data
def test_scans_of_people_in_hu_are_in_step(real_data: Path) -> None:
    folder = real_data / "covid_ct_md"
    assert _levels_of(load_nifti(folder / "normal001.nii.gz")) is None
    assert _levels_of(open_study(folder / "P001_dicom").volume) is None


@pytest.mark.real_data
def test_stretched_slices_of_the_public_set_are_known(real_data: Path) -> None:
    off = {}
    for case in load_case_table(real_data / "covid20"):
        levels = _levels_of(load_case(case).volume)
        if levels is not None:
            off[case.case_id] = levels.slices_off
    assert sorted(off) == ["coronacases_org_001", "coronacases_org_003", "coronacases_org_008"]
    assert off["coronacases_org_003"] == (1, 2, 3, 4, 28, 29, 30, 31, 58)


def _levels_of(volume: Volume) -> SliceLevels | None:
    return plan_spatial(volume, replace(LEVELLED, crop="body")).levels
