"""The lungs: where they lie, their lobes, and healthy and diseased tissue."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from core.phantom.canvas import Canvas, box_around
from core.phantom.chest_wall import LUNG_TOP_MM, wall_at
from core.phantom.curves import bump
from core.phantom.disease import Disease
from core.phantom.frame import SIDES, FloatImage
from core.phantom.lattice import lattice_slice, smooth_noise
from core.phantom.lobes import fissure_heights
from core.phantom.tissue import LUNG


def paint_lungs(canvas: Canvas) -> None:
    """Both halves of the chest filled with lung; the organs painted later carve it."""
    for k, z in canvas.frame.slices(0, LUNG_TOP_MM - 0.5):
        for side in SIDES:
            covered = canvas.coverage(k, wall_at(z, side).points)
            if covered is not None:
                box, alpha = covered
                canvas.mix(k, box, alpha, LUNG)
                canvas.lung[k][box] = np.maximum(canvas.lung[k][box], alpha)


def paint_parenchyma(
    canvas: Canvas, disease: Disease, rng: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """Gravity, texture and fissures of healthy lung, and the disease; returns where it is."""
    frame = canvas.frame
    coarse, fine = smooth_noise(rng, 5.0), smooth_noise(rng, 0.9)
    infected = np.zeros(canvas.lung.shape, dtype=bool)
    for k, z in frame.slices(0, LUNG_TOP_MM + 5):
        box = box_around(canvas.lung[k])
        if box is None:
            continue
        share = canvas.lung[k][box]
        texture = 11 * lattice_slice(coarse, frame, k)[box] + 9 * lattice_slice(fine, frame, k)[box]
        x, y = frame.grid(z)
        healthy = _healthy_hu(x[:, box[1]], y[box[0]], z, texture)
        grain = _grain(share.shape, frame.spacing_mm[0], rng)
        score, solid, ripple, extent = (
            lattice_slice(field, frame, k)[box]
            for field in (disease.score, disease.solid, disease.ripple, disease.extent)
        )
        amount = np.clip((score + 0.05 * (grain - ripple)) / 0.14 + 0.5, 0, 1)
        sick = _sick_hu(solid, ripple, grain)
        hu = healthy + amount * (sick - healthy) + 8.0 * grain
        canvas.hu[k][box] += share.astype(np.float32) * np.float32(1 / 255) * (hu - LUNG)
        infected[k][box] = (extent > -0.01) & (share > 127)
    return infected


def _healthy_hu(x: FloatImage, y: FloatImage, z: float, texture: FloatImage) -> FloatImage:
    """Denser towards the back and along the fissures."""
    oblique, horizontal = fissure_heights(x, y)
    hu: FloatImage = -868.0 + 0.42 * np.clip(y + 60, -60, 110) + texture
    hu += 110.0 * bump(oblique, z, 1.9)
    hu += 45.0 * bump(horizontal, z, 3.0) * ((x < 0) & (z > oblique))
    return hu


def _sick_hu(solid: FloatImage, ripple: FloatImage, grain: FloatImage) -> FloatImage:
    """Ground glass with thickened septa, up to solid tissue."""
    even = np.clip(solid, 0, 1)
    uneven = np.clip(even + 0.12 * grain * (even > 0), 0, 1)
    septa = bump(ripple, 0, 0.3)
    sick: FloatImage = -640.0 + 130.0 * septa + 75.0 * grain + uneven * (640.0 - 90.0 * septa)
    return sick


def _grain(shape: tuple[int, ...], pixel_mm: float, rng: np.random.Generator) -> FloatImage:
    """Noise with a grain of about 1 mm, of the same strength at any pixel size."""
    white = rng.standard_normal(shape, dtype=np.float32)
    grain: Any = cv2.GaussianBlur(white, (0, 0), 1.1 / pixel_mm)
    result: FloatImage = grain * (3.5 * 1.1 / pixel_mm)
    return result
