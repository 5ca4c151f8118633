"""What was found: one sentence with its value and threshold, for a slice or for the whole scan."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from core.measuring.biomarkers import FloatVector
from core.volume import BoolArray, MaskPair

DAMAGE = (
    "sharpness",
    "noise",
    "unevenness",
    "stripes",
    "brightness",
    "saturation",
    "inverted",
    "marks",
    "duplicate",
    "moved",
)
"""Checks that find a faulty picture."""


def slice_ranges(indices: Iterable[int | None]) -> str:
    """Slices as people write them, counting from 1: "1–5, 9"; the whole scan is left out."""
    runs: list[list[int]] = []
    for index in sorted({k for k in indices if k is not None}):
        if runs and index == runs[-1][-1] + 1:
            runs[-1].append(index)
        else:
            runs.append([index])
    return ", ".join(
        f"{run[0] + 1}" if len(run) == 1 else f"{run[0] + 1}–{run[-1] + 1}" for run in runs
    )


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        check: name of the check, see `core.measuring.quality.checks`.
        value, threshold: in the check's own measure.
        slice_index: axial, from 0; none for the whole scan.
        sentence: for people, who count slices from 1.
    """

    check: str
    value: float
    threshold: float
    slice_index: int | None
    sentence: str

    def to_json_dict(self) -> dict[str, Any]:
        """Plain values; the slice counts from 1, as everywhere that people read."""
        return {
            "check": self.check,
            "slice": None if self.slice_index is None else self.slice_index + 1,
            "value": self.value,
            "threshold": self.threshold,
            "sentence": self.sentence,
        }


@dataclass(frozen=True, eq=False)
class Outcome:
    """The result of one check on a scan.

    Attributes:
        check: its name.
        threshold: used.
        values: (slices,) or, of a check for the whole scan, (1,); nan where not defined.
        flagged: the same shape; true where the value is beyond the threshold.
        undefined: why the check does not apply to this scan; empty where it does.
        findings: in the order of slices.
    """

    check: str
    threshold: float
    values: FloatVector
    flagged: BoolArray
    undefined: str
    findings: tuple[Finding, ...]

    @property
    def worst(self) -> float:
        """The value farthest to the bad side among those flagged, else nan."""
        values = self.values[self.flagged]
        if not values.size:
            return math.nan
        return float(values[np.argmax(np.abs(values - self.threshold))])


@dataclass(frozen=True, eq=False)
class QualityReport:
    """All checks of one scan."""

    slices: int
    outcomes: tuple[Outcome, ...]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Those of the whole scan first, then by slice."""
        found = [finding for outcome in self.outcomes for finding in outcome.findings]
        return tuple(sorted(found, key=lambda f: -1 if f.slice_index is None else f.slice_index))

    @property
    def flagged_slices(self) -> tuple[int, ...]:
        """Slices with a finding of their own, ascending, from 0."""
        return tuple(sorted({f.slice_index for f in self.findings if f.slice_index is not None}))

    @property
    def damaged_slices(self) -> tuple[int, ...]:
        """Slices whose picture is at fault, ascending, from 0; they should not stand for a scan.

        What lies outside the picture or between slices, and slices without lung, are no damage.
        """
        return tuple(
            sorted(
                {
                    finding.slice_index
                    for outcome in self.outcomes
                    if outcome.check in DAMAGE
                    for finding in outcome.findings
                    if finding.slice_index is not None
                }
            )
        )

    def trusting_lung(self, held: BoolArray | None) -> QualityReport:
        """The same without "no lung" where lung was marked, which the network knows better.

        Args:
            held: (slices,) whether lung is marked in each; none where nothing was marked.
        """
        if held is None:
            return self
        return replace(self, outcomes=tuple(_trusting(one, held) for one in self.outcomes))

    def of_slice(self, slice_index: int) -> tuple[Finding, ...]:
        """What was found in one slice."""
        return tuple(f for f in self.findings if f.slice_index == slice_index)

    def to_json_dict(self) -> dict[str, Any]:
        """Findings, and what each check could not check; slices count from 1."""
        return {
            "slices": self.slices,
            "flagged_slices": [k + 1 for k in self.flagged_slices],
            "findings": [finding.to_json_dict() for finding in self.findings],
            "checks": {
                outcome.check: {
                    "threshold": outcome.threshold,
                    "findings": len(outcome.findings),
                    "not_defined": outcome.undefined or None,
                }
                for outcome in self.outcomes
            },
        }


def slices_with_lung(*pairs: MaskPair | None) -> BoolArray | None:
    """(slices,) whether any of the pairs of masks marks lung there; none where none knows lung."""
    lungs = [pair.lung for pair in pairs if pair is not None and pair.lung is not None]
    return np.any([lung.any(axis=(0, 1)) for lung in lungs], axis=0) if lungs else None


def _trusting(outcome: Outcome, held: BoolArray) -> Outcome:
    if outcome.check == "not_a_chest" and held.any():
        return replace(outcome, flagged=np.zeros_like(outcome.flagged), findings=())
    if outcome.check != "no_lung":
        return outcome
    kept = tuple(f for f in outcome.findings if f.slice_index is None or not held[f.slice_index])
    return replace(outcome, flagged=outcome.flagged & ~held, findings=kept)
