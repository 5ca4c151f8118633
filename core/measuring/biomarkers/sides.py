"""Which lung is which: a lung mask divided into the patient's right and left lung.

Lungs that do not touch are separated by connected pieces. Where both touch, mostly at the
anterior junction, the piece is eroded until two cores lie side by side, and both are grown back
until they meet (a watershed); where the junction is too wide for that, it is cut by the sagittal
plane that holds the least lung.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from skimage.segmentation import watershed

from core.preprocessing.roi import find_body_box
from core.system import ShouldCancel, never_cancel, raise_if_cancelled
from core.volume import BoolArray, Volume

Side = Literal["right", "left"]
SIDES: tuple[Side, ...] = ("right", "left")
"""In this order they are 1 and 2 in `LungSides.labels`."""
RIGHT, LEFT = 1, 2

Labels = npt.NDArray[np.uint8]
Box = tuple[slice, slice, slice]

_BIG_SHARE = 0.05
"""Of all lung: smaller pieces follow the lungs and do not say where they are."""
_BOTH_SHARE = 0.6
"""Of all lung: a piece that holds more may be both lungs; one lung alone is mostly below 60 %."""
_PART_SHARE = 0.12
"""Of a piece: its parts must hold more to be two lungs."""
_APART_SHARE = 0.3
"""Of the width of all lung: how far apart the middles of two lungs lie at least."""
_NECK_SHARE = 0.35
"""Of the lesser of both largest sagittal areas: what a cutting plane may hold at most."""
_STRADDLE_SHARE = 0.25
"""Of a piece: what lies on either side of the body's middle where it is sure to be two lungs."""
_MISSING_SHARE = 0.03
"""Of all lung: a side that holds less is no lung but what is left of one."""
_COARSE_SIDE = 96
_FEW_PAIRS = 1 << 18
"""Pairs of pieces up to which counting each is quicker than sorting."""
_PLANES_TOGETHER = 16
"""Sagittal planes copied at once: their voxels share a line of the processor's cache."""
_LEVELS = np.linspace(0.05, 0.75, 15)


@dataclass(frozen=True, eq=False)
class LungSides:
    """Right and left lung inside the box that holds all lung.

    Attributes:
        box: ranges (i, j, k) of the scan's array.
        labels: uint8 of that box: 0 no lung, 1 right, 2 left.
        voxels: of the right and the left lung.
        way: how they were distinguished.
        midline: index i of the scan, with fractions, between both lungs or, where only one is
            there, of the middle of the body.
    """

    box: Box
    labels: Labels
    voxels: tuple[int, int]
    way: Literal["apart", "junction", "plane", "one lung", "lobes"]
    midline: float

    @property
    def missing(self) -> tuple[Side, ...]:
        """Lungs that are not there, or next to not."""
        least = _MISSING_SHARE * sum(self.voxels)
        return tuple(s for s, held in zip(SIDES, self.voxels, strict=True) if held <= least)


@dataclass(frozen=True)
class _Piece:
    label: int
    voxels: int
    middle: float


def split_lungs(
    lung: BoolArray, volume: Volume, *, should_cancel: ShouldCancel = never_cancel
) -> LungSides | None:
    """Right and left lung of a mask on the canonical grid of `volume`; none where it is empty.

    Raises:
        Cancelled: the person asked to stop.
    """
    box = bounding_box(lung)
    if box is None:
        return None
    labels = _label_pieces(lung[box])
    raise_if_cancelled(should_cancel, "separating the lungs")
    table = _sagittal_table(labels)
    total = int(table.sum())
    way: Literal["apart", "junction", "plane", "one lung"] = "apart"
    largest = int(np.argmax(table.sum(axis=1)))
    if table[largest].sum() > _BOTH_SHARE * total:
        cut = _cut(labels == largest, volume, first_i=box[0].start)
        if cut is not None:
            right_part, way = cut
            labels[right_part] = len(table)
            table = _sagittal_table(labels)
    raise_if_cancelled(should_cancel, "separating the lungs")
    found = _pieces(table)
    midline, one = _find_midline(found, volume, box, total)
    names = np.zeros(len(table), dtype=np.uint8)
    for piece in found:
        names[piece.label] = RIGHT if piece.middle < midline else LEFT
    sides = np.zeros(labels.shape, dtype=np.uint8, order="F")
    for k in range(labels.shape[2]):
        sides[:, :, k] = names[labels[:, :, k]]
    voxels = tuple(sum(p.voxels for p in found if names[p.label] == n) for n in (RIGHT, LEFT))
    return LungSides(
        box=box,
        labels=sides,
        voxels=(voxels[0], voxels[1]),
        way="one lung" if one else way,
        midline=box[0].start + midline,
    )


