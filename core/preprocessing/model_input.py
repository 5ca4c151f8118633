"""From a scan to the network's input, and back.

The steps, in order: box (Otsu) → crop → level → window → enhance → resize → smooth. The two that
move pixels, crop and resize, are remembered in a `SpatialRecord`, whose `restore_*` undoes them
exactly in shape and by linear interpolation in value.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from core.config import PreprocessConfig
from core.preprocessing.enhancement import enhance
from core.preprocessing.roi import BoundingBox, find_body_box, find_lung_box, whole_slice_box
from core.preprocessing.slice_normalization import SliceStretch, find_slice_stretch
from core.volume import Array, BoolArray, Volume

Grey = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class SpatialRecord:
    """How axial slices were moved onto the network's grid.

    The box is cut out, scaled with the same factor in mm along both axes, and centred in a frame
    of `rows` × `columns`, of which it fills `height` × `width` from (`top`, `left`).
    """

    slice_shape: tuple[int, int]
    """Rows (j) and columns (i) of the scan's axial slice."""
    box: BoundingBox
    rows: int
    columns: int
    top: int
    left: int
    height: int
    width: int
    stretch: SliceStretch | None = None
    """Which slices are out of step in grey and are adjusted first; none where none is."""

    @property
    def pixel_scale(self) -> tuple[float, float]:
        """Network pixels per scan pixel along rows and columns."""
        return self.height / self.box.height, self.width / self.box.width


def plan_spatial(volume: Volume, config: PreprocessConfig) -> SpatialRecord:
    """Finds the box and how it fits into the network's frame; one answer for the whole scan."""
    if config.crop == "body":
        box = find_body_box(volume, margin_mm=config.margin_mm)
    elif config.crop == "lungs":
        box = find_lung_box(volume, margin_mm=config.margin_mm)
    else:
        box = whole_slice_box(volume)
    width_mm = box.width * volume.spacing_mm[0]
    height_mm = box.height * volume.spacing_mm[1]
    scale = min(config.rows / height_mm, config.columns / width_mm)
    height = min(config.rows, max(1, round(height_mm * scale)))
    width = min(config.columns, max(1, round(width_mm * scale)))
    return SpatialRecord(
        slice_shape=(volume.shape[1], volume.shape[0]),
        box=box,
        rows=config.rows,
        columns=config.columns,
        top=(config.rows - height) // 2,
        left=(config.columns - width) // 2,
        height=height,
        width=width,
        stretch=_find_stretch(volume) if config.level_slices else None,
    )


def _find_stretch(volume: Volume) -> SliceStretch | None:
    # Pictures need not be of one scan.
    return None if volume.source.format == "pictures" else find_slice_stretch(volume)


def window_to_grey(volume: Volume, values: Array, config: PreprocessConfig) -> Grey:
    """Values of `volume` through the config's window as uint8: 0 at its lower edge, 255 at its
    upper edge. Grey scans go through their assumed HU."""
    low = config.window_center - config.window_width / 2
    factor = volume.intensity.slope * 255.0 / config.window_width
    offset = (volume.intensity.intercept - low) * 255.0 / config.window_width
    if values.dtype == np.uint8:
        table = np.arange(256, dtype=np.float32) * np.float32(factor) + np.float32(offset)
        grey: Grey = np.clip(np.rint(table), 0, 255).astype(np.uint8)[values]
        return grey
    scaled = values.astype(np.float32)
    scaled *= np.float32(factor)
    scaled += np.float32(offset)
    np.clip(scaled, 0, 255, out=scaled)
    np.rint(scaled, out=scaled)
    return scaled.astype(np.uint8)


def window_slice(
    volume: Volume,
    box: BoundingBox,
    config: PreprocessConfig,
    slice_index: int,
    *,
    stretch: SliceStretch | None = None,
) -> Grey:
    """What an axial slice holds of the box, through the window and not yet enhanced:
    (box.height, box.width) uint8.

    Args:
        stretch: of the scan, to be undone first.
    """
    cut = volume.array[box.i_start : box.i_stop, box.j_start : box.j_stop, slice_index].T
    if stretch is not None:
        cut = stretch.undo(cut, slice_index)
    return window_to_grey(volume, cut, config)


def build_model_input(
    volume: Volume, record: SpatialRecord, config: PreprocessConfig, slices: Iterable[int]
) -> Grey:
    """The network's input for the given axial slices.

    Returns:
        (n, rows, columns) uint8, 0 also where the frame lies outside the box.
    """
    indices = list(slices)
    frames = np.zeros((len(indices), record.rows, record.columns), dtype=np.uint8)
    for frame, k in zip(frames, indices, strict=True):
        grey = enhance(
            window_slice(volume, record.box, config, k, stretch=record.stretch), config.enhance
        )
        _inner(frame, record)[...] = _resize(grey, record)
        if config.smooth_sigma > 0:
            frame[...] = cv2.GaussianBlur(frame, (0, 0), config.smooth_sigma)
    return frames


def build_model_mask(mask: BoolArray, record: SpatialRecord, slices: Iterable[int]) -> Grey:
    """A canonical mask on the network's grid: (n, rows, columns) uint8, 0 or 1."""
    indices = list(slices)
    frames = np.zeros((len(indices), record.rows, record.columns), dtype=np.uint8)
    box = record.box
    for frame, k in zip(frames, indices, strict=True):
        cut = mask[box.i_start : box.i_stop, box.j_start : box.j_stop, k].T
        covered = _resize(cut.astype(np.float32), record)
        np.greater_equal(covered, 0.5, out=_inner(frame, record), casting="unsafe")
    return frames


def restore_slice(frame: Grey, record: SpatialRecord) -> Grey:
    """One network-sized picture back on the box: (box.height, box.width) uint8, linear."""
    inner = np.ascontiguousarray(_inner(frame, record))
    size = (record.box.width, record.box.height)
    if inner.shape == (size[1], size[0]):
        return inner
    return np.asarray(cv2.resize(inner, size, interpolation=cv2.INTER_LINEAR), dtype=np.uint8)


def _inner(frame: Grey, record: SpatialRecord) -> Grey:
    return frame[record.top : record.top + record.height, record.left : record.left + record.width]


def _resize(picture: Array, record: SpatialRecord) -> Array:
    shrinks = record.height < picture.shape[0] or record.width < picture.shape[1]
    resized: Array = cv2.resize(
        np.ascontiguousarray(picture),
        (record.width, record.height),
        interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR,
    )
    return resized
