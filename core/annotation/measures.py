"""Lengths, areas and densities of what a person has placed on a slice."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from core.annotation.annotations import Annotation
from core.system import number_text
from core.volume import BoolArray, Volume, pixel_size_mm, plane_slice

_UNKNOWN = float("nan")


@dataclass(frozen=True)
class Measured:
    """What was measured of an annotation; nan where it is not defined.

    Attributes:
        length_mm: of a distance; nan where the spacing is nominal.
        area_mm2: of the voxels of a region; nan where the spacing is nominal.
        voxels: of a region: those whose centres lie inside its ellipse.
        mean_hu, deviation_hu, minimum_hu, maximum_hu: of these voxels; the deviation is that of
            the population. nan where values are not HU, or no voxel lies inside.
    """

    length_mm: float = _UNKNOWN
    area_mm2: float = _UNKNOWN
    voxels: int = 0
    mean_hu: float = _UNKNOWN
    deviation_hu: float = _UNKNOWN
    minimum_hu: float = _UNKNOWN
    maximum_hu: float = _UNKNOWN


def measure_annotation(annotation: Annotation, volume: Volume) -> Measured:
    """Measures a distance or a region; nothing is measured of notes and arrows."""
    height, width = pixel_size_mm(volume, annotation.plane)
    if annotation.kind == "distance":
        (from_x, from_y), (to_x, to_y) = annotation.points
        length = math.hypot((to_x - from_x) * width, (to_y - from_y) * height)
        return Measured(length_mm=_UNKNOWN if volume.spacing_nominal else length)
    if annotation.kind != "region":
        return Measured()
    values = plane_slice(volume.array, annotation.plane, annotation.index)
    inside = region_mask(annotation, values.shape)
    voxels = int(np.count_nonzero(inside))
    area = _UNKNOWN if volume.spacing_nominal else voxels * height * width
    if volume.unit != "HU" or not voxels:
        return Measured(area_mm2=area, voxels=voxels)
    hu = volume.hu(values[inside]).astype(np.float64)
    return Measured(
        area_mm2=area,
        voxels=voxels,
        mean_hu=float(hu.mean()),
        deviation_hu=float(hu.std()),
        minimum_hu=float(hu.min()),
        maximum_hu=float(hu.max()),
    )


def region_mask(annotation: Annotation, shape: tuple[int, ...]) -> BoolArray:
    """(rows, columns) which voxels of the slice have their centre inside the ellipse."""
    (one_x, one_y), (other_x, other_y) = annotation.points
    rows, columns = shape
    across, down = abs(other_x - one_x) / 2, abs(other_y - one_y) / 2
    if not across or not down:
        return np.zeros((rows, columns), dtype=bool)
    x = (np.arange(columns) + 0.5 - (one_x + other_x) / 2) / across
    y = (np.arange(rows) + 0.5 - (one_y + other_y) / 2) / down
    inside: BoolArray = x[None, :] ** 2 + y[:, None] ** 2 <= 1.0
    return inside


def measured_text(annotation: Annotation, volume: Volume) -> str:
    """What was measured, in words; empty for notes and arrows."""
    found = measure_annotation(annotation, volume)
    if annotation.kind == "distance":
        known = math.isfinite(found.length_mm)
        return f"{number_text(found.length_mm, digits=1)} mm" if known else "size in mm not known"
    if annotation.kind != "region":
        return ""
    size = f"{found.voxels} voxels"
    if math.isfinite(found.area_mm2):
        size = f"{number_text(found.area_mm2 / 100, digits=2)} cm²"
    if not math.isfinite(found.mean_hu):
        return f"{size}, HU not known"
    values = [found.mean_hu, found.deviation_hu, found.minimum_hu, found.maximum_hu]
    mean, deviation, low, high = (number_text(value, digits=0) for value in values)
    return f"{size}, mean {mean} HU, deviation {deviation} HU, {low} to {high} HU"
