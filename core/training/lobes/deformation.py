"""Lungs as disease, other patients and other programs leave them.

Whatever is taken away from the lungs keeps its lobe, so that the network learns where lobes lie
also behind a consolidation. Fields are drawn coarsely and read smoothly, which is fast.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from scipy import ndimage

from core.segmentation.lobes.grid import LungGrid, grid_of_box
from core.training.lobes.sources import STEP_MM, Codes, LabelledLungs
from core.volume import BoolArray

Floats = npt.NDArray[np.float32]
_ROUGH = (40, 30, 40)
_FIELD = (6, 5, 6)
_MOST_TILT_DEGREES = 6.0
_MOST_BEND_MM = 7.0
_FULL = 255
_LEFT_OF_LABEL = 4
"""Labels from here on are those of the left lung."""


@dataclass(frozen=True)
class Sample:
    """What the network sees and what it should say.

    Attributes:
        mask: (*grid) lungs as they are left.
        lobes: (*grid) 1 to 5, everywhere.
        lungs: (*grid) lungs as they were.
    """

    mask: BoolArray
    lobes: Codes
    lungs: BoolArray


def draw_sample(
    source: LabelledLungs, grid: tuple[int, int, int], generator: np.random.Generator
) -> Sample:
    """Lungs of a patient, changed at random, on the grid that the network sees."""
    mask = source.lungs
    if generator.random() < 0.4:
        mask = with_bronchi(mask, source.airways, reach_mm=generator.uniform(4.0, 22.0))
    if generator.random() < 0.6:
        shares = generator.uniform(0.0, 0.4, 2)
        if generator.random() < 0.3:
            shares[generator.integers(2)] = 0.0
        mask = consolidated(mask, source.lobes, shares=tuple(shares), generator=generator)
    if generator.random() < 0.5:
        mask = rough(mask, generator)
    if generator.random() < 0.25:
        mask = cut_short(mask, share=generator.uniform(0.0, 0.12), generator=generator)
    return _resampled(source, mask, grid, generator)


def plain_sample(source: LabelledLungs, mask: BoolArray, grid: tuple[int, int, int]) -> Sample:
    """The same without any change of form.

    Args:
        mask: lungs as they are left, on the source's own grid.
    """
    both = source.codes | (mask.view(np.uint8) << np.uint8(5))
    low, high = _sides(mask)
    return _sample(both, _axes(grid_of_box(low, high, grid)))


def with_bronchi(lungs: BoolArray, airways: BoolArray, *, reach_mm: float) -> BoolArray:
    """Lungs with the airways up to so far from them, as many programs mark them."""
    side = 1 + 2 * round(reach_mm / STEP_MM)
    return np.asarray(lungs | (airways & (_blurred(lungs, side) > 0.25 * _FULL)))


def consolidated(
    lungs: BoolArray,
    lobes: Codes,
    *,
    shares: tuple[float, ...],
    generator: np.random.Generator,
) -> BoolArray:
    """Lungs without what is dense, which programs tend to leave out: at the base, at the back,
    under the pleura, behind an effusion, or in patches.

    Args:
        shares: taken from the right and the left lung, 0 to 1.
    """
    kept = lungs.copy()
    for share, is_left in zip(shares, (False, True), strict=True):
        lung = lungs & ((lobes >= _LEFT_OF_LABEL) == is_left)
        box = ndimage.find_objects(lung.view(np.uint8))
        if share <= 0 or not box:
            continue
        part = lung[box[0]]
        density = _density(part.shape, generator)
        kept[box[0]][part & (density > np.quantile(density[part], 1.0 - share))] = False
    return kept


def _density(shape: tuple[int, ...], generator: np.random.Generator) -> Floats:
    """How likely each point is to be dense: falls along a direction, uneven by patches."""
    across, back, up = (np.linspace(-1.0, 1.0, side, dtype=np.float32) for side in shape)
    kind = generator.random()
    weights = generator.normal((0.0, 0.7, -0.7), 0.2)
    if kind < 0.3:  # an effusion or atelectasis has a smooth border
        unevenness = 0.15
    elif kind < 0.75:
        unevenness = generator.uniform(0.3, 1.2)
    else:  # anywhere
        weights, unevenness = generator.normal(0.0, 0.4, 3), 1.0
    weights = weights.astype(np.float32)
    slope = (
        weights[0] * across[:, None, None]
        + weights[1] * back[None, :, None]
        + weights[2] * up[None, None, :]
    )
    noise = _smooth_noise(shape, cells=int(generator.integers(3, 8)), generator=generator)
    return np.asarray(slope + np.float32(unevenness) * noise)


def rough(lungs: BoolArray, generator: np.random.Generator) -> BoolArray:
    """Lungs as a network marks them: borders smoothed and moved by some millimetres."""
    side = int(generator.choice([3, 5]))
    unevenness = np.float32(generator.uniform(0.0, 0.2) * _FULL)
    noise = _smooth_noise(lungs.shape, cells=12, generator=generator)
    return np.asarray(_blurred(lungs, side) + unevenness * noise > 0.5 * _FULL)


def cut_short(lungs: BoolArray, *, share: float, generator: np.random.Generator) -> BoolArray:
    """Lungs of a scan that begins too high or ends too low.

    Args:
        share: of the height, left out.
    """
    present = np.flatnonzero(lungs.any(axis=(0, 1)))
    count = round(share * len(present))
    kept = lungs.copy()
    if generator.random() < 0.6:
        kept[:, :, : present[0] + count] = False
    else:
        kept[:, :, present[-1] + 1 - count :] = False
    return kept


def _blurred(mask: BoolArray, side: int) -> Codes:
    """(i, j, k) uint8, 0 to 255: how much of the cube around each point the mask fills."""
    grey = mask.view(np.uint8) * np.uint8(_FULL)
    border = cv2.BORDER_REPLICATE
    # OpenCV knows two axes: first the last two, then the first one beside both of them.
    planes = np.stack([cv2.blur(plane, (side, side), borderType=border) for plane in grey])
    rows = cv2.blur(planes.reshape(len(planes), -1), (1, side), borderType=border)
    return np.asarray(rows, dtype=np.uint8).reshape(mask.shape)


def _smooth_noise(shape: tuple[int, ...], *, cells: int, generator: np.random.Generator) -> Floats:
    """Noise of unit variance about, in so many cells along each axis."""
    field = generator.standard_normal((cells, cells, cells), dtype=np.float32)
    return _grown(field, shape)


def _grown(field: Floats, shape: tuple[int, ...]) -> Floats:
    """A coarse field read linearly at `shape` points, axis by axis."""
    for axis, side in enumerate(shape):
        at = np.linspace(0.0, field.shape[axis] - 1.0, side)
        low = np.minimum(at.astype(np.int64), field.shape[axis] - 2)
        weight = (at - low).astype(np.float32).reshape([-1 if n == axis else 1 for n in range(3)])
        field = field.take(low, axis) * (1 - weight) + field.take(low + 1, axis) * weight
    return field


def _axes(grid: LungGrid) -> tuple[Floats, Floats, Floats]:
    """Voxel coordinates of the cells along each axis, to be broadcast against each other."""
    left, back, up = (
        np.float32(first) + np.float32(step) * np.arange(side, dtype=np.float32)
        for first, step, side in zip(grid.first, grid.step, grid.shape, strict=True)
    )
    return left[:, None, None], back[None, :, None], up[None, None, :]


def _read(array: npt.NDArray[np.uint8], points: Sequence[Floats]) -> tuple[Codes, Codes]:
    """The nearest point's value, at the border that of the border; and the same, 0 outside."""
    outside = np.False_
    index = []
    for at, side in zip(points, array.shape, strict=True):
        outside = outside | (at < -0.5) | (at > side - 0.5)
        index.append(np.clip(np.rint(at), 0, side - 1).astype(np.int32))
    found: Codes = array[tuple(index)]
    return found, np.where(outside, np.uint8(0), found)


