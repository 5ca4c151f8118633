"""What a person who reads a verdict needs from the manifest and the card of a classifier."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from core.classification.info import ClassifierInfo
from core.classification.metrics import ReliabilityBin
from core.segmentation import CARD_NAME

SET_NAMES = {"ucsd": "UCSD COVID-CT", "sars": "SARS-COV-2 CT-scan"}
LIMITS = "Known failures and limits"
_NAN = float("nan")


@dataclass(frozen=True)
class Calibration:
    """How well the probabilities of one set's held-out pictures are calibrated.

    Attributes:
        ece_before, ece_after: expected calibration error without and with the temperature.
        bins: with the temperature, [low, high); without those that hold no picture.
    """

    name: str
    ece_before: float
    ece_after: float
    bins: tuple[ReliabilityBin, ...]

    @property
    def pictures(self) -> int:
        """How many there are."""
        return sum(one.count for one in self.bins)

    def bin_of(self, probability: float) -> ReliabilityBin | None:
        """The bin of a probability; none where no picture got such a probability."""
        for one in self.bins:
            if one.low <= probability < one.high or (one.high >= 1.0 and probability == 1.0):
                return one
        return None


def read_calibration(info: ClassifierInfo) -> tuple[Calibration, ...]:
    """The calibration of every set in the manifest; none where it holds none."""
    kept = info.manifest.get("calibration")
    if not isinstance(kept, dict):
        return ()
    found = []
    for name, own in kept.items():
        try:
            bins = tuple(
                ReliabilityBin(
                    float(row[0]), float(row[1]), int(row[2]), float(row[3]), float(row[4])
                )
                for row in own["after"]["reliability"]
            )
            before, after = _value(own["before"]["ece"]), _value(own["after"]["ece"])
        except (KeyError, IndexError, TypeError, ValueError):
            continue  # one that cannot be read is left out
        found.append(Calibration(SET_NAMES.get(name, str(name)), before, after, bins))
    return tuple(found)


def read_external_auc(info: ClassifierInfo) -> tuple[tuple[str, str, float], ...]:
    """(trained on, tested on, AUC) of heads tested on a set that they were not trained on."""
    kept = info.manifest.get("results")
    found = []
    for trained, tested in (("ucsd", "sars"), ("sars", "ucsd")):
        row: Any = kept.get(f"classifier, {trained} → {tested}") if isinstance(kept, dict) else None
        if isinstance(row, dict) and math.isfinite(_value(row.get("auc"))):
            found.append((SET_NAMES[trained], SET_NAMES[tested], _value(row["auc"])))
    return tuple(found)


def read_card(info: ClassifierInfo) -> str:
    """The card as Markdown; empty where there is none."""
    try:
        return (info.folder / CARD_NAME).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def card_points(card: str, heading: str) -> tuple[str, ...]:
    """The items of the list under a heading of a card."""
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


def _value(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) else _NAN
