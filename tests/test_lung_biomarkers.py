"""Both lungs apart, zones, density, lesions and scores, on boxes and balls worked out by hand."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

from core.errors import Cancelled, ConfigError, GeometryError
from core.measuring.biomarkers import (
    GROUPS,
    BiomarkerConfig,
    Biomarkers,
    compute_biomarkers,
    compute_burden,
    measurement_text,
    split_lungs,
)
from core.measuring.biomarkers.sides import _label_pieces
from core.volume import BoolArray, MaskPair, Study, Volume, to_canonical, volume_from_file
from tests.spheres import AFFINES, GREY, HU, ball, make_volume
from tests.studies import SMALL_DEMO, built_demo

SHAPE = (60, 50, 30)
RIGHT = np.s_[4:24, 10:40, :]
LEFT = np.s_[36:56, 10:40, :]
"""20×30×30 voxels each; i grows towards the patient's left."""


def block(*places: tuple[slice, ...], shape: tuple[int, int, int] = SHAPE) -> BoolArray:
    mask = np.zeros(shape, dtype=bool, order="F")
    for place in places:
        mask[place] = True
    return mask


def measured(
    lung: BoolArray | None,
    infection: BoolArray | None,
    volume: Volume | None = None,
    **config: float,
) -> Biomarkers:
    if volume is None:
        volume = make_volume(np.zeros(SHAPE, dtype=np.int16))
    chosen = BiomarkerConfig(**config)  # type: ignore[arg-type]
    return compute_biomarkers(volume, MaskPair(lung, infection), config=chosen)


def value(found: Biomarkers, key: str) -> float:
    got = found.measurement(key).value
    assert not isinstance(got, str)
    return float(got)


@pytest.mark.parametrize("affine", AFFINES.values(), ids=AFFINES.keys())
def test_two_balls_are_the_patients_lungs(affine: npt.NDArray[np.float64]) -> None:
    shape = (61, 73, 40)
    middle = affine[:3, :3] @ ((np.array(shape) - 1) / 2) + affine[:3, 3]
    aside = np.array([22.0, 0.0, 0.0])  # RAS: x grows towards the patient's right
    right = ball(shape, affine, radius_mm=18.0, center_mm=middle + aside)
    left = ball(shape, affine, radius_mm=14.0, center_mm=middle - aside)
    sick = ball(shape, affine, radius_mm=7.0, center_mm=middle - aside)
    volume = make_volume(np.full(shape, -800, dtype=np.int16), affine)
    found = measured(to_canonical(right | left, affine), to_canonical(sick, affine), volume)
    assert found.split == "apart"
    assert found.right.volume_ml == pytest.approx(4 / 3 * math.pi * 1.8**3, rel=0.02)
    assert found.left.volume_ml == pytest.approx(4 / 3 * math.pi * 1.4**3, rel=0.02)
    assert found.left.infected_share == pytest.approx(0.125, rel=0.06)
    assert found.left.infected_ml == pytest.approx(4 / 3 * math.pi * 0.7**3, rel=0.04)
    assert found.right.infected_share == 0.0
    assert found.laterality == "left"
    assert found.density.mean_hu == -800.0
    assert found.parts["left_middle"].infected_share > found.parts["left_upper"].infected_share
    assert found.lesions is not None
    assert found.lesions.count == 1


