"""COVID-like disease: ragged patches under the pleura, mostly at the back and base."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from core.phantom.frame import FloatImage, Points
from core.phantom.lattice import LATTICE, lattice_mm, smooth_noise

INFECTED_FRACTION = 0.115


@dataclass(frozen=True, eq=False)
class Disease:
    """Lattice fields that say where lung is diseased, and how."""

    score: FloatImage
    """Above 0 inside a lesion."""
    extent: FloatImage
    """`score` without its finest detail: a reader outlines a lesion, not its speckles."""
    solid: FloatImage
    """0 is ground glass, 1 consolidation."""
    ripple: FloatImage
    """0 along thickened septa."""


def spread_disease(
    depth_mm: FloatImage, rng: np.random.Generator, infected_fraction: float = INFECTED_FRACTION
) -> Disease:
    """Patches with ragged edges in lungs of a given depth below the pleura.

    The same patches grow and shrink with `infected_fraction`, the share of the lung in them.
    """
    inside = depth_mm > 0
    patches = _patches(depth_mm, rng)
    ragged = (
        0.7 * smooth_noise(rng, 3.2) + 0.7 * smooth_noise(rng, 1.5) + 0.35 * smooth_noise(rng, 0.7)
    )
    score = patches + 0.12 * ragged + 0.2 * np.exp(-depth_mm / 10.0)
    score[patches < 0.12] -= 0.6
    level = float(np.quantile(score[inside], 1 - infected_fraction))
    solid = np.clip((score - level - 0.25) / 0.3 + 0.3 * smooth_noise(rng, 2.2), 0.0, 1.0)
    score = (score - level).astype(np.float32)
    extent = ndimage.gaussian_filter(score, 0.8)
    return Disease(score, extent, solid.astype(np.float32), smooth_noise(rng, 0.8))


def _patches(depth_mm: FloatImage, rng: np.random.Generator) -> FloatImage:
    """Bells of height 1 around random places."""
    cells = np.argwhere(depth_mm > 0)
    likelihood = _likelihood(lattice_mm(cells), depth_mm[depth_mm > 0])
    patches = np.zeros(LATTICE, dtype=np.float32)
    k, j, i = np.ogrid[: LATTICE[0], : LATTICE[1], : LATTICE[2]]
    for seed in cells[rng.choice(len(cells), 22, replace=False, p=likelihood)]:
        size = rng.uniform(3.0, 9.5, 3) * (1.0, 0.9, 1.0)
        far = ((k - seed[0]) / size[0]) ** 2 + ((j - seed[1]) / size[1]) ** 2
        patches = np.maximum(patches, np.exp(-0.5 * (far + ((i - seed[2]) / size[2]) ** 2)))
    return patches


def _likelihood(points: Points, depth_mm: FloatImage) -> Points:
    """Of a patch at each (n, 3) point: high under the pleura, at the back and the side."""
    x, y, z = points.T
    weight = np.exp(-depth_mm / 14.0) * np.clip((y + 60) / 90.0, 0.06, 1.2) ** 1.5
    weight *= (z > 45) & (z < 225)
    weight *= np.clip((np.abs(x) - 30.0) / 35.0, 0.08, 1.0)
    share: Points = weight / weight.sum()
    return share
