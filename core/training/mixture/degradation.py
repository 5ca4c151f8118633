"""What the world does to pictures before they reach the network: other windows, enhancement,
kernels, dose and file formats."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from core.training.mixture.sources import Slices

_FULL = 255.0
_HU_PER_GREY = 1500.0 / _FULL
_MOST_NOISE_HU = 150.0

Picture = npt.NDArray[np.float32]


def degrade(image: Slices, generator: np.random.Generator) -> Slices:
    """A slice (rows, columns) as another scanner, reader or program might have given it."""
    picture = image.astype(np.float32)
    picture = _other_window(picture, generator)
    picture = _enhanced(picture, generator)
    picture = _other_kernel(picture, generator)
    if generator.random() < 0.4:
        picture = _noisy(picture, generator)
    grey = np.rint(picture).astype(np.uint8)
    if generator.random() < 0.12:
        grey = _through_jpeg(grey, quality=int(generator.integers(20, 92)))
    if generator.random() < 0.02:
        grey = _with_text(grey, generator)
    return grey


def _other_window(picture: Picture, generator: np.random.Generator) -> Picture:
    drawn = generator.random()
    reach = 0.07 if drawn < 0.45 else 0.22 if drawn < 0.57 else 0.0
    if reach:
        black, white = generator.uniform(-reach, reach, 2) * _FULL
        picture = (picture - black) * np.float32(_FULL / (_FULL + white - black))
    picture = np.clip(picture, 0.0, _FULL)
    if generator.random() < 0.4:
        power = np.exp(generator.uniform(-0.35, 0.35))
        picture = np.float32(_FULL) * (picture / np.float32(_FULL)) ** np.float32(power)
    return picture.astype(np.float32)


def _enhanced(picture: Picture, generator: np.random.Generator) -> Picture:
    drawn = generator.random()
    if drawn < 0.08:
        clahe = cv2.createCLAHE(float(generator.uniform(1.0, 7.0)), (8, 8))
        return clahe.apply(np.rint(picture).astype(np.uint8)).astype(np.float32)
    if drawn < 0.12:
        low, high = np.percentile(picture, [0.5, 99.5])
        stretched = (picture - low) * (_FULL / max(high - low, 30.0))
        return np.clip(stretched, 0.0, _FULL).astype(np.float32)
    return picture


def _other_kernel(picture: Picture, generator: np.random.Generator) -> Picture:
    drawn = generator.random()
    if drawn < 0.15:
        return _blurred(picture, generator.uniform(0.4, 1.3))
    if drawn < 0.27:
        edges = picture - _blurred(picture, generator.uniform(0.8, 1.6))
        sharper = picture + np.float32(generator.uniform(0.3, 1.5)) * edges
        return np.clip(sharper, 0.0, _FULL).astype(np.float32)
    return picture


def _noisy(picture: Picture, generator: np.random.Generator) -> Picture:
    """Up to 150 HU, mostly less; in grains of one pixel up to a few."""
    strength = _MOST_NOISE_HU / _HU_PER_GREY * generator.random() ** 1.3
    noise = generator.standard_normal(picture.shape, dtype=np.float32)
    grain = generator.uniform(0.0, 1.1)
    if grain > 0.35:
        noise = _blurred(noise, grain)
        noise /= noise.std()
    return np.clip(picture + np.float32(strength) * noise, 0.0, _FULL).astype(np.float32)


def _blurred(picture: Picture, sigma: float) -> Picture:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), float(sigma)), dtype=np.float32)


def _through_jpeg(grey: Slices, *, quality: int) -> Slices:
    _, data = cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), dtype=np.uint8)


def _with_text(grey: Slices, generator: np.random.Generator) -> Slices:
    text = "".join(chr(code) for code in generator.integers(48, 90, 5))
    x = int(generator.integers(0, max(1, grey.shape[1] - 76)))
    y = int(generator.integers(15, grey.shape[0]))
    written = cv2.putText(grey.copy(), text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.4, 255, 1)
    return np.asarray(written, dtype=np.uint8)
