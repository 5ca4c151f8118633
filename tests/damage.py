"""Damaged copies of scans: each damage in one kind and a known amount, on all or some slices.

Amounts are shares of the step from air to tissue, taken as 1000 HU, so that they suit scans in HU
and grey ones alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from core.volume import Volume

Pictures = npt.NDArray[np.float32]
CONTRAST_HU = 1000.0


def pictures_of(volume: Volume) -> Pictures:
    """(slices, rows, columns) HU."""
    return np.ascontiguousarray(volume.hu(volume.array).transpose(2, 1, 0))


def with_pictures(volume: Volume, pictures: Pictures, **changes: Any) -> Volume:
    """The scan with other pixels, in its own type and within its own scale."""
    intensity = volume.intensity
    stored = (pictures.transpose(2, 1, 0) - intensity.intercept) / intensity.slope
    if volume.array.dtype.kind in "iu":
        limits = np.iinfo(volume.array.dtype)
        stored = np.clip(np.rint(stored), limits.min, limits.max)
    array = np.asfortranarray(stored.astype(volume.array.dtype))
    array.flags.writeable = False
    return replace(volume, array=array, **changes)


def change(volume: Volume, slices: Sequence[int], damage: Callable[[Pictures], Pictures]) -> Volume:
    """Some slices damaged, each (rows, columns) HU, within the scan's own range of values."""
    pictures = pictures_of(volume)
    low, high = float(pictures.min()), float(pictures.max())
    for k in slices:
        pictures[k] = np.clip(damage(pictures[k]), low, high)
    return with_pictures(volume, pictures)


def cropped(volume: Volume, *, share: float = 0.7) -> Volume:
    """The middle of every slice: the body is cut off all around."""
    pictures = pictures_of(volume)
    _, rows, columns = pictures.shape
    i, j = int(columns * (1 - share) / 2), int(rows * (1 - share) / 2)
    return with_pictures(volume, pictures[:, j : rows - j, i : columns - i])


def shrunk(volume: Volume, *, times: float) -> Volume:
    """Fewer, larger pixels."""
    small = [
        cv2.resize(p, None, fx=1 / times, fy=1 / times, interpolation=cv2.INTER_AREA)
        for p in pictures_of(volume)
    ]
    affine = volume.affine.copy()
    affine[:3, :2] *= times
    return with_pictures(volume, np.stack(small), affine=affine)


def enlarged_again(volume: Volume, slices: Sequence[int]) -> Volume:
    """Detail lost as if slices had been stored at a third of their size."""

    def blur(picture: Pictures) -> Pictures:
        small = cv2.resize(picture, None, fx=1 / 3, fy=1 / 3, interpolation=cv2.INTER_AREA)
        return cv2.resize(small, picture.shape[::-1], interpolation=cv2.INTER_CUBIC)

    return change(volume, slices, blur)


def noisy(volume: Volume, slices: Sequence[int], *, amount: float = 0.2) -> Volume:
    """White noise added."""
    generator = np.random.default_rng(1)
    return change(
        volume,
        slices,
        lambda p: p + generator.normal(0, amount * CONTRAST_HU, p.shape).astype(np.float32),
    )


def shaded(volume: Volume, slices: Sequence[int], *, amount: float = 0.4) -> Volume:
    """Tissue darkens by `amount` from one side of the picture to the other."""

    def shade(picture: Pictures) -> Pictures:
        gain = np.linspace(1.0, 1.0 - amount, picture.shape[1], dtype=np.float32)
        return (picture + CONTRAST_HU) * gain - CONTRAST_HU

    return change(volume, slices, shade)


