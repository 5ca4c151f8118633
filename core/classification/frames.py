"""The classifier's input: grey and two probabilities of a slice, resized to a square.

The public pictures that it was trained on had been resized to squares, so the proportions of a
chest play no part. Pictures are shown whole, as they are cropped already; scans are cropped to
the body, as in the papers that the pictures come from.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from core.config import PreprocessConfig
from core.preprocessing import Grey, SpatialRecord, restore_slice, window_slice
from core.preprocessing.roi import BoundingBox, find_body_box, whole_slice_box
from core.segmentation import Segmentation
from core.volume import BoolArray, FloatArray, Volume, turn_volume

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
    upright = turn_volume(volume, segmentation.quarter_turns)
    box = frame_box(upright)
    frames = np.empty((len(slices), side, side, 3), dtype=np.uint8)
    for frame, k in zip(frames, slices, strict=True):
        grey = window_slice(upright, box, GREY_WINDOW, k, stretch=segmentation.record.stretch)
        fill_frame(frame, grey, segmentation.probabilities[:, k], segmentation.record, box)
    return frames


def frame_box(volume: Volume) -> BoundingBox:
    """The part of its slices that is shown."""
    return whole_slice_box(volume) if volume.source.format == "pictures" else find_body_box(volume)


def fill_frame(
    frame: Frames,
    grey: Grey,
    probabilities: npt.NDArray[np.uint8],
    record: SpatialRecord,
    box: BoundingBox,
) -> None:
    """Writes one slice into (side, side, 3).

    Args:
        grey: (box.height, box.width).
        probabilities: (2, rows, columns) on the segmentation network's grid.
        record: how the slice was moved onto that grid.
    """
    frame[..., 0] = _squared(grey, frame.shape[0])
    for channel, probability in enumerate(probabilities, start=1):
        placed = np.zeros(record.slice_shape, dtype=np.uint8)
        theirs = record.box
        placed[theirs.j_start : theirs.j_stop, theirs.i_start : theirs.i_stop] = restore_slice(
            probability, record
        )
        cut = placed[box.j_start : box.j_stop, box.i_start : box.i_stop]
        frame[..., channel] = _squared(cut, frame.shape[0])


def _squared(picture: Grey, side: int) -> Grey:
    shrinks = side < picture.shape[0] or side < picture.shape[1]
    squared = cv2.resize(
        np.ascontiguousarray(picture),
        (side, side),
        interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR,
    )
    return np.asarray(squared, dtype=np.uint8)


def unsquared(
    heats: Sequence[FloatArray], volume: Volume, segmentation: Segmentation
) -> tuple[FloatArray, ...]:
    """Maps of square frames back on the slices' own grid (rows, columns), as it is stored; 0
    outside of what was shown."""
    upright = turn_volume(volume, segmentation.quarter_turns)
    box = frame_box(upright)
    columns, rows, _ = upright.shape
    found = []
    for heat in heats:
        placed = np.zeros((rows, columns), dtype=np.float32)
        placed[box.j_start : box.j_stop, box.i_start : box.i_stop] = cv2.resize(
            heat, (box.width, box.height), interpolation=cv2.INTER_LINEAR
        )
        # As `turn_volume` turns (columns, rows), so a picture (rows, columns) turns the other way.
        found.append(np.ascontiguousarray(np.rot90(placed, segmentation.quarter_turns)))
    return tuple(found)


def shrink_heat(heat: FloatArray, *, longest: int) -> Frames:
    """A map in [0, 1] as (rows, columns) uint8 with at most `longest` cells a side."""
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
