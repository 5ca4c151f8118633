"""What a scanner adds: its table, texture of every tissue, blur and noise."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
from scipy import ndimage

from core.phantom.canvas import Canvas
from core.phantom.curves import bump, ramp, stroke
from core.phantom.lattice import lattice_slice, smooth_noise


def paint_table(canvas: Canvas) -> None:
    """The couch: two curved shells."""
    x = np.linspace(-215, 215, 60)
    for k, z in canvas.frame.slices():
        level = canvas.frame.lean_mm(z)  # the table does not lean with the patient
        for depth, thickness, hu in ((110.0, 1.6, -250.0), (136.0, 1.8, -150.0)):
            y = depth - (x / 215.0) ** 2 * 34.0 + level
            canvas.fill(k, stroke(np.stack([x, y], axis=1), thickness), hu)


def texture_tissue(canvas: Canvas, rng: np.random.Generator) -> None:
    """Nothing is uniform: slow variation, septa through fat, grain in spongy bone."""
    slow, strands = smooth_noise(rng, 2.5), smooth_noise(rng, 0.9)
    for k, image in enumerate(canvas.hu):
        grain = lattice_slice(strands, canvas.frame, k)
        soft = ramp(image, -130, -90) * ramp(image, 400, 200)
        image += soft * (4 * lattice_slice(slow, canvas.frame, k) + 5 * grain)
        fat = ramp(image, -150, -120) * ramp(image, -60, -90)
        image += fat * (38 * bump(grain, 0, 0.16) - 4)
        bone = ramp(image, 120, 180) * ramp(image, 450, 390)
        image += 45 * bone * grain


def scan(canvas: Canvas, rng: np.random.Generator) -> npt.NDArray[np.int16]:
    """What a scanner makes of it: blur by slice and kernel, correlated noise, 12 bits."""
    hu = canvas.hu
    frame = canvas.frame
    ndimage.gaussian_filter1d(hu, 0.45 * 3.0 / frame.spacing_mm[2], axis=0, output=hu, truncate=2.5)
    result = np.empty(hu.shape, dtype=np.int16)
    for k, z in frame.slices():
        image = cv2.GaussianBlur(hu[k], (0, 0), 0.45 / frame.spacing_mm[0])
        white = rng.standard_normal(image.shape, dtype=np.float32)
        grain = cv2.GaussianBlur(white, (0, 0), 0.75) - 0.75 * cv2.GaussianBlur(white, (0, 0), 2.2)
        streak = cv2.GaussianBlur(white, (0, 0), 9.0, sigmaY=0.8)
        dense = cv2.blur(np.clip(image, -1000, 300), (101, 101)) / 1000 + 1
        sigma = 11.0 + 13.0 * np.clip(dense, 0, 1.1)
        image += sigma * (grain / 0.29 + (0.9 if z > 235 else 0.25) * streak / 0.13)
        result[k] = np.clip(np.rint(image), -1024, 3071).astype(np.int16)
    return result
