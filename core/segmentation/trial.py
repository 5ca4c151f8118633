"""One slice through the network under settings on trial, fast enough to follow a slider."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np

from core.config import PostprocessConfig, PreprocessConfig
from core.preprocessing import SpatialRecord, build_model_input
from core.preprocessing.roi import BoundingBox
from core.segmentation.postprocess import blend_neighbours, restore_masks, share_of_neighbours
from core.volume import BoolArray, MaskPair, Volume

if TYPE_CHECKING:
    from core.segmentation.engines import Engine

Plan = tuple[PreprocessConfig, SpatialRecord]
"""Settings, and how slices are moved onto the network's grid under them."""

Outline = tuple[tuple[float, float], ...]
"""Points (column, row) on the grid of a picture, whose whole numbers lie between its pixels."""


def segment_slice(
    volume: Volume,
    slice_index: int,
    engine: Engine,
    *,
    plans: Sequence[Plan],
    postprocess: PostprocessConfig,
) -> tuple[MaskPair, ...]:
    """Masks of one axial slice, under each plan; the network runs once for all.

    The slices next to it are weighted in, as in a whole scan. Stray parts and holes are those of
    this slice alone: what a whole scan keeps because it is connected elsewhere may be dropped.

    Args:
        plans: all of the network's own number of rows and columns.

    Returns:
        Lung and infection, (i, j, 1) each, one pair for each plan.
    """
    share = share_of_neighbours(volume, postprocess)
    slices = _with_neighbours(volume, slice_index, share)
    frames = [build_model_input(volume, record, config, slices) for config, record in plans]
    predicted = engine.predict(np.concatenate(frames), batch_size=len(plans) * len(slices))
    middle = len(slices) // 2
    masks = []
    for own, (_, record) in zip(np.split(predicted.pixels, len(plans), axis=1), plans, strict=True):
        blended = blend_neighbours(own, share)
        masks.append(restore_masks(blended[:, middle : middle + 1], record, postprocess))
    return tuple(masks)


def _with_neighbours(volume: Volume, slice_index: int, share: float) -> list[int]:
    """The slice, between its neighbours where they have weight; the first and the last slice stand
    in for the neighbour they lack, as in `blend_neighbours`."""
    last = volume.shape[2] - 1
    if share == 0.0 or last == 0:
        return [slice_index]
    return [max(slice_index - 1, 0), slice_index, min(slice_index + 1, last)]


def find_outlines(mask: BoolArray, box: BoundingBox) -> tuple[Outline, ...]:
    """Closed outlines of what an axial mask (i, j) holds of the box, on the box's own picture."""
    picture = mask[box.i_start : box.i_stop, box.j_start : box.j_stop].T.astype(np.uint8)
    contours, _ = cv2.findContours(
        np.ascontiguousarray(picture), cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE
    )
    return tuple(
        # Through the middle of the mask's outermost pixels.
        tuple((float(column) + 0.5, float(row) + 0.5) for column, row in contour[:, 0])
        for contour in contours
    )
