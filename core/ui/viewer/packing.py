"""Slices as bytes for the browser, small enough to send once and quick to undo there.

A chunk holds some axial slices, rows and columns in the order of the picture. Values: within
each row every voxel but the first is its difference to its left neighbour (modulo 2^16 or 2^8);
16-bit differences are folded so that small ones of either sign come first (0, -1, 1, -2 …), and
all low bytes stand before all high bytes. 8-bit differences are bytes as they are. Labels: a byte
a voxel, the bits of `BITS`. Both are then gzipped; run lengths suit the high bytes and Huffman
codes the low ones, and looking for longer repeats in noise only costs time.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from core.config import Channel
from core.volume import AIR_HU, Array, BoolArray, MaskPair, Volume

BITS: dict[tuple[str, Channel], int] = {
    ("truth", "lung"): 1,
    ("truth", "infection"): 2,
    ("prediction", "lung"): 4,
    ("prediction", "infection"): 8,
    ("corrected", "lung"): 16,
    ("corrected", "infection"): 32,
    ("second", "lung"): 64,
    ("second", "infection"): 128,
}
"""Which bit of a voxel's label byte stands for which mask."""

VALUE_CHUNK_VOXELS = 1 << 21
"""8 slices of 512×512: the first is on the screen soon, and undoing one costs no frame."""
LABEL_CHUNK_VOXELS = 1 << 23
"""Labels compress to next to nothing, so larger chunks save requests."""

_GZIP_WINDOW = 31


def slices_per_chunk(shape: tuple[int, int, int], voxels: int) -> int:
    """How many axial slices make a chunk of about so many voxels; at least one."""
    return max(1, voxels // (shape[0] * shape[1]))


def sent_as_hu(volume: Volume) -> bool:
    """Whether values leave as rounded HU, because the array's own are fractions."""
    return volume.array.dtype not in (np.int16, np.uint8)


def pack_values(volume: Volume, *, start: int, stop: int) -> bytes:
    """Axial slices `start` to `stop` (half-open), gzipped; see the module's text.

    int16 and uint8 arrays arrive as they are; others as HU rounded to whole numbers.
    """
    values = _sent_values(volume, start, stop)
    wide = values.dtype == np.int16
    codes = values.view(np.uint16 if wide else np.uint8)
    steps = codes.copy()
    np.subtract(codes[..., 1:], codes[..., :-1], out=steps[..., 1:])
    if not wide:
        return _gzip(steps.tobytes())
    signed = steps.view(np.int16)
    folded = ((signed << 1) ^ (signed >> 15)).view(np.uint16)
    return _gzip(folded.astype(np.uint8).tobytes(), (folded >> 8).astype(np.uint8).tobytes())


def pack_labels(
    pairs: Mapping[str, MaskPair | None],
    shape: tuple[int, int, int],
    *,
    start: int,
    stop: int,
) -> bytes:
    """Which masks hold each voxel of axial slices `start` to `stop`, gzipped.

    Args:
        pairs: masks by source, as in `BITS`, all in the scan's shape; none of them need be known.
        shape: of the scan.
    """
    labels: Any = None
    for (source, channel), bit in BITS.items():
        mask = known_mask(pairs.get(source), channel)
        if mask is None:
            continue
        marked = mask[:, :, start:stop].T.view(np.uint8) * np.uint8(bit)
        labels = marked if labels is None else np.bitwise_or(labels, marked, out=labels)
    if labels is None:
        labels = np.zeros((stop - start, shape[1], shape[0]), np.uint8)
    return _gzip(np.ascontiguousarray(labels).tobytes())


def known_mask(pair: MaskPair | None, channel: Channel) -> BoolArray | None:
    """The mask of a channel, where there is one."""
    if pair is None:
        return None
    return pair.lung if channel == "lung" else pair.infection


def _sent_values(volume: Volume, start: int, stop: int) -> Array:
    part = volume.array[:, :, start:stop].T
    if sent_as_hu(volume):
        hu = np.nan_to_num(np.rint(volume.hu(part)), nan=AIR_HU)
        part = np.clip(hu, -32768, 32767).astype(np.int16)
    kept: npt.NDArray[Any] = np.ascontiguousarray(part)
    return kept


def _gzip(*parts: bytes) -> bytes:
    packer = zlib.compressobj(1, zlib.DEFLATED, _GZIP_WINDOW, 9, zlib.Z_RLE)
    return b"".join([*map(packer.compress, parts), packer.flush()])
