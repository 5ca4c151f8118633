"""Whether a slice holds any infection, told from the segmentation network's own probabilities.

A logistic regression on a few shares of each slice, so it never sees a grey level and can hardly
learn the scanner. It belongs to one set of segmentation weights and is of no use with others.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from core.errors import WeightsError, shown_name
from core.segmentation.weights import MANIFEST_NAME, WeightsInfo, manifest_kind
from core.system import WEIGHTS_FOLDER

KIND = "empty-slice"
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
    """What the gate looks at: (n, 6) float64, named in `SHARE_NAMES`.

    Logarithms of the share of lung that is infected at three levels of certainty and of the mean
    probability; the mean probability of the most suspicious thousandth and hundredth of the lung.
    Shares, so that no size of the network's grid matters; how much of the frame is lung is left
    out, because that tells the source.
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
        WeightsError: a gate's manifest cannot be read.
    """
    for path in sorted(folder.glob(f"*/{MANIFEST_NAME}")):
        if manifest_kind(path.parent) == KIND:
            gate = read_gate(path.parent)
            if gate.segmentation_sha256 == segmentation.sha256:
                return gate
    return None


def read_gate(folder: Path) -> EmptySliceGate:
    """The gate in a weights folder, which is a manifest alone.

    Raises:
        WeightsError: it is missing, no JSON, or lacks something.
    """
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST_NAME).read_text(encoding="utf-8"))
        by_name = {str(name): float(value) for name, value in manifest["weights"].items()}
        gate = EmptySliceGate(
            weights_id=str(manifest["weights_id"]),
            weights=tuple(by_name[name] for name in SHARE_NAMES),
            bias=float(manifest["bias"]),
            threshold=float(manifest["threshold"]),
            segmentation_id=str(manifest["segmentation"]["weights_id"]),
            segmentation_sha256=str(manifest["segmentation"]["sha256"]),
        )
        finite = np.isfinite([*gate.weights, gate.bias, gate.threshold]).all()
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _unreadable(folder, type(error).__name__) from error
    if not finite:
        raise _unreadable(folder, "a number that is not finite")
    return gate


def _unreadable(folder: Path, got: str) -> WeightsError:
    return WeightsError(
        f"The manifest {shown_name(folder)}/{MANIFEST_NAME} cannot be read",
        got=got,
        expected="JSON of a gate for empty slices: weights by name, bias, threshold, segmentation",
        next_step="restore the file from the repository",
    )