def test_zones_by_hand() -> None:
    lung = block(RIGHT, LEFT)
    infection = block(np.s_[4:24, 10:40, 0:10], np.s_[36:46, 10:40, 20:30], np.s_[36:56, 37:40, 15])
    found = measured(lung, infection)
    shares = {name: found.parts[name].infected_share for name in found.parts}
    assert shares["right_lower"] == 1.0
    assert shares["right_middle"] == shares["right_upper"] == 0.0
    assert shares["left_upper"] == 0.5
    assert shares["left_middle"] == pytest.approx(60 / 6000)
    assert shares["lower"] == 0.5
    assert shares["right_ventral"] == pytest.approx(1 / 3)
    assert shares["left_dorsal"] == pytest.approx((10 * 15 * 10 + 60) / 9000)
    assert found.zone_scores == {
        "right_upper": 0,
        "right_middle": 0,
        "right_lower": 4,
        "left_upper": 3,
        "left_middle": 1,
        "left_lower": 0,
    }
    assert found.zone_score == 8
    assert found.both.infected_share == pytest.approx((6000 + 3000 + 60) / 36000)
    assert found.category == "CT-2"
    assert found.laterality == "both"


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.5, 2.0, 3.0)])
def test_the_rim_follows_the_ribs_and_not_the_mediastinum(
    spacing: tuple[float, float, float],
) -> None:
    volume = make_volume(
        np.zeros(SHAPE, dtype=np.int16), np.diag([-spacing[0], -spacing[1], spacing[2], 1.0])
    )
    lung = block(RIGHT, LEFT)
    found = measured(lung, None, volume, peripheral_mm=4.0)
    # Nearer than 4 mm: 4 columns and 4 rows, or 8 columns and 2 rows; not at the inner side.
    columns, rows = round(4 / spacing[0]), round(4 / spacing[1])
    central = (20 - columns) * (30 - 2 * rows) * 30
    assert found.parts["right_central"].volume_ml == pytest.approx(central * volume.voxel_volume_ml)
    assert found.parts["left_peripheral"].volume_ml == pytest.approx(
        (20 * 30 * 30 - central) * volume.voxel_volume_ml
    )


def test_without_millimetres_the_rim_is_a_share_of_the_depth() -> None:
    volume = make_volume(np.zeros(SHAPE, dtype=np.int16), spacing_nominal=True)
    rim = np.s_[4:10, 10:40, :]
    found = measured(block(RIGHT, LEFT), block(rim), volume, peripheral_depth_share=0.4)
    # The deepest voxels lie 14 steps below the back: what is less than 5.6 deep is rim.
    assert found.parts["right_central"].infected_share == 0.0
    assert found.parts["right_peripheral"].infected_share == pytest.approx(
        6 * 30 / (6 * 30 + 14 * 12)
    )
    assert (
        "40\u2009% of the greatest depth"
        in found.measurement("infected_share_peripheral").definition
    )


def test_bands_hold_their_lower_end() -> None:
    array = np.full(SHAPE, 50, dtype=np.int16)
    lung = block(np.s_[4:24, 10:40, 0], np.s_[36:56, 10:40, 0])
    levels = [-2000, -901, -900, -751, -750, -501, -500, -301, -300, -101, -100, 2000]
    array[4:24, 10:40, 0] = np.resize(levels, 600).reshape(20, 30)
    array[36:56, 10:40, 0] = -700
    infection = block(np.s_[4:24, 10:40, 0])
    found = measured(lung, infection, make_volume(array))
    density = found.right_density
    assert density.hyper_aerated == pytest.approx(2 / 12)
    assert density.well_aerated == pytest.approx(4 / 12)
    assert density.poorly_aerated == pytest.approx(4 / 12)
    assert density.non_aerated == pytest.approx(2 / 12)
    assert density.neither == pytest.approx(4 / 12)
    assert density.ground_glass == pytest.approx(4 / 12)
    assert density.consolidation == pytest.approx(4 / 12)
    assert found.left_density.mean_hu == -700.0
    assert found.left_density.well_aerated == 1.0
    assert math.isnan(found.left_density.ground_glass)
    kept = np.clip(levels, -1500, 3100)
    assert found.density.mean_hu == pytest.approx((kept.mean() - 700.0) / 2)


def test_hu_of_fractions_are_rounded_and_gaps_left_out() -> None:
    array = np.full(SHAPE, -699.6, dtype=np.float32)
    array[4:14] = np.nan
    found = measured(block(RIGHT, LEFT), None, make_volume(array))
    assert found.right_density.mean_hu == -700.0
    assert found.right.volume_ml == 18.0


def test_lungs_that_touch_are_cut_where_they_touch() -> None:
    # 4 rows and 6 slices of a bridge, 12 long: whichever way it is cut, 288 voxels go somewhere.
    bridge = np.s_[24:36, 10:14, 12:18]
    found = measured(block(RIGHT, LEFT, bridge), None)
    assert found.split == "junction"
    assert found.right.volume_ml + found.left.volume_ml == pytest.approx(36.288)
    assert found.right.volume_ml == pytest.approx(18.144, abs=0.06)


