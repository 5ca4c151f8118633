"""Connected pieces of a slice: the largest piece of tissue, and the air that tissue encloses."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from core.volume import BoolArray

Extent = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels, half-open."""

_MIN_BODY_FRACTION = 0.02
"""A component that covers less of a slice than this is not a body, not even a small child's."""


def largest_component(tissue: BoolArray, *, kernel_side: int) -> BoolArray | None:
    """The largest piece of tissue once an opening has taken thin lines (the table) away; none
    where that is too small for a body.

    Args:
        tissue: (rows, columns).
        kernel_side: pixels along each side of the opening's square; lines thinner than it go.
    """
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (kernel_side, kernel_side))
    opened = cv2.morphologyEx(tissue.astype(np.uint8), cv2.MORPH_OPEN, kernel)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(opened, connectivity=4)
    if count < 2:
        return None
    largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    if int(stats[largest, cv2.CC_STAT_AREA]) < _MIN_BODY_FRACTION * tissue.size:
        return None
    body: BoolArray = labels == largest
    return body


def extent_of(mask: BoolArray) -> Extent:
    """The extent of a mask that is not empty."""
    columns, rows = (np.flatnonzero(mask.any(axis=axis)) for axis in (0, 1))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


@dataclass(frozen=True, eq=False)
class EnclosedAir:
    """Pieces of air that tissue closes in on all sides: where they are, and each one's extent."""

    mask: BoolArray
    extents: tuple[Extent, ...]


def enclosed_air(tissue: BoolArray, body: Extent, *, min_fraction: float) -> EnclosedAir:
    """Air inside `tissue` (rows, columns) that lies mostly in the rows of the body: air inside the
    table lies below them.

    Args:
        body: extent of the body.
        min_fraction: pieces that cover less of the slice are left out.
    """
    _, top, _, bottom = body
    air = np.pad(~tissue, 1, constant_values=True).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(air, connectivity=4)
    beside = np.bincount(labels[top + 1 : bottom + 1].ravel(), minlength=count)
    areas = stats[:, cv2.CC_STAT_AREA]
    kept = (areas >= min_fraction * tissue.size) & (2 * beside >= areas)
    kept[0] = kept[int(labels[0, 0])] = False  # the tissue, and the air outside
    extents = tuple(
        # Less the padding of one pixel.
        (int(x) - 1, int(y) - 1, int(x + width) - 1, int(y + height) - 1)
        for x, y, width, height, _ in stats[kept]
    )
    mask: BoolArray = kept[labels][1:-1, 1:-1]
    return EnclosedAir(mask, extents)


def outer_pieces(tissue: BoolArray, body: Extent, *, min_fraction: float) -> tuple[Extent, ...]:
    """Pieces of tissue that lie to the left or right of the body, beside it, such as arms.

    Args:
        tissue: (rows, columns), coarse.
        body: extent of the body.
        min_fraction: pieces that cover less of the slice are left out.
    """
    left, top, right, bottom = body
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (3, 3))
    opened = cv2.morphologyEx(tissue.astype(np.uint8), cv2.MORPH_OPEN, kernel)
    count, _, stats, _ = cv2.connectedComponentsWithStats(opened, connectivity=4)
    pieces = (tuple(int(n) for n in stats[label]) for label in range(1, count))
    return tuple(
        (x, y, x + width, y + height)
        for x, y, width, height, area in pieces
        if area >= min_fraction * tissue.size
        and (x + width <= left + 1 or x >= right - 1)
        and y < bottom
        and y + height > top
    )
