"""Pictures of moving slices and of turning lungs, for slides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import cv2
import numpy as np
import numpy.typing as npt
from scipy import ndimage

from core.config import Channel
from core.drawing.overlays import PREDICTION_COLOURS, Picture, draw_outlines
from core.volume import BoolArray, MaskPair, Volume, pixel_size_mm

Floats = npt.NDArray[np.float32]

BACKGROUNDS: Mapping[str, tuple[int, int, int]] = {"dark": (14, 19, 25), "light": (255, 255, 255)}
_SIDE = 480
"""Pixels of the longer side of a slice, and of the side of a turning picture."""
_COARSE = 112
"""Voxels along each side of the cube in which lungs are turned."""
_HAZE = 0.045
"""How much of what lies behind a voxel of lung hides."""


def cine_frames(
    volume: Volume,
    masks: MaskPair,
    *,
    center: float,
    width: float,
    background: str = "dark",
    stamp: str = "",
    colours: Mapping[Channel, str] = PREDICTION_COLOURS,
) -> Iterator[Picture]:
    """Every axial slice from the feet to the head with its outlines: (rows, columns, 3) RGB uint8,
    square in mm, with even sides.

    Args:
        center, width: of the grey scale, in HU.
        background: "dark" or "light", around number and slice.
        stamp: a word written into every frame.
    """
    height_mm, width_mm = pixel_size_mm(volume, "axial")
    columns, rows = volume.shape[:2]
    scale = _SIDE / max(columns * width_mm, rows * height_mm)
    size = (_even(columns * width_mm * scale), _even(rows * height_mm * scale))
    both: tuple[tuple[Channel, BoolArray | None], ...] = (
        ("lung", masks.lung),
        ("infection", masks.infection),
    )
    known = [(colours[name], mask) for name, mask in both if mask is not None]
    low, count = center - width / 2, volume.shape[2]
    for k in range(count):
        hu = volume.hu(volume.array[:, :, k].T)
        grey = np.clip((hu - low) * (255.0 / width), 0, 255).astype(np.uint8)
        grey = np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_LINEAR), dtype=np.uint8)
        drawn = np.zeros((*grey.shape, len(known)), dtype=np.bool_)
        for number, (_, mask) in enumerate(known):
            small = mask[:, :, k].T.astype(np.uint8)
            drawn[..., number] = cv2.resize(small, size, interpolation=cv2.INTER_NEAREST) > 0
        picture = draw_outlines(grey, drawn, tuple(colour for colour, _ in known))
        yield _captioned(picture, f"{k + 1} / {count}", stamp, background)


def turning_frames(
    volume: Volume,
    masks: MaskPair,
    *,
    frames: int = 36,
    background: str = "dark",
    stamp: str = "",
    colours: Mapping[Channel, str] = PREDICTION_COLOURS,
) -> Iterator[Picture]:
    """Lungs as a haze with the infection in them, turning once about the long axis of the body:
    (480, 480, 3) RGB uint8, the first seen from the front. Nothing where no lung is marked.

    Args:
        masks: on the grid of `volume`; lung is needed.
    """
    if masks.lung is None or not masks.lung.any():
        return
    lung, infection = _cubes(volume, masks)
    ground = np.asarray(BACKGROUNDS[background], dtype=np.float32)
    lung_colour, infection_colour = (_rgb(colours[name]) for name in ("lung", "infection"))
    for number in range(frames):
        angle = 360.0 * number / frames
        turned = _turned(lung, angle)
        haze = 1.0 - np.exp(-_HAZE * turned.sum(axis=1))
        picture = ground + haze[..., None] * (lung_colour - ground)
        if infection is not None:
            solid = _turned(infection, angle)
            hit: BoolArray = np.asarray(solid > 0.5)
            seen = np.asarray(hit.any(axis=1))
            # What lies in front hides what is behind, and what is deeper is darker.
            depth = np.where(seen, hit.argmax(axis=1), 0)
            shade = _shade(depth.astype(np.float32))
            before = np.cumsum(turned, axis=1)
            veil = np.take_along_axis(before, depth[:, None, :], axis=1)[:, 0, :]
            through = np.exp(-_HAZE * veil)
            colour = shade[..., None] * infection_colour
            mixed = picture + through[..., None] * (colour - picture)
            picture = np.where(seen[..., None], mixed, picture)
        # Rows from the head down, the patient's right on the left.
        upright = np.ascontiguousarray(np.clip(picture.transpose(1, 0, 2)[::-1], 0, 255))
        large = cv2.resize(upright, (_SIDE, _SIDE), interpolation=cv2.INTER_CUBIC)
        yield _captioned(np.rint(np.clip(large, 0, 255)).astype(np.uint8), "", stamp, background)


def _cubes(volume: Volume, masks: MaskPair) -> tuple[Floats, Floats | None]:
    """Both masks (i, j, k) on a coarse cube with voxels of one size around all lung."""
    assert masks.lung is not None
    held = [np.flatnonzero(masks.lung.any(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3)]
    box = tuple(slice(int(at[0]), int(at[-1]) + 1) for at in held)
    lengths = [
        (part.stop - part.start) * mm for part, mm in zip(box, volume.spacing_mm, strict=True)
    ]
    # The widest the lungs are in any direction while they turn.
    side = max(float(np.hypot(lengths[0], lengths[1])), lengths[2]) * 1.04
    voxel = side / _COARSE
    factors = [mm / voxel for mm in volume.spacing_mm]
    lung = _cube(masks.lung[box], factors)
    return lung, None if masks.infection is None else _cube(masks.infection[box], factors)


def _cube(mask: BoolArray, factors: list[float]) -> Floats:
    """The share of each coarse voxel that is marked, in the middle of the cube."""
    small = ndimage.zoom(mask.astype(np.float32), factors, order=1)
    pads = [max(0, _COARSE - length) for length in small.shape]
    cube = np.pad(small, [(pad // 2, pad - pad // 2) for pad in pads])
    return np.ascontiguousarray(cube[:_COARSE, :_COARSE, :_COARSE], dtype=np.float32)


def _turned(cube: Floats, angle: float) -> Floats:
    """(i, j, k) turned about k, seen along j."""
    middle = (_COARSE - 1) / 2
    matrix = cv2.getRotationMatrix2D((middle, middle), angle, 1.0)
    layers = [
        cv2.warpAffine(np.ascontiguousarray(cube[:, :, k]), matrix, (_COARSE, _COARSE))
        for k in range(_COARSE)
    ]
    turned: Floats = np.stack(layers, axis=2).astype(np.float32)
    return turned


def _shade(depth: Floats) -> Floats:
    """Light from the front and above, by the slope of the surface."""
    soft = ndimage.gaussian_filter(depth, 1.0)
    across, up = np.gradient(soft)
    lit = (1.0 + 0.35 * up) / np.sqrt(1.0 + across**2 + up**2)
    shade: Floats = np.clip(0.45 + 0.6 * lit, 0.3, 1.1).astype(np.float32)
    return shade


def _captioned(picture: Picture, text: str, stamp: str, background: str) -> Picture:
    ink = (230, 236, 242) if background == "dark" else (29, 39, 49)
    strip = np.full((32, picture.shape[1], 3), BACKGROUNDS[background], dtype=np.uint8)
    for words, x in ((text, 10), (stamp, picture.shape[1] - 12 - 11 * len(stamp))):
        if words:
            cv2.putText(strip, words, (x, 22), cv2.FONT_HERSHEY_SIMPLEX, 0.55, ink, 1, cv2.LINE_AA)
    return np.concatenate([strip, picture])


def _even(length: float) -> int:
    """Video wants even sides."""
    return max(2, 2 * round(length / 2))


def _rgb(colour: str) -> npt.NDArray[np.float32]:
    return np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)], dtype=np.float32)
