"""Measuring a scan once: what thresholds are later compared with, as often as they are moved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from core.measuring.biomarkers import FloatVector
from core.measuring.quality import content, geometry, intensity
from core.measuring.quality.view import SliceView, find_levels
from core.preprocessing.roi import find_lungs
from core.system import OnProgress, ShouldCancel, ignore_progress, never_cancel, raise_if_cancelled
from core.volume import Volume

_STAGE = "checking slices"

_OF_A_SLICE: dict[str, Callable[[SliceView], float]] = {
    "field_of_view": geometry.outline_on_edge,
    "body_pixels": geometry.body_width,
    "sharpness": geometry.sharpness,
    "noise": intensity.noise,
    "unevenness": intensity.unevenness,
    "stripes": intensity.stripes,
    "saturation": intensity.saturation,
    "inverted": intensity.bright_surroundings,
    "marks": content.mark_count,
}


@dataclass(frozen=True, eq=False)
class ScanMeasures:
    """Every measure of a scan, by the name of its check.

    Attributes:
        values: (slices,) float64, or (1,) for measures of the whole scan; nan where undefined.
        slices: how many there are.
        spacing_nominal, steps_known: what the scan's file says, and so what can be checked.
    """

    values: dict[str, FloatVector]
    slices: int
    spacing_nominal: bool
    steps_known: bool


def measure_scan(
    volume: Volume,
    *,
    on_progress: OnProgress = ignore_progress,
    should_cancel: ShouldCancel = never_cancel,
) -> ScanMeasures:
    """Looks at every axial slice once; beside the scan it holds one slice and 128² thumbnails.

    Raises:
        Cancelled: the person asked to stop.
    """
    count = volume.shape[2]
    levels = find_levels(volume)
    per_slice: dict[str, FloatVector] = {name: np.full(count, np.nan) for name in _OF_A_SLICE}
    tissue_levels = np.full(count, np.nan)
    pictures, above, bodies = [], [], []
    for k in range(count):
        raise_if_cancelled(should_cancel, _STAGE)
        view = SliceView(volume, k, levels)
        for name, measure in _OF_A_SLICE.items():
            per_slice[name][k] = measure(view)
        tissue_levels[k] = intensity.tissue_level(view)
        pictures.append(view.coarse)
        above.append(view.above_threshold)
        bodies.append(view.body)
        on_progress(_STAGE, k + 1, count)
    coarse, body = np.stack(pictures), np.stack(bodies)
    above_threshold = np.stack(above)
    tissue = body & above_threshold
    lungs = find_lungs(above_threshold)
    cut_off = per_slice["field_of_view"]
    steps = geometry.step_deviation(volume)
    values: dict[str, FloatVector] = {
        **per_slice,
        "brightness": intensity.brightness_step(tissue_levels),
        "duplicate": content.difference_to_previous(coarse),
        "moved": content.there_and_back(tissue),
        "jump": content.jump(tissue),
        "gap": steps,
        "no_lung": content.lung_share(lungs, body, cut_off),
        "pixel_size": np.array([geometry.pixel_size(volume)]),
        "slice_distance": np.array([geometry.slice_distance(volume)]),
        "not_a_chest": np.array([content.chest_share(lungs, body, cut_off)]),
    }
    return ScanMeasures(
        values=values,
        slices=count,
        spacing_nominal=volume.spacing_nominal,
        steps_known=bool(np.isfinite(steps).any()),
    )
