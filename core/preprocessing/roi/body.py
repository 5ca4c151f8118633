"""Where the body is, on slices that a threshold has separated into tissue and air."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from core.config import RoiConfig
from core.preprocessing.roi.boxes import BoundingBox, whole_slice_box
from core.preprocessing.roi.components import Extent, enclosed_air, extent_of, largest_component
from core.preprocessing.roi.threshold import coarse_levels, find_thresholds, tissue_threshold
from core.volume import BoolArray, Volume

_MAX_SLICES = 48
_MIN_BOX_FRACTION = 0.35
"""A box with a side shorter than this share of the slice is rejected."""
_MIN_LUNG_FRACTION = 0.005
"""Enclosed air that covers less of a slice than this is no lung."""
_MIN_FRAME_FRACTION = 0.1
_MIN_EDGE_SHARE = 0.25
"""Of the upper and of the lower edge, in tissue: more than arms, wires or a table cover."""
_FRAME_MARGIN = 3
"""Pixels of a coarse slice."""


def find_body_box(volume: Volume, *, margin_mm: float = 6.0) -> BoundingBox:
    """One box for the whole scan that holds the body in every slice looked at; what the network's
    input is cut out with.

    At most 48 slices, evenly spread, are shrunk to 128 pixels a side; Otsu's threshold over all
    of them separates tissue from air; an opening removes the table's thin lines; the largest
    component of each slice is taken as the body. A small body in a wide picture is looked at
    again, as large as what holds tissue. Falls back to the whole slice where that gives an
    implausible box.

    Args:
        volume: any scan; grey ones are taken at their assumed HU.
        margin_mm: added on every side, clipped to the slice.
    """
    levels = coarse_levels(volume, spread_slices(volume))
    threshold = tissue_threshold(find_thresholds(levels, RoiConfig(method="otsu")))
    tissues: BoolArray = levels > threshold
    box = box_around_body(volume, tissues, margin_mm=margin_mm)
    if box is None:
        box = box_around_small_body(volume, tissues, margin_mm=margin_mm)
    return whole_slice_box(volume) if box is None else box


def spread_slices(volume: Volume) -> list[int]:
    """At most 48 axial slices, evenly spread."""
    count = volume.shape[2]
    spread = np.linspace(0, count - 1, min(count, _MAX_SLICES)).round().astype(int)
    return [int(k) for k in np.unique(spread)]


def box_around_body(volume: Volume, tissues: BoolArray, *, margin_mm: float) -> BoundingBox | None:
    """The box around the body in coarse slices, with a margin, clipped to the slice.

    None where no slice shows a body, the box is too narrow for one, or the picture cuts the
    patient off.

    Args:
        tissues: (n, rows, columns), above the threshold.
    """
    extents = [extent for tissue in tissues if (extent := body_extent(tissue)) is not None]
    if not extents or is_cut_off(tissues):
        return None
    rows, columns = tissues.shape[1:]
    left, top = (int(n) for n in np.min(extents, axis=0)[:2])
    right, bottom = (int(n) for n in np.max(extents, axis=0)[2:])
    if (right - left) < _MIN_BOX_FRACTION * columns or (bottom - top) < _MIN_BOX_FRACTION * rows:
        return None
    return scaled_box(volume, (left, top, right, bottom), (rows, columns), margin_mm=margin_mm)


def box_around_small_body(
    volume: Volume, tissues: BoolArray, *, margin_mm: float
) -> BoundingBox | None:
    """The box around a body that is small for the picture, such as a child's; none where there is
    none with lungs in it.

    Args:
        tissues: (n, rows, columns) of `spread_slices`, above the threshold, coarse.
    """
    frame = small_body_frame(volume, tissues)
    if frame is None:
        return None
    part = cut_to(volume, frame)
    levels = coarse_levels(part, spread_slices(part))
    larger: BoolArray = levels > tissue_threshold(find_thresholds(levels, RoiConfig(method="otsu")))
    found = box_around_body(part, larger, margin_mm=margin_mm)
    if found is None or not any(_holds_lung(tissue) for tissue in larger):
        return None
    return moved_box(found, frame)


def small_body_frame(volume: Volume, tissues: BoolArray) -> BoundingBox | None:
    """What of the slices holds tissue, with some air around it; none where that is most of a
    slice, or next to nothing."""
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (3, 3))
    opened = [cv2.morphologyEx(t.astype(np.uint8), cv2.MORPH_OPEN, kernel) for t in tissues]
    seen: BoolArray = np.any(opened, axis=0)
    if not seen.any():
        return None
    rows, columns = seen.shape
    left, top, right, bottom = extent_of(seen)
    width, height = (right - left) / columns, (bottom - top) / rows
    if min(width, height) < _MIN_FRAME_FRACTION or max(width, height) > 1 - _MIN_BOX_FRACTION:
        return None
    around = _FRAME_MARGIN
    grown = (left - around, top - around, right + around, bottom + around)
    return scaled_box(volume, grown, (rows, columns), margin_mm=0.0)


def cut_to(volume: Volume, frame: BoundingBox) -> Volume:
    """The slices within a frame; their place in the patient, which no box needs, stays."""
    part = volume.array[frame.i_start : frame.i_stop, frame.j_start : frame.j_stop]
    return replace(volume, array=part)


def moved_box(box: BoundingBox, frame: BoundingBox) -> BoundingBox:
    """A box of what was cut to a frame, on the scan's own pixels."""
    return BoundingBox(
        i_start=frame.i_start + box.i_start,
        i_stop=frame.i_start + box.i_stop,
        j_start=frame.j_start + box.j_start,
        j_stop=frame.j_start + box.j_stop,
    )