def test_lungs_joined_widely_are_cut_by_a_plane_with_a_note() -> None:
    found = measured(block(np.s_[4:56, 10:40, :]) ^ block(np.s_[29:31, 10:13, :]), None)
    assert found.split == "plane"
    assert found.right.volume_ml == pytest.approx(found.left.volume_ml, rel=0.05)
    assert any("less certain" in note for note in found.notes)


def test_a_large_scan_is_cut_on_a_coarser_grid() -> None:
    shape = (230, 110, 40)
    right, left = np.s_[5:100, 5:105, :], np.s_[125:220, 5:105, :]
    bridge = np.s_[100:125, 5:15, 10:20]
    volume = make_volume(np.zeros(shape, dtype=np.int16), np.diag([-0.7, -0.7, 2.5, 1.0]))
    mask = block(right, left, bridge, shape=shape)
    sides = split_lungs(mask, volume)
    assert sides is not None
    assert sides.way == "junction"
    assert sum(sides.voxels) == np.count_nonzero(mask)
    assert np.array_equal(sides.labels > 0, mask[sides.box])
    assert sides.voxels[0] / sides.voxels[1] == pytest.approx(1.0, abs=0.005)


def test_pieces_are_those_of_a_plain_labelling() -> None:
    mask = np.asfortranarray(np.random.default_rng(4).random((30, 25, 12)) < 0.35)
    mask[:, :, 5] = False
    labels, count = ndimage.label(mask)
    found = _label_pieces(mask)
    assert found.max() == count
    assert len(np.unique(found * (count + 1) + labels)) == count + 1  # one to one


def test_specks_follow_the_lung_they_lie_at() -> None:
    lung = block(RIGHT, LEFT, np.s_[1:3, 2:4, 3:4], np.s_[57:59, 2:4, 3:4])
    found = measured(lung, None)
    assert found.right.volume_ml == found.left.volume_ml == pytest.approx(18.004)


@pytest.mark.parametrize(
    ("place", "there", "missing"), [(LEFT, "left", "right"), (RIGHT, "right", "left")]
)
def test_one_lung(place: tuple[slice, ...], there: str, missing: str) -> None:
    found = measured(block(place), block(place) & block(np.s_[:, 10:25, :]))
    assert found.split == "one lung"
    assert getattr(found, there).volume_ml == 18.0
    assert getattr(found, there).infected_share == 0.5
    assert getattr(found, missing).volume_ml == 0.0
    assert math.isnan(getattr(found, missing).infected_share)
    assert found.laterality == there
    assert found.zone_score is None
    assert set(found.zone_scores) == {f"{there}_{third}" for third in ("upper", "middle", "lower")}
    assert any(f"No {missing} lung" in note for note in found.notes)
    assert found.measurement("zonal_score").reason
    # Its mirror image keeps the side at the mediastinum from being taken for ribs.
    part = measured(block(place), None, peripheral_mm=5.0).parts[f"{there}_central"]
    assert part.volume_ml == pytest.approx(15 * 20 * 30 / 1000)


def test_no_lung() -> None:
    nothing = block()
    found = measured(nothing, nothing)
    assert found.both.volume_ml == 0.0
    assert math.isnan(found.both.infected_share)
    assert found.laterality is None
    assert found.category is None
    assert value(found, "lesion_count") == 0
    assert found.measurement("infected_share").reason == "No lung is marked."


def test_unknown_masks() -> None:
    infection = block(np.s_[4:14, 10:20, 0:10])
    found = measured(None, infection)
    assert math.isnan(found.both.volume_ml)
    assert value(found, "lesion_count") == 1
    assert value(found, "lesion_largest_ml") == 1.0
    assert found.measurement("infected_share").reason == "The lung is not marked."
    found = measured(block(RIGHT, LEFT), None)
    assert found.both.volume_ml == 36.0
    assert found.lesions is None
    assert found.measurement("infected_share").reason == "The infection is not marked."
    assert found.measurement("lesion_count").text == "not defined"


def test_nothing_by_hu_where_values_are_not_hu() -> None:
    volume = make_volume(np.full(SHAPE, 100, dtype=np.uint8), intensity=GREY)
    found = measured(block(RIGHT, LEFT), block(RIGHT), volume)
    by_hu = [figure for figure in found.measurements if figure.group == "Density"]
    assert by_hu
    assert not any(figure.defined for figure in by_hu)
    assert {figure.reason for figure in by_hu} == {"The scan's values are not in HU."}
    assert found.both.infected_share == 0.5


