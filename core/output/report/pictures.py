"""Key slices as pictures: where most is infected, what a person has marked, and an even spread
through the lungs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from core.annotation import Annotation
from core.config import WINDOW_PRESETS, Plane
from core.drawing import PREDICTION_COLOURS, TRUTH_COLOURS, Picture
from core.measuring.biomarkers import compute_slice_burden
from core.output.report.fonts import picture_font
from core.output.report.marks import (
    Ranges,
    draw_marks,
    marked_slices,
    ordered_marks,
    widened,
)
from core.volume import (
    PLANE_AXIS,
    PLANE_LABELS,
    Array,
    BoolArray,
    MaskPair,
    Study,
    Volume,
    pixel_size_mm,
    plane_slice,
)

WIDTH = 840
"""Pixels across a key slice."""
_MARGIN_MM = 12.0
_SPREAD = (0.2, 0.5, 0.8, 0.35, 0.65, 0.1, 0.9)
"""Where the lung is cut besides, as shares of its voxels from below; the first that are apart."""
_BESIDES = 3
_MARKED = "marked"
_APART = 0.05
"""Of the slices of the scan."""
_MAX_RATIO = 1.15
"""Height over width from which a picture is made narrower instead."""
_FLAT = 0.2
"""Side views of scans lower than this share of their width are left out."""
_DASH = 9.0
_WHITE, _BLACK = (242, 245, 248), (8, 12, 16)


@dataclass(frozen=True, eq=False)
class KeySlice:
    """One slice with its outlines drawn in.

    Attributes:
        index: from 0; people count from 1.
        picture: (rows, columns, 3) RGB uint8.
        why: what it was chosen for.
    """

    plane: Plane
    index: int
    picture: Picture
    why: str

    @property
    def title(self) -> str:
        """Such as "Axial 49"."""
        return f"{self.plane.capitalize()} {self.index + 1}"

    def png_bytes(self) -> bytes:
        """As a PNG file."""
        return _encoded(".png", self.picture, [])

    def jpeg_bytes(self) -> bytes:
        """As a JPEG file whose outlines keep their colours: chroma is not thinned out."""
        sampling = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
        return _encoded(".jpg", self.picture, [cv2.IMWRITE_JPEG_QUALITY, 90, *sampling])


def draw_key_slices(
    study: Study,
    predicted: MaskPair,
    *,
    damaged: Collection[int] = (),
    stamp: str = "",
    quarter_turns: int = 0,
    annotations: Sequence[Annotation] = (),
) -> tuple[KeySlice, ...]:
    """Up to four axial slices, a coronal and a sagittal one.

    Pictures and single slices have no other planes. Every key slice is cut to the lungs, or to
    the whole picture where none are marked, in true proportions where millimetres are known.

    Args:
        damaged: axial slices that the quality checks find at fault; others are shown instead, as
            long as there are any.
        stamp: a word to draw into every picture, such as "SYNTHETIC".
        quarter_turns: of axial slices, clockwise, for a picture on its side.
        annotations: what a person has placed on slices. Slices with most of it come before the
            even spread, and it is drawn into them.
    """
    volume = study.volume
    chosen = _choose(volume, predicted, damaged, annotations)
    box = _box(predicted, volume)
    marks = ordered_marks(annotations)
    pictures = []
    for plane, index, why in chosen:
        here = [(n, one) for n, one in marks if (one.plane, one.index) == (plane, index)]
        place = _Slice(plane, index, why, widened(box, [one for _, one in here], volume))
        turns = quarter_turns if plane == "axial" else 0
        drawn = _draw(study, predicted, place, marks=here, stamp=stamp, turns=turns)
        pictures.append(KeySlice(plane, index, drawn, why))
    return tuple(pictures)


@dataclass(frozen=True)
class _Slice:
    """Which slice a picture shows, why, and what of it."""

    plane: Plane
    index: int
    why: str
    box: Ranges


def _choose(
    volume: Volume,
    predicted: MaskPair,
    damaged: Collection[int],
    annotations: Sequence[Annotation],
) -> list[tuple[Plane, int, str]]:
    burden = compute_slice_burden(predicted, volume)
    lung = _without(burden.lung_pixels, damaged)
    count = volume.shape[2]
    most: int | None = None
    chosen: list[tuple[Plane, int, str]] = []
    if burden.most_infected is not None:
        most = int(np.argmax(_without(burden.infection_pixels, damaged)))
        why = "most infected" if most == burden.most_infected else "most infected, undamaged"
        chosen.append(("axial", most, why if count > 1 else ""))
    marked = [k for k in marked_slices(annotations, "axial") if k != most][:_BESIDES]
    taken = [*marked, *(() if most is None else (most,))]
    besides = _spread(lung, count, taken=taken)[: _BESIDES - len(marked)]
    chosen += [("axial", k, _MARKED if k in marked else "") for k in sorted([*marked, *besides])]
    if volume.source.format == "pictures" or _is_flat(volume):
        return chosen
    for plane in ("coronal", "sagittal"):
        side: Plane = plane
        index = _most_infected(predicted, volume, side)
        why = "most infected" if index is not None else ""
        for marked_index in marked_slices(annotations, side)[:1]:
            why = why if index == marked_index else _MARKED
            index = marked_index
        chosen.append((side, volume.plane_count(side) // 2 if index is None else index, why))
    return chosen


def _without(pixels: npt.NDArray[np.float64], damaged: Collection[int]) -> npt.NDArray[np.float64]:
    """Counts by slice with those of damaged slices at 0, unless nothing would be left."""
    kept = np.nan_to_num(pixels)
    kept[list(damaged)] = 0.0
    return kept if kept.any() else np.nan_to_num(pixels)


def _is_flat(volume: Volume) -> bool:
    """Whether the slices are too few for a side view to show more than a strip."""
    i, j, k = (n * mm for n, mm in zip(volume.shape, volume.spacing_mm, strict=True))
    return volume.shape[2] < 3 or k < _FLAT * max(i, j)


def _spread(lung_pixels: npt.NDArray[np.float64], count: int, *, taken: Sequence[int]) -> list[int]:
    """Slices at equal shares of the lung, apart from those taken; of the scan where no lung is
    marked. The first ones are spread best."""
    pixels = np.nan_to_num(lung_pixels)
    total = np.cumsum(pixels) if pixels.any() else np.arange(1.0, count + 1)
    apart = max(1, round(_APART * count))
    found: list[int] = []
    for share in _SPREAD:
        k = int(np.searchsorted(total, share * total[-1]))
        if len(found) < _BESIDES and all(abs(k - other) >= apart for other in (*taken, *found)):
            found.append(k)
    return found


def _most_infected(predicted: MaskPair, volume: Volume, plane: Plane) -> int | None:
    if predicted.infection is None:
        return None
    return compute_slice_burden(predicted, volume, plane=plane).most_infected


def _box(predicted: MaskPair, volume: Volume) -> Ranges:
    """Half-open ranges of the scan around what is marked, with a margin; all where nothing is."""
    ranges = []
    for axis in range(3):
        held = np.zeros(volume.shape[axis], dtype=bool)
        others = tuple(n for n in range(3) if n != axis)
        for mask in (predicted.lung, predicted.infection):
            if mask is not None:
                held |= mask.any(axis=others)
        inside = np.flatnonzero(held)
        margin = round(_MARGIN_MM / volume.spacing_mm[axis])
        start, stop = 0, volume.shape[axis]
        if inside.size:
            start = max(0, int(inside[0]) - margin)
            stop = min(volume.shape[axis], int(inside[-1]) + 1 + margin)
        ranges.append((start, stop))
    i, j, k = ranges
    return i, j, k


def _draw(
    study: Study,
    predicted: MaskPair,
    place: _Slice,
    *,
    marks: Sequence[tuple[int, Annotation]],
    stamp: str,
    turns: int,
) -> Picture:
    volume, plane, index, box = study.volume, place.plane, place.index, place.box
    down_mm, across_mm = pixel_size_mm(volume, plane)
    pixel_mm = (across_mm, down_mm) if turns % 2 else (down_mm, across_mm)

    def cut(array: Array) -> Array:
        # The slice first, so that no more than one is ever touched.
        whole = [slice(*span) for span in box]
        whole[PLANE_AXIS[plane]] = slice(None)
        return np.rot90(plane_slice(array[tuple(whole)], plane, index), -turns)

    grey = _grey(volume, cut(volume.array))
    size = _size(grey.shape, pixel_mm)
    enlarged = cv2.resize(grey, size, interpolation=cv2.INTER_CUBIC)
    picture: Picture = np.repeat(enlarged[..., None], 3, axis=2).astype(np.uint8)
    truth = study.truth.infection if study.truth is not None else None
    for mask, colour, dashed in (
        (predicted.lung, PREDICTION_COLOURS["lung"], False),
        (predicted.infection, PREDICTION_COLOURS["infection"], False),
        (truth, TRUTH_COLOURS["infection"], True),
    ):
        if mask is not None:
            _outline(picture, cut(mask), colour, dashed=dashed)
    scale = None
    if not volume.spacing_nominal:
        scale = size[0] / (grey.shape[1] * pixel_mm[1])
    image = Image.fromarray(picture)
    pixels = size[0] / grey.shape[1], size[1] / grey.shape[0]
    draw_marks(
        ImageDraw.Draw(image),
        marks,
        volume,
        box=box,
        scale=pixels[::-1] if turns % 2 else pixels,
        quarter_turns=turns,
        font=picture_font(round(26 * _letter_factor(image))),
    )
    return _letter(image, place, px_per_mm=scale, stamp=stamp, placed=_placed(volume))


def _placed(volume: Volume) -> bool:
    """Whether sides are known: pictures carry no orientation."""
    return volume.source.format != "pictures"


def _grey(volume: Volume, values: Array) -> npt.NDArray[np.uint8]:
    window = WINDOW_PRESETS[0]
    low = window.center - window.width / 2
    shown = (volume.hu(values) - np.float32(low)) * np.float32(255 / window.width)
    grey: npt.NDArray[np.uint8] = np.ascontiguousarray(np.clip(shown, 0, 255).astype(np.uint8))
    return grey


def _size(shape: tuple[int, ...], pixel_mm: tuple[float, float]) -> tuple[int, int]:
    """Width and height in pixels, square in mm."""
    ratio = shape[0] * pixel_mm[0] / (shape[1] * pixel_mm[1])
    if ratio > _MAX_RATIO:
        return max(1, round(WIDTH * _MAX_RATIO / ratio)), round(WIDTH * _MAX_RATIO)
    return WIDTH, max(1, round(WIDTH * ratio))


def _outline(picture: Picture, mask: BoolArray, colour: str, *, dashed: bool) -> None:
    """Draws the edge of a mask, smoothed to the picture's resolution."""
    rows, columns = picture.shape[:2]
    found, _ = cv2.findContours(
        _enlarged(mask, rows, columns), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE
    )
    rgb = tuple(int(colour[n : n + 2], 16) for n in (1, 3, 5))
    for contour in found:
        if not dashed:
            cv2.polylines(picture, [contour], True, rgb, thickness=2, lineType=cv2.LINE_AA)
            continue
        for start in range(0, len(contour), int(2 * _DASH)):
            piece = contour[start : start + int(_DASH) + 1]
            cv2.polylines(picture, [piece], False, rgb, thickness=2, lineType=cv2.LINE_AA)


