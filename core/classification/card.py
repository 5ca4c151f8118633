"""What a person who reads a verdict needs from the manifest and the card of a classifier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from core.classification.info import ClassifierInfo
from core.classification.metrics import ReliabilityBin, wilson_interval
from core.segmentation import CARD_NAME

SET_NAMES = {"ucsd": "UCSD COVID-CT", "sars": "SARS-COV-2 CT-scan"}
CARRIES_OVER_FROM = 0.70
"""AUC on a set not learned from: less is said in the first line."""
LIMITS = "Known failures and limits"
_NAN = float("nan")


@dataclass(frozen=True)
class Calibration:
    """How well the probabilities of one set's held-out pictures are calibrated.

    Attributes:
        ece_before, ece_after: expected calibration error of the network alone and of the
            calibrated probability.
        ece_interval: 95 % interval of the latter.
        bins: of the latter, [low, high); without those that hold no picture.
    """

    name: str
    ece_before: float
    ece_after: float
    ece_interval: tuple[float, float]
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
            low, high = (float(end) for end in own["after"]["ece_interval"])
        except (KeyError, IndexError, TypeError, ValueError):
            continue  # one that cannot be read is left out
        name = SET_NAMES.get(name, str(name))
        found.append(Calibration(name, before, after, (low, high), bins))
    return tuple(found)


@dataclass(frozen=True)
class Elsewhere:
    """How a classifier did on a set that it had not learned from.

    Attributes:
        auc, accuracy: and their 95 % intervals.
    """

    trained: str
    tested: str
    auc: float
    auc_interval: tuple[float, float]
    accuracy: float
    accuracy_interval: tuple[float, float]


def read_elsewhere(info: ClassifierInfo) -> tuple[Elsewhere, ...]:
    """Both ways; none where the manifest holds no such results."""
    kept = info.manifest.get("results")
    found = []
    for trained, tested in (("ucsd", "sars"), ("sars", "ucsd")):
        name = f"network and lesions, {trained} → {tested}"
        row: Any = kept.get(name) if isinstance(kept, dict) else None
        try:
            found.append(
                Elsewhere(
                    SET_NAMES[trained],
                    SET_NAMES[tested],
                    float(row["auc"]),
                    _interval(row["auc_interval"]),
                    float(row["accuracy"]),
                    _interval(row["accuracy_interval"]),
                )
            )
        except (KeyError, TypeError, ValueError):
            continue  # one that cannot be read is left out
    return tuple(found)


def worth_of_pictures(info: ClassifierInfo) -> str:
    """In words, what the probability of a picture is worth on data like a reader's own."""
    rows = read_elsewhere(info)
    if not rows:
        return "Experimental: what this number is worth on other data is not known."
    parts = " and ".join(
        f"in {100 * row.accuracy:.0f} of 100 ({100 * row.accuracy_interval[0]:.0f} to "
        f"{100 * row.accuracy_interval[1]:.0f}) on {row.tested}"
        for row in rows
    )
    start = "Experimental: on sets it was not trained on, it is right"
    if min(row.auc for row in rows) < CARRIES_OVER_FROM:
        start = "Experimental, and it does not carry over to data from elsewhere: on sets it "
        start += "was not trained on, it is right"
    return f"{start} {parts}; guessing is right in 50."


def worth_of_scans(info: ClassifierInfo) -> str:
    """In words, what the probability of a scan is worth."""
    kept: Any = info.manifest.get("scans")
    try:
        rows = kept["rows"]
        right = sum((row["probability"] >= 0.5) == row["covid"] for row in rows)
        others = len(rows) - int(kept["with_covid"])
    except (KeyError, TypeError, ValueError):
        return "Experimental: what this number is worth on scans is not known."
    least, most = wilson_interval(right, len(rows))
    return (
        f"Experimental: right for {right} of {len(rows)} scans of patients it was not trained on "
        f"(95\u2009% interval: {100 * least:.0f} to {100 * most:.0f} of 100). Only {others} of "
        "them had no COVID-19, and none had another pneumonia, which it may take for COVID-19."
    )


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


def _interval(value: Any) -> tuple[float, float]:
    low, high = (float(end) for end in value)
    return low, high


def _value(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) else _NAN