def test_nothing_in_ml_where_the_spacing_is_nominal() -> None:
    volume = make_volume(np.zeros(SHAPE, dtype=np.int16), spacing_nominal=True)
    infection = block(np.s_[4:7, 10:13, 0:3], np.s_[10:12, 20:22, 5:6])
    found = measured(block(RIGHT, LEFT), infection, volume)
    in_ml = [figure for figure in found.measurements if figure.unit == "ml"]
    assert not any(figure.defined for figure in in_ml)
    assert {figure.reason for figure in in_ml} == {"The file does not give the voxel size."}
    assert not found.measurement("lesions_large").defined
    assert value(found, "lesion_count") == 1  # of 27 voxels; the one of 4 is a speck
    assert found.right.infected_share == pytest.approx(31 / 18000)


def test_pictures_have_no_sides_and_no_order() -> None:
    volume = volume_from_file(
        np.zeros(SHAPE, dtype=np.uint8),
        np.diag([-1.0, -1.0, 1.0, 1.0]),
        intensity=GREY,
        name="made",
        format="pictures",
        spacing_nominal=True,
    )
    found = measured(block(RIGHT, LEFT), block(RIGHT), volume)
    assert found.both.infected_share == 0.5
    assert found.category == "CT-3"
    assert found.laterality is None
    assert found.measurement("infected_share_upper").reason.startswith("Pictures")
    assert math.isnan(found.left.volume_ml)


def test_a_lung_too_thin_for_thirds_has_none() -> None:
    lung = block(np.s_[4:24, 10:40, 3:5], np.s_[36:56, 10:40, 3:5])
    found = measured(lung, lung)
    assert math.isnan(found.parts["left_upper"].infected_share)
    assert found.parts["left_dorsal"].infected_share == 1.0
    assert found.zone_score is None


def test_lesions_by_hand() -> None:
    volume = make_volume(np.zeros(SHAPE, dtype=np.int16), np.diag([-1.0, -2.0, 2.5, 1.0]))
    infection = block(
        np.s_[4:14, 10:20, 0:10],  # 1000 voxels of 5 mm³: 5 ml
        np.s_[14:15, 20:21, 10:11],  # joined to it by a corner
        np.s_[40:44, 10:15, 0:10],  # 200: 1 ml, which is medium
        np.s_[40:42, 20:25, 20:21],  # 10: 0.05 ml, just a lesion
        np.s_[50:53, 30:33, 20:21],  # 9: a speck
        np.s_[36:56, 10:40, 25:30],  # 3000: 15 ml
    )
    lesions = measured(block(RIGHT, LEFT), infection, volume).lesions
    assert lesions is not None
    assert (lesions.count, lesions.specks) == (4, 1)
    assert (lesions.small, lesions.medium, lesions.large) == (1, 2, 1)
    assert lesions.largest_ml == pytest.approx(15.0)
    assert lesions.median_ml == pytest.approx((1.0 + 5.005) / 2)


@pytest.mark.parametrize(
    ("rows", "category"),
    [(0, "CT-0"), (1, "CT-1"), (7, "CT-1"), (8, "CT-2"), (15, "CT-3"), (22, "CT-3"), (23, "CT-4")],
)
def test_categories_change_at_their_cut_offs(rows: int, category: str) -> None:
    # Of 30 rows; a quarter is 7.5, three quarters 22.5.
    lung = block(RIGHT, LEFT)
    assert measured(lung, block(np.s_[:, 10 : 10 + rows, :]) & lung).category == category


@pytest.fixture(scope="module")
def demo() -> Study:
    return built_demo(SMALL_DEMO)


def test_the_demo_studys_truth(demo: Study) -> None:
    assert demo.truth is not None
    assert demo.truth.lung is not None
    found = compute_biomarkers(demo.volume, demo.truth)
    burden = compute_burden(demo.truth, demo.volume)
    assert found.both.infected_share == pytest.approx(burden.infection_fraction)
    assert found.right.volume_ml + found.left.volume_ml == pytest.approx(burden.lung_volume_ml)
    # Each lung of it is drawn on its side of the midline, but for the tongue before the heart.
    half = demo.volume.shape[0] // 2
    right = np.count_nonzero(demo.truth.lung[:half]) * demo.volume.voxel_volume_ml
    assert found.right.volume_ml == pytest.approx(right, rel=0.005)
    # Its disease lies mostly at the back, and is ground glass mostly.
    parts = found.parts
    assert parts["dorsal"].infected_share > 2 * parts["ventral"].infected_share
    assert found.density.ground_glass > 2 * found.density.consolidation > 0.1
    assert found.laterality == "both"
    assert found.notes == ()


