"""How the chest in an array lies, by likeness to upright chests.

A coarse picture of the space around the lungs is compared with weights fitted to upright chests, in
all 24 ways in which the axes may lead; a chest and its mirror image count as one. The weights are
fitted by `core.training.upright_chest`: each of the 24 ways has a score, linear in the picture, and
the true way is to have the highest (multinomial logistic regression).

Fitted to 30 scans of 21 patients and the demo study. With the patient held out, a way was reported
for 27 of the 30, rightly in each, and the head's end for 29, rightly in each. For 240 copies of
them, cropped, rotated, thinned out and made noisy, a way was reported in 221, wrongly in one.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import permutations, product
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from core.volume import BoolArray, FloatArray

WEIGHTS_FILE = Path(__file__).with_name("upright_chest.npy")
CELLS = 12
"""Along each axis of the coarse picture."""
CHANNELS = 3
_LUNG_BELOW_HU = -500.0
_BODY_ABOVE_HU = -300.0
_BONE_ABOVE_HU = 150.0
_HU = (-1000.0, 300.0)
_FEWEST_LUNG = 0.01
_LARGE_PART = 0.03
"""Of the largest part of lung."""
_OUTERMOST = 0.01
"""Share of the lungs on either side that their box leaves out."""
_MARGIN = 0.25
"""Of the lungs' extent, on either side."""
_CLEAR = 0.9
"""Probability from which on a way is reported."""

Turn = tuple[tuple[int, ...], tuple[int, ...]]
"""Which axis of the array leads left or right, front or back, up or down; and 1 where it does so to
the left, the back, the head, else -1."""

TURNS: tuple[Turn, ...] = tuple(
    (axes, (1, *signs)) for axes in permutations(range(3)) for signs in product((1, -1), repeat=2)
)
UPRIGHT = TURNS.index(((0, 1, 2), (1, 1, 1)))


def find_turn(hu: FloatArray) -> Turn | None:
    """How the axes of a coarse (a, b, c) array in HU lead; none where the chest does not tell.

    Left and right are one: the first sign is always 1.
    """
    shares = _probabilities(hu)
    if shares is None or float(shares.max()) < _CLEAR:
        return None
    return TURNS[int(shares.argmax())]


def head_is_last(hu: FloatArray) -> bool | None:
    """Whether the last of coarse (i, j, k) axial slices in HU is the one nearest to the head; none
    where the chest does not tell. Front and back may be exchanged."""
    shares = _probabilities(hu)
    if shares is None:
        return None
    ends = {1: 0.0, -1: 0.0}
    for (axes, signs), share in zip(TURNS, shares, strict=True):
        if axes[2] == 2:
            ends[signs[2]] += float(share)
    up, down = ends[1], ends[-1]
    if up + down < 1 - _CLEAR or max(up, down) < _CLEAR * (up + down):
        return None
    return bool(up > down)


def coarse_picture(hu: FloatArray) -> FloatArray | None:
    """(channels, cells, cells, cells) of the space around the lungs: grey, air and bone, each less
    its mean; 0 outside of the array. None without lungs."""
    lung = _enclosed(hu > _BODY_ABOVE_HU) & (hu < _LUNG_BELOW_HU)
    if np.count_nonzero(lung) < _FEWEST_LUNG * lung.size:
        return None
    lung = _large_parts(lung)
    places, held = [], []
    for axis in range(3):
        place = _sampled_places(lung, axis)
        held.append((place >= 0) & (place < hu.shape[axis]))
        places.append(np.clip(place, 0, hu.shape[axis] - 1))
    columns, rows, slices = held
    is_inside = columns[:, np.newaxis, np.newaxis] & rows[:, np.newaxis] & slices
    inside = is_inside.astype(np.float32)
    found = hu[np.ix_(*places)]
    low, high = _HU
    channels = (
        2 * (np.clip(found, low, high) - low) / (high - low) - 0.5,
        (found < _LUNG_BELOW_HU).astype(np.float32),
        2 * (found > _BONE_ABOVE_HU).astype(np.float32),
    )
    share = _cell_means(inside)
    cells = [_cell_means(channel * inside) / np.maximum(share, 1e-6) for channel in channels]
    is_held = share > 0
    return np.stack([np.where(is_held, c - c[is_held].mean(), 0) for c in cells]).astype(np.float32)


def in_all_turns(picture: FloatArray) -> FloatArray:
    """(24, features): a coarse picture laid back by each of `TURNS`, averaged with its mirror
    image."""
    rows = []
    for axes, signs in TURNS:
        laid = picture.transpose(0, *(axis + 1 for axis in axes))
        laid = laid[:, :: signs[0], :: signs[1], :: signs[2]]
        rows.append(((laid + laid[:, ::-1]) / 2).ravel())
    return np.stack(rows)


def _probabilities(hu: FloatArray) -> npt.NDArray[np.float64] | None:
    """(24,) of each turn; none without lungs."""
    picture = coarse_picture(hu)
    if picture is None:
        return None
    scores = in_all_turns(picture).astype(np.float64) @ _weights()
    shares = np.exp(scores - scores.max())
    result: npt.NDArray[np.float64] = shares / shares.sum()
    return result


@lru_cache(maxsize=1)
def _weights() -> npt.NDArray[np.float64]:
    weights: npt.NDArray[np.float64] = np.load(WEIGHTS_FILE, allow_pickle=False).astype(np.float64)
    return weights


def _enclosed(body: BoolArray) -> BoolArray:
    """Voxels with body on both sides along two axes at least: lungs that the scan cuts off are open
    along the third."""
    count = np.zeros(body.shape, dtype=np.int8)
    for axis in range(3):
        before = np.maximum.accumulate(body, axis=axis)
        behind = np.flip(np.maximum.accumulate(np.flip(body, axis), axis=axis), axis)
        count += before & behind
    enclosed: BoolArray = count >= 2
    return enclosed


def _large_parts(lung: BoolArray) -> BoolArray:
    """Without gas in the belly, which is many parts smaller than a lung."""
    labels, _ = ndimage.label(lung)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    large: BoolArray = (sizes >= _LARGE_PART * sizes.max())[labels]
    return large


def _sampled_places(lung: BoolArray, axis: int) -> npt.NDArray[np.intp]:
    """(2 × cells,) indices along an axis, evenly over the lungs' extent and a margin."""
    others = tuple(other for other in range(3) if other != axis)
    share = np.cumsum(lung.sum(axis=others)) / np.count_nonzero(lung)
    start = int(np.searchsorted(share, _OUTERMOST))
    stop = int(np.searchsorted(share, 1 - _OUTERMOST)) + 1
    extent = max(stop - start, 1)
    low, high = start - _MARGIN * extent, stop + _MARGIN * extent
    steps = (np.arange(2 * CELLS) + 0.5) / (2 * CELLS)
    return np.rint(low + steps * (high - low) - 0.5).astype(np.intp)


def _cell_means(samples: FloatArray) -> FloatArray:
    means: FloatArray = samples.reshape(CELLS, 2, CELLS, 2, CELLS, 2).mean(axis=(1, 3, 5))
    return means