def _label_pieces(mask: BoolArray) -> npt.NDArray[np.int32]:
    """Pieces connected by faces, numbered from 1; what `ndimage.label` gives, but in a
    third of its time: slices are labelled one by one, and pieces joined that lie over each other.
    """
    labels = np.zeros(mask.shape, dtype=np.int32, order="F")
    joined: list[npt.NDArray[np.int64]] = []
    count, before, before_from, before_found = 0, None, 0, 1
    for k in range(mask.shape[2]):
        picture = np.ascontiguousarray(mask[:, :, k].T).view(np.uint8)
        found, own = cv2.connectedComponents(picture, connectivity=4, ltype=cv2.CV_32S)
        if before is not None and found > 1:
            over = (before > 0) & (own > 0)
            pairs = before[over].astype(np.int64) * found + own[over]
            few = before_found * found <= _FEW_PAIRS
            held = np.flatnonzero(np.bincount(pairs)) if few else np.unique(pairs)
            one, other = np.divmod(held, found)
            joined.append(np.stack([one + before_from, other + count]))
        labels[:, :, k] = np.where(own > 0, own + count, 0).T
        before, before_from, before_found = own, count, found
        count += found - 1
    ends = np.concatenate(joined, axis=1) if joined else np.zeros((2, 0), dtype=np.int64)
    graph = coo_matrix((np.ones(ends.shape[1]), ends), shape=(count + 1, count + 1))
    _, piece_of = connected_components(graph, directed=False)
    # Background keeps its 0: it is joined to nothing, and comes first.
    names = piece_of.astype(np.int32)
    for k in range(mask.shape[2]):
        labels[:, :, k] = names[labels[:, :, k]]
    return labels


def bounding_box(mask: BoolArray) -> Box | None:
    """The smallest box (i, j, k) around what is true; none where nothing is."""
    flat = np.any(mask, axis=2)
    if not flat.any():
        return None
    ranges = []
    for held in (flat.any(axis=1), flat.any(axis=0), mask.any(axis=(0, 1))):
        places = np.flatnonzero(held)
        ranges.append(slice(int(places[0]), int(places[-1]) + 1))
    return ranges[0], ranges[1], ranges[2]


