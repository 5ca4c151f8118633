"""Slices that are no axial chest slices, made from what there is, to learn to abstain on.

Coronal and sagittal planes and axial slices on their side or upside down of scans at hand, and
pictures of nothing: noise, shades, stripes, discs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from core.classification.frames import GREY_WINDOW
from core.loading import grey_intensity
from core.preprocess import window_to_grey
from core.volume import Plane, Volume, plane_slice, volume_from_file

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
    """Pictures of nothing."""
    generator = np.random.default_rng(seed)
    rows, columns = np.indices((_SIDE, _SIDE), dtype=np.float32) / np.float32(_SIDE)
    for number in range(count):
        kind = number % _ARTIFICIAL_KINDS
        sigma = float(generator.uniform(1, 24))
        noise = generator.normal(size=(_SIDE, _SIDE)).astype(np.float32)
        if kind == 0:
            grey = noise
        elif kind == 1:
            grey = cv2.GaussianBlur(noise, (0, 0), sigma)
        elif kind == 2:
            grey = generator.uniform(-1, 1) * rows + generator.uniform(-1, 1) * columns
            grey = grey + 0.02 * noise
        elif kind == 3:
            turns = float(generator.uniform(3, 40))
            grey = np.sin(turns * (rows + generator.uniform(-1, 1) * columns)) + 0.1 * noise
        elif kind == 4:
            grey = np.zeros((_SIDE, _SIDE), dtype=np.float32)
            for _ in range(int(generator.integers(2, 30))):
                center = tuple(int(n) for n in generator.integers(0, _SIDE, 2))
                radius = int(generator.integers(4, 70))
                cv2.circle(grey, center, radius, float(generator.random()), -1)
            grey = grey + 0.02 * noise
        else:  # spectra as those of photographs
            spectrum = np.fft.fft2(noise)
            distance = np.hypot(*np.meshgrid(np.fft.fftfreq(_SIDE), np.fft.fftfreq(_SIDE)))
            grey = np.fft.ifft2(spectrum / (distance + 1 / _SIDE)).real
        yield as_picture(_to_grey(np.asarray(grey, dtype=np.float32)))


def turned(pictures: Sequence[npt.NDArray[np.uint8]]) -> Iterator[npt.NDArray[np.uint8]]:
    """Frames (side, side, 3) on their side or upside down, in turn."""
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


def _to_grey(values: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    low, high = float(values.min()), float(values.max())
    scaled = (values - low) * np.float32(255.0 / max(high - low, 1e-6))
    return scaled.astype(np.uint8)
