"""Values of headers that no CT scanner writes, refused before anything is computed with them."""

from __future__ import annotations

import math

import numpy as np

from core.errors import LoadError
from core.loading.dicom.slices import Slice

_PIXEL_MM = (0.01, 20.0)
_POSITION_MM = 10_000.0
"""No table moves ten metres."""
_SLOPE = 1000.0
_INTERCEPT = 100_000.0
_GREY = ("", "MONOCHROME1", "MONOCHROME2")
COLOURS = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT")
"""Of three values per pixel, alike in RGB where the picture is grey."""


def check_values(slices: list[Slice]) -> None:
    """Checks what places the pixels and what gives them their meaning.

    Raises:
        LoadError: a value lies outside the range of real scans, or the pixels are not grey.
    """
    for item in slices:
        _check_grey(item)
        _check_place(item)
        _check_rescale(item)


def _check_grey(item: Slice) -> None:
    if item.samples == 3 and item.photometric in COLOURS:
        return  # grey pictures are kept so too: the pixels tell
    if item.samples != 1 or item.photometric not in _GREY:
        raise in_colour(item)


def in_colour(item: Slice) -> LoadError:
    """The error for pictures that are not grey."""
    plain = item.photometric.replace("_", "").replace(" ", "").isalnum()
    return LoadError(
        "The pictures are in colour",
        got=f"{item.samples} value{'s' if item.samples != 1 else ''} per pixel"
        + (f" ({item.photometric})" if plain else ""),
        expected="one grey value per pixel",
        next_step="open the CT slices, not a rendering of them",
    )


def _check_place(item: Slice) -> None:
    low, high = _PIXEL_MM
    if item.pixel_mm is not None and not all(low <= mm <= high for mm in item.pixel_mm):
        raise LoadError(
            "The pixel spacing of a slice cannot be right",
            got=" × ".join(f"{mm:.6g}" for mm in item.pixel_mm) + " mm",
            expected=f"{low:g} to {high:g} mm",
            next_step="export the series again",
        )
    if item.position is not None and not (np.abs(item.position) <= _POSITION_MM).all():
        raise LoadError(
            "The position of a slice cannot be right",
            got=f"{max(map(abs, map(float, item.position))):.6g} mm from the scanner's origin",
            expected=f"at most {_POSITION_MM:.0f} mm",
            next_step="export the series again",
        )
    if item.orientation is None:
        return
    with np.errstate(over="ignore", invalid="ignore"):
        lengths = np.linalg.norm(item.orientation, axis=1)
        across = abs(float(item.orientation[0] @ item.orientation[1]))
    if not (np.abs(lengths - 1) <= 0.05).all() or not across <= 0.05:
        raise LoadError(
            "The slices' orientation cannot be used",
            got="row and column directions that do not span a plane at right angles",
            expected="two perpendicular directions of length 1",
            next_step="export the series again",
        )


def _check_rescale(item: Slice) -> None:
    slope, intercept = item.slope, item.intercept
    fits = math.isfinite(slope) and 1 / _SLOPE <= abs(slope) <= _SLOPE
    if not fits or not abs(intercept) <= _INTERCEPT:
        raise LoadError(
            "The rescale values of a slice cannot be right",
            got=f"slope {slope:.6g}, intercept {intercept:.6g}",
            expected=f"a slope up to {_SLOPE:.0f} other than 0, an intercept up to "
            f"{_INTERCEPT:.0f}",
            next_step="export the series again",
        )
