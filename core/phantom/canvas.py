"""The picture under construction, painted back to front with antialiased edges.

Shares of a voxel are kept in bytes: 0 is none of it, 255 the whole.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from core.phantom.frame import ByteImage, Frame, Points
from core.phantom.tissue import AIR

Box = tuple[slice, slice]
"""Rows and columns of a slice."""


def multiply_shares(a: ByteImage, b: ByteImage) -> ByteImage:
    """The product of two shares."""
    result: Any = cv2.multiply(a, b, scale=1 / 255)
    return np.asarray(result, dtype=np.uint8)


def box_around(share: ByteImage) -> Box | None:
    """The smallest box that holds every non-zero pixel of a slice; none where there is none."""
    rows, columns = np.flatnonzero(share.any(axis=1)), np.flatnonzero(share.any(axis=0))
    if not len(rows):
        return None
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


class Canvas:
    """HU (slices, rows, columns), and the share of each voxel that is lung."""

    def __init__(self, frame: Frame) -> None:
        columns, rows, slices = frame.shape
        self.frame = frame
        self.hu = np.full((slices, rows, columns), AIR, dtype=np.float32)
        self.lung = np.zeros((slices, rows, columns), dtype=np.uint8)

    def coverage(self, k: int, outline: Points) -> tuple[Box, ByteImage] | None:
        """Where a closed (n, 2) outline in mm covers slice k, and by how much."""
        column = self.frame.columns(outline[:, 0])
        row = self.frame.rows(outline[:, 1], self.frame.z_mm[k])
        left, top = max(int(column.min()) - 2, 0), max(int(row.min()) - 2, 0)
        right = min(int(column.max()) + 3, self.frame.shape[0])
        bottom = min(int(row.max()) + 3, self.frame.shape[1])
        if right <= left or bottom <= top:
            return None
        alpha = np.zeros((bottom - top, right - left), dtype=np.uint8)
        pixels = np.stack([column - left, row - top], axis=1)
        fixed_point = np.round(pixels * 256).astype(np.int32)
        cv2.fillPoly(alpha, [fixed_point], 255, lineType=cv2.LINE_AA, shift=8)
        return (slice(top, bottom), slice(left, right)), alpha

    def stencil(self, k: int, outline: Points) -> ByteImage:
        """The whole of slice k, covered inside a closed outline."""
        whole: ByteImage = np.zeros_like(self.lung[k])
        covered = self.coverage(k, outline)
        if covered is not None:
            box, alpha = covered
            whole[box] = alpha
        return whole

    def fill(self, k: int, outline: Points, hu: float, *, clip: ByteImage | None = None) -> None:
        """Paints a closed outline over slice k, inside `clip` (a whole slice) where given."""
        covered = self.coverage(k, outline)
        if covered is None:
            return
        box, alpha = covered
        if clip is not None:
            alpha = multiply_shares(alpha, clip[box])
        self.cover(k, box, alpha, hu)

    def cover(self, k: int, box: Box, alpha: ByteImage, hu: float) -> None:
        """Mixes `hu` into a box of slice k; what is covered stops being lung."""
        self.lung[k][box] = multiply_shares(self.lung[k][box], 255 - alpha)
        self.mix(k, box, alpha, hu)

    def mix(self, k: int, box: Box, alpha: ByteImage, hu: float) -> None:
        """Mixes `hu` into a box of slice k; lung stays lung."""
        weight = alpha.astype(np.float32) * np.float32(1 / 255)
        patch = self.hu[k][box]
        patch += weight * (np.float32(hu) - patch)
