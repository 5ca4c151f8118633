"""Slices stretched against the rest of their scan are found, by how much, and put right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from core.config import PreprocessConfig, SegmentConfig, from_json_dict, to_json_dict
from core.loading import open_study
from core.loading.case_table import load_case, load_case_table
from core.loading.nifti import load_nifti
from core.preprocessing.model_input import build_model_input
from core.preprocessing.slice_normalization import SliceStretch, find_slice_stretch
from core.preprocessing.spatial import plan_spatial
from core.segmentation.pipeline import segment_volume
from core.segmentation.segmenter import load_segmenter
from core.volume import Volume
from tests.spheres import GREY, make_volume
from tests.studies import demo_study

SHAPE = (96, 80, 12)
BLACK = -1100.0
NORMALIZED = PreprocessConfig(rows=96, columns=96, crop="none", level_slices=True)
DARK = {3: 0.4, 7: 0.6, 8: 0.8}


def chest_hu() -> npt.NDArray[np.float32]:
    """Muscle, fat around it, bone, lungs that grow along k; HU (i, j, k)."""
    i, j = np.meshgrid(*(np.linspace(-1, 1, n) for n in SHAPE[:2]), indexing="ij")
    hu = np.full(SHAPE, BLACK)
    for k in range(SHAPE[2]):
        hu[(i / 0.9) ** 2 + (j / 0.8) ** 2 < 1, k] = -100.0
        hu[(i / 0.8) ** 2 + (j / 0.7) ** 2 < 1, k] = 45.0
        hu[(i / 0.12) ** 2 + ((j - 0.55) / 0.12) ** 2 < 1, k] = 320.0
        high = 0.2 + 0.03 * k
        hu[((np.abs(i) - 0.4) / 0.25) ** 2 + (j / high) ** 2 < 1, k] = -850.0
    hu[hu > BLACK] += np.random.default_rng(3).normal(0, 12, np.count_nonzero(hu > BLACK))
    return hu.astype(np.float32)


def stretched(
    hu: npt.NDArray[np.float32], factors: Mapping[int, float] = DARK
) -> npt.NDArray[np.float32]:
    """The same with some slices stretched about the scan's black."""
    changed = hu.copy()
    for k, factor in factors.items():
        changed[:, :, k] = BLACK + factor * (hu[:, :, k] - BLACK)
    return changed


def found_in(hu: npt.NDArray[np.float32]) -> dict[int, float]:
    """Slices found off, with their factors."""
    stretch = find_slice_stretch(make_volume(hu))
    return {} if stretch is None else {k: stretch.factors[k] for k in stretch.slices_off}


@pytest.mark.parametrize("factors", [DARK, {5: 1.25}, {0: 1.3, 11: 0.3}, {4: 2.0}])
def test_stretched_slices_are_found_with_their_factors(factors: dict[int, float]) -> None:
    assert found_in(stretched(chest_hu(), factors)) == pytest.approx(factors, rel=0.03)


def test_it_does_not_matter_how_the_scan_lies() -> None:
    for axes in ((0,), (1,), (2,), (0, 1, 2)):
        turned = np.ascontiguousarray(np.flip(stretched(chest_hu()), axes))
        expected = {11 - k if 2 in axes else k: factor for k, factor in DARK.items()}
        assert found_in(turned) == pytest.approx(expected, rel=0.03)


def test_large_slices_are_measured_by_some_of_their_pixels() -> None:
    large = np.repeat(np.repeat(stretched(chest_hu()), 4, axis=0), 4, axis=1)
    assert found_in(large) == pytest.approx(DARK, rel=0.03)


def test_what_was_dark_is_put_right_and_the_rest_left_alone() -> None:
    hu = chest_hu()
    stretch = find_slice_stretch(make_volume(stretched(hu)))
    assert stretch is not None
    for k in DARK:
        right = stretch.undo(stretched(hu)[:, :, k], k)
        assert right.dtype == np.float32
        assert np.abs(right - hu[:, :, k]).max() < 40
    untouched = hu[:, :, 0]
    assert stretch.undo(untouched, 0) is untouched


def test_padding_does_not_move_the_black() -> None:
    """Scanners write -3024 or the like where they saw nothing."""
    hu = stretched(chest_hu())
    hu[:9, :9] = hu[-9:, -9:] = -3024
    stretch = find_slice_stretch(make_volume(hu))
    assert stretch is not None
    assert stretch.black == pytest.approx(BLACK, abs=1)
    assert stretch.slices_off == tuple(DARK)


def test_what_is_saturated_is_left_alone() -> None:
    hu = np.minimum(stretched(chest_hu(), {2: 0.5, 5: 1.4}), 250)
    assert list(found_in(hu)) == [2]


def test_the_network_sees_the_slices_as_they_were() -> None:
    hu = chest_hu()
    plain = replace(NORMALIZED, level_slices=False)
    whole = make_volume(hu)
    wanted = build_model_input(whole, plan_spatial(whole, plain), plain, [3, 5, 7]).astype(int)
    changed = make_volume(stretched(hu))
    record = plan_spatial(changed, NORMALIZED)
    found = build_model_input(changed, record, NORMALIZED, [3, 5, 7]).astype(int)
    assert np.abs(found - wanted).max() <= 6
    assert np.array_equal(found[1], wanted[1])
    assert plan_spatial(changed, plain).stretch is None
    dark = build_model_input(changed, plan_spatial(changed, plain), plain, [3]).astype(int)
    assert np.abs(dark[0] - wanted[0]).max() > 80


