"""The classifier's input: grey and two probabilities of a slice, resized to a square.

The public pictures that it was trained on had been resized to squares, so the proportions of a
chest play no part. Pictures are shown whole, as they are cropped already; scans are cropped to
the body, as in the papers that the pictures come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from core.config import PreprocessConfig
from core.preprocessing import (
    SpatialRecord,
    build_model_input,
    cut_slice,
    resize_to_frame,
    restore_whole_slice,
)
from core.preprocessing.roi import BoundingBox, find_body_box, whole_slice_box
from core.segmentation import Segmentation
from core.volume import BoolArray, FloatArray, Volume

Frames = npt.NDArray[np.uint8]

GREY_WINDOW = PreprocessConfig(crop="none")
"""Grey levels are those of the segmentation network's window, -1250 to 250 HU."""


def slice_frames(
    volume: Volume, segmentation: Segmentation, slices: Sequence[int], *, side: int
) -> Frames:
    """Axial slices of a segmented scan as the classifier's input.

    Returns:
        (n, side, side, 3) uint8: grey, and probabilities of lung and infection times 255, of
        slices that stand upright.
    """
    on_network = segmentation.record
    on_square = square_record(volume, on_network, (side, side))
    frames = np.empty((len(slices), side, side, 3), dtype=np.uint8)
    frames[..., 0] = build_model_input(volume, on_square, GREY_WINDOW, slices)
    for frame, k in zip(frames, slices, strict=True):
        for channel, probability in enumerate(segmentation.probabilities[:, k], start=1):
            plane = restore_whole_slice(probability, on_network)
            frame[..., channel] = resize_to_frame(cut_slice(plane, on_square), on_square)
    return frames


def square_record(volume: Volume, record: SpatialRecord, shape: tuple[int, int]) -> SpatialRecord:
    """How slices are moved onto the classifier's frame, or onto a map (rows, columns) of it: they
    are turned as they were for the segmentation network, and fill the frame."""
    rows, columns = shape
    return replace(
        record,
        box=frame_box(volume),
        rows=rows,
        columns=columns,
        top=0,
        left=0,
        height=rows,
        width=columns,
    )


def frame_box(volume: Volume) -> BoundingBox:
    """The part of its slices that is shown."""
    return whole_slice_box(volume) if volume.source.format == "pictures" else find_body_box(volume)


def unsquared(
    heats: Sequence[FloatArray], volume: Volume, record: SpatialRecord
) -> tuple[FloatArray, ...]:
    """Maps of square frames back on the slices' own grid (rows, columns), as it is stored; 0
    outside of what was shown.

    Args:
        heats: all of one shape.
        record: of the segmentation that the frames were made with.
    """
    if not heats:
        return ()
    on_map = square_record(volume, record, heats[0].shape)
    return tuple(np.ascontiguousarray(restore_whole_slice(heat, on_map).T) for heat in heats)


def shrink_heat(heat: FloatArray, *, longest: int) -> Frames:
    """A map in [0, 1] as (rows, columns) uint8 with at most `longest` cells per side."""
    rows, columns = heat.shape
    shrink = min(1.0, longest / max(rows, columns))
    size = (max(1, round(columns * shrink)), max(1, round(rows * shrink)))
    small = cv2.resize(heat, size, interpolation=cv2.INTER_AREA)
    return np.asarray(np.rint(np.clip(small, 0.0, 1.0) * 255.0), dtype=np.uint8)


def heat_share(heat: FloatArray, mask: BoolArray | None) -> float:
    """Share of a map (rows, columns) inside a mask (columns, rows) of its slice, 0 to 1; nan where
    there is no heat or no mask."""
    total = float(heat.sum(dtype=np.float64))
    if mask is None or total <= 0:
        return float("nan")
    return float(heat[mask.T].sum(dtype=np.float64)) / total
