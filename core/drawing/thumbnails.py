"""Small pictures of a slice: with hit, missed and false pixels in colour, or with outlines."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
import numpy.typing as npt

from core.drawing.overlays import draw_outlines
from core.volume import Array, BoolArray, Volume, pixel_size_mm

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


def draw_key_slice(
    volume: Volume,
    slice_index: int,
    *,
    masks: Mapping[str, BoolArray],
    width: int,
    quarter_turns: int = 0,
) -> bytes:
    """An axial slice as PNG, `width` pixels wide and square in mm, with the edge of each mask.

    Args:
        masks: #RRGGBB → (i, j, k) on the scan's grid; later ones are drawn over earlier ones.
        quarter_turns: clockwise, for a picture on its side.
    """

    def upright(array: Array) -> Array:
        return np.rot90(array[:, :, slice_index].T, -quarter_turns)

    window = _lung_window(volume, upright(volume.array))
    size = _size_in_mm(volume, window.shape, width, turned=quarter_turns % 2 == 1)
    shrinks = size[0] < window.shape[1]
    grey = cv2.resize(window, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    drawn = np.zeros((*grey.shape, len(masks)), dtype=np.bool_)
    for n, mask in enumerate(masks.values()):
        slim = upright(mask).astype(np.uint8)
        drawn[..., n] = cv2.resize(slim, size, interpolation=cv2.INTER_NEAREST) > 0
    picture = draw_outlines(grey.astype(np.uint8), drawn, tuple(masks))
    packed, png = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    if not packed:
        raise RuntimeError("OpenCV packs no PNG")
    return bytes(png)


def shrink_picture(picture: bytes, *, width: int) -> bytes | None:
    """A small picture as JPEG, at most `width` pixels wide; none where it is no PNG or JPEG."""
    if not picture.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")):
        return None
    try:
        read = cv2.imdecode(np.frombuffer(picture, dtype=np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        return None
    if read is None:
        return None
    if read.shape[1] > width:
        height = max(1, round(read.shape[0] * width / read.shape[1]))
        read = cv2.resize(read, (width, height), interpolation=cv2.INTER_AREA)
    packed, jpeg = cv2.imencode(".jpg", read, [cv2.IMWRITE_JPEG_QUALITY, 85])
    return bytes(jpeg) if packed else None


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
    grey = _lung_window(volume, volume.array[cut].T)
    size = _size_in_mm(volume, grey.shape, width)
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)[..., None]
    picture = np.repeat(small, 3, axis=2).astype(np.float32)
    true, pred = mask_true[cut].T, mask_pred[cut].T
    regions = {"hit": true & pred, "missed": true & ~pred, "wrong": pred & ~true}
    for name, region in regions.items():
        marked = cv2.resize(region.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
        picture[marked] += _STRENGTH * (_bgr(colours[name]) - picture[marked])
    packed, jpeg = cv2.imencode(".jpg", picture.astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 88])
    if not packed:
        raise RuntimeError("OpenCV packs no JPEG")
    return bytes(jpeg)


def _lung_window(volume: Volume, values: Array) -> npt.NDArray[np.uint8]:
    grey = (volume.hu(values) - _BLACK_HU) * (255.0 / (_WHITE_HU - _BLACK_HU))
    window: npt.NDArray[np.uint8] = np.clip(grey, 0, 255).astype(np.uint8)
    return window


def _size_in_mm(
    volume: Volume, shape: tuple[int, ...], width: int, *, turned: bool = False
) -> tuple[int, int]:
    """(width, height) in pixels of a picture of `shape` rows and columns, square in mm."""
    pixel_height, pixel_width = pixel_size_mm(volume, "axial")
    if turned:
        pixel_height, pixel_width = pixel_width, pixel_height
    ratio = shape[0] * pixel_height / (shape[1] * pixel_width)
    return width, max(1, round(width * ratio))


def _bgr(colour: str) -> npt.NDArray[np.float32]:
    return np.array([int(colour[at : at + 2], 16) for at in (5, 3, 1)], dtype=np.float32)
