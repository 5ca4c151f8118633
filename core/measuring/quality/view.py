"""A first look at slices: where air ends and tissue begins, and where the body is.

Everything that follows is measured against the step from air to tissue, about 1000 HU in a CT,
so that values mean the same for scans in HU and for grey pictures of unknown scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from core.config import RoiConfig
from core.preprocessing.roi import find_thresholds, part_slice, spread_slices
from core.volume import BoolArray, FloatArray, Volume

_COARSE_SIDE = 128
_FRAME_WIDTH = 3
"""Of the strip along the edges of a shrunk slice."""
_SAME_BRIGHTNESS = 0.1
"""Share of the contrast by which two values may differ and still be called equal."""
_MIN_INVERTED_LUNG = 0.02
"""Share of a dark body that must be bright, on both of its sides, to be taken for its lungs."""
_INVERTED_SHARE = 0.25
"""Share of the slices looked at that must show bright lungs before a scan is read upside down."""


@dataclass(frozen=True)
class Levels:
    """Typical values of a scan, on its (possibly assumed) HU scale.

    Attributes:
        air, tissue: medians on either side of the threshold.
        threshold: of Otsu, between them.
        turnover: none, or the sum of black and white of a scan whose greys are inverted; then
            the other three are those of the scan put right.
    """

    air: float
    tissue: float
    threshold: float
    turnover: float | None = None

    @property
    def contrast(self) -> float:
        """The step from air to tissue; above zero."""
        return max(self.tissue - self.air, 1e-6)


class SliceView:
    """One axial slice, right way up in grey, and what several measures need of it.

    Attributes:
        hu: (rows, columns) float32.
        coarse: the same shrunk to at most 128 pixels a side.
    """

    every_other = (slice(None, None, 2), slice(None, None, 2))
    """Index of a quarter of all pixels: as good as all of them for statistics of detail."""

    def __init__(self, volume: Volume, k: int, levels: Levels) -> None:
        self.levels = levels
        self.hu = _picture(volume, k, levels.turnover)
        self.coarse = _shrink(self.hu)

    @cached_property
    def body(self) -> BoolArray:
        """(coarse rows, columns) the largest piece of tissue with all that it encloses."""
        return part_slice(self.above_threshold).body

    @cached_property
    def above_threshold(self) -> BoolArray:
        """(coarse rows, columns) tissue of any kind, the table's as well."""
        above: BoolArray = self.coarse > self.levels.threshold
        return above

    @cached_property
    def tissue(self) -> BoolArray:
        """(coarse rows, columns) tissue of the body."""
        return self.body & self.above_threshold

    @cached_property
    def body_pixels(self) -> BoolArray:
        """(rows, columns) the body at full size."""
        return self._enlarged(self.body)

    @cached_property
    def surroundings(self) -> BoolArray:
        """(rows, columns) what lies clearly outside the body."""
        near = cv2.dilate(self.body.astype(np.uint8), np.ones((5, 5), np.uint8))
        return self._enlarged(near == 0)

    @cached_property
    def tissue_inside(self) -> BoolArray:
        """(rows, columns) tissue of the body, without the pixels next to air."""
        tissue = (self.body_pixels & (self.hu > self.levels.threshold)).astype(np.uint8)
        return cv2.erode(tissue, np.ones((5, 5), np.uint8)) > 0

    @cached_property
    def blurred(self) -> FloatArray:
        """`hu` without its finest detail."""
        return np.asarray(cv2.GaussianBlur(self.hu, (0, 0), 0.8), dtype=np.float32)

    @cached_property
    def smooth(self) -> FloatArray:
        """`hu` without its fine detail."""
        return np.asarray(cv2.GaussianBlur(self.hu, (0, 0), 1.6), dtype=np.float32)

    @cached_property
    def extremes(self) -> tuple[float, float]:
        """The lowest and the highest value of the slice."""
        low, high, _, _ = cv2.minMaxLoc(self.hu)
        return float(low), float(high)

    @property
    def frame_level(self) -> float:
        """Typical value along the edges of the picture: 0 is air, 1 is tissue."""
        return (float(np.median(_frame(self.coarse))) - self.levels.air) / self.levels.contrast

    def _enlarged(self, mask: BoolArray) -> BoolArray:
        rows, columns = self.hu.shape
        enlarged = cv2.resize(
            mask.astype(np.uint8), (columns, rows), interpolation=cv2.INTER_NEAREST
        )
        return enlarged > 0


