"""What is measured: the biomarkers as plain fields and as measurements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from core.config import LOBES, LobeName
from core.measuring.biomarkers.config import BiomarkerConfig
from core.measuring.biomarkers.lesions import Lesions
from core.measuring.biomarkers.lobar import LobePart
from core.measuring.biomarkers.measurement import Measurement
from core.measuring.biomarkers.sides import SIDES, Side
from core.system import without_nan

Laterality = Literal["none", "left", "right", "both"]
Category = Literal["CT-0", "CT-1", "CT-2", "CT-3", "CT-4"]
NAN = float("nan")

ZONES: tuple[tuple[Side, str], ...] = tuple(
    (side, third) for side in SIDES for third in ("upper", "middle", "lower")
)
"""The six zones of the zonal score, in reading order."""


MISSING_LUNG: Mapping[str, str] = {
    side: f"No {side} lung, or hardly any, is marked: its measurements and the zonal score are "
    "not defined."
    for side in SIDES
}
"""The note of a scan that shows one lung, by the side of the other."""


@dataclass(frozen=True)
class Part:
    """A part of the lungs: how much, and how much of it infected.

    Volumes are nan where the size of a voxel is not known, the share where there is no such lung
    or either mask is missing.
    """

    volume_ml: float = NAN
    infected_ml: float = NAN
    infected_share: float = NAN


@dataclass(frozen=True)
class Density:
    """Density by HU; all nan where the scan's values are not HU. Shares of lung add up to 1, and so
    do those of infection."""

    mean_hu: float = NAN
    infected_mean_hu: float = NAN
    hyper_aerated: float = NAN
    well_aerated: float = NAN
    poorly_aerated: float = NAN
    non_aerated: float = NAN
    ground_glass: float = NAN
    consolidation: float = NAN
    neither: float = NAN


@dataclass(frozen=True)
class Biomarkers:
    """Every biomarker of a scan, as plain fields and as `measurements` in reading order.

    Attributes:
        both, right, left: the lungs.
        parts: by name such as "left_upper", "right_dorsal", "left_peripheral", and of both lungs
            "upper", "middle", "lower", "ventral", "dorsal", "peripheral", "central".
        density, right_density, left_density: by HU.
        lesions: none where the infection is not marked.
        laterality, category, zone_score: none where undefined.
        zone_scores: 0 to 4, by names such as "left_upper"; zones that are undefined are missing.
        split: how left and right were distinguished; none where they were not.
        lobes: by name; empty where there are none, for `lobes_reason`.
        lobes_note: stands wherever lobes are shown.
        notes: sentences on what could not be measured, and on what to be careful about.
    """

    both: Part
    right: Part
    left: Part
    parts: Mapping[str, Part]
    density: Density
    right_density: Density
    left_density: Density
    lesions: Lesions | None
    laterality: Laterality | None
    zone_scores: Mapping[str, int]
    zone_score: int | None
    category: Category | None
    split: Literal["apart", "junction", "plane", "one lung", "lobes"] | None
    config: BiomarkerConfig
    lobes: Mapping[LobeName, LobePart] = field(default_factory=dict)
    lobes_reason: str = ""
    lobes_note: str = ""
    notes: tuple[str, ...] = ()
    measurements: tuple[Measurement, ...] = field(default=(), repr=False)

    @property
    def lobar_score(self) -> int | None:
        """CT severity score, 0 to 25; none where a lobe has none."""
        scores = [part.score for part in self.lobes.values() if part.score is not None]
        return sum(scores) if len(scores) == len(LOBES) else None

    def measurement(self, key: str) -> Measurement:
        """The measurement of a key; `KeyError` where there is none."""
        for one in self.measurements:
            if one.key == key:
                return one
        raise KeyError(key)

    def to_json_dict(self) -> dict[str, Any]:
        """`values` by key in reading order, `figures` with the definition of each, `cut_offs`
        and `notes`; what is undefined is null."""
        result: dict[str, Any] = without_nan(
            {
                "values": {one.key: one.value for one in self.measurements},
                "figures": {one.key: _definition(one) for one in self.measurements},
                "cut_offs": asdict(self.config),
                "notes": list(self.notes),
            }
        )
        return result


def _definition(measurement: Measurement) -> dict[str, Any]:
    kept = asdict(measurement)
    del kept["key"]
    return kept
