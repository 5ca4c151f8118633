"""Slices that lie unevenly: volumes in ml are those of the true positions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.loading import load_dicom
from core.measuring.biomarkers import compute_biomarkers, compute_burden
from core.volume import BoolArray, MaskPair, Volume
from tests.scans import chest_hu, dicom_series, write_dicom

PIXEL_MM2 = 1.5 * 1.5


def _series(steps: list[float], folder: Path, *, descending: bool = False) -> Volume:
    heights = np.concatenate([[0.0], np.cumsum(steps)])
    hu = chest_hu((48, 40, heights.size))
    datasets = dicom_series(hu)
    for dataset, height in zip(datasets, heights, strict=True):
        dataset.ImagePositionPatient = [-30.0, -25.0, float(height)]
    return load_dicom(write_dicom(datasets[::-1] if descending else datasets, folder))


def _masks(volume: Volume) -> tuple[MaskPair, BoolArray]:
    """Two lungs through all slices, infected in the six lowest."""
    lung = np.zeros(volume.shape, dtype=bool)
    lung[6:20, 10:30] = lung[28:42, 10:30] = True
    infection = np.zeros_like(lung)
    infection[8:12, 12:20, :6] = True
    return MaskPair(lung, infection), infection


@pytest.mark.parametrize("lower", [2.0, 6.0])
def test_volumes_follow_the_true_positions(lower: float, tmp_path: Path) -> None:
    steps = [lower] * 10 + [8.0 - lower] * 10
    volume = _series(steps, tmp_path / "series")
    masks, infection = _masks(volume)
    assert masks.lung is not None
    thick = np.convolve([steps[0], *steps, steps[-1]], [0.5, 0.5], "valid")
    lung_ml = float(masks.lung.sum(axis=(0, 1)) @ thick) * PIXEL_MM2 / 1000
    infected_ml = float(infection.sum(axis=(0, 1)) @ thick) * PIXEL_MM2 / 1000
    assert infected_ml == pytest.approx(32 * 6 * lower * PIXEL_MM2 / 1000)

    burden = compute_burden(masks, volume)
    assert burden.lung_volume_ml == pytest.approx(lung_ml)
    assert burden.infection_volume_ml == pytest.approx(infected_ml)
    assert burden.infection_fraction == pytest.approx(infected_ml / lung_ml)

    found = compute_biomarkers(volume, masks)
    assert found.lesions is not None
    assert found.lesions.largest_ml == pytest.approx(infected_ml)
    values = {m.key: m.value for m in found.measurements}
    assert values["lung_volume_ml"] == pytest.approx(lung_ml)
    assert any("volumes in ml follow their true distances" in text for text in volume.warnings)
    assert not any("missing" in text for text in volume.warnings)


def test_even_slices_are_not_weighted(tmp_path: Path) -> None:
    volume = _series([5.0, 5.1, 4.9, 5.0, 5.0], tmp_path / "series")
    assert volume.slice_weights is None
    assert volume.source.slice_weights == ()


def test_a_gap_leaves_out_what_lay_there(tmp_path: Path) -> None:
    """A missing slice within each of two spacings: neighbours reach as far as on their other
    side."""
    steps = [2.0] * 3 + [4.0] + [2.0] * 5 + [6.0] * 4 + [12.0] + [6.0] * 4
    volume = _series(steps, tmp_path / "series")
    weights = volume.slice_weights
    assert weights is not None
    thick = weights * volume.spacing_mm[2]
    assert thick[0] == pytest.approx(2.0)
    assert thick[13] == thick[14] == pytest.approx(6.0)
    assert thick[-1] == pytest.approx(6.0)
    assert any("missing in" in text for text in volume.warnings)


def test_weights_run_from_the_feet_up(tmp_path: Path) -> None:
    steps = [2.0] * 4 + [6.0] * 4
    datasets = dicom_series(chest_hu((48, 40, 9)), rows_along=(-1.0, 0.0, 0.0))
    for dataset, height in zip(datasets, np.concatenate([[0.0], np.cumsum(steps)]), strict=True):
        dataset.ImagePositionPatient = [30.0, -25.0, float(height)]
    volume = load_dicom(write_dicom(datasets, tmp_path / "series"))
    weights = volume.slice_weights
    assert weights is not None
    assert weights[0] < weights[4] < weights[-1]
    assert weights[0] * volume.spacing_mm[2] == pytest.approx(2.0)
    assert weights.sum() * volume.spacing_mm[2] == pytest.approx(sum(steps) + 1 + 3)
