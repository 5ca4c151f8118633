"""What is said of a picture or a scan, and of one slice."""

from __future__ import annotations

import math
from dataclasses import dataclass

from core.classification.config import Band, BandConfig

NOT_A_DIAGNOSIS = "A probability by a research network, not a diagnosis."


@dataclass(frozen=True)
class Verdict:
    """How likely COVID-19 is, as a network sees it; never a yes or a no.

    Attributes:
        covid_probability: calibrated by temperature; a number for whatever could be read, also
            where the verdict abstains.
        band: of that probability.
        abstained: whether the probability should not be relied on.
        reason: why it abstains; else what speaks for it, in a sentence.
        slice_indices, slice_probabilities: the slices looked at, from the feet up.
        infected_share: of the lung, as the segmentation network sees it; nan without lung.
        share_by_zone: infected share of "upper", "middle" and "lower" third of the lung and of
            "right" and "left"; nan where there is no such lung. A picture has no zones.
        drivers: indices of the slices that speak loudest for COVID-19, loudest first.
        weights_id: of the classifier.
        segmentation_id: weights whose masks it was shown.
    """

    covid_probability: float
    band: Band
    abstained: bool
    reason: str
    slice_indices: tuple[int, ...]
    slice_probabilities: tuple[float, ...]
    infected_share: float
    share_by_zone: dict[str, float]
    drivers: tuple[int, ...]
    weights_id: str
    segmentation_id: str
    temperature: float


def band_of(probability: float, bands: BandConfig) -> Band:
    """The band that holds a probability; indeterminate where it is not defined."""
    if math.isnan(probability):
        return "indeterminate"
    if probability < bands.low_below:
        return "low"
    return "high" if probability >= bands.high_from else "indeterminate"
