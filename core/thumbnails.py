"""Small pictures of a slice with hit, missed and false pixels in colour."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
import numpy.typing as npt

from core.volume import BoolArray, Volume, pixel_size_mm

_BLACK_HU, _WHITE_HU = -1350.0, 150.0
_STRENGTH = 0.6
_MARGIN_MM = 8.0


def crop_around(mask: BoolArray, volume: Volume) -> tuple[slice, slice]:
    """Ranges along i and j that hold all of `mask` (i, j, k), a little more, and the whole slice
    where it is empty."""
    ranges = []
    for axis in (0, 1):
        held = np.flatnonzero(mask.any(axis=(1 - axis, 2)))
        margin = round(_MARGIN_MM / volume.spacing_mm[axis])
        size = mask.shape[axis]
        start, stop = (held[0] - margin, held[-1] + 1 + margin) if held.size else (0, size)
        ranges.append(slice(max(int(start), 0), min(int(stop), size)))
    return ranges[0], ranges[1]


def draw_agreement(
    volume: Volume,
    slice_index: int,
    *,
    mask_true: BoolArray,
    mask_pred: BoolArray,
    crop: tuple[slice, slice],
    colours: Mapping[str, str],
    width: int,
) -> bytes:
    """An axial slice as JPEG, `width` pixels wide and square in mm, through the lung window.

    Args:
        mask_true, mask_pred: (i, j, k) on the scan's grid.
        crop: ranges along i and j, as `crop_around` gives them.
        colours: "hit", "missed" and "wrong" → #RRGGBB.
    """
    cut = (*crop, slice_index)
    hu = volume.hu(volume.array[cut].T)
    grey = np.clip((hu - _BLACK_HU) * (255.0 / (_WHITE_HU - _BLACK_HU)), 0, 255).astype(np.uint8)
    pixel_height, pixel_width = pixel_size_mm(volume, "axial")
    ratio = grey.shape[0] * pixel_height / (grey.shape[1] * pixel_width)
    size = (width, max(1, round(width * ratio)))
    picture = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)[..., None]
    picture = np.repeat(picture, 3, axis=2).astype(np.float32)
    true, pred = mask_true[cut].T, mask_pred[cut].T
    regions = {"hit": true & pred, "missed": true & ~pred, "wrong": pred & ~true}
    for name, region in regions.items():
        marked = cv2.resize(region.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
        picture[marked] += _STRENGTH * (_bgr(colours[name]) - picture[marked])
    packed, jpeg = cv2.imencode(".jpg", picture.astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 88])
    if not packed:
        raise RuntimeError("OpenCV packs no JPEG")
    return bytes(jpeg)


def _bgr(colour: str) -> npt.NDArray[np.float32]:
    return np.array([int(colour[at : at + 2], 16) for at in (5, 3, 1)], dtype=np.float32)
