"""How much of the lungs a scan covers, and where that is told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from core.evaluation.measurements import measure
from core.segmentation.coverage import find_coverage, find_size_doubt
from core.segmentation.pipeline import segment_volume
from core.volume import MaskPair, Study
from tests.studies import StandInSegmenter, small_truth, small_volume


def lung_in(slices: slice, *, rows: slice = slice(8, 32), count: int = 22) -> npt.NDArray[np.bool_]:
    lung = np.zeros((48, 40, count), dtype=np.bool_, order="F")
    lung[10:20, rows, slices] = True
    return lung


@pytest.mark.parametrize(
    ("slices", "step_mm", "right"),
    [
        (
            slice(None),
            1.0,
            "The scan does not cover the whole lungs: they are cut off below and above. Volumes "
            "are those of the 22 mm (22 slices) of lung that it covers.",
        ),
        (
            slice(0, 20),
            5.0,
            "The scan does not cover the whole lungs: they are cut off below. Volumes are those "
            "of the 100 mm (20 slices) of lung that it covers.",
        ),
        (
            slice(12, None),
            None,
            "The scan does not cover the whole lungs: they are cut off above. Volumes are those "
            "of the 10 slices of lung that it covers.",
        ),
        (slice(1, 21), 5.0, ""),
    ],
)
def test_lungs_cut_off_at_an_end(slices: slice, step_mm: float | None, right: str) -> None:
    coverage = find_coverage(lung_in(slices), step_mm)
    assert coverage is not None
    assert coverage.warning == right


def test_lungs_cut_off_at_the_side() -> None:
    coverage = find_coverage(lung_in(slice(1, 21), rows=slice(0, 30)), 5.0)
    assert coverage is not None
    assert coverage.warning == (
        "Lung reaches the edge of the picture in 20 of 20 slices: what lies outside is missing "
        "from volumes."
    )


def test_the_tip_of_a_lung_in_the_last_slice_is_no_cut() -> None:
    lung = lung_in(slice(1, 21))
    lung[10:12, 8:10, 21] = True
    coverage = find_coverage(lung, 5.0)
    assert coverage is not None
    assert not coverage.above


def test_nothing_to_tell_of_one_slice_or_without_lung() -> None:
    assert find_coverage(lung_in(slice(None), count=1), 1.0) is None
    assert find_coverage(lung_in(slice(0, 0)), 1.0) is None


@pytest.mark.parametrize(
    ("slices", "spacing_mm", "right"),
    [
        (slice(1, 21), (7.0, 7.0, 10.0), ""),
        (slice(1, 21), (20.0, 7.0, 18.0), "The lungs hold 12.1 l by the voxel size in the file"),
        (slice(1, 21), (7.0, 7.0, 25.0), "The lungs are 500 mm high by the voxel size in the file"),
        (slice(1, 21), (20.0, 7.0, 1.0), "The lungs are 20 mm high by the voxel size in the file"),
        (slice(0, 21), (20.0, 7.0, 1.0), ""),  # cut off: the rest may be higher
        (slice(1, 21), (0.7, 0.7, 1.0), ""),  # a small find
    ],
)
def test_lungs_of_a_size_that_no_person_has(
    slices: slice, spacing_mm: tuple[float, float, float], right: str
) -> None:
    """The lung spans 10 × 24 voxels of each slice."""
    lung = lung_in(slices)
    coverage = find_coverage(lung, spacing_mm[2])
    assert coverage is not None
    found = find_size_doubt(lung, coverage, spacing_mm)
    assert found.startswith(right)
    assert bool(found) == bool(right)
    if right:
        assert "The voxel size is probably wrong" in found


def test_warnings_stand_beside_the_volumes() -> None:
    """In metrics.json, and so on the command line: the right lung alone, in the lower slices."""
    volume, truth = small_volume(), small_truth()
    assert truth.lung is not None
    right = truth.lung.copy(order="F")
    right[24:] = False
    right[:, :, 5:] = False
    masks = MaskPair(right, np.zeros_like(right))
    found = replace(segment_volume(volume, StandInSegmenter()), masks=masks)
    told = measure(Study(volume), found)["warnings"]
    assert (
        "The scan does not cover the whole lungs: they are cut off below. Volumes are those of "
        "the 25 mm (5 slices) of lung that it covers." in told
    )
    assert sum("No left lung, or hardly any, is marked" in warning for warning in told) == 1
