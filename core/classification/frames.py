"""The classifier's input: grey and two probabilities of a slice, standardised.

What makes the pictures of one set differ from those of another (crop, window, size) is taken out
before the network sees them: the lungs fill the frame, whatever the picture's proportions, and
grey levels run from aerated lung to soft tissue.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from core.classification.config import ClassifierModelConfig
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
"""Grey levels before they are standardised: the segmentation network's window, -1250 to 250 HU."""
MARGIN = 0.08
"""Around the lungs, as a share of their width and of their height."""
AIR_GREY, TISSUE_GREY = 32, 208
_SURE, _SURELY_NOT = 128, 26
"""Probability of lung times 255."""
_FEWEST_PIXELS = 200
_LEAST_CONTRAST = 24.0


def slice_frames(
    volume: Volume,
    segmentation: Segmentation,
    slices: Sequence[int],
    config: ClassifierModelConfig,
) -> Frames:
    """Axial slices of a segmented scan as the classifier's input.

    Returns:
        (n, rows, columns, 3) uint8: standardised grey, and probabilities of lung and infection
        times 255, of slices that stand upright.
    """
    on_network = segmentation.record
    on_frame = frame_record(volume, segmentation, slices, (config.rows, config.columns))
    frames = np.empty((len(slices), config.rows, config.columns, 3), dtype=np.uint8)
    frames[..., 0] = build_model_input(volume, on_frame, GREY_WINDOW, slices)
    for frame, k in zip(frames, slices, strict=True):
        for channel, probability in enumerate(segmentation.probabilities[:, k], start=1):
            plane = restore_whole_slice(probability, on_network)
            frame[..., channel] = resize_to_frame(cut_slice(plane, on_frame), on_frame)
    for part in np.split(frames, len(frames)) if is_of_pictures(volume) else (frames,):
        part[..., 0] = standard_grey(part)
    return frames


def frame_record(
    volume: Volume, segmentation: Segmentation, slices: Sequence[int], shape: tuple[int, int]
) -> SpatialRecord:
    """How slices are moved onto the classifier's frame, or onto a map (rows, columns) of it: they
    are turned as they were for the segmentation network, and their lungs fill the frame."""
    rows, columns = shape
    return replace(
        segmentation.record,
        box=frame_box(volume, segmentation, slices),
        rows=rows,
        columns=columns,
        top=0,
        left=0,
        height=rows,
        width=columns,
    )


def frame_box(volume: Volume, segmentation: Segmentation, slices: Sequence[int]) -> BoundingBox:
    """The box around the lungs of these slices with a margin, clipped to the slice; without
    lung, the body, or all of a picture."""
    lung = segmentation.masks.lung
    shown: BoolArray | None = None if lung is None else np.any(lung[:, :, list(slices)], axis=2)
    if shown is None or not shown.any():
        return whole_slice_box(volume) if is_of_pictures(volume) else find_body_box(volume)
    i, j = (np.flatnonzero(np.any(shown, axis=axis)) for axis in (1, 0))
    i_margin, j_margin = (max(1, round(MARGIN * (held[-1] + 1 - held[0]))) for held in (i, j))
    return BoundingBox(
        i_start=max(0, int(i[0]) - i_margin),
        i_stop=min(volume.shape[0], int(i[-1]) + 1 + i_margin),
        j_start=max(0, int(j[0]) - j_margin),
        j_stop=min(volume.shape[1], int(j[-1]) + 1 + j_margin),
    )


def is_of_pictures(volume: Volume) -> bool:
    """Whether its slices are pictures, each with a window of its own."""
    return volume.source.format == "pictures"


def standard_grey(frames: Frames) -> npt.NDArray[np.uint8]:
    """Grey levels of frames (n, rows, columns, 3) that share a window, on one scale: aerated lung
    at `AIR_GREY`, soft tissue around the lungs at `TISSUE_GREY`.

    Aerated lung is the darkest twentieth of the lung, tissue the median of what is brighter than
    halfway outside of it. Where there is no lung, or no such difference, greys stay.
    """
    grey = frames[..., 0]
    levels = find_levels(frames)
    if levels is None:
        return grey
    air, tissue = levels
    table = AIR_GREY + (np.arange(256) - air) * ((TISSUE_GREY - AIR_GREY) / (tissue - air))
    standard: npt.NDArray[np.uint8] = np.clip(np.rint(table), 0, 255).astype(np.uint8)[grey]
    return standard


def find_levels(frames: Frames) -> tuple[float, float] | None:
    """Grey level of aerated lung and of soft tissue; none where they cannot be estimated."""
    grey, lung = frames[..., 0], frames[..., 1]
    inside = grey[lung >= _SURE]
    outside = grey[lung < _SURELY_NOT]
    if inside.size < _FEWEST_PIXELS or outside.size < _FEWEST_PIXELS:
        return None
    air = float(np.percentile(inside, 5))
    brighter = outside[outside > (air + float(np.percentile(outside, 95))) / 2]
    if brighter.size < _FEWEST_PIXELS:
        return None
    tissue = float(np.median(brighter))
    return (air, tissue) if tissue - air >= _LEAST_CONTRAST else None


def unframed(
    heats: Sequence[FloatArray],
    volume: Volume,
    segmentation: Segmentation,
    slices: Sequence[int],
) -> tuple[FloatArray, ...]:
    """Maps of frames back on the slices' own grid (rows, columns), as it is stored; 0
    outside of what was shown.

    Args:
        heats: all of one shape.
        segmentation, slices: that the frames were made with.
    """
    if not heats:
        return ()
    on_map = frame_record(volume, segmentation, slices, heats[0].shape)
    return tuple(np.ascontiguousarray(restore_whole_slice(heat, on_map).T) for heat in heats)


def cut_to_lung(heat: FloatArray, lung: BoolArray | None, slice_index: int) -> FloatArray:
    """A map (rows, columns) of a slice with 0 outside of its lung, which is None or (columns,
    rows, slices)."""
    if lung is None:
        return heat
    cut: FloatArray = np.where(lung[:, :, slice_index].T, heat, np.float32(0))
    return cut


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
