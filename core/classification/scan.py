"""From slices to a scan: a logistic regression with few parameters, calibrated on scans.

It sees the infected share of the lung, and how suspicious the network finds the most suspicious
third of the slices, because disease need not be everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, isnan, log10

import numpy as np
import numpy.typing as npt

from core.config import check_ranges
from core.volume import MaskPair

ZONES = ("upper", "middle", "lower")
SIDES = ("right", "left")
LEAST_SHARE = 1e-4


@dataclass(frozen=True)
class ScanModel:
    """Which slices count, and the regression.

    Attributes:
        most_slices: that are classified at most, evenly spread over those with enough lung.
        lung_of_largest: a slice counts if its lung is at least this share of the largest.
        most_suspicious_share: of the slices, whose mean counts.
        share, slices, bias: of the logit: per power of ten of the infected share, per unit of the
            slices' mean calibrated logit.
        lesions_alone, lesions_bias: of the logit by the infected share alone.
    """

    most_slices: int = 32
    lung_of_largest: float = 0.4
    most_suspicious_share: float = 1 / 3
    share: float = 1.0
    slices: float = 1.0
    bias: float = 2.0
    lesions_alone: float = 2.0
    lesions_bias: float = 4.0

    def __post_init__(self) -> None:
        check_ranges(
            self,
            {
                "most_slices": (1, 10_000),
                "lung_of_largest": (0.0, 1.0),
                "most_suspicious_share": (0.001, 1.0),
                **dict.fromkeys(
                    ("share", "slices", "bias", "lesions_alone", "lesions_bias"), (-1e3, 1e3)
                ),
            },
        )


def choose_slices(lung_pixels: npt.NDArray[np.int64], model: ScanModel) -> tuple[int, ...]:
    """Slices with enough lung, evenly spread; at least the one with most lung."""
    enough = np.flatnonzero(
        lung_pixels >= max(1.0, model.lung_of_largest * float(lung_pixels.max(initial=0)))
    )
    if not len(enough):
        return (len(lung_pixels) // 2,)
    count = min(len(enough), model.most_slices)
    places = np.unique(np.linspace(0, len(enough) - 1, count).round().astype(int))
    return tuple(int(k) for k in enough[places])


def scan_logit(
    slice_logits: npt.NDArray[np.float64], infected_share: float, model: ScanModel
) -> float:
    """The logit of a scan from the calibrated logits of its slices and its infected share; the
    slices alone where that is not defined."""
    slices = suspicious_mean(slice_logits, model)
    if isnan(infected_share):
        return slices
    return model.share * log_share(infected_share) + model.slices * slices + model.bias


def suspicious_mean(slice_logits: npt.NDArray[np.float64], model: ScanModel) -> float:
    """Mean logit of the most suspicious slices."""
    count = _suspicious_count(len(slice_logits), model)
    return float(np.sort(slice_logits)[-count:].mean())


def lesion_logit(infected_share: float, model: ScanModel) -> float:
    """The logit of a scan by its infected share alone; 0 where that is not defined."""
    if isnan(infected_share):
        return 0.0
    return model.lesions_alone * log_share(infected_share) + model.lesions_bias


def log_share(infected_share: float) -> float:
    """Logarithm to the base 10, of at least 0.01 %."""
    return log10(max(infected_share, LEAST_SHARE))


def most_suspicious_slices(
    slices: Sequence[int], probabilities: Sequence[float], model: ScanModel
) -> tuple[int, ...]:
    """The slices whose mean counts in `scan_logit`, most suspicious first."""
    order = sorted(zip(probabilities, slices, strict=True), key=lambda pair: -pair[0])
    return tuple(k for _, k in order[: _suspicious_count(len(order), model)])


def _suspicious_count(slices: int, model: ScanModel) -> int:
    return max(1, ceil(slices * model.most_suspicious_share))


def highest_scoring_slices(
    slices: Sequence[int], probabilities: Sequence[float]
) -> tuple[int, ...]:
    """Slices with a probability of at least one half, highest first; the highest one where there
    is none."""
    order = sorted(zip(probabilities, slices, strict=True), key=lambda pair: -pair[0])
    above = tuple(k for probability, k in order if probability >= 0.5)
    return above or tuple(k for _, k in order[:1])


def shares(masks: MaskPair, *, has_zones: bool) -> tuple[float, dict[str, float]]:
    """Infected share of the lung, and of each third of its height and of each side.

    The sides are divided at the middle of all lung along the axis from right to left, so a slice
    may lack lung on one side. Not defined (nan) where there is no lung.

    Args:
        masks: on the canonical grid (towards left, back, head).
        has_zones: false for pictures, which have no height.
    """
    lung, infection = masks.lung, masks.infection
    nothing = dict.fromkeys((*(ZONES if has_zones else ()), *SIDES), float("nan"))
    if lung is None or infection is None or not lung.any():
        return float("nan"), nothing
    lung_by = np.count_nonzero(lung, axis=1).astype(np.int64)
    infected_by = np.count_nonzero(lung & infection, axis=1).astype(np.int64)
    held = np.flatnonzero(lung_by.any(axis=1))
    middle = (int(held[0]) + int(held[-1]) + 1) // 2
    found = {}
    if has_zones:
        height = np.flatnonzero(lung_by.any(axis=0))
        edges = np.linspace(int(height[0]), int(height[-1]) + 1, len(ZONES) + 1).round().astype(int)
        for number, name in enumerate(reversed(ZONES)):
            part = slice(edges[number], edges[number + 1])
            found[name] = _share(infected_by[:, part], lung_by[:, part])
        found = {name: found[name] for name in ZONES}
    found["right"] = _share(infected_by[:middle], lung_by[:middle])
    found["left"] = _share(infected_by[middle:], lung_by[middle:])
    return _share(infected_by, lung_by), found


def _share(infected: npt.NDArray[np.int64], lung: npt.NDArray[np.int64]) -> float:
    total = int(lung.sum())
    return int(infected.sum()) / total if total else float("nan")