def _holds_lung(tissue: BoolArray) -> bool:
    extent = body_extent(tissue)
    if extent is None:
        return False
    return bool(enclosed_air(tissue, extent, min_fraction=_MIN_LUNG_FRACTION).extents)


def scaled_box(
    volume: Volume, extent: Extent, coarse_shape: tuple[int, int], *, margin_mm: float
) -> BoundingBox:
    """An extent of a coarse slice as a box of the scan's own pixels, with a margin."""
    left, top, right, bottom = extent
    width, height, _ = volume.shape
    rows, columns = coarse_shape
    # One coarse pixel more on each side, because shrinking blurs the skin away.
    margin_i = margin_mm / volume.spacing_mm[0] + width / columns
    margin_j = margin_mm / volume.spacing_mm[1] + height / rows
    return BoundingBox(
        i_start=max(0, int(left * width / columns - margin_i)),
        i_stop=min(width, int(np.ceil(right * width / columns + margin_i))),
        j_start=max(0, int(top * height / rows - margin_j)),
        j_stop=min(height, int(np.ceil(bottom * height / rows + margin_j))),
    )


def is_cut_off(tissues: BoolArray) -> bool:
    """Whether in most slices tissue reaches both the upper and the lower edge, in one piece or
    along much of both.

    Then the picture is cropped to the chest, and lungs may lie open to its edges, beyond what is
    left of the chest wall. It is so thin that this is checked before any opening, and where both
    lungs meet in front of the heart, it is no longer one piece with the back.
    """
    reaching = 0
    for tissue in tissues:
        _, labels = cv2.connectedComponents(tissue.astype(np.uint8), connectivity=4)
        in_one_piece = bool(np.intersect1d(labels[0], labels[-1]).any())
        along_both = min(tissue[0].mean(), tissue[-1].mean()) >= _MIN_EDGE_SHARE
        reaching += in_one_piece or along_both
    return 2 * reaching > len(tissues)


def body_extent(tissue: BoolArray) -> Extent | None:
    """The extent of the body in one coarse slice, and of the lungs in it; none where there is no
    piece of tissue large enough for a body."""
    body = largest_component(tissue, kernel_side=3)
    if body is None:
        return None
    left, top, right, bottom = extent_of(body)
    air = enclosed_air(tissue, (left, top, right, bottom), min_fraction=_MIN_LUNG_FRACTION)
    # The opening takes a thin chest wall away together with the table's lines; the lung behind
    # it must not be lost.
    rows, columns = tissue.shape
    for x, y, x_stop, y_stop in air.extents:
        # One pixel of wall.
        left, top = min(left, max(0, x - 1)), min(top, max(0, y - 1))
        right, bottom = max(right, min(columns, x_stop + 1)), max(bottom, min(rows, y_stop + 1))
    return left, top, right, bottom
