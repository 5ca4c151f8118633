"""Pixels of slices in HU, decoded one file at a time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom

from core.errors import LoadError, shown_name
from core.loading.dicom.geometry import Grid, same_place
from core.loading.dicom.slices import Slice
from core.system import OnProgress, ShouldCancel, raise_if_cancelled, size_text
from core.volume import AIR_HU, Array

_PADDING_ABOVE_HU = 3071.0
_INT16 = np.iinfo(np.int16)


def read_pixels(
    grid: Grid, *, on_progress: OnProgress, should_cancel: ShouldCancel
) -> tuple[Array, Grid]:
    """(columns, rows, slices) in HU, Fortran order; identical doubles are dropped from `grid`."""
    slices = grid.slices
    whole = all(s.slope.is_integer() and s.intercept.is_integer() for s in slices)
    shape = (slices[0].columns, slices[0].rows, len(slices))
    array: Array = np.empty(shape, dtype=np.int16 if whole else np.float32, order="F")
    frames = _Frames()
    kept: list[Slice] = []
    for done, item in enumerate(slices):
        raise_if_cancelled(should_cancel, "reading slices")
        array[:, :, len(kept)] = _to_hu(frames.pixels(item), item, array.dtype).T
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


class _Frames:
    """Decoded pixels of the file in use: the frames of one file share one reading."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._pixels: Array = np.empty(0)

    def pixels(self, item: Slice) -> Array:
        """(rows, columns) stored values of one slice."""
        if item.path != self._path:
            self._pixels, self._path = _decode(item.path), item.path
        pixels = self._pixels
        if item.frame is not None and pixels.ndim == 3:
            pixels = pixels[item.frame]
        if pixels.shape != (item.rows, item.columns):
            raise LoadError(
                "A slice's pixels do not fit its header",
                got=size_text(pixels.shape),
                expected=size_text((item.rows, item.columns)),
                next_step="export the series again",
            )
        return pixels


def _decode(path: Path) -> Array:
    syntax = "unknown"
    try:
        dataset = pydicom.dcmread(path, force=True)
        if "PixelData" not in dataset:
            raise LoadError(
                "A DICOM file has no pixel data",
                got="a header without a picture",
                expected="a CT slice",
                next_step="export the series with its pictures",
            )
        meta = getattr(dataset, "file_meta", None)
        if meta is None or "TransferSyntaxUID" not in meta:
            dataset.file_meta = meta or pydicom.dataset.FileMetaDataset()
            dataset.file_meta.TransferSyntaxUID = pydicom.uid.ImplicitVRLittleEndian
        syntax = dataset.file_meta.TransferSyntaxUID.name
        pixels: Array = dataset.pixel_array
    except LoadError:
        raise
    except Exception as error:  # decoders raise whatever a broken stream makes them
        raise LoadError(
            "A slice cannot be decoded",
            got=f"damaged pixels or the compression {shown_name(syntax)}",
            expected="a complete DICOM slice",
            next_step="copy the series again, or convert it to uncompressed DICOM",
        ) from error
    return pixels


def _to_hu(pixels: Array, item: Slice, dtype: np.dtype[Any]) -> Array:
    """Rescaled values; what lies outside the reconstruction becomes air."""
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
        ends = (low * item.slope + item.intercept, high * item.slope + item.intercept)
        # Inside the scale of HU a declared padding value may be tissue as well.
        if max(ends) < AIR_HU or min(ends) > _PADDING_ABOVE_HU:
            values[(pixels >= low) & (pixels <= high)] = int(AIR_HU)
    return values.astype(dtype, copy=False)
