"""From the network's probabilities to masks on the scan's own grid.

Clean-up runs on the network's small grid; only then are probabilities brought back to the scan's
voxels, linearly, and compared with the threshold, so that edges stay as fine as the network saw
them and no full-size label array is ever needed.
"""

from __future__ import annotations

from math import ceil

import cv2
import numpy as np
import numpy.typing as npt
from scipy import ndimage

from core.config import PostprocessConfig
from core.preprocessing import SpatialRecord, restore_slice
from core.system import OnProgress, ShouldCancel, ignore_progress, never_cancel, raise_if_cancelled
from core.volume import BoolArray, MaskPair, Volume

Probabilities = npt.NDArray[np.uint8]

_SURE = 128
_AIR_GREY = 110
"""About -600 HU in the usual window: between lung with its vessels blurred in, and fat."""
_LUNG_OF_LARGEST = 0.1
"""A part that holds less than this share of the largest one does not say where lungs end."""
_SHARED_SLICES = 0.2
_AROUND = np.ones((5, 5), dtype=np.uint8)
"""Two pixels more, where the network was no longer sure."""

_NEAR_MM, _FAR_MM = 6.0, 8.0
"""Between slices: up to here neighbours count in full, as in the scans that their weight was chosen
on; from there on not at all."""

_ROUNDING = 1e-6
"""Of levels: far above what sums of decimal fractions are off, far below one level."""


def probability_level(threshold: float) -> int:
    """The smallest probability times 255, as whole number, that reaches a threshold.

    Thresholds such as 0.1 + 0.2 + 0.3, which is 0.6000000000000001, count as what they stand for.
    """
    return max(1, ceil(threshold * 255 - _ROUNDING))


def restore_masks(
    probabilities: Probabilities,
    record: SpatialRecord,
    config: PostprocessConfig,
    *,
    on_progress: OnProgress = ignore_progress,
    should_cancel: ShouldCancel = never_cancel,
) -> MaskPair:
    """Masks on the canonical grid of the scan.

    Args:
        probabilities: (2, n, rows, columns) uint8, lung and infection times 255; not changed.
        record: how slices were moved onto the network's grid.
        config: thresholds and clean-up.

    Returns:
        Lung and infection, (i, j, n) bool in Fortran order; infection lies inside the lung.
    """
    return restore_cleaned(
        clean_lung(probabilities[0], config),
        probabilities[1],
        record,
        config,
        on_progress=on_progress,
        should_cancel=should_cancel,
    )


def restore_cleaned(
    lung_probability: Probabilities,
    infection_probability: Probabilities,
    record: SpatialRecord,
    config: PostprocessConfig,
    *,
    on_progress: OnProgress = ignore_progress,
    should_cancel: ShouldCancel = never_cancel,
) -> MaskPair:
    """The second half of `restore_masks`: from the network's grid back to the scan's.

    Args:
        lung_probability: (n, rows, columns) uint8, as `clean_lung` gives it.
        infection_probability: of the same shape, straight from the network.
    """
    lung_level = probability_level(config.lung_threshold)
    infection_level = probability_level(config.infection_threshold)
    rows, columns = record.slice_shape
    count = lung_probability.shape[0]
    lung = np.zeros((columns, rows, count), dtype=np.bool_, order="F")
    infection = np.zeros_like(lung)
    box = record.box
    for k in range(count):
        raise_if_cancelled(should_cancel, "restoring masks")
        if int(lung_probability[k].max()) >= lung_level:
            in_box = (slice(box.i_start, box.i_stop), slice(box.j_start, box.j_stop), k)
            is_lung = restore_slice(lung_probability[k], record) >= lung_level
            lung[in_box] = is_lung.T
            if int(infection_probability[k].max()) >= infection_level:
                is_infected = restore_slice(infection_probability[k], record) >= infection_level
                infection[in_box] = (is_infected & is_lung).T
        if k % 16 == 15 or k == count - 1:
            on_progress("restoring masks", k + 1, count)
    return MaskPair(lung, infection)


