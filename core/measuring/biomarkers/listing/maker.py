"""Builds measurements, and knows why one is undefined."""

from __future__ import annotations

import math

from core.measuring.biomarkers import sources
from core.measuring.biomarkers.measurement import Measurement
from core.measuring.biomarkers.result import Biomarkers
from core.volume import MaskPair, Volume

VOLUMES, LOBAR, PLACES, DENSITY, LESIONS, SCORES = (
    "Lungs",
    "Lobes",
    "Where the infection lies",
    "Density",
    "Lesions",
    "Scores",
)
GROUPS = (VOLUMES, SCORES, LOBAR, PLACES, DENSITY, LESIONS)
"""Headings in reading order."""


class MeasurementMaker:
    """What is found in a scan, and what is known of it."""

    def __init__(self, found: Biomarkers, volume: Volume, masks: MaskPair) -> None:
        self.found, self.config = found, found.config
        self.nominal, self.hu_known = volume.spacing_nominal, volume.unit == "HU"
        self.pictures = volume.source.format == "pictures"
        self.lung_known = masks.lung is not None
        self.lung_there = masks.lung is not None and bool(masks.lung.any())
        self.infection_known = masks.infection is not None

    def make_by_hu(
        self,
        key: str,
        label: str,
        value: float,
        unit: str,
        definition: str,
        source: str,
        *,
        sided: bool = False,
    ) -> Measurement:
        """One that needs a scan in HU."""
        return self.make(
            key, label, value, unit, definition, source, DENSITY, sided=sided, by_hu=True
        )

    def make(
        self,
        key: str,
        label: str,
        value: float | int | str,
        unit: str,
        definition: str,
        source: str,
        group: str,
        *,
        sided: bool = False,
        by_hu: bool = False,
        lung_needed: bool = True,
        sized: bool = False,
        by_lobe: bool = False,
    ) -> Measurement:
        """One measurement; where its value is nan, with the reason.

        Args:
            sided: needs right and left, or up and down, distinguished.
            by_hu: needs a scan in HU.
            lung_needed: needs a lung mask.
            sized: needs the size of a voxel.
            by_lobe: needs the lobes.
        """
        undefined = isinstance(value, float) and not math.isfinite(value)
        reason = ""
        if undefined:
            reason = self._reason(
                unit,
                sided=sided,
                by_hu=by_hu,
                lung_needed=lung_needed,
                sized=sized,
                by_lobe=by_lobe,
            )
        return Measurement(key, label, value, unit, definition, source, group, reason)

    def _reason(
        self,
        unit: str,
        *,
        sided: bool,
        by_hu: bool,
        lung_needed: bool,
        sized: bool,
        by_lobe: bool,
    ) -> str:
        if by_hu and not self.hu_known:
            return sources.NOT_HU
        if self.nominal and (unit == "ml" or sized):
            return sources.NOMINAL
        if lung_needed and not self.lung_known:
            return sources.NO_LUNG_MASK
        if lung_needed and not self.lung_there:
            return sources.NO_LUNG
        if sided and self.pictures:
            return sources.PICTURES
        if by_lobe and not self.found.lobes:
            return self.found.lobes_reason or sources.NO_LOBES
        if not self.infection_known:
            return sources.NO_INFECTION_MASK
        if sided:
            return "There is no such lung, or it is too thin to be divided."
        return sources.NO_INFECTION
