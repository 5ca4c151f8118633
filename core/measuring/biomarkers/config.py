"""Every cut-off of the biomarkers, once; definitions on the screen are written from these."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from core.errors import ConfigError


@dataclass(frozen=True)
class BiomarkerConfig:
    """Cut-offs of bands, zones, lesions and scores. Bands hold their lower end, not their upper."""

    well_aerated_from_hu: float = -900.0
    """Lung below it is hyper-aerated."""
    poorly_aerated_from_hu: float = -500.0
    non_aerated_from_hu: float = -100.0
    ground_glass_from_hu: float = -750.0
    """Infected lung below it counts as neither ground glass nor consolidation."""
    consolidation_from_hu: float = -300.0
    peripheral_mm: float = 20.0
    """Lung nearer than this to the costal surface is peripheral, where millimetres are known."""
    peripheral_depth_share: float = 1.0 / 3.0
    """The same as a share of the greatest depth of each slice, where they are not."""
    min_lesion_ml: float = 0.05
    """Smaller pieces of infection are specks and no lesions; a ball of 0.05 ml is 4.6 mm wide."""
    min_lesion_voxels: int = 27
    """The same where the size of a voxel is not known."""
    lesion_sizes_ml: tuple[float, float] = (1.0, 10.0)
    """Where medium and where large lesions begin."""
    affected_share: float = 0.001
    """Lung, a lung or a zone with a smaller infected share counts as free of infection."""
    score_shares: tuple[float, float, float] = (0.25, 0.5, 0.75)
    """Infected shares from which a zone scores 2, 3 and 4, and MosMed-like categories change."""
    lobe_score_shares: tuple[float, float, float, float] = (0.05, 0.25, 0.5, 0.75)
    """Infected shares at which the score of a lobe rises from 1 to 2, 3, 4 and 5."""
    fissure_mm: float = 10.0
    """Infection nearer than this to an estimated fissure may belong to the neighbouring lobe."""

    def __post_init__(self) -> None:
        rising = {
            "aeration bands": (
                self.well_aerated_from_hu,
                self.poorly_aerated_from_hu,
                self.non_aerated_from_hu,
            ),
            "infection bands": (self.ground_glass_from_hu, self.consolidation_from_hu),
            "lesion sizes": (self.min_lesion_ml, *self.lesion_sizes_ml),
            "shares of the scores": (0.0, self.affected_share, *self.score_shares, 1.0),
            "shares of the lobar score": (self.affected_share, *self.lobe_score_shares, 1.0),
        }
        for name, ends in rising.items():
            if any(one >= other for one, other in pairwise(ends)):
                raise ConfigError(
                    f"The cut-offs of the {name} do not rise",
                    got=", ".join(f"{end:g}" for end in ends),
                    expected="each larger than the one before",
                )
        if not (0.0 < self.peripheral_mm <= 500.0 and 0.0 < self.peripheral_depth_share < 1.0):
            raise ConfigError(
                "The peripheral zone has no thickness",
                got=f"{self.peripheral_mm:g} mm and a share of {self.peripheral_depth_share:g}",
                expected="more than 0 mm and a share between 0 and 1",
            )
