"""How much of the lungs a scan holds: what is cut off is missing from every volume."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.measuring.biomarkers import count_by_slice
from core.system import number_text
from core.volume import BoolArray

_LEAST_SHARE = 0.02
"""Of the largest area of lung in a slice: less at an end of the scan is a tip of the lung."""
_SIDE_SLICES = 0.1
"""Share of the slices with lung from which on lung at the edge of the picture is reported."""
_MOST_LITRES = 10.0
"""Total lung capacity predicted for a man of 2.1 m is 9.7 l (Quanjer et al. 1993); lying down, and
in a mask without large vessels, lungs hold less."""
_HEIGHTS_MM = (80.0, 450.0)
"""Of lungs that lie within the scan as a whole, those of children included."""
_LEAST_WIDTH_MM = 150.0
"""Of two lungs; what is low and narrow may be a small find that is no lung."""


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
    areas = count_by_slice(lung)
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


def find_size_doubt(
    lung: BoolArray, coverage: Coverage, spacing_mm: tuple[float, float, float]
) -> str:
    """Why lungs of this size cannot be those of a person, so that the voxel size is probably wrong;
    empty where they can.

    Args:
        lung: (i, j, k), on the canonical grid of the scan.
    """
    i, j, k = (number_text(step, digits=2) for step in spacing_mm)
    size = f"by the voxel size in the file ({i} × {j} × {k} mm)"
    doubt = (
        "The voxel size is probably wrong, and with it every length and volume: compare it with "
        "the scanner's protocol."
    )
    litres = np.count_nonzero(lung) * float(np.prod(spacing_mm)) / 1e6
    if litres > _MOST_LITRES:
        return (
            f"The lungs hold {number_text(litres, digits=1)} l {size}, more than "
            f"{number_text(_MOST_LITRES, digits=0)} l, which is more than any person's. {doubt}"
        )
    height_mm = coverage.height_mm
    low, high = _HEIGHTS_MM
    whole = not (coverage.below or coverage.above)
    wide = np.ptp(np.flatnonzero(lung.any(axis=(1, 2)))) * spacing_mm[0] > _LEAST_WIDTH_MM
    if height_mm is None or not (height_mm > high or (height_mm < low and whole and wide)):
        return ""
    return (
        f"The lungs are {_mm(height_mm)} high {size}; those of a person are {_mm(low)} to "
        f"{_mm(high)}. {doubt}"
    )


def _mm(length: float) -> str:
    return f"{number_text(length, digits=0)} mm"
