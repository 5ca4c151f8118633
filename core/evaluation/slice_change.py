"""What a change of settings does to the mask of one slice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.evaluation.metrics import Overlap, compute_overlap
from core.volume import BoolArray


@dataclass(frozen=True)
class Change:
    """How a tuned mask differs from the default one, in pixels of the scan.

    Attributes:
        default, tuned: pixels marked.
        changed: pixels marked by one of them only.
        default_overlap, tuned_overlap: agreement with the truth; none where it is not known.
    """

    default: int
    tuned: int
    changed: int
    default_overlap: Overlap | None = None
    tuned_overlap: Overlap | None = None


def compute_change(default: BoolArray, tuned: BoolArray, truth: BoolArray | None) -> Change:
    """The difference between two masks of one slice, of one shape, and the truth's."""
    return Change(
        default=int(np.count_nonzero(default)),
        tuned=int(np.count_nonzero(tuned)),
        changed=int(np.count_nonzero(default ^ tuned)),
        default_overlap=None if truth is None else compute_overlap(truth, default),
        tuned_overlap=None if truth is None else compute_overlap(truth, tuned),
    )
