"""Scan quality: measures that can be worked out by hand, damaged copies, real scans."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from core.config import QUALITY_RANGES, QualityConfig
from core.errors import Cancelled, ConfigError
from core.loading import load_case, load_case_table, load_dicom, open_study
from core.measuring.quality import (
    CHECKS,
    QualityReport,
    apply_thresholds,
    check_named,
    check_scan,
    first_undamaged,
    measure_scan,
)
from core.measuring.quality.content import difference_to_previous, jump, there_and_back
from core.measuring.quality.empty import find_empty_slices
from core.measuring.quality.findings import slice_ranges
from core.measuring.quality.geometry import outline_on_edge, step_deviation
from core.measuring.quality.intensity import brightness_step, noise, saturation, stripes, unevenness
from core.measuring.quality.view import Levels, SliceView, find_levels
from core.volume import MaskPair, Study, Volume
from tests import damage
from tests.scans import dicom_series, write_dicom
from tests.spheres import make_volume
from tests.studies import built_demo, small_study, small_volume

CT = Levels(air=-1000.0, tissue=0.0, threshold=-500.0)


@pytest.fixture(scope="module")
def demo() -> Study:
    # Slices of 6 mm would be a finding.
    return built_demo((256, 256, 72))


@pytest.fixture(scope="module")
def middle(demo: Study) -> Volume:
    """Twelve neighbouring slices with lung and heart."""
    return middle_of(demo.volume)


def middle_of(volume: Volume, count: int = 12) -> Volume:
    start = max(0, volume.shape[2] // 2 - count // 2)
    array = np.asfortranarray(volume.array[:, :, start : start + count])
    array.flags.writeable = False
    return replace(volume, array=array, source=replace(volume.source, steps_mm=()))


def flagged(report: QualityReport) -> dict[str, list[int]]:
    """Slices by check; [] stands for the whole scan."""
    found: dict[str, list[int]] = {}
    for finding in report.findings:
        slices = found.setdefault(finding.check, [])
        if finding.slice_index is not None:
            slices.append(finding.slice_index)
    return found


def disc(hu: float = 0.0, *, side: int = 256, radius: float = 0.7) -> np.ndarray:
    """(rows, columns) a round body of `hu` in air."""
    y, x = np.mgrid[-1 : 1 : complex(0, side), -1 : 1 : complex(0, side)]
    return np.where(np.hypot(x, y) < radius, hu, -1000.0).astype(np.float32)


def view_of(picture: np.ndarray) -> SliceView:
    """A view of one slice (rows, columns) in HU."""
    volume = make_volume(np.asfortranarray(picture.T[:, :, None]).astype(np.float32))
    return SliceView(volume, 0, CT)


# ---------------------------------------------------------------- measures worked out by hand


@pytest.mark.parametrize("sigma", [10.0, 40.0, 100.0])
def test_noise_is_that_which_was_added(sigma):
    picture = disc() + np.random.default_rng(0).normal(0, sigma, (256, 256)).astype(np.float32)
    # Taking the blurred picture off leaves 94 % of white noise: 1 - 2 g(0) + sum(g²), g Gaussian
    # of 1.6 pixels.
    g = np.exp(-(np.arange(-8, 9) ** 2) / (2 * 1.6**2))
    kernel = np.outer(g, g) / g.sum() ** 2
    left = np.sqrt(1 - 2 * kernel[8, 8] + (kernel**2).sum())
    assert noise(view_of(picture)) == pytest.approx(left * sigma / 1000, rel=0.05)


def test_unevenness_is_the_rise_from_the_5th_to_the_95th_percentile():
    slope = 300.0  # HU from one edge of the picture to the other
    rise = np.linspace(0, slope, 256, dtype=np.float32)
    picture = np.where(disc() > -500, disc() + rise, -1000).astype(np.float32)
    # In a disc 90 % of the points lie within 0.81 of the radius; it spans 0.7 of the picture.
    assert unevenness(view_of(picture)) == pytest.approx(0.3 * 0.7 * 0.805, rel=0.05)
    assert unevenness(view_of(disc())) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("turned", [False, True])
def test_stripes_are_measured_along_rows_and_columns(turned):
    # Rows of +50 and -50 HU in turn: their mean over 25 rows is 2, so RMS is 50 within 4 %.
    wave = np.where(np.arange(256) % 2, 50.0, -50.0).astype(np.float32)[:, None]
    picture = np.where(disc() > -500, disc() + wave, -1000).astype(np.float32)
    picture = np.ascontiguousarray(picture.T) if turned else picture
    assert stripes(view_of(picture)) == pytest.approx(0.05, rel=0.05)


def test_saturation_is_the_share_of_the_body_at_black_or_white():
    picture = disc(hu=40.0)
    picture += np.random.default_rng(0).uniform(-5, 5, picture.shape).astype(np.float32)
    body = picture > -500
    at = np.argwhere(body)
    white = at[: len(at) // 4]
    picture[white[:, 0], white[:, 1]] = 240.0
    assert saturation(view_of(picture)) == pytest.approx(0.25, abs=0.02)


def test_a_body_within_the_picture_touches_no_edge_and_a_cut_one_does():
    assert outline_on_edge(view_of(disc(radius=0.7))) == 0.0
    # Half of a disc of radius r: the cut is 2r pixels long, the arc 2√2 r, as a pixel goes up or
    # along at each step, whichever it does faster.
    half = np.vstack([disc(radius=0.7)[128:], np.full((128, 256), -1000, np.float32)])
    assert outline_on_edge(view_of(half)) == pytest.approx(2 / (2 + 2 * np.sqrt(2)), abs=0.03)


def test_brightness_is_compared_with_slices_around():
    levels = np.array([1.0, 1.0, 1.02, 1.3, 1.0, 1.0, np.nan, 1.0])
    assert brightness_step(levels)[3] == pytest.approx(0.3)
    assert brightness_step(levels)[0] == 0.0
    assert np.isnan(brightness_step(levels)[6])


def test_difference_to_previous_is_zero_for_doubles_even_if_every_slice_comes_twice():
    pictures = np.random.default_rng(0).normal(size=(6, 8, 8)).astype(np.float32)
    assert difference_to_previous(np.repeat(pictures, 2, axis=0))[1::2].tolist() == [0.0] * 6
    assert np.all(difference_to_previous(pictures)[1:] > 0.5)


def test_a_slice_that_moved_goes_there_and_back():
    tissue = np.zeros((7, 10, 20), dtype=bool)
    tissue[:, 2:8, 4:14] = True
    tissue[3] = np.roll(tissue[3], 2, axis=1)
    # Of 60 pixels, 2 columns of 6 leave and 2 come.
    assert there_and_back(tissue)[3] == pytest.approx(24 / 60)
    assert there_and_back(tissue)[1] == 0.0
    assert np.isnan(there_and_back(tissue)[[0, -1]]).all()


def test_a_jump_stands_out_from_steady_change():
    tissue = np.zeros((12, 20, 40), dtype=bool)
    for k in range(12):
        tissue[k, 2:18, 2 + k : 22 + k] = True
    assert np.nanmax(jump(tissue)) < 0
    tissue[6:] = np.roll(tissue[6:], 5, axis=2)
    found = jump(tissue)
    # 1 + 5 columns of 20 leave and come, less twice the usual one.
    assert int(np.nanargmax(found)) == 6
    assert found[6] == pytest.approx(12 / 20 - 2 * 2 / 20)


@pytest.mark.parametrize("steps", [(), (5.0,) * 7, (5.0, 5.0, 10.0, 5.0, 5.0, 5.0, 5.0)])
@pytest.mark.parametrize("flipped", [False, True])
def test_steps_are_read_from_the_feet_up(steps, flipped):
    volume = small_volume()
    affine = volume.source.file_affine.copy()
    if flipped:
        affine[:3, 2] *= -1
    source = replace(volume.source, steps_mm=steps, file_affine=affine)
    found = step_deviation(replace(volume, source=source))
    if not steps:
        assert np.isnan(found).all()
        return
    expected = [np.nan, *(abs(step / 5.0 - 1.0) for step in (steps[::-1] if flipped else steps))]
    np.testing.assert_allclose(found, expected)


def test_dicom_with_a_slice_missing_has_a_gap_where_it_was(tmp_path):
    datasets = dicom_series(np.asarray(small_volume().array))
    del datasets[4]
    volume = load_dicom(write_dicom(datasets, tmp_path / "series"))
    report = check_scan(volume)
    assert flagged(report)["gap"] == [4]
    (gap,) = (f for f in report.findings if f.check == "gap")
    assert gap.value == pytest.approx(1.0)
    assert gap.sentence.startswith("Slice 5: the step from the slice below is 100\u2009% off")


# ---------------------------------------------------------------- damaged copies

SOME = (5, 6)
DAMAGES: dict[str, tuple[Callable[[Volume], Volume], str, tuple[int, ...] | None]] = {
    "cropped": (damage.cropped, "field_of_view", tuple(range(12))),
    "shrunk": (lambda v: damage.shrunk(v, times=2), "body_pixels", tuple(range(12))),
    "large pixels": (lambda v: damage.shrunk(v, times=2), "pixel_size", None),
    "enlarged again": (lambda v: damage.enlarged_again(v, SOME), "sharpness", SOME),
    "noisy": (lambda v: damage.noisy(v, SOME), "noise", SOME),
    "shaded": (lambda v: damage.shaded(v, SOME), "unevenness", SOME),
    "banded": (lambda v: damage.banded(v, SOME), "stripes", SOME),
    "dimmed": (lambda v: damage.dimmed(v, (5,)), "brightness", (5,)),
    "clipped": (lambda v: damage.clipped(v, SOME), "saturation", SOME),
    "inverted": (lambda v: damage.inverted(v, range(12)), "inverted", tuple(range(12))),
    "some inverted": (lambda v: damage.inverted(v, SOME), "inverted", SOME),
    "inscribed": (lambda v: damage.inscribed(v, SOME), "marks", SOME),
    "repeated": (lambda v: damage.repeated(v, SOME), "duplicate", SOME),
    "shifted": (lambda v: damage.shifted(v, (5,)), "moved", (5,)),
    "shifted from here on": (lambda v: damage.shifted(v, range(6, 12)), "jump", (6,)),
    "without lung": (lambda v: damage.without_lung(v, SOME), "no_lung", SOME),
    "noise only": (damage.noise_only, "not_a_chest", None),
    "a ball": (damage.sphere, "not_a_chest", None),
    "a head": (damage.head, "not_a_chest", None),
}
"""Damage → the check that must find it, in these slices and no others; none: the whole scan."""


def test_no_damage_no_finding(middle):
    assert flagged(check_scan(middle)) == {}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_found_where_it_is(name, middle):
    spoil, check, slices = DAMAGES[name]
    found = flagged(check_scan(spoil(middle)))
    assert found.get(check) == ([] if slices is None else list(slices)), found


@pytest.mark.parametrize("name", ["inverted", "noisy", "inscribed", "repeated", "banded"])
def test_damage_is_found_in_grey_pictures_as_well(name, middle):
    stored = np.clip(np.rint((middle.array + 1250.0) / 1500 * 255), 0, 255).astype(np.uint8)
    grey = replace(middle, array=stored, intensity=small_volume(grey=True).intensity)
    spoil, check, slices = DAMAGES[name]
    assert flagged(check_scan(grey)) == {}
    assert flagged(check_scan(spoil(grey)))[check] == list(slices)


def test_a_whole_inverted_scan_is_measured_the_right_way_up(middle):
    upright, turned = measure_scan(middle), measure_scan(damage.inverted(middle, range(12)))
    for name in ("noise", "stripes", "no_lung", "field_of_view"):
        np.testing.assert_allclose(turned.values[name], upright.values[name], atol=0.01)


def test_slices_without_lung_are_those_of_the_truth(demo):
    found = flagged(check_scan(demo.volume))
    assert set(found) == {"no_lung"}
    assert demo.truth is not None
    assert demo.truth.lung is not None
    shares = demo.truth.lung.mean(axis=(0, 1))
    missed = {int(k) for k in np.flatnonzero(shares == 0)} - set(found["no_lung"])
    false = [k for k in found["no_lung"] if shares[k] > 0.015]
    assert (missed, false) == (set(), [])


# ---------------------------------------------------------------- thresholds


def test_every_check_has_a_measure_a_threshold_and_a_range():
    assert [c.setting for c in CHECKS] != []
    assert {c.setting for c in CHECKS} == {f.name for f in fields(QualityConfig)}
    assert set(QUALITY_RANGES) == {f.name for f in fields(QualityConfig)}
    assert {c.name for c in CHECKS} == set(measure_scan(small_volume()).values)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_thresholds_at_their_extremes_let_all_or_nothing_pass(check, middle):
    measures = measure_scan(middle)
    allowed = QUALITY_RANGES[check.setting]
    values = measures.values[check.name]
    counts = []
    for threshold in (allowed.low, allowed.high):
        kind = type(getattr(QualityConfig(), check.setting))
        config = replace(QualityConfig(), **{check.setting: kind(threshold)})
        outcome = next(
            o for o in apply_thresholds(measures, config).outcomes if o.check == check.name
        )
        below = (values < threshold) if check.is_lower_limit else (values > threshold)
        assert outcome.flagged.tolist() == below.tolist()
        counts.append(len(outcome.findings))
    assert 0 in counts
    with pytest.raises(ConfigError, match="out of range"):
        replace(QualityConfig(), **{check.setting: kind(allowed.high + 1)})


@pytest.mark.parametrize(
    ("volume", "reasons"),
    [
        (small_volume(nominal=True), {"pixel_size": "voxel size", "slice_distance": "voxel size"}),
        (small_volume(), {"gap": "position of each slice"}),
        (
            replace(small_volume(), array=small_volume().array[:, :, :1]),
            {"duplicate": "fewer than 2", "moved": "fewer than 3", "slice_distance": "one slice"},
        ),
    ],
    ids=["nominal", "no positions", "one slice"],
)
def test_what_cannot_be_told_is_not_defined_and_never_flagged(volume, reasons):
    lowest = {c.setting: QUALITY_RANGES[c.setting].low for c in CHECKS if not c.is_lower_limit}
    config = replace(QualityConfig(), **{**lowest, "max_marks": 0})
    outcomes = {o.check: o for o in check_scan(volume, config).outcomes}
    for name, reason in reasons.items():
        assert reason in outcomes[name].undefined
        assert outcomes[name].findings == ()


def test_findings_say_value_and_threshold_in_a_sentence(middle):
    report = check_scan(damage.noisy(middle, SOME))
    first = report.of_slice(5)[0]
    assert first.sentence.startswith("Slice 6: noise is 19.9\u2009%")
    assert first.sentence.endswith("of the step from air to tissue, more than 10\u2009%.")
    assert first.value > first.threshold == 0.1
    told = report.to_json_dict()
    assert told["flagged_slices"] == [6, 7]
    assert [finding["slice"] for finding in told["findings"]] == [6, 7]


@pytest.mark.parametrize(
    ("slices", "text"),
    [([], ""), ([3], "4"), ([0, 1, 2, 8], "1–3, 9"), ([5, None, 4], "5–6")],
)
def test_slices_are_written_as_ranges_from_one(slices, text):
    assert slice_ranges(slices) == text


def test_unknown_checks_are_refused():
    with pytest.raises(ConfigError, match="no such check"):
        check_named("beauty")


def test_measuring_tells_its_progress_and_can_be_stopped(middle):
    told: list[tuple[int, int]] = []
    with pytest.raises(Cancelled):
        measure_scan(
            middle,
            on_progress=lambda stage, done, total: told.append((done, total)),
            should_cancel=lambda: len(told) == 3,
        )
    assert told == [(1, 12), (2, 12), (3, 12)]


def test_flat_pictures_are_measured_without_a_crash():
    report = check_scan(make_volume(np.full((32, 32, 4), -1000, dtype=np.int16)))
    assert flagged(report)["not_a_chest"] == []
    levels = find_levels(make_volume(np.zeros((32, 32, 2), dtype=np.int16)))
    assert levels.contrast > 0


# ---------------------------------------------------------------- slices without infection


def test_slices_without_infection_are_counted():
    study = small_study()
    found = find_empty_slices(study.truth, study.volume)
    assert found is not None
    # Infection lies in slices 3 to 5 of 8: 6×4 pixels, and as many again on the right in slice 4.
    assert found.to_json_dict() == {"slices": 8, "empty": 5}
    assert found.infected_pixels.tolist() == [0, 0, 0, 24, 48, 24, 0, 0]
    assert find_empty_slices(MaskPair(None, None), study.volume) is None
    assert find_empty_slices(None, study.volume) is None


# ---------------------------------------------------------------- real scans

TRUE_FAULTS = {
    "coronacases_org_003": {"brightness": {1, 2, 3, 28, 29, 30}, "jump": {1, 29}},
    "coronacases_org_008": {"saturation": {84}, "brightness": {84, 86}},
    "radiopaedia_org_covid-19-pneumonia-29_86491_1-dcm": {"jump": {1, 2}},
}
"""Seen by eye: slices far too dark or white, and two slices out of order."""

NEVER = (
    "not_a_chest", "pixel_size", "slice_distance", "body_pixels", "sharpness", "gap",
    "unevenness", "stripes", "inverted", "marks", "duplicate", "moved",
)  # fmt: skip
"""Nothing of the kind is to be seen in the real scans here."""


@pytest.mark.real_data
def test_real_scans_have_the_faults_that_are_seen_and_few_others(real_data: Path):
    if not (real_data / "covid20").is_dir():
        pytest.skip("the 20-case set is not among the real scans")
    for case in load_case_table(real_data / "covid20"):
        study = load_case(case)
        found = flagged(check_scan(study.volume))
        assert not set(found) & set(NEVER), case.case_id
        for check, slices in TRUE_FAULTS.get(case.case_id, {}).items():
            assert slices <= set(found[check]), case.case_id
        if case.case_id not in TRUE_FAULTS:
            assert "no_lung" not in found
            assert len(found.get("brightness", [])) <= 4


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["normal001.nii.gz", "P001_dicom"])
def test_real_scans_in_hu_are_let_pass(real_data: Path, name: str):
    path = real_data / "covid_ct_md" / name
    if not path.exists():
        pytest.skip(f"{name} is not among the real scans")
    found = flagged(check_scan(open_study(path).volume))
    # The healthy scan reaches from the kidneys to the neck, and its patient beyond the picture.
    allowed = {"field_of_view", "no_lung"} if name == "normal001.nii.gz" else set()
    assert set(found) <= allowed
    assert all(k <= 10 or k >= 72 for k in found.get("no_lung", []))


def test_the_slice_to_show_is_the_first_that_is_not_damaged(middle: Volume) -> None:
    bright = damage.change(middle, [8], lambda picture: picture + 300.0)
    assert first_undamaged(middle, [8, 3]) == 8
    assert first_undamaged(bright, [8, 3]) == 3
    assert first_undamaged(bright, [8]) is None
    assert 8 in check_scan(bright).damaged_slices
