"""Air that the network takes for lung though it is none: outside the body, and gas in the belly.

Both are recognised by where they lie and how they look, not by size: air beside the body may be as
large as a lung, and gas as large as the lungs' bases.
"""

from __future__ import annotations

import cv2
import numpy as np
from scipy import ndimage

from core.preprocessing import SpatialRecord, frame_interior
from core.segmentation.postprocess import Probabilities
from core.volume import BoolArray

_SURE = 128
_TISSUE_GREY = 110
"""About -600 HU in the usual window: fat and muscle are above."""
_BLACK_GREY = 58
"""About -910 HU: the median of healthy lung is above, that of free air below."""
_GAS_GREY = 52
"""About -945 HU. Of 1300 pieces of true lung in five whole scans and four of patients with
COVID-19 none had a median below 54; of gas most have 43 to 51."""
_DARKER_GREYS = 15
"""About 90 HU: by so much air is darker than the lungs of the same scan, whose greys may not be
HU."""
_LUNG_OF_LARGEST = 0.1
"""A part that holds less than this share of the largest one does not say where lungs end."""
_OPENING = np.ones((5, 5), dtype=np.uint8)
"""Takes away the table and its mounts, which are thin."""
_AROUND = np.ones((5, 5), dtype=np.uint8)
"""Two pixels more, where the network was no longer sure."""


def clear_outside_body(
    probabilities: Probabilities, frames: Probabilities, record: SpatialRecord
) -> Probabilities:
    """Probabilities without lung in the air beside the body.

    Where one lung is filled or missing, the network looks for it next to the body, above the
    table. A connected part (3D) is cleared if most of it lies outside the convex outline of the
    body and is as dark as free air. Lung that the picture's edge cuts off is brighter.

    Args:
        probabilities: (channels, n, rows, columns) uint8 of neighbouring slices, the first of them
            lung; not changed.
        frames: (n, rows, columns) uint8, the network's input.
        record: where in the frames the box lies.
    """
    lung = probabilities[0] >= _SURE
    outside = np.zeros_like(lung)
    for k in map(int, np.flatnonzero(lung.any(axis=(1, 2)))):
        hull = _body_outline(frames[k], record)
        if hull is not None:
            outside[k] = lung[k] & ~hull
    if not outside.any():
        return probabilities
    black = min(_BLACK_GREY, _middle_grey(frames, lung & ~outside) - _DARKER_GREYS)
    labels, count = ndimage.label(lung)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    beside = np.bincount(labels[outside], minlength=count + 1)
    cleared = probabilities.copy()
    for number, place in enumerate(ndimage.find_objects(labels), start=1):
        if 2 * beside[number] <= sizes[number]:
            continue
        part = labels[place] == number
        if _middle_grey(frames[place], part) <= black:
            for k in range(place[0].start, place[0].stop):
                own = (labels[k] == number).astype(np.uint8)
                cleared[:, k, cv2.dilate(own, _AROUND).astype(np.bool_)] = 0
    return cleared


def _middle_grey(frames: Probabilities, mask: BoolArray) -> float:
    """The median inside a mask; infinite in an empty one."""
    greys = frames[mask]
    return float(np.median(greys)) if greys.size else float("inf")


def _body_outline(frame: Probabilities, record: SpatialRecord) -> BoolArray | None:
    """The convex outline of the largest piece of tissue, filled: (rows, columns); none without."""
    inner = np.zeros(frame.shape, dtype=np.uint8)
    frame_interior(inner, record)[...] = frame_interior(frame, record) >= _TISSUE_GREY
    opened = cv2.morphologyEx(inner, cv2.MORPH_OPEN, _OPENING)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(opened, connectivity=4)
    if count < 2:
        return None
    body = (labels == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))).astype(np.uint8)
    contours, _ = cv2.findContours(body, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = np.zeros(frame.shape, dtype=np.uint8)
    cv2.fillConvexPoly(filled, cv2.convexHull(np.vstack(contours)), 1)
    return filled > 0


def clear_gas(probabilities: Probabilities, frames: Probabilities) -> Probabilities:
    """Probabilities without lung in gas above and below the lungs.

    Stomach and bowel hold gas below the lungs, the windpipe above them. Gas is blacker
    than lung. A piece of a slice that looks like gas is cleared where the slices
    that it runs through hold no lung; within the height of the lungs it may be a bulla, and stays.

    Args:
        probabilities: (channels, n, rows, columns) uint8 of neighbouring slices, the first of them
            lung; not changed.
        frames: (n, rows, columns) uint8, the network's input.
    """
    lung = probabilities[0] >= _SURE
    gas = np.zeros_like(lung)
    for k in map(int, np.flatnonzero(lung.any(axis=(1, 2)))):
        gas[k] = _gas(lung[k], frames[k])
    if not gas.any():
        return probabilities
    lung &= ~gas
    labels, count = ndimage.label(lung)
    if not count or _middle_grey(frames, lung) < _GAS_GREY + _DARKER_GREYS:
        return probabilities
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    sizes[0] = 0
    held = (sizes >= _LUNG_OF_LARGEST * sizes.max())[labels].any(axis=(1, 2))
    labels, _ = ndimage.label(gas)
    cleared = probabilities.copy()
    for number, place in enumerate(ndimage.find_objects(labels), start=1):
        if 2 * np.count_nonzero(held[place[0]]) >= place[0].stop - place[0].start:
            continue
        for k in range(place[0].start, place[0].stop):
            own = (labels[k] == number).astype(np.uint8)
            cleared[:, k, cv2.dilate(own, _AROUND).astype(np.bool_)] = 0
    return cleared


def _gas(lung: BoolArray, frame: Probabilities) -> BoolArray:
    """Pieces of one slice as black as gas: (rows, columns)."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        lung.astype(np.uint8), connectivity=4
    )
    is_gas = np.zeros(count, dtype=np.bool_)
    for number in range(1, count):
        left, top, width, height = stats[number, : cv2.CC_STAT_AREA]
        box = np.s_[top : top + height, left : left + width]
        is_gas[number] = _middle_grey(frame[box], labels[box] == number) <= _GAS_GREY
    found: BoolArray = is_gas[labels]
    return found
