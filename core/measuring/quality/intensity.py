"""Measures of how true the values of a scan are: noise, unevenness, clipping."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from core.measuring.biomarkers import FloatVector
from core.measuring.quality.view import SliceView, find_slice_levels, shows_inverted_lung
from core.preprocessing.roi import part_slice
from core.volume import BoolArray, FloatArray

_MIN_PIXELS = 200
_MAD_TO_SIGMA = 1.4826
_FITTED_POINTS = 2000
_FIT_ROUNDS = 4
_STRIPE_WINDOW = 25
"""Pixels over which a stripe is compared with what lies beside it."""
_MIN_LINE_SHARE = 0.15
"""A row or column counts from this share of tissue on."""
_STRIPE_CLIP_HU = 150.0
"""Edges of organs beyond this count as this much, so that they do not dominate a line."""
_NEIGHBOURS = 5


def noise(view: SliceView) -> float:
    """Robust standard deviation of fine detail in soft tissue, as a share of the contrast."""
    tissue = view.tissue_inside
    if np.count_nonzero(tissue) < _MIN_PIXELS:
        return float("nan")
    every = view.every_other
    detail = np.abs((view.hu[every] - view.smooth[every])[tissue[every]])
    return float(_MAD_TO_SIGMA * np.median(detail) / view.levels.contrast)


def unevenness(view: SliceView) -> float:
    """How far tissue brightens from one side of the body to the other, as a share of the contrast.

    A plane is fitted to the tissue, outliers such as bone weighing little; the value is the
    distance between its 5th and 95th percentile. Curved surfaces would follow the fat around the
    muscles of a healthy chest.
    """
    eroded = cv2.erode(view.tissue.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    y, x = np.nonzero(eroded)
    if y.size < _MIN_PIXELS:
        return float("nan")
    step = max(1, y.size // _FITTED_POINTS)
    y, x = y[::step], x[::step]
    terms = np.stack([np.ones(y.size), y / view.coarse.shape[0], x / view.coarse.shape[1]], axis=1)
    plane = _fit(terms, view.coarse[y, x].astype(np.float64))
    low, high = np.percentile(plane, (5, 95))
    return float((high - low) / view.levels.contrast)


def _fit(terms: npt.NDArray[np.float64], values: FloatVector) -> FloatVector:
    """`terms` weighted so that they follow `values`, by least squares with Cauchy weights."""
    weights = np.ones_like(values)
    surface: FloatVector = values
    for _ in range(_FIT_ROUNDS):
        weighted = terms * weights[:, None]
        factors = np.linalg.lstsq(weighted.T @ terms, weighted.T @ values, rcond=None)[0]
        surface = terms @ factors
        away = values - surface
        spread = 2.0 * _MAD_TO_SIGMA * float(np.median(np.abs(away))) + 1e-6
        weights = 1.0 / (1.0 + np.square(away / spread))
    return surface


def stripes(view: SliceView) -> float:
    """How much whole rows or columns of tissue differ from those beside them (RMS), as a share
    of the contrast; the larger of the two directions."""
    tissue = view.tissue_inside
    if np.count_nonzero(tissue) < _MIN_PIXELS:
        return float("nan")
    weight = tissue.astype(np.float32)
    # Every other pixel along a line says as much of its mean as all of them.
    found = [
        _row_stripes(view.hu[:, ::2], weight[:, ::2]),
        _row_stripes(view.hu[::2].T, weight[::2].T),
    ]
    worst = np.nanmax(found) if np.isfinite(found).any() else np.nan
    return float(worst / view.levels.contrast)


def _row_stripes(hu: FloatArray, weight: FloatArray) -> float:
    """RMS of how far rows are off the rows around them, in HU, by the pixels that weigh one."""
    size = (1, _STRIPE_WINDOW)
    weight = np.ascontiguousarray(weight)
    around = cv2.blur(hu * weight, size) / np.maximum(cv2.blur(weight, size), 1e-3)
    detail = np.clip(hu - around, -_STRIPE_CLIP_HU, _STRIPE_CLIP_HU) * weight
    counts = weight.sum(axis=1)
    rows = counts >= max(16.0, _MIN_LINE_SHARE * weight.shape[1])
    if np.count_nonzero(rows) < _STRIPE_WINDOW:
        return float("nan")
    means = detail.sum(axis=1)[rows] / counts[rows]
    return float(np.sqrt(np.mean(np.square(means))))


def saturation(view: SliceView) -> float:
    """Share of the body's pixels that have the slice's lowest or highest value."""
    body: BoolArray = view.body_pixels
    values = view.hu[body]
    if values.size < _MIN_PIXELS:
        return float("nan")
    low, high = view.extremes
    clipped = (values <= low) | (values >= high)
    return float(np.mean(clipped))


def tissue_level(view: SliceView) -> float:
    """Typical value of what is bright in the slice; 0 is the scan's air, 1 its tissue.

    Found by the slice's own threshold, so that a slice as a whole may be darker than the scan.
    nan without a body of its own.
    """
    own = find_slice_levels(view.coarse)
    if not part_slice(view.coarse > own.threshold).body.any():
        return float("nan")
    return (own.tissue - view.levels.air) / view.levels.contrast


def brightness_step(tissue_levels: FloatVector) -> FloatVector:
    """How far each slice's tissue is off the median of up to five slices on either side."""
    count = tissue_levels.size
    usual = np.full(count, np.nan)
    for k in range(count):
        near = tissue_levels[max(0, k - _NEIGHBOURS) : k + _NEIGHBOURS + 1]
        near = near[np.isfinite(near)]
        if near.size >= 3:
            usual[k] = np.median(near)
    steps: FloatVector = np.abs(tissue_levels - usual)
    return steps


def bright_surroundings(view: SliceView) -> float:
    """Typical value along the edges of the picture as it was stored: 0 is air, 1 is tissue.

    0 as well where tissue fills the edges because the picture is cropped to the chest: inverted
    is only what shows bright lungs in a dark body.
    """
    if view.levels.turnover is not None:
        return max(0.0, 1.0 - view.frame_level)
    return max(0.0, view.frame_level) if shows_inverted_lung(view.coarse) else 0.0
