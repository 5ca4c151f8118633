"""Masks drawn as lines over grey slices, for pictures made outside of the viewer, and the colours
of what is marked.

Colours begin with those of Okabe and Ito. `tests/test_colours.py` simulates the three types of
colour vision deficiency for every pair that can be seen together; truth is also always dashed and
prediction always solid.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from core.config import Channel
from core.volume import BoolArray

PREDICTION_COLOURS: dict[Channel, str] = {"lung": "#56B4E9", "infection": "#E69F00"}
TRUTH_COLOURS: dict[Channel, str] = {"lung": "#CDE9FA", "infection": "#F0E442"}
SECOND_COLOURS: dict[Channel, str] = {"lung": "#FFF8F4", "infection": "#ED5B46"}
"""Of another network: nearly white, and a lighter vermilion."""
CORRECTED_COLOURS: dict[Channel, str] = {"lung": "#13A56C", "infection": "#FF65C3"}
"""Green and pink, bright enough to stand out on a scan."""
AGREEMENT_COLOURS: dict[str, str] = {"hit": "#319B64", "missed": "#F0E442", "wrong": "#D17DB8"}
"""Marked by both, only in the truth, only predicted."""

Picture = npt.NDArray[np.uint8]


def heat_colours() -> Picture:
    """(256, 3) RGB of heat from least to most: viridis, which gets lighter all the way, so that
    people with a colour vision deficiency can read it, and does not pass through grey, as a scan
    does."""
    ramp = np.arange(256, dtype=np.uint8)[:, None]
    colours = np.asarray(cv2.applyColorMap(ramp, cv2.COLORMAP_VIRIDIS), dtype=np.uint8)
    return np.ascontiguousarray(colours[:, 0, ::-1])


def draw_outlines(
    grey: Picture, masks: BoolArray, colours: tuple[str, ...], *, enlarge: int = 1
) -> Picture:
    """A slice in colour with the inner edge of each mask drawn into it.

    Args:
        grey: (rows, columns) uint8.
        masks: (rows, columns, n); a later one is drawn over an earlier one.
        colours: "#rrggbb", one a mask.
        enlarge: pixels of the picture along each side of a pixel of the slice.

    Returns:
        (rows × enlarge, columns × enlarge, 3) RGB uint8.
    """
    rows, columns = grey.shape
    size = (columns * enlarge, rows * enlarge)
    large = cv2.resize(grey, size, interpolation=cv2.INTER_LINEAR)
    picture: Picture = np.repeat(large[..., None], 3, axis=2).astype(np.uint8)
    for channel, colour in enumerate(colours):
        small = masks[..., channel].astype(np.uint8)
        mask = cv2.resize(small, size, interpolation=cv2.INTER_NEAREST)
        # Beyond the picture counts as outside, so that a mask cut by the edge is closed there.
        inner = cv2.erode(mask, np.ones((3, 3), np.uint8), borderValue=0)
        picture[(mask > 0) & (inner == 0)] = [int(colour[n : n + 2], 16) for n in (1, 3, 5)]
    return picture
