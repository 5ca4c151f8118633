"""Slices without infection: how many there are, by truth and by prediction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from core.measuring.biomarkers import FloatVector, compute_slice_burden
from core.volume import MaskPair, Volume


@dataclass(frozen=True, eq=False)
class EmptySlices:
    """Infection of each axial slice as one pair of masks has it.

    Attributes:
        infected_pixels: (slices,) float64.
    """

    infected_pixels: FloatVector

    @property
    def slices(self) -> int:
        """How many there are."""
        return int(self.infected_pixels.size)

    @property
    def empty(self) -> int:
        """How many hold no infection."""
        return int((self.infected_pixels == 0).sum())

    def to_json_dict(self) -> dict[str, Any]:
        """Counts alone."""
        return {"slices": self.slices, "empty": self.empty}


def find_empty_slices(masks: MaskPair | None, volume: Volume) -> EmptySlices | None:
    """Infection per axial slice; none where the infection is not known."""
    if masks is None or masks.infection is None:
        return None
    burden = compute_slice_burden(masks, volume)
    return EmptySlices(burden.infection_pixels)