def find_levels(volume: Volume) -> Levels:
    """Air, tissue and the threshold between them, from at most 48 slices spread over the scan.

    A scan in which bright lungs lie in a dark body within bright surroundings is taken to be
    inverted, and its levels are those after putting it right.
    """
    coarse = np.stack([_shrink(_picture(volume, k, None)) for k in spread_slices(volume)])
    levels = find_slice_levels(coarse)
    bright_lungs = sum(shows_inverted_lung(picture) for picture in coarse)
    if bright_lungs < max(1, _INVERTED_SHARE * len(coarse)):
        return levels
    turnover = float(coarse.min() + coarse.max())
    upright = find_slice_levels(np.float32(turnover) - coarse)
    return Levels(upright.air, upright.tissue, upright.threshold, turnover)


def shows_inverted_lung(coarse: FloatArray) -> bool:
    """Whether a slice shows bright surroundings, a dark body and in it brightness on both sides.

    The surroundings must be the brightest there is, as air becomes when greys are inverted:
    around lungs that a picture was cropped to lies tissue, and bone is brighter.
    """
    levels = find_slice_levels(coarse)
    middle, bright = np.percentile(_frame(coarse), (50, 80))
    brightest = float(np.percentile(coarse, 99))
    if middle <= levels.threshold or brightest - bright > _SAME_BRIGHTNESS * levels.contrast:
        return False
    dark = part_slice(coarse <= levels.threshold)
    return paired_share(dark.air, dark.body) >= _MIN_INVERTED_LUNG


def paired_share(part: BoolArray, body: BoolArray) -> float:
    """Share of the body that is `part`, on the side that has less of it; 0 without a body.

    Sides are left and right of the body's middle, or above and below it where that pairs
    better, as in pictures that lie on their side.
    """
    area = int(np.count_nonzero(body))
    if not area:
        return 0.0
    best = 0
    for axis in (0, 1):
        lines = np.flatnonzero(body.any(axis=1 - axis))
        middle = int(lines[0] + lines[-1] + 1) // 2
        counts = part.sum(axis=1 - axis)
        best = max(best, int(min(counts[:middle].sum(), counts[middle + 1 :].sum())))
    return best / area


def _picture(volume: Volume, k: int, turnover: float | None) -> FloatArray:
    hu = volume.hu(volume.array[:, :, k].T)
    return hu if turnover is None else np.float32(turnover) - hu


def _shrink(picture: FloatArray) -> FloatArray:
    rows, columns = picture.shape
    scale = min(1.0, _COARSE_SIDE / max(rows, columns))
    size = (max(1, round(columns * scale)), max(1, round(rows * scale)))
    shrunk = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return np.asarray(shrunk, dtype=np.float32)


def find_slice_levels(coarse: FloatArray) -> Levels:
    """Air, tissue and threshold of one or several shrunk slices by themselves, as they are."""
    # Rare extremes (metal, padding) would stretch the histogram until air and tissue share a bin.
    low, high = (float(value) for value in np.percentile(coarse, (1.0, 99.5)))
    scale = max(high - low, 1e-6) / 255.0
    grey = np.clip((coarse - low) / scale, 0, 255).astype(np.uint8)
    (level,) = find_thresholds(grey, RoiConfig(method="otsu"))
    above = grey > level
    if not above.any() or above.all():
        return Levels(low, high, (low + high) / 2)
    return Levels(
        air=float(np.median(coarse[~above])),
        tissue=float(np.median(coarse[above])),
        threshold=low + (level + 0.5) * scale,
    )


def _frame(coarse: FloatArray) -> FloatArray:
    inner = (slice(_FRAME_WIDTH, -_FRAME_WIDTH),) * 2
    is_frame = np.ones(coarse.shape, dtype=np.bool_)
    is_frame[inner] = False
    return coarse[is_frame]
