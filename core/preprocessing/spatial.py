"""Where axial slices lie on the network's grid: box → crop → quarter turn → resize, and back.

A `SpatialRecord` remembers each step that moves pixels; `restore_slice` undoes them, exactly in
shape and position and by linear interpolation in value.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from core.config import PreprocessConfig
from core.preprocessing.roi import BoundingBox, find_body_box, find_lung_box, whole_slice_box
from core.preprocessing.slice_normalization import SliceStretch, find_slice_stretch
from core.volume import Array, Volume


@dataclass(frozen=True)
class SpatialRecord:
    """How axial slices were moved onto the network's grid.

    The box is cut out, turned clockwise by quarter turns, scaled with the same factor in mm along
    both axes, and centred in a frame of `rows` × `columns`, of which it fills `height` × `width`
    from (`top`, `left`).
    """

    slice_shape: tuple[int, int]
    """Rows (j) and columns (i) of the scan's axial slice, as it is stored."""
    box: BoundingBox
    """On the scan's own grid, before the turn."""
    rows: int
    columns: int
    top: int
    left: int
    height: int
    width: int
    quarter_turns: int = 0
    """0 to 3; other than 0 for pictures only, which carry no orientation."""
    stretch: SliceStretch | None = None
    """Which slices differ in grey from the rest and are adjusted first; none where none does."""


def plan_spatial(
    volume: Volume, config: PreprocessConfig, *, quarter_turns: int = 0
) -> SpatialRecord:
    """Finds the box and how it fits into the network's frame; one answer for the whole scan.

    Args:
        quarter_turns: by how many 90° the slices are turned clockwise to stand upright.
    """
    upright = turn_volume(volume, quarter_turns)
    box = _find_box(upright, config)
    i_mm, j_mm = volume.spacing_mm[:2]
    column_mm, row_mm = (j_mm, i_mm) if quarter_turns % 2 else (i_mm, j_mm)
    width_mm, height_mm = box.width * column_mm, box.height * row_mm
    scale = min(config.rows / height_mm, config.columns / width_mm)
    height = min(config.rows, max(1, round(height_mm * scale)))
    width = min(config.columns, max(1, round(width_mm * scale)))
    return SpatialRecord(
        slice_shape=(volume.shape[1], volume.shape[0]),
        box=_turn_box_back(box, upright.shape[:2], quarter_turns),
        rows=config.rows,
        columns=config.columns,
        top=(config.rows - height) // 2,
        left=(config.columns - width) // 2,
        height=height,
        width=width,
        quarter_turns=quarter_turns % 4,
        stretch=_find_stretch(volume) if config.level_slices else None,
    )


def _find_box(volume: Volume, config: PreprocessConfig) -> BoundingBox:
    if config.crop == "body":
        return find_body_box(volume, margin_mm=config.margin_mm)
    if config.crop == "lungs":
        return find_lung_box(volume, margin_mm=config.margin_mm)
    return whole_slice_box(volume)


def _find_stretch(volume: Volume) -> SliceStretch | None:
    # Pictures need not be of one scan.
    return None if volume.source.format == "pictures" else find_slice_stretch(volume)


def turn_volume(volume: Volume, quarter_turns: int) -> Volume:
    """Axial slices turned clockwise; their geometry, nominal in pictures, stays."""
    if quarter_turns % 4 == 0:
        return volume
    # array[i, j] is picture[j, i], so a clockwise turn of the picture goes from j towards i.
    turned = np.rot90(volume.array, quarter_turns, axes=(0, 1))
    return replace(volume, array=np.asfortranarray(turned))


def _turn_box_back(
    box: BoundingBox, turned_shape: tuple[int, int], quarter_turns: int
) -> BoundingBox:
    """A box of `turn_volume`'s slices, whose shape (i, j) is given, on the slices before it."""
    i_count, j_count = turned_shape
    for _ in range(quarter_turns % 4):
        box = BoundingBox(box.j_start, box.j_stop, i_count - box.i_stop, i_count - box.i_start)
        i_count, j_count = j_count, i_count
    return box


def cut_slice(plane: Array, record: SpatialRecord) -> Array:
    """What an axial slice (i, j) holds of the box, upright: (rows, columns), a view."""
    box = record.box
    cut = plane[box.i_start : box.i_stop, box.j_start : box.j_stop].T
    return np.rot90(cut, -record.quarter_turns)


def frame_interior(frame: Array, record: SpatialRecord) -> Array:
    """The part of a frame (rows, columns) that the box fills; a view."""
    return frame[record.top : record.top + record.height, record.left : record.left + record.width]


def resize_to_frame(picture: Array, record: SpatialRecord) -> Array:
    """A picture of `cut_slice` as the frame's interior (height, width)."""
    shrinks = record.height < picture.shape[0] or record.width < picture.shape[1]
    resized: Array = cv2.resize(
        np.ascontiguousarray(picture),
        (record.width, record.height),
        interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR,
    )
    return resized


def restore_slice(frame: Array, record: SpatialRecord) -> Array:
    """A frame (rows, columns) back on the box as it is stored: (box.height, box.width), linear,
    of the same type."""
    height, width = record.box.height, record.box.width
    if record.quarter_turns % 2:
        height, width = width, height
    upright = np.ascontiguousarray(frame_interior(frame, record))
    if upright.shape != (height, width):
        upright = cv2.resize(upright, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(np.rot90(upright, record.quarter_turns))


def restore_whole_slice(frame: Array, record: SpatialRecord) -> Array:
    """A frame (rows, columns) on the whole axial slice (i, j) as it is stored, 0 outside of the
    box."""
    rows, columns = record.slice_shape
    box = record.box
    plane = np.zeros((columns, rows), dtype=frame.dtype)
    plane[box.i_start : box.i_stop, box.j_start : box.j_stop] = restore_slice(frame, record).T
    return plane