def _sagittal_table(labels: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """(labels, i): voxels of each piece in each sagittal plane; nothing for 0, the background."""
    count = int(labels.max()) + 1
    table = np.zeros((labels.shape[0], count), dtype=np.int64)
    for first in range(0, len(labels), _PLANES_TOGETHER):
        planes = np.ascontiguousarray(labels[first : first + _PLANES_TOGETHER])
        for i, plane in enumerate(planes, start=first):
            table[i] = np.bincount(plane.ravel(), minlength=count)
    table[:, 0] = 0
    return np.ascontiguousarray(table.T)


def _pieces(table: npt.NDArray[np.int64]) -> list[_Piece]:
    places = np.arange(table.shape[1])
    return [
        _Piece(label, int(row.sum()), float((row * places).sum() / row.sum()))
        for label, row in enumerate(table)
        if row.any()
    ]


def _find_midline(
    found: Sequence[_Piece], volume: Volume, box: Box, total: int
) -> tuple[float, bool]:
    """Index i of the box between both lungs, and whether there is but one lung."""
    big = [piece for piece in found if piece.voxels >= _BIG_SHARE * total] or list(found)
    middles = sorted(piece.middle for piece in big)
    width = box[0].stop - box[0].start
    if middles[-1] - middles[0] >= _APART_SHARE * width:
        gaps = np.diff(middles)
        at = int(np.argmax(gaps))
        return (middles[at] + middles[at + 1]) / 2, False
    # One lung, in one piece or several above each other: the body says on which side it lies.
    return _body_middle(volume) - box[0].start, True


def _body_middle(volume: Volume) -> float:
    body = find_body_box(volume, margin_mm=0.0)
    return (body.i_start + body.i_stop - 1) / 2


def _cut(
    piece: BoolArray, volume: Volume, *, first_i: int
) -> tuple[BoolArray, Literal["junction", "plane"]] | None:
    """The part of a piece on the patient's right, where it is two lungs that touch."""
    right = _cut_at_junction(piece, volume.spacing_mm)
    if right is not None:
        return right, "junction"
    areas = np.count_nonzero(piece, axis=(1, 2))
    held = np.flatnonzero(areas)
    first, last = int(held[0]), int(held[-1]) + 1
    margin = int(0.3 * (last - first))
    inner = areas[first + margin : last - margin]
    if inner.size == 0:
        return None
    # The middle one of several planes that hold equally little.
    least = np.flatnonzero(inner == inner.min())
    plane = first + margin + int(least[len(least) // 2])
    before, after = areas[first:plane], areas[plane + 1 : last]
    if before.size == 0 or after.size == 0:
        return None
    if min(before.sum(), after.sum()) < _PART_SHARE * areas.sum():
        return None
    middle = round(_body_middle(volume)) - first_i
    beside = areas[: max(0, middle)].sum() / areas.sum()
    straddles = _STRADDLE_SHARE <= beside <= 1 - _STRADDLE_SHARE
    if areas[plane] > _NECK_SHARE * min(before.max(), after.max()) and not straddles:
        return None
    part = piece.copy()
    part[plane:] = False
    return part, "plane"


def _cut_at_junction(piece: BoolArray, spacing: tuple[float, float, float]) -> BoolArray | None:
    """Erodes until two parts lie side by side, and grows them until they meet."""
    steps = [max(1, round(count / _COARSE_SIDE)) for count in piece.shape]
    coarse = np.pad(piece[:: steps[0], :: steps[1], :: steps[2]], 1)
    sampling = [step * length for step, length in zip(steps, spacing, strict=True)]
    depth = ndimage.distance_transform_edt(coarse, sampling=sampling).astype(np.float32)
    markers = _two_cores(depth, coarse)
    if markers is None:
        return None
    basins = watershed(-depth, markers, mask=coarse)[1:-1, 1:-1, 1:-1]
    sizes = np.bincount(basins.ravel(), minlength=3)[1:]
    if sizes.min() < _PART_SHARE * sizes.sum():
        return None
    # Voxels whose coarse voxel holds no lung go with the nearest that does.
    _, nearest = ndimage.distance_transform_edt(basins == 0, sampling=sampling, return_indices=True)
    grown = basins[tuple(nearest)]
    i_near, j_near, k_near = (
        np.minimum((np.arange(count) + step // 2) // step, coarse_count - 1)
        for count, step, coarse_count in zip(piece.shape, steps, grown.shape, strict=True)
    )
    right = np.zeros_like(piece)
    for i, near in enumerate(i_near):
        right[i] = piece[i] & (grown[near][np.ix_(j_near, k_near)] == RIGHT)
    return right


def _two_cores(depth: npt.NDArray[np.float32], coarse: BoolArray) -> npt.NDArray[np.int32] | None:
    """Markers 1 (right) and 2 (left) inside two lungs that touch; none where it is one."""
    deepest = float(depth.max())
    across = np.flatnonzero(coarse.any(axis=(1, 2)))
    width = float(across[-1] - across[0] + 1)
    for level in _LEVELS:
        cores, count = ndimage.label(depth > level * deepest)
        if count < 2:
            continue
        sizes = np.bincount(cores.ravel())
        sizes[0] = 0
        first, second = (int(n) for n in np.argsort(sizes)[::-1][:2])
        if sizes[second] < _PART_SHARE * sizes.sum():
            continue
        middles = {
            label: float(np.flatnonzero((cores == label).any(axis=(1, 2))).mean())
            for label in (first, second)
        }
        if abs(middles[first] - middles[second]) < _APART_SHARE * width:
            continue
        right, left = sorted(middles, key=lambda label: middles[label])
        markers = np.zeros(cores.shape, dtype=np.int32)
        markers[cores == right] = RIGHT
        markers[cores == left] = LEFT
        return markers
    return None
