"""Each lobe in one piece: what lies apart from its lobe goes to the lobe that it touches."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from core.system import side_by_side

Labels = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.int64]

_LOBES = 5
_ROUNDS = 3
_MOST_FRAGMENTS = 200
"""Of a lobe, the largest ones; a mask with more specks is noise."""


def join_fragments(labels: Labels) -> None:
    """Changes labels in place until each lobe is one piece, joined by faces.

    A fragment takes the lobe that it touches most. One that touches no lobe is a piece of the lung
    mask by itself and keeps its lobe.

    Args:
        labels: (i, j, k), 0 to 5, in Fortran order.
    """
    known = {lobe: _LobePieces(labels, lobe) for lobe in range(1, _LOBES + 1)}
    waiting = set(known)
    for _ in range(_ROUNDS):
        receivers: set[int] = set()
        for lobe in sorted(waiting):
            for fragment in known[lobe].find_fragments():
                receiver = _give_away(labels, fragment)
                receivers.add(receiver)
                changed = np.unique(fragment[:, 2]).tolist()
                for one in (lobe, receiver):
                    if one in known:
                        known[one].changed.update(changed)
        # Only a lobe that was given something may have a new fragment.
        waiting = receivers - {0}


@dataclass(frozen=True, eq=False)
class _SlicePieces:
    """Pieces of one lobe in one slice.

    Attributes:
        found: (rows, columns) of a part of the slice, numbered from 1.
        row, column: where the part begins.
        sizes: of the pieces, in pixels.
    """

    found: npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
    row: int
    column: int
    sizes: Numbers


class _LobePieces:
    """The pieces of one lobe, slice by slice; looked for again only where labels have changed.

    Attributes:
        changed: numbers of the slices to be looked at again.
    """

    def __init__(self, labels: Labels, lobe: int) -> None:
        self._labels, self._lobe = labels, lobe
        self._slices: list[_SlicePieces | None] = [None] * labels.shape[2]
        self._touching: list[Numbers | None] = [None] * (labels.shape[2] - 1)
        self.changed = set(range(labels.shape[2]))

    def find_fragments(self) -> list[Numbers]:
        """Voxels (n, 3) of each piece of the lobe but the largest; larger ones first."""
        self._look()
        slices = self._slices
        starts = np.cumsum([0] + [0 if one is None else len(one.sizes) for one in slices])
        if starts[-1] == 0:
            return []
        ends = [
            touching + starts[k : k + 2, None]
            for k, touching in enumerate(self._touching)
            if touching is not None
        ]
        pairs = np.concatenate(ends, axis=1) if ends else np.zeros((2, 0), dtype=np.int64)
        graph = coo_matrix((np.ones(pairs.shape[1]), pairs), shape=(starts[-1], starts[-1]))
        count, piece_of = connected_components(graph, directed=False)
        if count == 1:
            return []
        sizes = np.concatenate([one.sizes for one in slices if one is not None])
        volumes = np.bincount(piece_of, weights=sizes)
        order = np.argsort(-volumes, kind="stable")[1 : _MOST_FRAGMENTS + 1]
        return [_voxels(slices, starts, np.flatnonzero(piece_of == piece)) for piece in order]

    def _look(self) -> None:
        def fill(k: int) -> None:
            self._slices[k] = _slice_pieces(self._labels[:, :, k].T, self._lobe)

        def meet(k: int) -> None:
            below, above = self._slices[k], self._slices[k + 1]
            self._touching[k] = None if below is None or above is None else _touching(below, above)

        side_by_side(fill, sorted(self.changed))
        pairs = {k for one in self.changed for k in (one - 1, one)}
        side_by_side(meet, sorted(pairs & set(range(len(self._touching)))))
        self.changed = set()


def _slice_pieces(picture: Labels, lobe: int) -> _SlicePieces | None:
    mask = (picture == lobe).view(np.uint8)
    column, row, width, height = cv2.boundingRect(mask)
    if width == 0:
        return None
    part = np.ascontiguousarray(mask[row : row + height, column : column + width])
    size = cv2.countNonZero(part)
    # Most are one piece, and filling it from one pixel takes half the time of numbering pieces.
    seed = (int(part[0].argmax()), 0)
    if cv2.floodFill(part.copy(), None, seed, (2.0,), flags=4)[0] == size:
        return _SlicePieces(part, row, column, np.array([size], dtype=np.int64))
    count, numbered = cv2.connectedComponents(part, connectivity=4, ltype=cv2.CV_16U)
    found = np.asarray(numbered, dtype=np.uint16)
    sizes = np.bincount(found.ravel(), minlength=count)[1:]
    return _SlicePieces(found, row, column, sizes)


def _touching(below: _SlicePieces, above: _SlicePieces) -> Numbers:
    """(2, n) pieces of two neighbouring slices that lie over each other, numbered from 0."""
    row, column = max(below.row, above.row), max(below.column, above.column)
    parts = [
        one.found[max(0, row - one.row) :, max(0, column - one.column) :] for one in (below, above)
    ]
    rows, columns = np.min([part.shape for part in parts], axis=0)
    one, other = (part[:rows, :columns] for part in parts)
    if rows == 0 or columns == 0:
        return np.zeros((2, 0), dtype=np.int64)
    if len(below.sizes) == 1 and len(above.sizes) == 1:
        middle = rows // 2  # mostly enough to tell
        meets = bool((one[middle] & other[middle]).any() or (one & other).any())
        return np.zeros((2, int(meets)), dtype=np.int64)
    over = (one > 0) & (other > 0)
    codes = one[over].astype(np.int64) * (len(above.sizes) + 1) + other[over]
    return np.stack(np.divmod(np.flatnonzero(np.bincount(codes)), len(above.sizes) + 1)) - 1


def _voxels(slices: list[_SlicePieces | None], starts: Numbers, members: Numbers) -> Numbers:
    """(n, 3) voxels of some pieces of slices, numbered over all slices."""
    places = []
    for k in np.unique(np.searchsorted(starts, members, side="right") - 1).tolist():
        one = slices[k]
        if one is None:
            continue
        own = members[(members >= starts[k]) & (members < starts[k + 1])] - starts[k] + 1
        row, column = np.nonzero(np.isin(one.found, own))
        places.append(np.stack([column + one.column, row + one.row, np.full(len(row), k)], axis=1))
    return np.concatenate(places)


def _give_away(labels: Labels, voxels: Numbers) -> int:
    """Gives a fragment the lobe that it touches most, and says which; 0 where it touches none."""
    low = np.maximum(voxels.min(axis=0) - 1, 0)
    box = tuple(slice(start, stop) for start, stop in zip(low, voxels.max(axis=0) + 2, strict=True))
    part = labels[box]
    fragment = np.zeros(part.shape, dtype=np.bool_)
    fragment[tuple((voxels - low).T)] = True
    around = ndimage.binary_dilation(fragment) & ~fragment
    touched = np.bincount(part[around], minlength=_LOBES + 1)
    touched[0] = 0
    if not touched.any():
        return 0
    lobe = int(np.argmax(touched))
    part[fragment] = lobe
    return lobe
