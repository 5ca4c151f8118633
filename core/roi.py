"""Where the body is: a box around it, found by Otsu's threshold (Otsu 1979)."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from core.errors import GeometryError
from core.volume import Volume

_COARSE_SIDE = 128
_MAX_SLICES = 48
_MIN_BODY_FRACTION = 0.08
"""A component that covers less of a slice than this is no body."""
_MIN_BOX_FRACTION = 0.35
"""A box with a side shorter than this share of the slice is not believed."""
_MIN_LUNG_FRACTION = 0.005
"""Enclosed air that covers less of a slice than this is no lung."""


@dataclass(frozen=True)
class BoundingBox:
    """Half-open index ranges in an axial slice: i in [i_start, i_stop), j in [j_start, j_stop)."""

    i_start: int
    i_stop: int
    j_start: int
    j_stop: int

    def __post_init__(self) -> None:
        if not (0 <= self.i_start < self.i_stop and 0 <= self.j_start < self.j_stop):
            raise GeometryError("A box is empty or negative", got=str(self))

    @property
    def width(self) -> int:
        """Voxels along i."""
        return self.i_stop - self.i_start

    @property
    def height(self) -> int:
        """Voxels along j."""
        return self.j_stop - self.j_start


def whole_slice_box(volume: Volume) -> BoundingBox:
    """The box that leaves nothing out."""
    return BoundingBox(0, volume.shape[0], 0, volume.shape[1])


def find_body_box(volume: Volume, *, margin_mm: float = 6.0) -> BoundingBox:
    """One box for the whole scan that holds the body in every slice looked at.

    At most 48 slices, evenly spread, are shrunk to 128 pixels a side; Otsu's threshold over all
    of them parts tissue from air; an opening removes the table's thin lines; the largest
    component of each slice is taken as the body. Falls back to the whole slice where that gives
    an implausible box.

    Args:
        volume: any scan; grey ones are taken at their assumed HU.
        margin_mm: added on every side, clipped to the slice.
    """
    width, height, count = volume.shape
    chosen = np.unique(np.linspace(0, count - 1, min(count, _MAX_SLICES)).round().astype(int))
    scale = min(1.0, _COARSE_SIDE / max(width, height))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    coarse = np.stack([_coarse_slice(volume, k, size) for k in chosen])
    threshold, _ = cv2.threshold(coarse.reshape(-1, 1), 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    tissues = [picture > threshold for picture in coarse]
    extents = [extent for tissue in tissues if (extent := _body_extent(tissue)) is not None]
    if not extents:
        return whole_slice_box(volume)
    left, top = np.min(extents, axis=0)[[0, 1]]
    right, bottom = np.max(extents, axis=0)[[2, 3]]
    if _is_cut_off(tissues):
        return whole_slice_box(volume)
    if (right - left) < _MIN_BOX_FRACTION * size[0] or (bottom - top) < _MIN_BOX_FRACTION * size[1]:
        return whole_slice_box(volume)
    # One coarse pixel more on each side, because shrinking blurs the skin away.
    margin_i = margin_mm / volume.spacing_mm[0] + width / size[0]
    margin_j = margin_mm / volume.spacing_mm[1] + height / size[1]
    return BoundingBox(
        i_start=max(0, int(left * width / size[0] - margin_i)),
        i_stop=min(width, int(np.ceil(right * width / size[0] + margin_i))),
        j_start=max(0, int(top * height / size[1] - margin_j)),
        j_stop=min(height, int(np.ceil(bottom * height / size[1] + margin_j))),
    )


def _coarse_slice(volume: Volume, k: int, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    hu = volume.hu(volume.array[:, :, k].T)
    small = cv2.resize(hu, size, interpolation=cv2.INTER_AREA)
    grey: npt.NDArray[np.uint8] = np.clip((small + 1024.0) / 5.0, 0, 255).astype(np.uint8)
    return grey


def _is_cut_off(tissues: list[npt.NDArray[np.bool_]]) -> bool:
    """Whether in most slices one piece of tissue reaches both the upper and the lower edge.

    Then the picture is cropped to the chest, and lungs may lie open to its edges, beyond what is
    left of the chest wall. Thin as that is, no opening comes before this look.
    """
    reaching = 0
    for tissue in tissues:
        _, labels = cv2.connectedComponents(tissue.astype(np.uint8), connectivity=4)
        shared = np.intersect1d(labels[0], labels[-1])
        reaching += bool(shared.any())
    return 2 * reaching > len(tissues)


def _body_extent(tissue: npt.NDArray[np.bool_]) -> tuple[int, int, int, int] | None:
    """Left, top, right, bottom (half-open) of the largest component and the lungs in it, or none
    if it is small."""
    opened = cv2.morphologyEx(
        tissue.astype(np.uint8), cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_RECT, (3, 3))
    )
    count, _, stats, _ = cv2.connectedComponentsWithStats(opened, connectivity=4)
    if count < 2:
        return None
    largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    left, top, width, height, area = (int(n) for n in stats[largest])
    if area < _MIN_BODY_FRACTION * tissue.size:
        return None
    return _around_lungs((left, top, left + width, top + height), tissue)


def _around_lungs(
    extent: tuple[int, int, int, int], tissue: npt.NDArray[np.bool_]
) -> tuple[int, int, int, int]:
    """`extent`, grown to hold the air that `tissue` encloses in the same rows, and its wall.

    The opening takes a thin chest wall away together with the table's lines; the lung behind it
    must not be lost. Air inside the table lies below the body.
    """
    left, top, right, bottom = extent
    air = np.pad(~tissue, 1, constant_values=True).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(air, connectivity=4)
    beside = np.bincount(labels[top + 1 : bottom + 1].ravel(), minlength=count)
    outside = int(labels[0, 0])
    rows, columns = tissue.shape
    for label in range(1, count):
        x, y, width, height, area = (int(n) for n in stats[label])
        if label == outside or area < _MIN_LUNG_FRACTION * tissue.size or 2 * beside[label] < area:
            continue
        # Less the padding of one pixel, and one pixel of wall.
        left, top = min(left, max(0, x - 2)), min(top, max(0, y - 2))
        right = max(right, min(columns, x + width))
        bottom = max(bottom, min(rows, y + height))
    return left, top, right, bottom
