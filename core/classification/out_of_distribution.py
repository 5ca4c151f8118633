"""Out-of-distribution pictures: slices that are not axial chest slices, to learn to abstain on.

Coronal and sagittal planes and rotated axial slices of scans at hand, and artificial pictures:
noise, gradients, stripes, discs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import cv2
import numpy as np
import numpy.typing as npt

from core.classification.frames import GREY_WINDOW
from core.config import Plane
from core.loading import grey_intensity
from core.preprocessing import window_to_grey
from core.volume import Volume, plane_slice, volume_from_file

Values = npt.NDArray[np.float64]

_SIDE = 224
_PLANES: tuple[Plane, ...] = ("coronal", "sagittal")
_ARTIFICIAL_KINDS = 6


def other_planes(volume: Volume, *, count: int) -> Iterator[Volume]:
    """Coronal and sagittal slices of a scan, from its middle half, as pictures."""
    for plane in _PLANES:
        total = volume.plane_count(plane)
        for index in np.linspace(0.3 * total, 0.7 * total, count).round().astype(int):
            cut = plane_slice(volume.array, plane, int(index))
            yield as_picture(window_to_grey(volume, cut, GREY_WINDOW))


def artificial(count: int, *, seed: int) -> Iterator[Volume]:
    """Artificial pictures: noise, gradients, stripes, discs."""
    generator = np.random.default_rng(seed)
    for number in range(count):
        yield as_picture(_to_grey(_artificial(number % _ARTIFICIAL_KINDS, generator)))


def _artificial(kind: int, generator: np.random.Generator) -> Values:
    rows, columns = np.indices((_SIDE, _SIDE), dtype=np.float64) / _SIDE
    noise: Values = generator.normal(size=(_SIDE, _SIDE))
    if kind == 0:
        return noise
    if kind == 1:
        return np.asarray(cv2.GaussianBlur(noise, (0, 0), float(generator.uniform(1, 24))))
    if kind == 2:
        slope, other = generator.uniform(-1, 1, 2)
        shade: Values = slope * rows + other * columns + 0.02 * noise
        return shade
    if kind == 3:
        turns, slant = generator.uniform(3, 40), generator.uniform(-1, 1)
        stripes: Values = np.sin(turns * (rows + slant * columns)) + 0.1 * noise
        return stripes
    if kind == 4:
        discs = np.zeros((_SIDE, _SIDE))
        for _ in range(int(generator.integers(2, 30))):
            x, y = (int(n) for n in generator.integers(0, _SIDE, 2))
            radius = int(generator.integers(4, 70))
            cv2.circle(discs, (x, y), radius, float(generator.random()), -1)
        return discs + 0.02 * noise
    # A spectrum as that of photographs.
    along = np.fft.fftfreq(_SIDE)
    distance = np.hypot(*np.meshgrid(along, along))
    return np.asarray(np.fft.ifft2(np.fft.fft2(noise) / (distance + 1 / _SIDE)).real)


def turned(pictures: Iterable[npt.NDArray[np.uint8]]) -> Iterator[npt.NDArray[np.uint8]]:
    """Frames (side, side, 3) rotated by one, two or three quarter turns, in turn."""
    for number, frame in enumerate(pictures):
        yield np.ascontiguousarray(np.rot90(frame, 1 + number % 3))


def as_picture(grey: npt.NDArray[np.uint8]) -> Volume:
    """A volume of one slice from grey levels (rows, columns)."""
    return volume_from_file(
        np.asfortranarray(grey.T[:, :, None]),
        np.diag([-1.0, -1.0, 1.0, 1.0]),
        intensity=grey_intensity(),
        name="picture",
        format="pictures",
        spacing_nominal=True,
    )


def _to_grey(values: Values) -> npt.NDArray[np.uint8]:
    low, high = float(values.min()), float(values.max())
    scaled = (values - low) * (255.0 / max(high - low, 1e-6))
    return scaled.astype(np.uint8)
