"""A figure with its definition and source, and every figure of the biomarkers in reading order."""

from __future__ import annotations

import math
from dataclasses import dataclass

UNDEFINED = "not defined"
SHARE = "share"
"""Unit of shares: 0 to 1 in code, shown in percent."""


@dataclass(frozen=True)
class Figure:
    """One number or word, ready to be shown.

    Attributes:
        key: stable name in snake_case.
        label: what it is called on the screen.
        value: nan where undefined. Shares are 0 to 1.
        unit: "ml", "HU", "share", or nothing for counts, scores and words.
        definition: one plain sentence with the rule and its cut-offs.
        source: where the rule comes from.
        group: the heading it stands under.
        reason: why it is undefined; empty where it is not.
    """

    key: str
    label: str
    value: float | int | str
    unit: str
    definition: str
    source: str
    group: str
    reason: str = ""

    @property
    def defined(self) -> bool:
        """Whether there is a value."""
        return not (isinstance(self.value, float) and not math.isfinite(self.value))

    @property
    def text(self) -> str:
        """Value and unit as people read them, or "not defined"."""
        return figure_text(self.value, self.unit)


def figure_text(value: float | int | str, unit: str, *, signed: bool = False) -> str:
    """A value with its unit, such as "12.3 %", "1.23 l" or "-612 HU".

    Args:
        signed: a difference: with its sign, and shares in percentage points.
    """
    if isinstance(value, str):
        return value
    if not math.isfinite(value):
        return UNDEFINED
    plus = "+" if signed and value else ""
    if unit == SHARE:
        shown = 100.0 * value
        digits = 2 if 0 < abs(shown) < 1 else 1
        return f"{shown:{plus}.{digits}f}\u00a0{'points' if signed else '%'}"
    if unit == "ml":
        if abs(value) >= 1000:
            return f"{value / 1000:{plus}.2f}\u00a0l"
        digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 1 or value == 0 else 2
        return f"{value:{plus}.{digits}f}\u00a0ml"
    if unit:
        return f"{value:{plus}.0f}\u00a0{unit}"
    return f"{value:{plus}d}" if isinstance(value, int) else f"{value:{plus}g}"


PIXELS = "Counted on the masks; no published rule is needed."
OWN = "Rule of this program."
GATTINONI = (
    "Gattinoni et al. 2001, Am J Respir Crit Care Med 164:1701, doi:10.1164/ajrccm.164.9.2103121"
)
LANZA = "Lanza et al. 2020, Eur Radiol 30:6770, doi:10.1007/s00330-020-07013-2"
AERATION = f"Bands of {GATTINONI}; in COVID-19 {LANZA}"
GROUND_GLASS = (
    "Upper end of ground glass: BMC Infect Dis 2021 (quantitative CT, eight thresholds compared), "
    "doi:10.1186/s12879-021-06556-z; its lower end is a rule of this program."
)
PERIPHERAL = (
    "Rule of this program; radiologists call the outer third peripheral: Pan et al. 2020, "
    "Radiology 295:715, doi:10.1148/radiol.2020200370"
)
ZONE_SCORE = (
    "Grades 0 to 4 by extent: Chung et al. 2020, Radiology 295:202, "
    "doi:10.1148/radiol.2020200230, there for five lobes; six zones here."
)
MOSMED = "Categories of Morozov et al. 2020, MosMedData, arXiv:2005.06465"

NOT_HU = "The scan's values are not in HU."
NOMINAL = "The file does not say how large a voxel is."
NO_LUNG_MASK = "The lung is not marked."
NO_INFECTION_MASK = "The infection is not marked."
NO_LUNG = "No lung is marked."
NO_INFECTION = "No infection is marked."
PICTURES = "Pictures have neither a known order nor known sides."