def blend_neighbours(probabilities: Probabilities, share: float) -> Probabilities:
    """Probabilities averaged with those of the slices before and after.

    What the network sees in a slice and again in its neighbours is more likely to be there than
    what it sees in one slice only. With the infection threshold at half of 1 - `share`, a spot of
    probability one half in one slice alone is still marked.

    Args:
        probabilities: (channels, n, rows, columns) uint8 of neighbouring slices; not changed.
        share: weight of both neighbours together, 0 to 2/3; the first and the last slice stand in
            for the neighbour they lack.
    """
    count = probabilities.shape[1]
    if share == 0.0 or count < 2:
        return probabilities
    blended = np.empty_like(probabilities)
    for own, out in zip(probabilities, blended, strict=True):
        for index in range(count):
            before, after = own[max(index - 1, 0)], own[min(index + 1, count - 1)]
            around = cv2.addWeighted(before, 0.5, after, 0.5, 0.0)
            cv2.addWeighted(own[index], 1.0 - share, around, share, 0.0, dst=out[index])
    return blended


def share_of_neighbours(volume: Volume, config: PostprocessConfig) -> float:
    """The weight that both neighbours together have in a scan: less than the config's where slices
    lie far apart, since neighbours then show other things, and none in pictures, which may be of
    anything, in any order."""
    if volume.source.format == "pictures":
        return 0.0
    if volume.spacing_nominal:
        return config.neighbour_share
    near = (_FAR_MM - volume.spacing_mm[2]) / (_FAR_MM - _NEAR_MM)
    return config.neighbour_share * min(max(near, 0.0), 1.0)


def blend_presence(presence: Probabilities, share: float) -> Probabilities:
    """(channels, n) uint8 with the neighbouring slices weighted in, as in `blend_neighbours`."""
    return blend_neighbours(presence[:, :, None, None], share)[:, :, 0, 0]


def clear_empty_slices(
    probabilities: Probabilities, presence: Probabilities, config: PostprocessConfig
) -> Probabilities:
    """Probabilities without lung, and without infection, in slices that show none of it.

    Args:
        probabilities: (2, n, rows, columns) uint8, lung and infection; not changed.
        presence: (2, n) uint8, how likely each slice shows any of it, times 255.
        config: below which presence a slice shows none.
    """
    least = [[255 * config.min_lung_presence], [255 * config.min_infection_presence]]
    empty = presence < np.array(least)
    if not (empty & probabilities.any(axis=(2, 3))).any():
        return probabilities
    cleared = probabilities.copy()
    cleared[empty] = 0
    return cleared


def clear_open_air(
    probabilities: Probabilities, frames: Probabilities, record: SpatialRecord
) -> Probabilities:
    """Probabilities without lung in the open air above and below the lungs.

    On scans from neck to abdomen the air beside the neck looks like lung to a network that has
    only seen chests. Unlike lung it reaches the edge of the box, is connected with no lung, and
    lies beyond the slices of the lungs, which the chest shuts in. Where no lung is shut in, as in
    pictures cropped to it, nothing changes.

    Args:
        probabilities: (channels, n, rows, columns) uint8 of neighbouring slices, the first of them
            lung; not changed.
        frames: (n, rows, columns) uint8, the network's input.
        record: where in the frames the box lies.
    """
    lung = probabilities[0] >= _SURE
    open_lung = np.zeros_like(lung)
    for k in map(int, np.flatnonzero(lung.any(axis=(1, 2)))):
        open_lung[k] = lung[k] & _open_air(frames[k], record)
    if not open_lung.any():
        return probabilities
    labels, count = ndimage.label(lung)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    in_the_open = np.bincount(labels[open_lung], minlength=count + 1)
    is_open = 2 * in_the_open >= sizes
    is_open[0] = True
    shut_in = np.where(is_open, 0, sizes)
    if not shut_in.any():
        return probabilities
    lungs = (shut_in >= _LUNG_OF_LARGEST * shut_in.max())[labels].any(axis=(1, 2))
    held = np.flatnonzero(lungs)
    cleared = probabilities.copy()
    for number, place in enumerate(ndimage.find_objects(labels), start=1):
        if is_open[number] and not _overlaps(place[0], int(held[0]), int(held[-1]) + 1):
            for k in range(place[0].start, place[0].stop):
                part = (labels[k] == number).astype(np.uint8)
                cleared[:, k, cv2.dilate(part, _AROUND).astype(np.bool_)] = 0
    return cleared


