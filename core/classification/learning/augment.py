"""Augmentation of frames: what differs between hospitals and papers, but is not disease."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from core.classification.frames import AIR_GREY, TISSUE_GREY
from core.config import check_ranges

Frame = npt.NDArray[np.float32]


@dataclass(frozen=True)
class VariationConfig:
    """How strongly frames are varied.

    Attributes:
        turn_degrees, zoom, stretch, shift: of the picture; shares of its size but for the turn.
        contrast, brightness, gamma: of the window.
        blur, noise: most of each: pixels, and share of the grey scale.
        erase: chance of each kind of erasing: borders, text, a rectangle.
        drop_marks: chance that nothing is marked as infected.
        mixup: parameter of its Beta distribution; 0 mixes nothing.
    """

    turn_degrees: float = 12.0
    zoom: float = 0.2
    stretch: float = 0.1
    shift: float = 0.08
    contrast: float = 0.3
    brightness: float = 0.12
    gamma: float = 0.3
    blur: float = 1.5
    noise: float = 0.05
    erase: float = 0.3
    drop_marks: float = 0.1
    mixup: float = 0.3

    def __post_init__(self) -> None:
        check_ranges(
            self,
            {
                "turn_degrees": (0.0, 180.0),
                **dict.fromkeys(("zoom", "stretch", "shift", "contrast"), (0.0, 0.9)),
                **dict.fromkeys(("brightness", "gamma", "noise"), (0.0, 2.0)),
                "blur": (0.0, 20.0),
                "erase": (0.0, 1.0),
                "drop_marks": (0.0, 1.0),
                "mixup": (0.0, 10.0),
            },
        )


def augment(
    frame: npt.NDArray[np.uint8], config: VariationConfig, generator: np.random.Generator
) -> Frame:
    """One frame (rows, columns, 3) varied: float32 in [0, 1], masks moved with the grey."""
    moved = cv2.warpAffine(
        frame,
        _movement(frame.shape[:2], config, generator),
        (frame.shape[1], frame.shape[0]),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
    )
    varied = moved.astype(np.float32) / np.float32(255)
    grey = _blurred(_windowed(varied[..., 0], config, generator), config, generator)
    _erase(grey, varied[..., 1] > 0.25, config, generator)
    noise = generator.uniform(0, config.noise) * generator.standard_normal(grey.shape, np.float32)
    varied[..., 0] = np.clip(grey + noise.astype(np.float32), 0, 1)
    if generator.random() < config.drop_marks:
        varied[..., 2] = 0
    else:
        varied[..., 2] *= np.float32(generator.uniform(0.7, 1.0))
    return varied


def _movement(
    shape: tuple[int, ...], config: VariationConfig, generator: np.random.Generator
) -> npt.NDArray[np.float64]:
    rows, columns = shape
    zoom = np.exp(generator.uniform(-config.zoom, config.zoom))
    stretch = np.exp(generator.uniform(-config.stretch, config.stretch))
    angle = np.deg2rad(generator.uniform(-config.turn_degrees, config.turn_degrees))
    mirror = -1.0 if generator.random() < 0.5 else 1.0
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = turn @ np.diag([mirror * zoom * stretch, zoom / stretch])
    centre = np.array([columns / 2, rows / 2])
    shift = generator.uniform(-config.shift, config.shift, 2) * (columns, rows)
    return np.column_stack([matrix, centre + shift - matrix @ centre])


def _windowed(grey: Frame, config: VariationConfig, generator: np.random.Generator) -> Frame:
    """Another window: greys from lung to tissue are stretched about their middle and bent."""
    middle = (AIR_GREY + TISSUE_GREY) / 510
    factor = np.exp(generator.uniform(-config.contrast, config.contrast))
    offset = generator.uniform(-config.brightness, config.brightness)
    windowed = np.clip((grey - middle) * factor + middle + offset, 0, 1)
    bent: Frame = (windowed ** np.exp(generator.uniform(-config.gamma, config.gamma))).astype(
        np.float32
    )
    return bent


def _blurred(grey: Frame, config: VariationConfig, generator: np.random.Generator) -> Frame:
    """Blurred, sharpened, or made of fewer pixels, or none of it."""
    kind = generator.integers(0, 4)
    if kind == 0 or config.blur <= 0:
        return grey
    if kind == 1:
        rows, columns = grey.shape
        share = generator.uniform(0.4, 0.9)
        small = cv2.resize(grey, (int(columns * share), int(rows * share)))
        return np.asarray(cv2.resize(small, (columns, rows)), dtype=np.float32)
    sigma = float(generator.uniform(0.3, max(0.31, config.blur)))
    soft: Frame = np.asarray(cv2.GaussianBlur(grey, (0, 0), sigma), dtype=np.float32)
    return soft if kind == 2 else np.clip(grey + 0.7 * (grey - soft), 0, 1)


def _erase(
    grey: Frame,
    lung: npt.NDArray[np.bool_],
    config: VariationConfig,
    generator: np.random.Generator,
) -> None:
    """Borders, text and rectangles that a picture may lack or have, in place; borders and text
    outside of the lung."""
    rows, columns = grey.shape
    if generator.random() < config.erase:
        level = generator.choice([0.0, 1.0, generator.random()])
        framed = np.ones(grey.shape, dtype=np.bool_)
        top, left, bottom, right = (
            int(n) for n in generator.uniform(0, 0.15, 4) * (rows, columns, rows, columns)
        )
        framed[top : rows - bottom, left : columns - right] = False
        grey[framed & ~lung] = level
    if generator.random() < config.erase:
        text = np.zeros(grey.shape, dtype=np.uint8)
        for _ in range(int(generator.integers(1, 6))):
            letters = "".join(chr(code) for code in generator.integers(48, 91, 4))
            place = (int(generator.integers(0, columns)), int(generator.integers(0, rows)))
            scale = float(generator.uniform(0.25, 0.6))
            cv2.putText(text, letters, place, cv2.FONT_HERSHEY_SIMPLEX, scale, 255, 1)
        grey[(text > 0) & ~lung] = generator.choice([0.0, 1.0])
    if generator.random() < config.erase:
        height, width = (int(n) for n in generator.uniform(0.05, 0.3, 2) * (rows, columns))
        top = int(generator.integers(0, rows - height))
        left = int(generator.integers(0, columns - width))
        grey[top : top + height, left : left + width] = generator.random()
