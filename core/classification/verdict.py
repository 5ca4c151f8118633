"""The verdict on a picture or a scan."""

from __future__ import annotations

import math
from dataclasses import dataclass

from core.classification.config import Band, BandConfig

NOT_A_DIAGNOSIS = "A probability by a research network, not a diagnosis."


@dataclass(frozen=True)
class Verdict:
    """The probability of COVID-19 by a network; never a yes or a no.

    Attributes:
        covid_probability: calibrated on held-out pictures or scans; given for whatever could be
            read, also where the verdict abstains.
        network_probability, lesion_probability: by what the network sees alone, and by what is
            marked alone.
        disagreement: whether these two contradict each other.
        band: of the probability; indeterminate where the two contradict each other.
        abstained: whether the probability should not be relied on.
        reason: why it abstains; else what the probability rests on, in a sentence.
        slice_indices, slice_probabilities: the slices that were classified, from the feet up.
        infected_share: of the lung, by the segmentation network; nan without lung.
        share_by_zone: infected share of "upper", "middle" and "lower" third of the lung and of
            "right" and "left"; nan where there is no such lung. A picture has no zones.
        highest_scoring: indices of the slices with a probability of at least one half, highest
            first; the highest one where there is none.
        weights_id: of the classifier.
        segmentation_id: weights whose masks it used.
    """

    covid_probability: float
    network_probability: float
    lesion_probability: float
    disagreement: bool
    band: Band
    abstained: bool
    reason: str
    slice_indices: tuple[int, ...]
    slice_probabilities: tuple[float, ...]
    infected_share: float
    share_by_zone: dict[str, float]
    highest_scoring: tuple[int, ...]
    weights_id: str
    segmentation_id: str


def band_of(probability: float, bands: BandConfig) -> Band:
    """The band that holds a probability; indeterminate where it is not defined."""
    if math.isnan(probability):
        return "indeterminate"
    if probability < bands.low_below:
        return "low"
    return "high" if probability >= bands.high_from else "indeterminate"


def disagree(network: float, lesions: float, bands: BandConfig) -> bool:
    """Whether one opinion is high and the other low."""
    pair = sorted((network, lesions))
    return pair[0] < bands.low_below and pair[1] >= bands.high_from