def banded(volume: Volume, slices: Sequence[int], *, amount: float = 0.1, rows: int = 8) -> Volume:
    """Stripes of some rows, brighter and darker in turn."""

    def band(picture: Pictures) -> Pictures:
        sign = np.where(np.arange(picture.shape[0]) // rows % 2, 1.0, -1.0)[:, None]
        return picture + (amount * CONTRAST_HU * sign).astype(np.float32)

    return change(volume, slices, band)


def dimmed(volume: Volume, slices: Sequence[int], *, amount: float = 0.25) -> Volume:
    """Everything above air is weaker."""
    return change(volume, slices, lambda p: (p + CONTRAST_HU) * (1 - amount) - CONTRAST_HU)


def clipped(volume: Volume, slices: Sequence[int]) -> Volume:
    """As exported through a window for soft tissue: lungs are black."""
    return change(volume, slices, lambda p: np.clip(p, -160.0, 240.0))


def inverted(volume: Volume, slices: Sequence[int]) -> Volume:
    """Black and white exchanged."""
    low, high = float(volume.hu(volume.array).min()), float(volume.hu(volume.array).max())
    return change(volume, slices, lambda p: low + high - p)


def inscribed(volume: Volume, slices: Sequence[int]) -> Volume:
    """Letters in the upper left corner, in the scan's white."""
    white = float(volume.hu(volume.array).max())

    def write(picture: Pictures) -> Pictures:
        letters = np.zeros(picture.shape, dtype=np.uint8)
        scale = max(0.5, picture.shape[0] / 700)
        for line, text in enumerate(("DOE 01.02.1970", "CT CHEST 5 mm")):
            at = (4, int(24 * scale) * (line + 1))
            cv2.putText(letters, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, 255, 1)
        return np.where(letters > 0, np.float32(white), picture)

    return change(volume, slices, write)


def repeated(volume: Volume, slices: Sequence[int]) -> Volume:
    """Each of the slices is replaced by the one below it."""
    pictures = pictures_of(volume)
    for k in slices:
        pictures[k] = pictures[k - 1]
    return with_pictures(volume, pictures)


def shifted(volume: Volume, slices: Sequence[int], *, share: float = 0.06) -> Volume:
    """Slices moved sideways."""

    def shift(picture: Pictures) -> Pictures:
        return np.roll(picture, round(share * picture.shape[1]), axis=1)

    return change(volume, slices, shift)


def without_lung(volume: Volume, slices: Sequence[int]) -> Volume:
    """Lungs filled with something like water."""
    pictures = pictures_of(volume)
    for k in slices:
        picture = pictures[k]
        air = (picture < -400).astype(np.uint8)
        # Air that hangs together with the edge is not in the body.
        outside = np.pad(air, 1, constant_values=1)
        _, labels = cv2.connectedComponents(outside, connectivity=4)
        held = (labels != labels[0, 0])[1:-1, 1:-1] & (air > 0)
        picture[held] = 20.0
    return with_pictures(volume, pictures)


def noise_only(volume: Volume) -> Volume:
    """No picture at all."""
    generator = np.random.default_rng(2)
    shape = pictures_of(volume).shape
    return with_pictures(volume, generator.uniform(-1000, 200, shape).astype(np.float32))


def sphere(volume: Volume) -> Volume:
    """A ball of water in air, with a scanner's noise."""
    shape = pictures_of(volume).shape
    z, y, x = np.ogrid[tuple(slice(-1.0, 1.0, complex(0, n)) for n in shape)]
    generator = np.random.default_rng(3)
    hu = np.where(x * x + y * y + z * z < 0.5, 0.0, -1000.0) + generator.normal(0, 15, shape)
    return with_pictures(volume, hu.astype(np.float32))


def head(volume: Volume) -> Volume:
    """Brain in a skull, with air in the sinuses at the front."""
    shape = pictures_of(volume).shape
    y, x = np.ogrid[tuple(slice(-1.0, 1.0, complex(0, n)) for n in shape[1:])]
    radius = np.hypot(x / 0.55, y / 0.7)
    flat = np.full(shape[1:], -1000.0)
    flat[radius < 1.0] = 60.0
    flat[radius < 0.95] = 1100.0
    flat[radius < 0.87] = 35.0
    for side in (-1, 1):
        flat[np.hypot((x - side * 0.1) / 0.06, (y + 0.5) / 0.06) < 1] = -1000.0
    generator = np.random.default_rng(4)
    hu = flat[None] + generator.normal(0, 15, shape)
    return with_pictures(volume, hu.astype(np.float32))