def _enlarged(mask: BoolArray, rows: int, columns: int) -> npt.NDArray[np.uint8]:
    """0 and 1 at the picture's resolution: corners of voxels rounded, no part of the mask lost."""
    small = np.ascontiguousarray(mask).astype(np.uint8)
    size = (columns, rows)
    large = cv2.resize(small * 255, size, interpolation=cv2.INTER_LINEAR)
    across, down = columns / small.shape[1], rows / small.shape[0]
    large = cv2.GaussianBlur(large, (0, 0), sigmaX=0.5 * across, sigmaY=0.5 * down)
    smooth: npt.NDArray[np.uint8] = (large >= 128).astype(np.uint8)
    count, parts = cv2.connectedComponents(small)
    if count > 1:
        parts = cv2.resize(parts.astype(np.float32), size, interpolation=cv2.INTER_NEAREST)
        kept = np.unique(parts[smooth > 0])
        smooth[(parts > 0) & ~np.isin(parts, kept)] = 1
    return smooth


def _letter_factor(image: Image.Image) -> float:
    """Letters come out alike however far a tall picture is made smaller to stand beside others."""
    width, height = image.size
    return max(width / WIDTH, height / (0.8 * WIDTH))


def _letter(
    image: Image.Image, place: _Slice, *, px_per_mm: float | None, stamp: str, placed: bool
) -> Picture:
    """Sides of the patient, number of the slice, a bar of 5 cm and the stamp."""
    pen = ImageDraw.Draw(image)
    width, height = image.size
    plane, why, factor = place.plane, place.why, _letter_factor(image)
    large, small = picture_font(round(34 * factor)), picture_font(round(26 * factor))
    shade: dict[str, Any] = {"stroke_width": 3, "stroke_fill": _BLACK}
    left, right, _, _ = PLANE_LABELS[plane]
    if placed:
        pen.text((12, height / 2), left, fill=_WHITE, font=large, anchor="lm", **shade)
        pen.text((width - 12, height / 2), right, fill=_WHITE, font=large, anchor="rm", **shade)
    name = f"{plane.capitalize()} {place.index + 1}" + (f", {why}" if why else "")
    pen.text((12, 10), name, fill=_WHITE, font=small, anchor="la", **shade)
    if stamp:
        amber = PREDICTION_COLOURS["infection"]
        pen.text((width - 12, height - 8), stamp, fill=amber, font=small, anchor="rd", **shade)
    if px_per_mm is not None:
        bar = 50 * px_per_mm
        if bar < 0.6 * width:
            y = height - 18
            pen.line([(14, y), (14 + bar, y)], fill=_BLACK, width=9)
            pen.line([(14, y), (14 + bar, y)], fill=_WHITE, width=4)
            pen.text((24 + bar, y), "5 cm", fill=_WHITE, font=small, anchor="lm", **shade)
    drawn: Picture = np.asarray(image)
    return drawn


def _encoded(ending: str, picture: Picture, options: list[int]) -> bytes:
    done, packed = cv2.imencode(ending, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise RuntimeError(f"OpenCV packs no {ending}")
    return bytes(packed)