def _overlaps(slices: slice, start: int, stop: int) -> bool:
    """Whether more than a fifth of the slices lies between start and stop."""
    shared = min(slices.stop, stop) - max(slices.start, start)
    return shared > _SHARED_SLICES * (slices.stop - slices.start)


def _open_air(frame: Probabilities, record: SpatialRecord) -> BoolArray:
    """Air of one frame that reaches the edge of the box: (rows, columns)."""
    found = np.zeros(frame.shape, dtype=np.bool_)
    box = (
        slice(record.top, record.top + record.height),
        slice(record.left, record.left + record.width),
    )
    air = (frame[box] < _AIR_GREY).astype(np.uint8)
    count, labels = cv2.connectedComponents(air, connectivity=4)
    is_open = np.zeros(count, dtype=np.bool_)
    for edge in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        is_open[edge] = True
    is_open[0] = False
    found[box] = is_open[labels]
    return found


def clean_lung(probability: Probabilities, config: PostprocessConfig) -> Probabilities:
    """Lung probabilities without stray parts and with small holes filled.

    Args:
        probability: (n, rows, columns) uint8, probability times 255; not changed.

    Returns:
        The same, set to 0 in connected parts (3D, faces) below `min_lung_part_fraction` of all
        lung, and to 255 in holes of axial slices up to `max_hole_fraction` of their lung. Parts
        at least half as large as the largest are never dropped, however many there are.
    """
    level = probability_level(config.lung_threshold)
    cleaned = probability.copy()
    is_lung = probability >= level
    box = _bounding_slices(is_lung)
    # Nothing lies outside the box: background there stays background and reaches the edge.
    is_lung, inner = is_lung[box], cleaned[box]
    labels, count = ndimage.label(is_lung)
    if count > 1:
        sizes = np.bincount(labels.ravel())
        sizes[0] = 0
        stray = sizes < min(config.min_lung_part_fraction * sizes.sum(), sizes.max() / 2)
        stray[0] = False
        inner[stray[labels]] = 0
    del labels
    for picture in inner:
        picture[_small_holes(picture >= level, max_fraction=config.max_hole_fraction)] = 255
    return cleaned


def _bounding_slices(mask: BoolArray) -> tuple[slice, ...]:
    """Ranges along each axis that hold the mask; empty ones where it is empty."""
    ranges = []
    for axis in range(mask.ndim):
        others = tuple(other for other in range(mask.ndim) if other != axis)
        held = np.flatnonzero(mask.any(axis=others))
        ranges.append(slice(int(held[0]), int(held[-1]) + 1) if held.size else slice(0, 0))
    return tuple(ranges)


def _small_holes(mask: BoolArray, *, max_fraction: float) -> BoolArray:
    """Background inside `mask` (rows, columns), unconnected to the edge, if small enough."""
    holes = np.zeros_like(mask)
    area = int(np.count_nonzero(mask))
    if area == 0 or max_fraction <= 0:
        return holes
    background = np.pad(~mask, 1, constant_values=True).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(background, connectivity=4)
    outside = int(labels[0, 0])
    small = stats[:count, cv2.CC_STAT_AREA] <= max_fraction * area
    small[outside] = False
    small[int(labels[background == 0][0])] = False
    filled: BoolArray = small[labels][1:-1, 1:-1]
    return filled