def test_a_mirrored_patient_has_his_lungs_swapped(demo: Study) -> None:
    assert demo.truth is not None
    found = compute_biomarkers(demo.volume, demo.truth)

    def mirrored(array: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        return np.asfortranarray(array[::-1])

    volume = replace(demo.volume, array=mirrored(demo.volume.array))
    lung, infection = demo.truth.lung, demo.truth.infection
    assert lung is not None
    assert infection is not None
    swapped = compute_biomarkers(
        volume,
        MaskPair(mirrored(lung).astype(bool), mirrored(infection).astype(bool)),
    )
    assert swapped.right.volume_ml == pytest.approx(found.left.volume_ml)
    for zone in ("upper", "dorsal", "peripheral"):
        assert swapped.parts[f"right_{zone}"].infected_share == pytest.approx(
            found.parts[f"left_{zone}"].infected_share, abs=1e-4
        )


def test_every_measurement_says_what_it_is_and_json_holds_no_nan() -> None:
    found = measured(block(LEFT), block(LEFT))
    keys = [figure.key for figure in found.measurements]
    assert len(keys) == len(set(keys))
    assert [group for group in GROUPS if any(f.group == group for f in found.measurements)] == list(
        dict.fromkeys(figure.group for figure in found.measurements)
    )
    for figure in found.measurements:
        assert figure.definition.endswith(".")
        assert figure.source
        assert figure.defined == (not figure.reason)
    kept = json.loads(json.dumps(found.to_json_dict(), allow_nan=False))
    assert kept["values"]["left_lung_volume_ml"] == 18.0
    assert kept["values"]["infected_share_right"] is None
    assert kept["cut_offs"]["consolidation_from_hu"] == -300.0
    assert "not the lobar score" in found.measurement("zonal_score").definition
    with pytest.raises(KeyError):
        found.measurement("infected_share_of_the_heart")


def test_definitions_follow_the_cut_offs() -> None:
    found = measured(block(LEFT), None, consolidation_from_hu=-250.0, peripheral_mm=12.0)
    assert "−250 HU" in found.measurement("ground_glass_share").definition
    assert "12 mm" in found.measurement("infected_share_central").definition


def test_bad_cut_offs_and_masks_are_refused() -> None:
    with pytest.raises(ConfigError, match="aeration bands"):
        BiomarkerConfig(well_aerated_from_hu=-400.0)
    with pytest.raises(ConfigError, match="peripheral"):
        BiomarkerConfig(peripheral_mm=0.0)
    with pytest.raises(GeometryError, match="lung mask"):
        measured(np.ones((3, 3, 3), dtype=bool), None)


def test_measuring_can_be_stopped_and_says_how_far_it_is() -> None:
    stages: list[str] = []
    volume = make_volume(np.zeros(SHAPE, dtype=np.int16), intensity=HU)
    masks = MaskPair(block(RIGHT, LEFT), block(RIGHT))
    compute_biomarkers(volume, masks, on_progress=lambda stage, done, total: stages.append(stage))
    assert list(dict.fromkeys(stages)) == [
        "separating the lungs",
        "measuring the lungs",
        "counting lesions",
    ]
    with pytest.raises(Cancelled):
        compute_biomarkers(volume, masks, should_cancel=lambda: True)


@pytest.mark.parametrize(
    ("number", "unit", "text"),
    [
        (0.1234, "share", "12.3\u2009%"),
        (0.0042, "share", "0.42\u2009%"),
        (1234.5, "ml", "1.23\u00a0l"),
        (0.05, "ml", "0.05\u00a0ml"),
        (-612.4, "HU", "\u2212612\u00a0HU"),
        (4, "", "4"),
        ("both", "", "both"),
        (math.nan, "ml", "not defined"),
    ],
)
def test_measurements_as_people_read_them(number: float | str, unit: str, text: str) -> None:
    assert measurement_text(number, unit) == text
