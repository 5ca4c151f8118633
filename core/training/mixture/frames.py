"""What of a slice the network is shown: which box, how large, how turned.

In use the box is that of the lungs, or of the body where no lung is found, and the network must
bear both, and boxes that are a little wrong. So boxes are drawn from lungs to body and beyond, and
two fifths of the frames are cut and scaled exactly as in use, because every turn blurs.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from core.training.mixture.sources import LabelledScan, PixelBox, Slices

_LUNG_SHARE, _BETWEEN_SHARE, _BODY_SHARE = 0.55, 0.23, 0.10
"""Of the boxes: lungs', between lungs' and body's, body's or whole slice; the rest cuts lungs."""
_JITTER = 0.02
_DEEPEST_CUT = 0.13
_FEWEST_PIXELS = 40
_AS_IN_USE = 0.4
_ERASED = 0.03
_LYING = 0.025
_SMALL = 0.07


@dataclass(frozen=True, eq=False)
class Frame:
    """(rows, columns) uint8 each; masks 0 or 1, none where unknown."""

    image: Slices
    lung: Slices | None
    infection: Slices | None


def draw_frame(
    scan: LabelledScan, k: int, *, rows: int, columns: int, generator: np.random.Generator
) -> Frame:
    """Slice `k` of a scan in a box, size and position drawn anew."""
    lung = None if scan.lung is None else scan.lung[k]
    infection = None if scan.infection is None else scan.infection[k]
    image = scan.images[k]
    if lung is not None and generator.random() < _ERASED:
        image, lung, infection = _erase_one_lung(image, lung, infection, generator)
    top, bottom, left, right = draw_box(scan, generator)
    cut = (slice(top, bottom), slice(left, right))
    image = np.ascontiguousarray(image[cut])
    masks = [
        None if mask is None else np.ascontiguousarray(mask[cut]) for mask in (lung, infection)
    ]
    if generator.random() < _AS_IN_USE:
        image, masks = _fit(image, masks, rows, columns)
    else:
        image, masks = _warp(image, masks, rows, columns, generator)
    if generator.random() < 0.5:
        image = image[:, ::-1]
        masks = [None if mask is None else mask[:, ::-1] for mask in masks]
    return Frame(np.ascontiguousarray(image), masks[0], masks[1])


def draw_box(scan: LabelledScan, generator: np.random.Generator) -> PixelBox:
    """A box in pixels of the scan's slices."""
    height, width = scan.images.shape[1:]
    lungs = np.array(scan.lung_box, dtype=np.float64)
    body = np.array(scan.body_box, dtype=np.float64)
    drawn = generator.random()
    box = lungs
    cuts = False
    if _LUNG_SHARE <= drawn < _LUNG_SHARE + _BETWEEN_SHARE:
        share = generator.random()
        box = lungs * (1.0 - share) + body * share
    elif drawn >= _LUNG_SHARE + _BETWEEN_SHARE:
        cuts = drawn >= _LUNG_SHARE + _BETWEEN_SHARE + _BODY_SHARE
        if not cuts:
            whole = np.array([0, height, 0, width], dtype=np.float64)
            box = body if generator.random() < 0.6 else whole
    sides = np.array([box[1] - box[0]] * 2 + [box[3] - box[2]] * 2)
    if cuts:
        inward = np.array([1.0, -1.0, 1.0, -1.0])
        moved = generator.uniform(-0.02, _DEEPEST_CUT, 4) * sides * inward
        box = box + moved * (generator.random(4) < 0.6)
    else:
        box = box + generator.normal(0.0, _JITTER, 4) * sides
    top, left = max(0, int(box[0])), max(0, int(box[2]))
    bottom, right = min(height, int(np.ceil(box[1]))), min(width, int(np.ceil(box[3])))
    if min(bottom - top, right - left) < _FEWEST_PIXELS:
        return 0, height, 0, width
    return top, bottom, left, right


Masks = list[Slices | None]


def _fit(image: Slices, masks: Masks, rows: int, columns: int) -> tuple[Slices, Masks]:
    """As `core.preprocessing` does it: one scale, centred, black around."""
    scale = min(rows / image.shape[0], columns / image.shape[1])
    height = min(rows, max(1, round(image.shape[0] * scale)))
    width = min(columns, max(1, round(image.shape[1] * scale)))
    top, left = (rows - height) // 2, (columns - width) // 2
    inner = (slice(top, top + height), slice(left, left + width))
    shrinks = height < image.shape[0] or width < image.shape[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR

    def placed(picture: Slices) -> Slices:
        frame = np.zeros((rows, columns), dtype=np.uint8)
        frame[inner] = cv2.resize(picture, (width, height), interpolation=how)
        return frame

    fitted: Masks = []
    for mask in masks:
        fitted.append(
            None if mask is None else (placed(mask * np.uint8(255)) > 127).astype(np.uint8)
        )
    return placed(image), fitted


def _warp(
    image: Slices, masks: Masks, rows: int, columns: int, generator: np.random.Generator
) -> tuple[Slices, Masks]:
    height, width = image.shape
    scale = min(rows / height, columns / width)
    if generator.random() < _SMALL:
        scale *= generator.uniform(0.45, 0.7)
    else:
        scale *= np.exp(np.clip(generator.normal(0.0, 0.1), -0.3, 0.3))
    stretch = np.exp(generator.uniform(-0.07, 0.07))
    degrees = np.clip(generator.normal(0.0, 8.0), -22.0, 22.0)
    if generator.random() < _LYING:
        degrees += generator.choice([90.0, 180.0, 270.0])
    sine, cosine = np.sin(np.deg2rad(degrees)), np.cos(np.deg2rad(degrees))
    turn = np.array([[cosine, -sine], [sine, cosine]]) @ np.diag([scale / stretch, scale * stretch])
    shift = np.array([columns, rows]) * generator.uniform(-0.06, 0.06, 2)
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    target = np.array([(columns - 1) / 2, (rows - 1) / 2]) + shift
    matrix = np.column_stack([turn, target - turn @ middle])
    if scale < 0.85:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), 0.45 / scale), dtype=np.uint8)

    def moved(picture: Slices) -> Slices:
        return np.asarray(cv2.warpAffine(picture, matrix, (columns, rows)), dtype=np.uint8)

    warped: Masks = []
    for mask in masks:
        warped.append(
            None if mask is None else (moved(mask * np.uint8(255)) > 127).astype(np.uint8)
        )
    return moved(image), warped


def _erase_one_lung(
    image: Slices, lung: Slices, infection: Slices | None, generator: np.random.Generator
) -> tuple[Slices, Slices, Slices | None]:
    """One lung filled as if with fluid: it is lung no longer, as after its removal."""
    held = np.flatnonzero(lung.any(axis=0))
    if held.size < _FEWEST_PIXELS:
        return image, lung, infection
    middle = int(held[0] + held[-1]) // 2
    gone = lung > 0
    if generator.random() < 0.5:
        gone[:, middle:] = False
    else:
        gone[:, :middle] = False
    grown = cv2.dilate(gone.astype(np.float32), np.ones((3, 3), dtype=np.uint8))
    share = cv2.GaussianBlur(grown, (0, 0), 0.8)
    grain = cv2.GaussianBlur(generator.normal(0, 25, image.shape).astype(np.float32), (0, 0), 1.2)
    fluid = generator.uniform(200, 228) + grain
    filled = np.clip(image * (1 - share) + fluid * share, 0, 255).astype(np.uint8)
    stays = (~gone).astype(np.uint8)
    return filled, lung * stays, None if infection is None else infection * stays
