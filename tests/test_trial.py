"""One slice under settings on trial: the pipeline's own answer, and changes counted by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from core.config import PostprocessConfig, PreprocessConfig, SegmentConfig
from core.evaluation.slice_change import compute_change
from core.preprocessing.roi import BoundingBox
from core.preprocessing.spatial import plan_spatial
from core.segmentation.pipeline import segment_volume
from core.segmentation.trial import find_outlines, segment_slice
from core.volume import Volume
from tests.studies import StandInSegmenter, small_volume

OWN = PreprocessConfig()
DARKER = replace(OWN, window_center=400.0)


def one_slice(volume: Volume, slice_index: int) -> Volume:
    return replace(volume, array=np.asfortranarray(volume.array[:, :, slice_index, None]))


@pytest.mark.parametrize("config", [OWN, DARKER], ids=["own", "darker"])
def test_a_slice_by_itself_is_marked_as_a_scan_of_that_slice(config: PreprocessConfig) -> None:
    engine, volume = StandInSegmenter(), small_volume()
    record = plan_spatial(volume, config)
    postprocess = PostprocessConfig()
    (pair,) = segment_slice(volume, 4, engine, plans=[(config, record)], postprocess=postprocess)
    alone = one_slice(volume, 4)
    assert plan_spatial(alone, config).box == record.box
    whole = segment_volume(
        alone, engine, config=SegmentConfig(preprocess=config, postprocess=postprocess)
    )
    assert pair.lung is not None
    assert np.array_equal(pair.lung, whole.masks.lung)
    assert np.array_equal(pair.infection, whole.masks.infection)
    assert pair.lung.any()


@pytest.mark.parametrize("slice_index", [0, 3, 7])
def test_neighbours_have_the_weight_they_have_in_a_scan(slice_index: int) -> None:
    engine, volume = StandInSegmenter(), small_volume()
    # Air above the patient is no lung to the stand-in; one slice is darker than those around it.
    array = volume.array.copy(order="F")
    array[:, :, 3] = -900
    volume = replace(volume, array=array)
    postprocess = PostprocessConfig(
        neighbour_share=0.6, min_lung_part_fraction=0.0, max_hole_fraction=0.0
    )
    record = plan_spatial(volume, OWN)
    plans = [(OWN, record), (DARKER, record)]
    pair, _ = segment_slice(volume, slice_index, engine, plans=plans, postprocess=postprocess)
    whole = segment_volume(volume, engine, config=SegmentConfig(postprocess=postprocess)).masks
    assert pair.lung is not None
    assert whole.lung is not None
    assert np.array_equal(pair.lung[:, :, 0], whole.lung[:, :, slice_index])
    assert np.array_equal(pair.infection[:, :, 0], whole.infection[:, :, slice_index])
    (alone,) = segment_slice(
        volume, 3, engine, plans=plans[:1], postprocess=replace(postprocess, neighbour_share=0.0)
    )
    (blended,) = segment_slice(volume, 3, engine, plans=plans[:1], postprocess=postprocess)
    assert not np.array_equal(alone.lung, blended.lung)


def test_plans_do_not_mix() -> None:
    engine, volume = StandInSegmenter(), small_volume()
    record = plan_spatial(volume, OWN)
    plans = [(OWN, record), (DARKER, record)]
    both = segment_slice(volume, 4, engine, plans=plans, postprocess=PostprocessConfig())
    for plan, pair in zip(plans, both, strict=True):
        (alone,) = segment_slice(volume, 4, engine, plans=[plan], postprocess=PostprocessConfig())
        assert np.array_equal(pair.lung, alone.lung)
    # The stand-in takes dark for lung, and under that window tissue is dark as well.
    own, darker = (pair.lung for pair in both)
    assert own is not None
    assert darker is not None
    assert darker.sum() > own.sum()


def test_changes_are_counted() -> None:
    default, tuned, truth = (np.zeros((8, 8, 1), dtype=bool) for _ in range(3))
    default[0, :6] = True
    tuned[0, 2:8] = True
    tuned[1, 0] = True
    truth[0, :] = True
    change = compute_change(default, tuned, truth)
    assert (change.default, change.tuned, change.changed) == (6, 7, 5)
    assert change.default_overlap is not None
    assert change.tuned_overlap is not None
    assert change.default_overlap.dice == pytest.approx(2 * 6 / (6 + 8))
    assert change.tuned_overlap.dice == pytest.approx(2 * 6 / (7 + 8))


def test_without_truth_or_marks_nothing_is_made_up() -> None:
    nothing = np.zeros((4, 4, 1), dtype=bool)
    assert compute_change(nothing, nothing, None).default_overlap is None
    empty = compute_change(nothing, nothing, nothing).tuned_overlap
    assert empty is not None
    assert math.isnan(empty.dice)


def test_outlines_lie_on_the_picture_of_the_box() -> None:
    mask = np.zeros((20, 30), dtype=bool)
    mask[10:14, 7:9] = True  # i is the column, j the row
    (outline,) = find_outlines(mask, BoundingBox(8, 20, 5, 30))
    # Through the middles of columns 2 to 5 and rows 2 to 3 of the box.
    assert set(outline) == {(2.5, 2.5), (2.5, 3.5), (5.5, 3.5), (5.5, 2.5)}
    assert find_outlines(mask, BoundingBox(0, 5, 0, 5)) == ()