def _resampled(
    source: LabelledLungs,
    mask: BoolArray,
    shape: tuple[int, int, int],
    generator: np.random.Generator,
) -> Sample:
    both = source.codes | (mask.view(np.uint8) << np.uint8(5))
    change = _Change(generator, source.codes.shape)
    # A first, rough look tells where the changed lungs lie.
    everywhere = grid_of_box(-0.15 * np.array(both.shape), 1.15 * np.array(both.shape), _ROUGH)
    seen = _read(both, change.source_of(everywhere))[1] >> 5
    if not seen.any():
        return plain_sample(source, source.lungs, shape)
    start, step = np.array(everywhere.first), np.array(everywhere.step)
    jitter = generator.uniform(-0.3, 0.3, (2, 3)) * step
    low, high = _sides(seen > 0)
    grid = grid_of_box(start + step * low + jitter[0], start + step * high + jitter[1], shape)
    return _sample(both, change.source_of(grid))


def _sample(both: Codes, points: Sequence[Floats]) -> Sample:
    """
    Args:
        both: codes, plus 32 in the lungs as they are left.
    """
    found, inside = _read(both, points)
    return Sample((inside >> 5) > 0, found & np.uint8(7), (inside & 8) > 0)


def _sides(mask: BoolArray) -> tuple[Any, Any]:
    """Where a mask begins and ends along each axis, in voxel coordinates."""
    sides = [np.flatnonzero(mask.any(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3)]
    return np.array([side[0] - 0.5 for side in sides]), np.array([side[-1] + 0.5 for side in sides])


class _Change:
    """A tilt, a bend, and one lung larger than the other; from changed to original points."""

    def __init__(self, generator: np.random.Generator, shape: tuple[int, ...]) -> None:
        self._centre = (np.array(shape, dtype=np.float32) - 1) / 2
        angles = np.radians(np.clip(generator.normal(0.0, _MOST_TILT_DEGREES, 3), -18, 18))
        stretch = np.exp(generator.normal(0.0, 0.06, 3))
        self._turn = (_rotation(angles) * stretch).astype(np.float32)
        bend = generator.normal(0.0, _MOST_BEND_MM / STEP_MM, (3, *_FIELD))
        self._bend = (bend * generator.uniform(0.2, 1.0)).astype(np.float32)
        self._shift = np.float32(generator.normal(0.0, 4.0 / STEP_MM))
        self._taller = np.float32(generator.normal(0.0, 0.05))

    def source_of(self, grid: LungGrid) -> list[Floats]:
        """Three arrays (*grid): where in the original each cell of the changed lungs lies."""
        centred = [at - middle for at, middle in zip(_axes(grid), self._centre, strict=True)]
        moved: list[Floats] = []
        for axis in range(3):
            left, back, up = (self._turn[axis, n] * centred[n] for n in range(3))
            moved.append(_grown(self._bend[axis], grid.shape) + left + back + up)
        side = np.tanh(moved[0] / np.float32(30.0 / STEP_MM))
        moved[0] += self._shift * (1 - side * side)
        moved[2] *= 1 + self._taller * side
        for axis in range(3):
            moved[axis] += self._centre[axis]
        return moved


def _rotation(angles: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    turn = np.eye(3)
    for axis, angle in enumerate(angles):
        one, other = (axis + 1) % 3, (axis + 2) % 3
        part = np.eye(3)
        part[one, one] = part[other, other] = np.cos(angle)
        part[one, other], part[other, one] = -np.sin(angle), np.sin(angle)
        turn = turn @ part
    return turn
