"""The biomarkers as measurements in reading order, each with its rule and source."""

from __future__ import annotations

from core.measuring.biomarkers.listing.density import list_density
from core.measuring.biomarkers.listing.lesions import list_lesions
from core.measuring.biomarkers.listing.lobes import list_lobar_score, list_lobes, lobe_score_rule
from core.measuring.biomarkers.listing.lungs import list_lungs, list_scores
from core.measuring.biomarkers.listing.maker import GROUPS, MeasurementMaker
from core.measuring.biomarkers.listing.places import list_places
from core.measuring.biomarkers.measurement import Measurement
from core.measuring.biomarkers.result import Biomarkers
from core.volume import MaskPair, Volume

__all__ = ["GROUPS", "list_measurements", "lobe_score_rule"]


def list_measurements(
    found: Biomarkers, volume: Volume, masks: MaskPair
) -> tuple[Measurement, ...]:
    """Every measurement, under the headings of `GROUPS`."""
    maker = MeasurementMaker(found, volume, masks)
    parts = (
        list_lungs,
        list_lobar_score,
        list_scores,
        list_lobes,
        list_places,
        list_density,
        list_lesions,
    )
    return tuple(measurement for list_part in parts for measurement in list_part(maker))
