"""One slice and everything its picture needs as bytes for the browser.

Layout: uint32 (little-endian) length of the header; the header, UTF-8 JSON padded with spaces
to a multiple of four bytes; rows×columns int16 (little-endian) values in HU; rows×columns uint8
of bits saying which masks hold the pixel.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from core.config import Channel, Plane
from core.figures import (
    AGREEMENT_COLOURS,
    PREDICTION_COLOURS,
    TRUTH_COLOURS,
)
from core.volume import (
    PLANE_LABELS,
    BoolArray,
    MaskPair,
    Volume,
    pixel_size_mm,
    plane_slice,
)

BITS: dict[tuple[str, Channel], int] = {
    ("truth", "lung"): 1,
    ("truth", "infection"): 2,
    ("prediction", "lung"): 4,
    ("prediction", "infection"): 8,
}
"""Which bit of a pixel's label byte stands for which mask."""

Style = Literal["fill", "outline", "agreement"]


@dataclass(frozen=True)
class Window:
    """The grey scale of the picture: HU at its middle and from black to white."""

    center: float
    width: float


@dataclass(frozen=True)
class Overlay:
    """What is drawn over the picture.

    Attributes:
        channels: lung, infection, both or none.
        style: filled areas, outlines, or where truth and prediction agree.
        opacity: of filled areas, 0 to 1.
    """

    channels: tuple[Channel, ...] = ("lung", "infection")
    style: Style = "fill"
    opacity: float = 0.4


def pack_slice(
    volume: Volume,
    *,
    plane: Plane,
    slice_index: int,
    window: Window,
    truth: MaskPair | None = None,
    prediction: MaskPair | None = None,
    overlay: Overlay | None = None,
    title: str = "",
    stamp: str = "",
    tallest: float = 0.61,
    steppable: bool = False,
) -> bytes:
    """The bytes of one slice; see the module's text for their layout.

    Args:
        truth, prediction: masks on the scan's own grid; either may be left out.
        title: what the picture is called for people who cannot see it.
        tallest: largest height, as a share of the browser window's.
        steppable: whether arrow keys ask for other slices.
        stamp: a word drawn into the picture, such as "SYNTHETIC".
    """
    overlay = overlay or Overlay()
    values = _hu_int16(volume, plane, slice_index)
    labels = np.zeros(values.shape, dtype=np.uint8)
    layers = []
    for (source, channel), bit in BITS.items():
        pair = truth if source == "truth" else prediction
        mask = _mask(pair, channel)
        if mask is None or channel not in overlay.channels:
            continue
        labels[plane_slice(mask, plane, slice_index)] |= bit
        colours = TRUTH_COLOURS if source == "truth" else PREDICTION_COLOURS
        layers.append(
            {"bit": bit, "source": source, "channel": channel, "colour": colours[channel]}
        )
    height_mm, width_mm = pixel_size_mm(volume, plane)
    header = {
        "rows": values.shape[0],
        "columns": values.shape[1],
        "pixelHeight": height_mm,
        "pixelWidth": width_mm,
        "scaleBar": not volume.spacing_nominal,
        "letters": PLANE_LABELS[plane],
        "plane": plane,
        "slice": slice_index + 1,
        "count": volume.plane_count(plane),
        "center": window.center,
        "width": max(window.width, 1.0),
        "unitKnown": volume.unit == "HU",
        "layers": layers,
        "style": overlay.style,
        "opacity": overlay.opacity,
        "agreement": AGREEMENT_COLOURS,
        "title": title,
        "stamp": stamp,
        "tallest": tallest,
        "steppable": steppable,
    }
    return _join(header, values, labels)


def _mask(pair: MaskPair | None, channel: Channel) -> BoolArray | None:
    if pair is None:
        return None
    return pair.lung if channel == "lung" else pair.infection


def _hu_int16(volume: Volume, plane: Plane, slice_index: int) -> npt.NDArray[np.int16]:
    values = plane_slice(volume.array, plane, slice_index)
    exact = volume.intensity.slope == 1.0 and volume.intensity.intercept == 0.0
    if not (exact and values.dtype == np.int16):
        hu = np.nan_to_num(np.rint(volume.hu(values)), nan=-1024.0)
        values = np.clip(hu, -32768, 32767)
    return np.ascontiguousarray(values, dtype="<i2")


def _join(
    header: dict[str, Any], values: npt.NDArray[np.int16], labels: npt.NDArray[np.uint8]
) -> bytes:
    text = json.dumps(header, ensure_ascii=False, allow_nan=False).encode()
    text += b" " * (-len(text) % 4)
    return len(text).to_bytes(4, "little") + text + values.tobytes() + labels.tobytes()
