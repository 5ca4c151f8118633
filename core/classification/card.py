"""What the manifest and the card of a classifier say to a person who reads a verdict."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from core.classification.info import ClassifierInfo
from core.segmentation import CARD_NAME

SET_NAMES = {"ucsd": "UCSD COVID-CT", "sars": "SARS-COV-2 CT-scan"}
LIMITS = "Known failures and limits"
_NAN = float("nan")


@dataclass(frozen=True)
class SaidBin:
    """Held-out pictures whose probability lies in [low, high): what was said, and what was so."""

    low: float
    high: float
    count: int
    mean_probability: float
    share_positive: float


@dataclass(frozen=True)
class Calibration:
    """How far the probabilities of one set's held-out pictures can be taken at their word.

    Attributes:
        ece_before, ece_after: expected calibration error without and with the temperature.
        bins: with the temperature; without those that hold no picture.
    """

    name: str
    ece_before: float
    ece_after: float
    bins: tuple[SaidBin, ...]

    @property
    def pictures(self) -> int:
        """How many were judged."""
        return sum(one.count for one in self.bins)

    def bin_of(self, probability: float) -> SaidBin | None:
        """The one that holds a probability; none where no picture was given such a one."""
        for one in self.bins:
            if one.low <= probability < one.high or (one.high >= 1.0 and probability == 1.0):
                return one
        return None


def read_calibration(info: ClassifierInfo) -> tuple[Calibration, ...]:
    """The calibration of every set the manifest tells of; none where it tells of none."""
    kept = info.manifest.get("calibration")
    if not isinstance(kept, dict):
        return ()
    found = []
    for name, own in kept.items():
        try:
            bins = tuple(
                SaidBin(float(row[0]), float(row[1]), int(row[2]), float(row[3]), float(row[4]))
                for row in own["after"]["reliability"]
            )
            before, after = _figure(own["before"]["ece"]), _figure(own["after"]["ece"])
        except (KeyError, IndexError, TypeError, ValueError):
            continue  # one that cannot be read says nothing
        found.append(Calibration(SET_NAMES.get(name, str(name)), before, after, bins))
    return tuple(found)


def read_foreign_figures(info: ClassifierInfo) -> tuple[tuple[str, str, float], ...]:
    """(learned from, judged on, AUC) of heads judged on a set that they had not learned from."""
    kept = info.manifest.get("figures")
    found = []
    for taught, judged in (("ucsd", "sars"), ("sars", "ucsd")):
        row: Any = kept.get(f"classifier, {taught} → {judged}") if isinstance(kept, dict) else None
        if isinstance(row, dict) and math.isfinite(_figure(row.get("auc"))):
            found.append((SET_NAMES[taught], SET_NAMES[judged], _figure(row["auc"])))
    return tuple(found)


def read_card(info: ClassifierInfo) -> str:
    """The card as Markdown; empty where there is none."""
    try:
        return (info.folder / CARD_NAME).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def card_points(card: str, heading: str) -> tuple[str, ...]:
    """The points of the list under a heading of a card."""
    points: list[str] = []
    inside = False
    for line in card.splitlines():
        if line.startswith("## "):
            inside = line[3:].strip() == heading
        elif inside and line.startswith("- "):
            points.append(line[2:].strip())
        elif inside and line.startswith("  ") and points:
            points[-1] += " " + line.strip()
    return tuple(points)


def _figure(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) else _NAN
