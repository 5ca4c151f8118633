"""The region of interest: thresholds, lungs, slices, and what stands in the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from core.config import ROI_RANGES, RoiConfig, from_json_dict, to_json_dict
from core.errors import ConfigError
from core.loading import open_study
from core.loading.case_table import load_case, load_case_table
from core.preprocessing.roi import (
    Region,
    VolumeBox,
    compute_savings,
    find_body_box,
    find_region,
    find_thresholds,
    level_values,
    part_slice,
    slice_levels,
    tissue_threshold,
    whole_slice_box,
    whole_volume_box,
)
from core.volume import BoolArray, Study, Volume
from tests.spheres import GREY, make_volume
from tests.studies import demo_study

SHAPE = (160, 128, 40)
SPACING_MM = (2.0, 2.0, 5.0)
FIRST_LUNG, LAST_LUNG = 10, 30
"""Slices with lungs, half-open."""

LUNGS = RoiConfig(target="lungs")


def chest() -> tuple[npt.NDArray[np.int16], BoolArray, BoolArray]:
    """HU of a body with two lungs in slices 10 to 29, the body (i, j) and the lungs (i, j)."""
    x, y = np.meshgrid(
        (np.arange(SHAPE[0]) + 0.5) * SPACING_MM[0] - 160,
        (np.arange(SHAPE[1]) + 0.5) * SPACING_MM[1] - 128,
        indexing="ij",
    )
    body = (x / 140) ** 2 + (y / 95) ** 2 < 1
    lungs = ((np.abs(x) - 60) / 45) ** 2 + (y / 60) ** 2 < 1
    hu = np.full(SHAPE, -1000.0)
    hu[body] = 40.0
    hu[lungs, FIRST_LUNG:LAST_LUNG] = -850.0
    hu += np.random.default_rng(3).normal(0, 15, SHAPE)
    return np.rint(hu).astype(np.int16), body, lungs


def scan(hu: npt.NDArray[Any], **more: Any) -> Volume:
    return make_volume(hu, np.diag([-SPACING_MM[0], -SPACING_MM[1], SPACING_MM[2], 1.0]), **more)


def fell_back(region: Region) -> bool:
    """Whether the whole slice is kept because no box can be trusted."""
    return any(finding.spoils_box for finding in region.findings)


def found(hu: npt.NDArray[Any], config: RoiConfig = LUNGS) -> str:
    """What stands in the way, and that everything is kept where that spoils the box."""
    volume = scan(hu)
    region = find_region(volume, config)
    if fell_back(region):
        assert region.box.in_slice == whole_slice_box(volume)
    return " ".join(finding.text for finding in region.findings)


# ------------------------------------------------------------------ thresholds


def three_kinds() -> Volume:
    """Equal parts of -1000, -300 and 50 HU, each spread by 20 HU."""
    hu = np.repeat([-1000.0, -300.0, 50.0], 64 * 20).reshape(192, 20, 1)
    return make_volume(hu + np.random.default_rng(0).normal(0, 20, hu.shape))


def test_otsu_parts_two_kinds_between_them() -> None:
    hu = np.repeat([-900.0, 40.0], 64 * 20).reshape(128, 20, 1)
    volume = make_volume(hu + np.random.default_rng(0).normal(0, 20, hu.shape))
    thresholds = find_thresholds(slice_levels(volume, 0), RoiConfig())
    assert len(thresholds) == 1
    # Anywhere between two peaks with nothing between them is Otsu's threshold.
    assert -850 < level_values(volume, thresholds)[0] < -10


def test_multi_otsu_parts_three_kinds() -> None:
    volume = three_kinds()
    config = RoiConfig(method="multi-otsu", classes=3)
    low, high = level_values(volume, find_thresholds(slice_levels(volume, 0), config))
    assert -950 < low < -360
    assert -250 < high < 0


@pytest.mark.parametrize("method", ["otsu", "multi-otsu"])
def test_a_picture_of_one_value_has_a_threshold_too(method: Any) -> None:
    volume = make_volume(np.full((32, 32, 1), 40, dtype=np.int16))
    assert len(find_thresholds(slice_levels(volume, 0), RoiConfig(method=method))) == 1


def test_of_several_thresholds_that_nearest_minus_500_hu_parts_tissue_from_air() -> None:
    # Levels of 5 HU from -1024 on: 30 is -874, 100 is -524, 160 is -224 HU.
    assert tissue_threshold((30, 100, 160)) == 100
    assert tissue_threshold((30, 160)) == 160


def test_levels_are_reported_in_the_values_of_the_scan() -> None:
    hu = make_volume(np.zeros((16, 16, 1), dtype=np.int16))
    assert level_values(hu, [0, 100]).tolist() == [-1024.0, -524.0]
    grey = make_volume(np.zeros((16, 16, 1), dtype=np.uint8), intensity=GREY)
    # 1500 HU over 255 greys from -1250 HU on.
    assert level_values(grey, [100]).tolist() == pytest.approx([(1250 - 524) * 255 / 1500])


# ------------------------------------------------------------------ masks of a slice


def test_a_slice_is_parted_into_body_air_and_lung() -> None:
    hu, body, lungs = chest()
    x, y = np.meshgrid(*(np.arange(n) for n in SHAPE[:2]), indexing="ij")
    trachea = (x - 80) ** 2 + (y - 40) ** 2 < 3**2
    hu[trachea, 20] = -1000
    vessel = (x - 110) ** 2 + (y - 64) ** 2 < 3**2
    hu[vessel, 20] = 40
    table = (np.arange(SHAPE[1]) > 116) & (np.arange(SHAPE[1]) < 119)
    hu[:, table, 20] = 40
    parted = part_slice(slice_levels(scan(hu), 20) > 100)
    truth = body.T
    assert (parted.body & truth).sum() > 0.99 * truth.sum()
    assert (parted.body & ~truth).sum() < 0.01 * truth.sum()
    inside = (lungs | trachea).T & ~vessel.T
    assert (parted.air ^ inside).sum() < 0.02 * inside.sum()
    # The trachea is too small for a lung; the vessel belongs to it.
    assert (parted.lung ^ lungs.T).sum() < 0.02 * lungs.sum()


def test_lungs_behind_a_wall_thinner_than_the_opening_are_held() -> None:
    tissue = np.zeros((256, 256), dtype=bool)
    tissue[60:200, 30:226] = True
    lung = np.zeros_like(tissue)
    lung[80:180, 33:100] = True  # 3 pixels of wall, and the opening takes 5
    tissue[lung] = False
    parted = part_slice(tissue)
    assert parted.body[lung].all()
    assert parted.lung[lung].all()


def test_a_slice_without_a_body_has_no_lung() -> None:
    parted = part_slice(np.zeros((64, 64), dtype=bool))
    assert not (parted.body | parted.air | parted.lung).any()


# ------------------------------------------------------------------ region


@pytest.mark.parametrize("margin_mm", [0.0, 6.0, 20.0])
def test_by_default_the_box_in_the_slice_is_the_networks(margin_mm: float) -> None:
    volume = scan(chest()[0])
    region = find_region(volume, RoiConfig(margin_mm=margin_mm))
    assert region.findings == ()
    assert region.box.in_slice == find_body_box(volume, margin_mm=margin_mm)


@pytest.mark.parametrize("margin_mm", [0.0, 10.0, 30.0])
@pytest.mark.parametrize("more", [{}, {"intensity": GREY}], ids=["HU", "grey"])
def test_the_box_of_the_lungs_is_theirs_plus_the_margin(
    margin_mm: float, more: dict[str, Any]
) -> None:
    hu, _, lungs = chest()
    if more:
        hu = np.clip(np.rint((hu + 1250.0) * 255 / 1500), 0, 255).astype(np.uint8)
    region = find_region(scan(hu, **more), RoiConfig("lungs", margin_mm=margin_mm))
    box = region.box.in_slice
    i, j = (np.flatnonzero(lungs.any(axis=axis)) for axis in (1, 0))
    # A coarse pixel is 1.25 pixels here; one is added, one may be lost to shrinking.
    for start, first, voxel_mm in ((box.i_start, i[0], 2.0), (box.j_start, j[0], 2.0)):
        assert 0 <= (first - margin_mm / voxel_mm) - start <= 3.5
    for stop, last, voxel_mm in ((box.i_stop, i[-1], 2.0), (box.j_stop, j[-1], 2.0)):
        assert 0 <= stop - (last + 1 + margin_mm / voxel_mm) <= 3.5


@pytest.mark.parametrize(
    ("slice_margin_mm", "kept"), [(0.0, (10, 30)), (15.0, (7, 33)), (16.0, (6, 34)), (99, (0, 40))]
)
def test_slices_outside_the_lungs_are_left_out(
    slice_margin_mm: float, kept: tuple[int, int]
) -> None:
    volume = scan(chest()[0])
    region = find_region(volume, RoiConfig(slice_margin_mm=slice_margin_mm))
    assert region.lung_slices == (FIRST_LUNG, LAST_LUNG)
    assert (region.box.k_start, region.box.k_stop) == kept
    everything = find_region(volume, RoiConfig(leave_out_slices=False))
    assert (everything.box.k_start, everything.box.k_stop) == (0, 40)


def test_each_slice_has_its_own_box_and_none_without_lungs() -> None:
    hu, _, lungs = chest()
    small = lungs.copy()
    small[:50] = small[-50:] = False
    hu[lungs & ~small, 12] = 40
    region = find_region(scan(hu), RoiConfig("lungs", margin_mm=0.0))
    assert [k for k, box in enumerate(region.slice_boxes) if box is not None] == list(
        range(FIRST_LUNG, LAST_LUNG)
    )
    narrow, wide = region.slice_boxes[12], region.slice_boxes[20]
    assert narrow is not None
    assert wide is not None
    assert wide.width - narrow.width == pytest.approx(
        np.ptp(np.flatnonzero(lungs.any(axis=1))) - np.ptp(np.flatnonzero(small.any(axis=1))), abs=3
    )


def test_a_threshold_of_each_slice_follows_the_slice() -> None:
    hu, _, _ = chest()
    hu[:, :, 20] = np.clip(hu[:, :, 20] + 300, -1024, 340)
    volume = scan(hu)
    one = find_region(volume, RoiConfig())
    assert len(set(one.thresholds)) == 1
    each = find_region(volume, RoiConfig(scope="slice"))
    by_slice = [threshold for (threshold,) in each.thresholds]
    # 300 HU are 60 levels; noise leaves Otsu's threshold some room between the peaks.
    assert by_slice[20] - by_slice[19] > 20
    assert each.findings == ()


# ------------------------------------------------------------------ what stands in the way


@pytest.mark.parametrize("target", ["body", "lungs"])
def test_arms_beside_the_body_are_reported_and_everything_is_kept(target: Any) -> None:
    hu, _, _ = chest()
    hu = np.pad(hu, ((40, 40), (0, 0), (0, 0)), constant_values=-1000)
    x = (np.arange(240) + 0.5) * 2.0 - 240
    y = (np.arange(128) + 0.5) * 2.0 - 128
    for side in (-1, 1):
        arm = (x[:, None] - side * 190) ** 2 + y[None, :] ** 2 < 30**2
        hu[arm] = 40
    assert "Arms seem to lie beside the body in 40 slices" in found(hu, RoiConfig(target))


@pytest.mark.parametrize("target", ["body", "lungs"])
def test_a_patient_cut_off_is_reported_and_everything_is_kept(target: Any) -> None:
    hu, _, _ = chest()
    volume = scan(hu[:, 30:98])
    region = find_region(volume, RoiConfig(target))
    assert [finding.text[:35] for finding in region.findings] == [
        "The picture cuts the patient off: t"
    ]
    assert fell_back(region)
    assert region.box == whole_volume_box(volume)


@pytest.mark.parametrize(
    ("white", "words"),
    [((True, True), "The lungs hold hardly any air"), ((True, False), "One lung holds hardly any")],
    ids=["both", "one"],
)
def test_white_lungs_are_reported_and_nothing_is_left_out_on_their_account(
    white: tuple[bool, bool], words: str
) -> None:
    hu, _, lungs = chest()
    for side, is_white in zip((slice(0, 80), slice(80, None)), white, strict=True):
        if is_white:
            hu[side][lungs[side]] = 30
    volume = scan(hu)
    assert words in found(hu, LUNGS)
    assert find_region(volume, LUNGS).box == whole_volume_box(volume)
    # The box of the body does not rest on the lungs, and stays.
    body = find_region(volume, RoiConfig("body"))
    assert body.box == VolumeBox(find_body_box(volume), 0, SHAPE[2])


def test_no_body_is_reported() -> None:
    hu = np.full((128, 128, 3), -1000, dtype=np.int16)
    hu[40:75, 50:60] = 100
    assert "No body was found" in found(hu)


def test_nominal_millimetres_are_reported() -> None:
    region = find_region(scan(chest()[0], spacing_nominal=True), LUNGS)
    assert "nominal" in region.findings[0].text
    assert not fell_back(region)


@pytest.mark.parametrize(
    ("white_slices", "kept_from"), [(2, FIRST_LUNG), (10, FIRST_LUNG)], ids=["few", "half"]
)
def test_whiteness_at_the_base_is_covered_by_the_margin(white_slices: int, kept_from: int) -> None:
    hu, _, lungs = chest()
    hu[lungs, FIRST_LUNG : FIRST_LUNG + white_slices] = 30
    config = RoiConfig("lungs", slice_margin_mm=white_slices * SPACING_MM[2])
    assert find_region(scan(hu), config).box.k_start == kept_from


# ------------------------------------------------------------------ settings and savings


@pytest.mark.parametrize("name", ROI_RANGES)
def test_settings_out_of_range_are_refused_and_extremes_work(name: str) -> None:
    allowed = ROI_RANGES[name]
    kind = type(getattr(RoiConfig(), name))
    for value in (allowed.low - allowed.step, allowed.high + allowed.step):
        with pytest.raises(ConfigError, match=f"{name} is out of range"):
            RoiConfig(**{name: kind(value)})
    volume = scan(chest()[0])
    for method in ("otsu", "multi-otsu"):
        for value in (allowed.low, allowed.high):
            config = RoiConfig("lungs", method, **{name: kind(value)})  # type: ignore[arg-type]
            box = find_region(volume, config).box
            assert box.voxels <= volume.array.size
            assert from_json_dict(RoiConfig, to_json_dict(config)) == config


def test_savings_are_counted() -> None:
    volume = scan(chest()[0])
    box = VolumeBox(whole_slice_box(volume), 5, 15)
    savings = compute_savings(volume, box, seconds_per_slice=0.05)
    whole = 160 * 128 * 40
    assert savings.voxels == (whole, whole // 4)
    assert savings.kept_share == 0.25
    assert savings.megabytes == pytest.approx((whole * 2 / 1e6, whole / 2 / 1e6))
    assert savings.slices == (40, 10)
    assert savings.seconds == pytest.approx((2.0, 0.5))


# ------------------------------------------------------------------ scans


METHODS = [
    RoiConfig(target, method, scope)  # type: ignore[arg-type]
    for target in ("body", "lungs")
    for method in ("otsu", "multi-otsu")
    for scope in ("volume", "slice")
]


def lung_lost(study: Study, config: RoiConfig) -> tuple[int, float]:
    """Voxels of true lung outside the region, and the share of the scan that is kept."""
    assert study.truth is not None
    assert study.truth.lung is not None
    region = find_region(study.volume, config)
    inside = study.truth.lung[region.box.slices]
    lost = int(np.count_nonzero(study.truth.lung)) - int(np.count_nonzero(inside))
    return lost, region.box.voxels / study.volume.array.size


@pytest.mark.slow
def test_no_lung_of_the_demo_is_lost() -> None:
    study = demo_study()
    kept = {}
    for config in METHODS:
        lost, kept[config] = lung_lost(study, config)
        assert lost == 0, config
    assert kept[RoiConfig()] < 0.7
    assert kept[LUNGS] < 0.5


@pytest.mark.real_data
def test_no_lung_of_a_real_case_is_lost(real_data: Path) -> None:
    lost, kept = {}, []
    for case in load_case_table(real_data / "covid20"):
        study = load_case(case)
        for config in METHODS:
            lost[case.case_id, config], share = lung_lost(study, config)
            if config == LUNGS:
                kept.append(share)
    assert len(kept) == 15
    assert not any(lost.values()), {name: n for name, n in lost.items() if n}
    assert np.mean(kept) < 0.5  # else nothing would be won


@pytest.mark.real_data
def test_slices_below_and_above_the_lungs_of_a_healthy_chest_are_found(real_data: Path) -> None:
    volume = open_study(real_data / "covid_ct_md" / "normal001.nii.gz").volume
    region = find_region(volume, LUNGS)
    assert region.findings == ()
    assert region.lung_slices is not None
    first, stop = region.lung_slices
    # By eye: a sliver of lung behind the liver in slice 6, counted from 0, and the last apex in 72.
    assert abs(first - 6) <= 1
    assert region.box.k_start <= 6
    assert abs(stop - 73) <= 1
    assert region.box.voxels < 0.55 * volume.array.size


@pytest.mark.real_data
def test_neighbouring_dicom_slices_keep_their_lungs(real_data: Path) -> None:
    volume = open_study(real_data / "covid_ct_md" / "P001_dicom").volume
    for config in METHODS:
        region = find_region(volume, config)
        assert region.findings == ()
        assert region.lung_slices == (0, 16)
        # No truth here: all air inside the body that is as dark as lung lies in the box.
        for k in range(16):
            lung = part_slice(slice_levels(volume, k) > region.thresholds[k][0]).lung.T
            box = region.box.in_slice
            inside = lung[box.i_start : box.i_stop, box.j_start : box.j_stop]
            assert lung.sum() == inside.sum() > 0
