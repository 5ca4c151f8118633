"""Two opinions on a slice, that of the network and that of what is marked, as one probability."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]

MOST_CERTAIN = 4.0
"""Bound of each logit that goes in: 1.8 and 98.2 percent."""


@dataclass(frozen=True)
class Line:
    """Calibration of a logit: slope and bias (Platt 1999)."""

    slope: float = 1.0
    bias: float = 0.0

    def of(self, logits: Vector) -> Vector:
        """Calibrated logits."""
        return self.slope * np.clip(logits, -MOST_CERTAIN, MOST_CERTAIN) + self.bias


@dataclass(frozen=True)
class Combination:
    """One logistic regression on both logits, fitted on held-out pictures.

    Attributes:
        network, lesions, bias: of the combined logit.
        network_alone, lesions_alone: calibration of each opinion by itself.
    """

    network: float = 1.0
    lesions: float = 0.0
    bias: float = 0.0
    network_alone: Line = field(default_factory=Line)
    lesions_alone: Line = field(default_factory=Line)

    def logits(self, network: Vector, lesions: Vector) -> Vector:
        """(n,) calibrated logits of both together."""
        bound = MOST_CERTAIN
        combined: Vector = (
            self.network * np.clip(network, -bound, bound)
            + self.lesions * np.clip(lesions, -bound, bound)
            + self.bias
        )
        return combined
