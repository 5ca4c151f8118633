"""Lobes of a scan: which one each voxel of the lung belongs to, or why that is not known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.config import FIRST_LEFT_LOBE, LOBES
from core.system import number_text
from core.volume import BoolArray

LobeLabels = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Lobes:
    """What is known of the lobes of a scan.

    Attributes:
        labels: (i, j, k) uint8 on the scan's canonical grid, 1 to 5 in the order of `LOBES`, 0
            outside the lung; none where lobes were not estimated.
        reason: a sentence on why they were not estimated; empty where they were.
        mean_dice: over lobes, on scans of other patients.
        weights_id: of the network; empty where there is none.
    """

    labels: LobeLabels | None
    reason: str = ""
    mean_dice: float = float("nan")
    weights_id: str = ""

    @property
    def note(self) -> str:
        """Stands wherever lobes are shown; empty where there are none."""
        if self.labels is None:
            return ""
        return (
            "Lobes estimated from the shape of the lungs; mean Dice "
            f"{number_text(self.mean_dice, digits=2)} on scans of other patients."
        )

    def voxels(self) -> dict[str, int]:
        """Voxels of each lobe, by name."""
        if self.labels is None:
            return {}
        counts = count_labels(self.labels)
        return {name: int(counts[number]) for number, name in enumerate(LOBES, start=1)}


def count_labels(labels: LobeLabels) -> npt.NDArray[np.int64]:
    """Voxels with the labels 0 to 5."""
    counts = np.zeros(len(LOBES) + 1, dtype=np.int64)
    for k in range(labels.shape[2]):
        counts += np.bincount(labels[:, :, k].ravel(order="K"), minlength=len(counts))
    return counts


def is_left(labels: LobeLabels) -> BoolArray:
    """Where the left lung is."""
    found: BoolArray = labels >= FIRST_LEFT_LOBE
    return found
