"""From a scan to the network's input: box → crop → turn → normalize slices → window →
enhance → resize → smooth.

The steps that move pixels are those of `core.preprocessing.spatial`.
"""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
import numpy.typing as npt

from core.config import PreprocessConfig
from core.preprocessing.enhancement import enhance
from core.preprocessing.spatial import SpatialRecord, cut_slice, frame_interior, resize_to_frame
from core.volume import Array, BoolArray, Volume

Grey = npt.NDArray[np.uint8]


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
    volume: Volume, record: SpatialRecord, config: PreprocessConfig, slice_index: int
) -> Grey:
    """What an axial slice holds of the box, upright, through the window and not yet enhanced:
    (rows, columns) uint8."""
    return window_to_grey(volume, slice_in_box(volume, record, slice_index), config)


def slice_in_box(volume: Volume, record: SpatialRecord, slice_index: int) -> Array:
    """What an axial slice holds of the box, upright and made even with the rest of the scan where
    the record says so: (rows, columns) of the scan's own values."""
    cut = cut_slice(volume.array[:, :, slice_index], record)
    return cut if record.stretch is None else record.stretch.undo(cut, slice_index)


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
        grey = enhance(window_slice(volume, record, config, k), config.enhance)
        frame_interior(frame, record)[...] = resize_to_frame(grey, record)
        if config.smooth_sigma > 0:
            frame[...] = cv2.GaussianBlur(frame, (0, 0), config.smooth_sigma)
    return frames


def build_model_mask(mask: BoolArray, record: SpatialRecord, slices: Iterable[int]) -> Grey:
    """A canonical mask on the network's grid: (n, rows, columns) uint8, 0 or 1."""
    indices = list(slices)
    frames = np.zeros((len(indices), record.rows, record.columns), dtype=np.uint8)
    for frame, k in zip(frames, indices, strict=True):
        covered = resize_to_frame(cut_slice(mask[:, :, k], record).astype(np.float32), record)
        np.greater_equal(covered, 0.5, out=frame_interior(frame, record), casting="unsafe")
    return frames
