"""The slice to show of a scan: the one wanted most that no quality check finds at fault."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from core.measuring.quality.checks import check_scan
from core.volume import Volume

_AROUND = 6
"""Slices on either side that the checks compare a slice with."""
_TRIES = 12


def first_undamaged(volume: Volume, candidates: Sequence[int]) -> int | None:
    """The first of these slices that shows no damage; none where the first twelve all do.

    A slice is checked among its neighbours, which is much quicker than checking the whole scan.

    Args:
        candidates: axial slices from 0, best first.
    """
    for k in candidates[:_TRIES]:
        start = max(0, k - _AROUND)
        near = np.asfortranarray(volume.array[:, :, start : k + _AROUND + 1])
        part = replace(volume, array=near, source=replace(volume.source, steps_mm=()))
        if k - start not in check_scan(part).damaged_slices:
            return k
    return None