def test_it_does_not_matter_which_window_is_looked_through() -> None:
    narrow = replace(NORMALIZED, window_center=40.0, window_width=400.0)
    changed = make_volume(stretched(chest_hu()))
    assert plan_spatial(changed, narrow).stretch == plan_spatial(changed, NORMALIZED).stretch


def test_eight_bit_scans_are_normalized_too() -> None:
    hu = np.clip(stretched(chest_hu()), -1250, 250)
    grey = np.rint((hu + 1250) * 255 / 1500).astype(np.uint8)
    stretch = plan_spatial(make_volume(grey, intensity=GREY), NORMALIZED).stretch
    assert stretch is not None
    assert stretch.slices_off == tuple(DARK)
    assert stretch.black == pytest.approx((BLACK + 1250) * 255 / 1500, abs=1)


@pytest.mark.parametrize("count", range(2, 8))
def test_anatomy_is_no_stretch(count: int) -> None:
    hu = chest_hu()
    some = slice(0, count)
    part = hu[:, :, some]
    tissue = part > -300
    contrast, fat, haze = hu.copy(), hu.copy(), hu.copy()
    # A third of the tissue brighter by 250 HU; nearly all of it fat; lungs full of haze.
    contrast[:, :, some][tissue & (np.arange(SHAPE[1]) < 34)[None, :, None]] += 250
    fat[:, :, some][tissue & (np.arange(SHAPE[1]) < 62)[None, :, None]] = -105
    haze[:, :, some][(part > -1000) & (part < -700)] += 500
    for changed in (hu, contrast, fat, haze):
        assert found_in(changed) == {}


def test_what_lies_between_fat_and_muscle_is_left_alone() -> None:
    assert found_in(stretched(chest_hu(), {3: 1.15, 6: 0.87})) == {}


@pytest.mark.parametrize("level", [-1000.0, -990.0, -940.0])
def test_slices_without_a_body_are_left_alone(level: float) -> None:
    hu = chest_hu()
    hu[:, :, :3] = np.random.default_rng(1).normal(level, 8, (*SHAPE[:2], 3))
    assert found_in(hu) == {}


@pytest.mark.parametrize("around", [-1024.0, -2000.0, -3024.0, 0.0])
def test_lungs_alone_are_left_alone(around: float) -> None:
    """Where all else is masked, what is brightest is lung, and lung may differ by disease."""
    hu = chest_hu()
    lung = (hu > -1000) & (hu < -700)
    hu += np.linspace(0, 250, SHAPE[2], dtype=np.float32)
    hu[~lung] = around
    assert found_in(hu) == {}


def test_the_majority_may_be_wrong_and_then_nothing_is_done() -> None:
    assert found_in(stretched(chest_hu(), dict.fromkeys(range(7), 0.6))) == {}


@pytest.mark.parametrize("count", [1, 4])
def test_too_few_slices_are_left_alone(count: int) -> None:
    few = np.ascontiguousarray(stretched(chest_hu())[:, :, 2 : 2 + count])
    assert found_in(few) == {}


@pytest.mark.parametrize("value", [-3024, -1000, 0, 3000])
def test_one_value_throughout_is_left_alone(value: int) -> None:
    flat = np.full(SHAPE, value, dtype=np.int16)
    assert find_slice_stretch(make_volume(flat)) is None


def test_the_setting_is_read_back_and_off_where_it_is_not_named() -> None:
    values = to_json_dict(NORMALIZED)
    assert from_json_dict(PreprocessConfig, values) == NORMALIZED
    del values["level_slices"]
    assert from_json_dict(PreprocessConfig, values).level_slices is False


def test_pictures_need_not_be_of_one_scan() -> None:
    volume = make_volume(stretched(chest_hu()))
    pictures = replace(volume, source=replace(volume.source, format="pictures"))
    assert plan_spatial(pictures, NORMALIZED).stretch is None


def test_a_result_says_which_slices_were_adjusted() -> None:
    segmenter = load_segmenter()
    preprocess = replace(segmenter.preprocess, level_slices=True)
    config = SegmentConfig(weights_id=segmenter.weights_id, preprocess=preprocess)
    told = segment_volume(make_volume(stretched(chest_hu())), segmenter, config=config).warnings
    assert any(text.startswith("Slices 4, 8–9 look darker or brighter") for text in told)
    told = segment_volume(make_volume(chest_hu()), segmenter, config=config).warnings
    assert not any("darker" in text for text in told)


def test_the_demo_study_needs_no_adjustment() -> None:
    assert _stretch_of(demo_study().volume) is None


@pytest.mark.real_data
def test_scans_of_people_in_hu_need_no_adjustment(real_data: Path) -> None:
    folder = real_data / "covid_ct_md"
    assert _stretch_of(load_nifti(folder / "normal001.nii.gz")) is None
    assert _stretch_of(open_study(folder / "P001_dicom").volume) is None


@pytest.mark.real_data
def test_stretched_slices_of_the_public_set_are_known(real_data: Path) -> None:
    off = {}
    for case in load_case_table(real_data / "covid20"):
        stretch = _stretch_of(load_case(case).volume)
        if stretch is not None:
            off[case.case_id] = stretch.slices_off
    assert sorted(off) == ["coronacases_org_001", "coronacases_org_003", "coronacases_org_008"]
    assert off["coronacases_org_003"] == (1, 2, 3, 4, 28, 29, 30, 31, 58)


def _stretch_of(volume: Volume) -> SliceStretch | None:
    return plan_spatial(volume, NORMALIZED).stretch
