"""Whether weights have met a case in training, and what a network that had not makes of it."""

from __future__ import annotations

from typing import Any, Literal

from core.config import CHANNELS, DEMO_CASES
from core.loading import Case
from core.segmentation import WeightsInfo
from core.system import number_text

Side = Literal["training", "validation", "unseen"]
"""Whether the weights learned from a case, were chosen on it, or never saw it."""
_SENTENCES: dict[Side, str] = {
    "training": "The weights were trained on this case or patient: these values are too "
    "optimistic, and say nothing about new scans.",
    "validation": "The weights and thresholds were chosen on this case or patient: these values "
    "are slightly optimistic.",
    "unseen": "The weights were not trained on a case of this name, as far as its manifest shows.",
}


def side_of_case(case: Case, info: WeightsInfo | None) -> Side:
    """Where the manifest's split puts a case; by patient, so that a sibling scan counts too."""
    if info is None:
        return "unseen"
    split = info.manifest.get("split")
    if case.patient_id in _patients(split, "train"):
        return "training"
    return "validation" if case.patient_id in _patients(split, "validation") else "unseen"


def side_sentence(case: Case, info: WeightsInfo | None) -> str:
    """How far to trust measurements against the truth of a case; for a case that the weights were
    trained on also the Dice of the cross-validation, where the manifest has it."""
    side = side_of_case(case, info)
    sentence = _SENTENCES[side]
    found = cross_validated_dice(case, info) if side == "training" and info is not None else {}
    values = " and ".join(f"{number_text(dice)} for {name}" for name, dice in found.items())
    if values:
        sentence += f" A network trained without this patient reached a Dice of {values}."
    return sentence


def trained_on_generated(info: WeightsInfo) -> bool:
    """Whether weights learned from generated chests alone."""
    split = info.manifest.get("split")
    learned = split.get("train") if isinstance(split, dict) else None
    cases = learned.get("case") if isinstance(learned, dict) else None
    return isinstance(cases, list) and bool(cases) and all(case in DEMO_CASES for case in cases)


def cross_validated_dice(case: Case, info: WeightsInfo) -> dict[str, float]:
    """Dice by channel that a network which had not met the patient reached in cross-validation;
    empty where the manifest has none."""
    joined = info.manifest.get("cross_validation")
    rows = joined.get("scans", joined.get("cases")) if isinstance(joined, dict) else None
    for row in rows if isinstance(rows, list) else []:
        if str(row.get("scan_id", row.get("case_id"))) == case.case_id:
            known = {channel: row.get(f"{channel}_dice") for channel in CHANNELS}
            return {name: float(dice) for name, dice in known.items() if dice is not None}
    return {}


def _patients(split: Any, side: str) -> list[Any]:
    """Of one side of a recorded split; none where a manifest made by hand records none."""
    scans = split.get(side) if isinstance(split, dict) else None
    patients = scans.get("patients") if isinstance(scans, dict) else None
    return patients if isinstance(patients, list) else []
