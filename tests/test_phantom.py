"""The demo study against physical truth: sizes in mm, volumes in ml, densities in HU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from nibabel.orientations import aff2axcodes
from scipy import ndimage

from core.phantom import EXTENT_MM, INFECTED_FRACTION, build_demo_study, kept_demo_study
from core.volume import BoolArray, Study
from tests.studies import DEMO_SHAPE, SMALL_DEMO, built_demo


@pytest.fixture(scope="module")
def study() -> Study:
    return built_demo(DEMO_SHAPE)


@pytest.fixture(scope="module")
def small() -> Study:
    return built_demo(SMALL_DEMO)


def _lung(study: Study) -> BoolArray:
    assert study.truth is not None
    assert study.truth.lung is not None
    return study.truth.lung


def _infection(study: Study) -> BoolArray:
    assert study.truth is not None
    assert study.truth.infection is not None
    return study.truth.infection


def _density_at(study: Study, x_mm: float, y_index: float, z_mm: float) -> float:
    """Mean HU in a 7×7 patch; x from the midline to the left, y as a share of the picture."""
    columns, rows, slices = study.volume.shape
    i = round((x_mm / EXTENT_MM[0] + 0.5) * columns - 0.5)
    j = round(y_index * rows)
    k = round(z_mm / EXTENT_MM[2] * slices - 0.5)
    return float(study.volume.array[i - 3 : i + 4, j - 3 : j + 4, k].mean())


def test_same_seed_gives_the_same_voxels_and_progress_runs_to_its_end(small: Study) -> None:
    seen: list[tuple[str, int, int]] = []
    again = build_demo_study(shape=SMALL_DEMO, on_progress=lambda *step: seen.append(step))
    assert seen[0][1] == 0
    assert seen[-1][1] == seen[-1][2]
    assert [step[1] for step in seen] == sorted(step[1] for step in seen)
    assert np.array_equal(again.volume.array, small.volume.array)
    assert np.array_equal(_lung(again), _lung(small))
    assert np.array_equal(_infection(again), _infection(small))
    assert again.volume.digest == small.volume.digest


def test_the_demo_study_is_built_once_and_read_from_then_on(
    small: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[str] = []

    def build(**_: object) -> Study:
        built.append("once more")
        return small

    monkeypatch.setattr("core.phantom.kept.build_demo_study", build)
    monkeypatch.setattr("core.phantom.kept.DEMO_SHAPE", SMALL_DEMO)
    folder = tmp_path / "cache"
    assert kept_demo_study(folder) is small
    (file,) = folder.iterdir()
    old = file.with_name("demo-study-0123456789abcdef.npz")
    kept = kept_demo_study(folder)
    assert len(built) == 1
    assert kept.volume.digest == small.volume.digest
    np.testing.assert_array_equal(kept.volume.affine, small.volume.affine)
    np.testing.assert_array_equal(_lung(kept), _lung(small))
    np.testing.assert_array_equal(_infection(kept), _infection(small))
    assert (kept.case_id, kept.synthetic) == (small.case_id, small.synthetic)
    assert kept.volume.source.facts == small.volume.source.facts
    assert kept.volume.source.name == small.volume.source.name
    assert kept.volume.array.flags.f_contiguous
    assert not _lung(kept).flags.writeable
    # A damaged file is written anew, and that of an earlier version goes.
    file.rename(old)
    file.write_bytes(old.read_bytes()[:-1000])
    kept_demo_study(folder)
    assert len(built) == 2
    assert list(folder.iterdir()) == [file]
    assert file.stat().st_size > 1000
    kept_demo_study(folder)
    assert len(built) == 2


def test_without_a_place_for_it_the_demo_study_is_built_each_time(
    small: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.phantom.kept.build_demo_study", lambda **_: small)
    file = tmp_path / "file"
    file.write_text("no folder")
    assert kept_demo_study(file / "cache") is small
    assert file.read_text() == "no folder"


def test_another_seed_gives_another_disease(small: Study) -> None:
    other = built_demo(SMALL_DEMO, seed=1)
    assert not np.array_equal(_infection(other), _infection(small))
    assert np.array_equal(_lung(other), _lung(small))


def test_it_is_labelled_synthetic(small: Study) -> None:
    assert small.synthetic
    assert small.case_id == "demo"
    assert small.volume.unit == "HU"
    assert small.volume.source.format == "generated"
    assert small.volume.source.name == "Synthetic demo study"
    assert "not a patient" in dict(small.volume.source.facts)["Origin"]


def test_geometry_is_canonical_and_centred(small: Study) -> None:
    volume = small.volume
    assert volume.shape == SMALL_DEMO
    assert volume.array.dtype == np.int16
    assert volume.array.flags.f_contiguous
    assert not volume.array.flags.writeable
    assert aff2axcodes(volume.affine) == ("L", "P", "S")
    assert volume.spacing_mm == pytest.approx((378.88 / 96, 378.88 / 96, 7.2))
    middle = volume.affine @ [*(np.array(SMALL_DEMO) - 1) / 2, 1]
    assert middle[:2] == pytest.approx([0.0, 0.0])
    assert _lung(small).shape == _infection(small).shape == SMALL_DEMO
    assert _lung(small).dtype == _infection(small).dtype == bool


def test_spacing_follows_shape_and_extent_stays(study: Study, small: Study) -> None:
    for one in (study, small):
        assert np.array(one.volume.spacing_mm) * one.volume.shape == pytest.approx(EXTENT_MM)
    fine = _lung(study).sum() * study.volume.voxel_volume_ml
    coarse = _lung(small).sum() * small.volume.voxel_volume_ml
    assert coarse == pytest.approx(fine, rel=0.04)


def test_lungs_hold_a_plausible_volume(study: Study) -> None:
    total_ml = _lung(study).sum() * study.volume.voxel_volume_ml
    assert 2500 < total_ml < 6500


def test_there_are_two_lungs_and_the_right_is_larger(study: Study) -> None:
    labels, _ = ndimage.label(_lung(study))
    sizes_ml = np.bincount(labels.ravel())[1:] * study.volume.voxel_volume_ml
    large = np.flatnonzero(sizes_ml > 500) + 1
    assert len(large) == 2
    assert sizes_ml.sum() - sizes_ml[large - 1].sum() < 0.01 * sizes_ml.sum()
    centres = ndimage.center_of_mass(_lung(study), labels, large)
    by_x = sorted(zip((c[0] for c in centres), sizes_ml[large - 1], strict=True))
    middle = study.volume.shape[0] / 2
    assert by_x[0][0] < middle < by_x[1][0]
    # The heart takes its room from the left lung; index i grows towards the patient's left.
    assert by_x[0][1] > by_x[1][1]


def test_infection_is_inside_the_lungs_on_both_sides(study: Study) -> None:
    lung, infection = _lung(study), _infection(study)
    assert not (infection & ~lung).any()
    middle = study.volume.shape[0] // 2
    for part in (slice(0, middle), slice(middle, None)):
        assert 0.03 < infection[part].sum() / lung[part].sum() < 0.3


@pytest.mark.parametrize("seed", [1, 20])
def test_infected_fraction_is_as_intended(seed: int) -> None:
    study = built_demo(SMALL_DEMO, seed=seed)
    fraction = _infection(study).sum() / _lung(study).sum()
    assert fraction == pytest.approx(INFECTED_FRACTION, abs=0.03)


def test_infection_lies_towards_the_back(study: Study) -> None:
    rows = np.arange(study.volume.shape[1])
    centre_of_lung = np.average(rows, weights=_lung(study).sum(axis=(0, 2)))
    centre_of_infection = np.average(rows, weights=_infection(study).sum(axis=(0, 2)))
    shift_mm = (centre_of_infection - centre_of_lung) * study.volume.spacing_mm[1]
    assert shift_mm > 10


def test_some_slices_of_lung_are_free_of_infection(study: Study) -> None:
    with_lung = _lung(study).any(axis=(0, 1))
    infected = _infection(study).any(axis=(0, 1))
    assert (with_lung & ~infected).sum() >= 3
    assert infected.sum() >= 10
    assert (~with_lung).any()


def test_densities_are_those_of_tissue(study: Study) -> None:
    hu = study.volume.array
    lung, infection = _lung(study), _infection(study)
    deep = ndimage.binary_erosion(lung & ~infection, iterations=2)
    assert -890 < np.median(hu[deep]) < -780
    assert -700 < np.median(hu[infection]) < -400
    assert (hu[infection] > -200).mean() > 0.05
    corner = hu[:30, :30]
    assert -1010 < corner.mean() < -985
    assert hu.min() >= -1024
    assert 600 < hu.max() < 1500


def test_body_has_layers_of_fat_muscle_and_bone(study: Study) -> None:
    hu, lung = study.volume.array, _lung(study)
    k = int(130 / study.volume.spacing_mm[2])
    body = ndimage.binary_fill_holes(hu[:, :, k] > -300)
    assert body is not None
    values = hu[:, :, k][body & ~lung[:, :, k]]
    fat = ((values > -160) & (values < -50)).mean()
    soft = ((values > 0) & (values < 120)).mean()
    bone = (values > 250).mean()
    assert 0.12 < fat < 0.5
    assert 0.3 < soft < 0.75
    assert 0.02 < bone < 0.12


def test_organs_are_where_anatomy_has_them(study: Study) -> None:
    # Liver on the patient's right, heart to the left of the midline, trachea full of air.
    assert 40 < _density_at(study, -70, 0.42, 40) < 80
    assert 25 < _density_at(study, 35, 0.38, 125) < 65
    assert _density_at(study, -3, 0.435, 235) < -700
    assert not _lung(study)[127:130, 108:112, int(235 / 6)].any()


def test_lung_gets_denser_towards_the_back(study: Study) -> None:
    hu = study.volume.array
    healthy = ndimage.binary_erosion(_lung(study) & ~_infection(study), iterations=2)
    rows = np.broadcast_to(np.arange(hu.shape[1])[None, :, None], hu.shape)[healthy]
    values = hu[healthy]
    front, back = np.quantile(rows, [0.15, 0.85])
    difference = np.median(values[rows > back]) - np.median(values[rows < front])
    assert 15 < difference < 80


def test_edges_are_smooth_not_stairs(study: Study) -> None:
    """Between lung and chest wall some voxels must lie half-way (partial volume)."""
    hu, lung = study.volume.array, _lung(study)
    rim = ndimage.binary_dilation(lung, iterations=1) & ~ndimage.binary_erosion(lung)
    between = ((hu[rim] > -650) & (hu[rim] < -200)).mean()
    assert between > 0.2
