"""Whether a slice holds any infection, from the segmentation network's own probabilities.

A logistic regression on a few shares of each slice: it never sees a grey level and can hardly
learn the scanner. It belongs to one set of segmentation weights and is of no use with others.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from core.segmentation.manifests import Manifest, list_manifests, read_manifest_as
from core.segmentation.weights import WeightsInfo
from core.system import WEIGHTS_FOLDER

GATE_KIND = "empty-slice"
SHARE_NAMES = (
    "log_area_quarter",
    "log_area_half",
    "log_area_three_quarters",
    "log_sum",
    "peak_promille",
    "peak_percent",
)
_LEVELS = (64, 128, 191)
_SURE_LUNG = 128
_FLOOR = 1e-5

Probabilities = npt.NDArray[np.uint8]
Vector = npt.NDArray[np.float64]


@dataclass(frozen=True)
class EmptySliceGate:
    """A fitted gate.

    Attributes:
        weights, bias: of `slice_shares`, as they are.
        threshold: a slice with a lower probability of holding infection is called empty.
        segmentation_sha256: of the arrays of the weights it was fitted for.
    """

    weights_id: str
    weights: tuple[float, ...]
    bias: float
    threshold: float
    segmentation_id: str
    segmentation_sha256: str

    def infection_probability(self, probabilities: Probabilities) -> Vector:
        """(n,) how likely each slice holds any infection.

        Args:
            probabilities: (2, n, rows, columns) uint8 of the segmentation network.
        """
        found: Vector = expit(slice_shares(probabilities) @ np.array(self.weights) + self.bias)
        return found

    def empty(self, probabilities: Probabilities) -> npt.NDArray[np.bool_]:
        """(n,) which slices are called empty."""
        return self.infection_probability(probabilities) < self.threshold

    def clear(self, probabilities: Probabilities) -> Probabilities:
        """The same with no infection in slices called empty; a copy where there are any."""
        empty = self.empty(probabilities)
        if not empty.any():
            return probabilities
        cleared = probabilities.copy()
        cleared[1, empty] = 0
        return cleared


def slice_shares(probabilities: Probabilities) -> Vector:
    """The gate's input: (n, 6) float64, named in `SHARE_NAMES`.

    Logarithms of the share of lung that is infected at three levels of certainty and of the mean
    probability; the mean probability of the most suspicious thousandth and hundredth of the lung.
    Shares, so that no size of the network's grid matters; how much of the frame is lung is left
    out, because it depends on the source.
    """
    rows = [
        _shares_of(lung, infection)
        for lung, infection in zip(probabilities[0], probabilities[1], strict=True)
    ]
    return np.array(rows, dtype=np.float64).reshape(-1, len(SHARE_NAMES))


def _shares_of(lung: Probabilities, infection: Probabilities) -> list[float]:
    inside = infection[lung >= _SURE_LUNG]
    count = inside.size
    if not count:
        return [float(np.log(_FLOOR))] * 4 + [0.0, 0.0]
    areas = [np.log(_FLOOR + np.count_nonzero(inside >= level) / count) for level in _LEVELS]
    peaks = []
    for share in (0.001, 0.01):
        top = max(1, round(share * count))
        peaks.append(float(np.partition(inside, count - top)[count - top :].mean()) / 255.0)
    return [
        *areas,
        float(np.log(_FLOOR + inside.mean() / 255.0)),
        *peaks,
    ]


def find_gate(segmentation: WeightsInfo, *, folder: Path = WEIGHTS_FOLDER) -> EmptySliceGate | None:
    """The gate that was fitted for these segmentation weights; none where there is none.

    Raises:
        WeightsError: there is none that can be read, and one that cannot.
    """
    usable, unusable = list_manifests(folder, read_gate, kind=GATE_KIND)
    for gate in usable:
        if gate.segmentation_sha256 == segmentation.sha256:
            return gate
    if unusable:
        raise unusable[0].error
    return None


def read_gate(folder: Path) -> EmptySliceGate:
    """The gate in a weights folder, which is a manifest alone.

    Raises:
        WeightsError: see `core.segmentation.manifests.read_manifest_as`.
    """

    def build(manifest: Manifest, text: str) -> EmptySliceGate:
        by_name = {str(name): float(value) for name, value in manifest["weights"].items()}
        gate = EmptySliceGate(
            weights_id=str(manifest["weights_id"]),
            weights=tuple(by_name[name] for name in SHARE_NAMES),
            bias=float(manifest["bias"]),
            threshold=float(manifest["threshold"]),
            segmentation_id=str(manifest["segmentation"]["weights_id"]),
            segmentation_sha256=str(manifest["segmentation"]["sha256"]),
        )
        if not np.isfinite([*gate.weights, gate.bias, gate.threshold]).all():
            raise ValueError("a number that is not finite")
        return gate

    return read_manifest_as(
        folder,
        build,
        kind=GATE_KIND,
        expected="JSON of a gate for empty slices: weights by name, bias, threshold, segmentation, "
        "all finite",
    )
