"""From slices to a scan: a fixed rule with few parameters, not a trained one.

There are too few scans without COVID-19 to train one. The logit of a scan is the weighted mean of
two: that of its slices (the mean of its most suspicious third, because disease need not be
everywhere) and that of its burden (the logarithm of the infected share over `half_share`, times
`share_steepness`). Both are bounded, so that neither alone can give certainty.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, isnan, log

import numpy as np
import numpy.typing as npt

from core.classification.info import ScanConfig
from core.volume import MaskPair

ZONES = ("upper", "middle", "lower")
SIDES = ("right", "left")
_MOST_CERTAIN = 5.0
"""Bound of each logit: probabilities of 0.7 and 99.3 percent."""
_LEAST_SHARE = 1e-4


def choose_slices(lung_pixels: npt.NDArray[np.int64], config: ScanConfig) -> tuple[int, ...]:
    """Slices with enough lung, evenly spread; at least the one with most lung."""
    enough = np.flatnonzero(
        lung_pixels >= max(1.0, config.lung_of_largest * float(lung_pixels.max(initial=0)))
    )
    if not len(enough):
        return (len(lung_pixels) // 2,)
    count = min(len(enough), config.most_slices)
    places = np.unique(np.linspace(0, len(enough) - 1, count).round().astype(int))
    return tuple(int(k) for k in enough[places])


def scan_logit(
    slice_logits: npt.NDArray[np.float64], infected_share: float, config: ScanConfig
) -> float:
    """The logit of a scan from the calibrated logits of its slices and its infected share; the
    slices alone where that is not defined."""
    slices, burden = scan_parts(slice_logits, infected_share, config)
    if isnan(burden):
        return slices
    return (1.0 - config.share_weight) * slices + config.share_weight * burden


def scan_parts(
    slice_logits: npt.NDArray[np.float64], infected_share: float, config: ScanConfig
) -> tuple[float, float]:
    """The logit of the slices alone and that of the burden alone; the latter is nan where the
    infected share is not defined."""
    highest = np.sort(slice_logits)[-_suspicious_count(len(slice_logits), config) :]
    slices = _bounded(float(highest.mean()))
    if isnan(infected_share):
        return slices, float("nan")
    return slices, _bounded(
        config.share_steepness * log(max(infected_share, _LEAST_SHARE) / config.half_share)
    )


def most_suspicious_slices(
    slices: Sequence[int], probabilities: Sequence[float], config: ScanConfig
) -> tuple[int, ...]:
    """The slices whose mean counts in `scan_logit`, most suspicious first."""
    order = sorted(zip(probabilities, slices, strict=True), key=lambda pair: -pair[0])
    return tuple(k for _, k in order[: _suspicious_count(len(order), config)])


def _suspicious_count(slices: int, config: ScanConfig) -> int:
    return max(1, ceil(slices * config.most_suspicious_share))


def _bounded(logit: float) -> float:
    return float(np.clip(logit, -_MOST_CERTAIN, _MOST_CERTAIN))


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
