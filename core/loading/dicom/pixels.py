"""Pixels of slices in HU, decoded one file at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from itertools import groupby
from typing import Any

import numpy as np

from core.errors import LoadError, shown_name
from core.loading.dicom.decode import NO_PIXELS, TOO_LONG, TOO_SHORT, DecodeError, decode
from core.loading.dicom.geometry import Grid, same_place
from core.loading.dicom.slices import Slice
from core.loading.dicom.values import in_colour
from core.loading.dicom.workers import CRASHED, NOT_STARTED, TIMED_OUT, Request, decode_in_worker
from core.system import OnProgress, ShouldCancel, raise_if_cancelled, size_text
from core.volume import AIR_HU, Array

_PADDING_ABOVE_HU = 3071.0
_AIR_AND_LUNG_HU = (-1200.0, -600.0)
_TURNED = "The slices are stored as a negative (MONOCHROME1): their values were inverted."
_CHANNEL_NOISE = 3
"""Levels by which the colours of a grey picture differ once it was JPEG."""
_INT16 = np.iinfo(np.int16)


def read_pixels(
    grid: Grid, *, on_progress: OnProgress, should_cancel: ShouldCancel
) -> tuple[Array, Grid]:
    """(columns, rows, slices) in HU, Fortran order; identical doubles are dropped from `grid`."""
    slices = grid.slices
    whole = all(s.slope.is_integer() and s.intercept.is_integer() for s in slices)
    shape = (slices[0].columns, slices[0].rows, len(slices))
    array: Array = np.empty(shape, dtype=np.int16 if whole else np.float32, order="F")
    greys = _Greys()
    kept: list[Slice] = []
    for done, (item, stored) in enumerate(_stored(slices)):
        raise_if_cancelled(should_cancel, "reading slices")
        array[:, :, len(kept)] = _to_hu(stored, item, greys, array.dtype).T
        if not (kept and same_place(kept[-1], item)):
            kept.append(item)
        elif not np.array_equal(array[:, :, len(kept)], array[:, :, len(kept) - 1]):
            raise LoadError(
                "Two different slices lie at the same position",
                got=f"slices {done} and {done + 1} of {len(slices)}",
                expected="one slice at each position",
                next_step="export one phase or reconstruction of the series",
            )
        on_progress("reading slices", done + 1, len(slices))
    if greys.turned:
        grid = replace(grid, warnings=(*grid.warnings, _TURNED))
    doubles = len(slices) - len(kept)
    if not doubles:
        return array, grid
    text = "slices were there twice and were" if doubles > 1 else "slice was there twice and was"
    grid = replace(
        grid,
        slices=tuple(kept),
        warnings=(*grid.warnings, f"{doubles} {text} taken once."),
    )
    return array[:, :, : len(kept)], grid


def _stored(slices: tuple[Slice, ...]) -> Iterator[tuple[Slice, Array]]:
    """Each slice with its (rows, columns) stored values; neighbours in a file share one reading."""
    runs = [tuple(run) for _, run in groupby(slices, key=lambda item: item.path)]
    decoded = decode_in_worker(_request(run[0]) for run in runs if run[0].compressed)
    with closing(decoded):
        for run in runs:
            pixels = _pixels(run[0], decoded)
            for item in run:
                yield item, _picture(pixels, item)


def _request(item: Slice) -> Request:
    return Request(item.path, item.rows * item.columns * item.samples * item.frames)


def _pixels(item: Slice, decoded: Iterator[Array]) -> Array:
    """Stored values of one file: plain ones are read here, compressed ones by a worker."""
    try:
        return next(decoded) if item.compressed else decode(item.path)
    except DecodeError as error:
        raise _explained(str(error)) from error


def _explained(problem: str) -> LoadError:
    if problem == NO_PIXELS:
        return LoadError(
            "A DICOM file has no pixel data",
            got="a header without a picture",
            expected="a CT slice",
            next_step="export the series with its pictures",
        )
    if problem == TOO_LONG:
        return LoadError(
            "A slice's pixels do not fit its header",
            got="more pixel data than its rows and columns hold",
            expected="as much as the header says",
            next_step="export the series again",
        )
    if problem == TOO_SHORT:
        return LoadError(
            "A slice is cut off",
            got="fewer pixels than its header says",
            expected="a complete DICOM slice",
            next_step="copy the series again",
        )
    got = f"damaged pixels or the compression {shown_name(problem)}"
    if problem == CRASHED:
        got = "compressed pixels at which the decoder crashed"
    elif problem == TIMED_OUT:
        got = "compressed pixels at which the decoder did not end in time"
    elif problem == NOT_STARTED:
        return LoadError(
            "Compressed slices cannot be decoded now",
            got="no process for the decoder",
            expected="free memory and processes",
            next_step="try again when the machine is less busy",
        )
    return LoadError(
        "A slice cannot be decoded",
        got=got,
        expected="a complete DICOM slice",
        next_step="copy the series again, or convert it to uncompressed DICOM",
    )


def _picture(pixels: Array, item: Slice) -> Array:
    if item.frame is not None and pixels.ndim == (3 if item.samples == 1 else 4):
        pixels = pixels[item.frame]
    if item.samples == 3 and pixels.ndim == 3:
        pixels = _grey(pixels, item)
    if pixels.shape != (item.rows, item.columns):
        raise LoadError(
            "A slice's pixels do not fit its header",
            got=size_text(pixels.shape),
            expected=size_text((item.rows, item.columns)),
            next_step="export the series again",
        )
    return pixels


def _grey(pixels: Array, item: Slice) -> Array:
    """(rows, columns) of a picture in three values per pixel that shows nothing but grey.

    Raises:
        LoadError: it shows colours.
    """
    first, *others = (pixels[..., channel].astype(np.int32) for channel in range(3))
    # The decoders of JPEG give RGB whatever the header says.
    is_grey = all(int(np.abs(other - first).max()) <= _CHANNEL_NOISE for other in others)
    no_colour = 1 << (item.bits - 1)
    is_luminance = item.photometric.startswith("YBR") and all(
        int(np.abs(other - no_colour).max()) <= _CHANNEL_NOISE for other in others
    )
    if not is_grey and not is_luminance:
        raise in_colour(item)
    return pixels[..., 0]


class _Greys:
    """Turns what is stored white-is-low; settled once, for all slices of a series alike.

    By the standard MONOCHROME1 speaks of the display only, and rescaled values are HU all the
    same. Exporters that store a negative say MONOCHROME1 as well: there the air is dense.
    """

    def __init__(self) -> None:
        self.turned = False
        self._settled = False

    def upright(self, pixels: Array, item: Slice) -> Array:
        """The stored values, low for air."""
        if item.photometric != "MONOCHROME1":
            return pixels
        highest = -1 if item.signed else (1 << item.bits) - 1
        negative: Array = highest - pixels.astype(np.int64)
        if not self._settled:
            as_stored, as_negative = _air(pixels, item), _air(negative, item)
            self.turned = as_negative > as_stored or (
                as_negative == as_stored and not item.rescaled
            )
            self._settled = True
        return negative if self.turned else pixels


def _air(pixels: Array, item: Slice) -> float:
    """Share of values that are air or lung on the scale of HU."""
    low, high = _AIR_AND_LUNG_HU
    hu = pixels * item.slope + item.intercept
    return float(np.mean((hu >= low) & (hu <= high)))


def _to_hu(stored: Array, item: Slice, greys: _Greys, dtype: np.dtype[Any]) -> Array:
    """Rescaled values; what lies outside the reconstruction becomes air."""
    pixels = greys.upright(stored, item)
    if dtype == np.int16:
        values: Array = pixels.astype(np.int32)
        if (item.slope, item.intercept) != (1.0, 0.0):
            values = values.astype(np.int64) * int(item.slope) + int(item.intercept)
        # No tissue or metal lies beyond what int16 holds.
        values = np.clip(values, _INT16.min, _INT16.max)
    else:
        values = pixels * np.float32(item.slope) + np.float32(item.intercept)
    if item.padding is not None:
        low, high = item.padding
        ends = greys.upright(np.array(item.padding), item) * item.slope + item.intercept
        # Inside the scale of HU a declared padding value may be tissue as well.
        if ends.max() < AIR_HU or ends.min() > _PADDING_ABOVE_HU:
            values[(stored >= low) & (stored <= high)] = int(AIR_HU)
    return values.astype(dtype, copy=False)
