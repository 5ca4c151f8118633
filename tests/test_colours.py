"""Colours that stand side by side differ for people with a colour vision deficiency, too."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pytest
from skimage.color import deltaE_ciede2000, rgb2lab

from core.config import LOBE_COLOURS, LOBES
from core.drawing import (
    AGREEMENT_COLOURS,
    CORRECTED_COLOURS,
    PREDICTION_COLOURS,
    SECOND_COLOURS,
    TRUTH_COLOURS,
)
from core.ui.charts.style import BACKGROUND, LIGHT_PARTNERS, PAIR_COLOURS, SERIES_COLOURS
from core.ui.classify.verdict_card import BAND_COLOURS
from core.ui.preprocess.region import _BOX_COLOUR, _MASK_COLOURS
from core.ui.viewer.component import VIEWER_SCRIPT

Floats = npt.NDArray[np.float64]

VISION = {
    name: np.array(numbers, dtype=np.float64).reshape(3, 3)
    for name, numbers in {
        "normal": [1, 0, 0, 0, 1, 0, 0, 0, 1],
        "protan": [
            *(0.152286, 1.052583, -0.204868),
            *(0.114503, 0.786281, 0.099216),
            *(-0.003882, -0.048116, 1.051998),
        ],
        "deutan": [
            *(0.367322, 0.860646, -0.227968),
            *(0.280085, 0.672501, 0.047413),
            *(-0.011820, 0.042940, 0.968881),
        ],
        "tritan": [
            *(1.255528, -0.076749, -0.178779),
            *(-0.078411, 0.930809, 0.147602),
            *(0.004733, 0.691367, 0.303900),
        ],
    }.items()
}
"""For linear RGB, full deficiency: Machado, Oliveira and Fernandes, IEEE TVCG 15(6), 2009."""
LINES, AREAS = 10.0, 7.0
"""Least CIEDE2000 between two lines, and between two areas that the picture shines through."""
CT_GREYS = (0, 60, 120, 180, 240)
OPACITY = {"masks": 0.35, "lobes": 0.4}
"""As the viewer begins with."""
CONTRAST = 3.0
"""Least contrast of a line of a chart with its background: WCAG 2.1, 1.4.11."""


def rgb(colour: str) -> Floats:
    """In [0, 1]."""
    return np.array([int(colour[n : n + 2], 16) for n in (1, 3, 5)]) / 255


def linear(colour: Floats) -> Floats:
    return np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)


def seen(colour: Floats, vision: str) -> Floats:
    """CIELAB of what a person of that vision sees."""
    light = np.clip(VISION[vision] @ linear(colour), 0, 1)
    again = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.asarray(rgb2lab(again))


def least(pairs: Iterable[tuple[Floats, Floats]], vision: str) -> float:
    """CIEDE2000 of the pair that is hardest to distinguish."""
    return min(
        float(deltaE_ciede2000(seen(one, vision), seen(other, vision))) for one, other in pairs
    )


def lines(colours: Iterable[str]) -> list[tuple[Floats, Floats]]:
    return list(combinations(map(rgb, colours), 2))


def over_grey(colours: Iterable[str], opacity: float) -> list[tuple[Floats, Floats]]:
    """The same pairs as areas, on every grey of a scan."""
    return [
        (grey / 255 * (1 - opacity) + one * opacity, grey / 255 * (1 - opacity) + other * opacity)
        for one, other in lines(colours)
        for grey in CT_GREYS
    ]


SOURCES = (PREDICTION_COLOURS, TRUTH_COLOURS, SECOND_COLOURS, CORRECTED_COLOURS)
RIGHT, LEFT = LOBES[:3], LOBES[3:]
SERIES_ON_WHITE = [LIGHT_PARTNERS[colour] for colour in SERIES_COLOURS]

LINE_SETS = {
    "masks of all sources": [colour for source in SOURCES for colour in source.values()],
    "agreement": AGREEMENT_COLOURS.values(),
    "lobes": LOBE_COLOURS.values(),
    "region: outlines and boxes": [*_MASK_COLOURS.values(), _BOX_COLOUR],
    "bands of the classifier": BAND_COLOURS.values(),
    "charts, dark": SERIES_COLOURS,
    "charts, light": SERIES_ON_WHITE,
    "before and after, dark": PAIR_COLOURS,
    "before and after, light": [LIGHT_PARTNERS[colour] for colour in PAIR_COLOURS],
}
AREA_SETS = {
    **{f"lung and infection, {n}": (source.values(), "masks") for n, source in enumerate(SOURCES)},
    "agreement": (AGREEMENT_COLOURS.values(), "masks"),
    "lobes of the right lung": ([LOBE_COLOURS[name] for name in RIGHT], "lobes"),
    "lobes of the left lung": ([LOBE_COLOURS[name] for name in LEFT], "lobes"),
}


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("name", LINE_SETS)
def test_lines_that_stand_side_by_side_differ(name: str, vision: str) -> None:
    assert least(lines(LINE_SETS[name]), vision) >= LINES


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("name", AREA_SETS)
def test_areas_over_a_scan_differ(name: str, vision: str) -> None:
    colours, kind = AREA_SETS[name]
    assert least(over_grey(colours, OPACITY[kind]), vision) >= AREAS


@pytest.mark.parametrize("vision", VISION)
def test_infection_stands_out_from_every_grey_of_a_scan(vision: str) -> None:
    for source in SOURCES:
        colour = rgb(source["infection"])
        pairs = [(colour, np.full(3, grey / 255)) for grey in CT_GREYS]
        assert least(pairs, vision) >= LINES


@pytest.mark.parametrize(
    ("colours", "ground"), [(SERIES_COLOURS, BACKGROUND), (SERIES_ON_WHITE, "#FFFFFF")]
)
def test_lines_of_charts_have_contrast(colours: tuple[str, ...], ground: str) -> None:
    weights = np.array([0.2126, 0.7152, 0.0722])
    behind = float(linear(rgb(ground)) @ weights)
    for colour in colours:
        light = float(linear(rgb(colour)) @ weights)
        assert (max(light, behind) + 0.05) / (min(light, behind) + 0.05) >= CONTRAST, colour


def test_a_colour_is_simulated_as_published() -> None:
    # White and grey have no colour to lose; pure red is dark for protan vision.
    for matrix in VISION.values():
        assert matrix.sum(axis=1) == pytest.approx(1.0, abs=2e-6)
    assert seen(rgb("#FF0000"), "protan")[0] < 0.8 * seen(rgb("#FF0000"), "normal")[0]


def test_the_viewer_begins_with_these_opacities() -> None:
    assert f"opacity: {OPACITY['masks']}" in VIEWER_SCRIPT
    assert f"LOBE_OPACITY = {OPACITY['lobes']};" in VIEWER_SCRIPT
