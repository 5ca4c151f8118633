"""How much of the lungs a scan holds: what is cut off is missing from every volume."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.system import number_text
from core.volume import BoolArray

_LEAST_SHARE = 0.02
"""Of the largest area of lung in a slice: less at an end of the scan is a tip of the lung."""
_SIDE_SLICES = 0.1
"""Share of the slices with lung from which on lung at the edge of the picture is reported."""


@dataclass(frozen=True)
class Coverage:
    """Where lung reaches the end of what was scanned.

    Attributes:
        below, above: whether lung is cut off at the lowest or the highest slice.
        side_slices: slices in which lung reaches the edge of the picture, where they are many.
        slices: with lung.
        height_mm: of these; none where the file does not give the distance of slices.
    """

    below: bool
    above: bool
    side_slices: int
    slices: int
    height_mm: float | None

    @property
    def warning(self) -> str:
        """What a person should know of volumes; empty where the lungs are there as a whole."""
        ends = " and ".join(
            word for word, cut in (("below", self.below), ("above", self.above)) if cut
        )
        slices = f"{self.slices} slice" + ("s" if self.slices > 1 else "")
        covered = slices if self.height_mm is None else f"{_mm(self.height_mm)} ({slices})"
        sentences = []
        if ends:
            sentences.append(
                f"The scan does not cover the whole lungs: they are cut off {ends}. Volumes are "
                f"those of the {covered} of lung that it covers."
            )
        if self.side_slices:
            sentences.append(
                f"Lung reaches the edge of the picture in {self.side_slices} of {slices}: what "
                "lies outside is missing from volumes."
            )
        return " ".join(sentences)


def find_coverage(lung: BoolArray, step_mm: float | None) -> Coverage | None:
    """How much of the lungs a scan covers; none for a single slice, and without lung.

    Args:
        lung: (i, j, k), on the canonical grid of the scan.
        step_mm: from slice to slice; none where it is not known.
    """
    areas = np.count_nonzero(lung, axis=(0, 1))
    if len(areas) < 2 or not areas.any():
        return None
    held = areas >= max(1.0, _LEAST_SHARE * float(areas.max()))
    count = int(np.count_nonzero(areas))
    at_edge = lung[[0, -1]].any(axis=(0, 1)) | lung[:, [0, -1]].any(axis=(0, 1))
    edges = int(np.count_nonzero(at_edge))
    return Coverage(
        below=bool(held[0]),
        above=bool(held[-1]),
        side_slices=edges if edges > _SIDE_SLICES * count else 0,
        slices=count,
        height_mm=None if step_mm is None else count * step_mm,
    )


def _mm(length: float) -> str:
    return f"{number_text(length, digits=0)} mm"
