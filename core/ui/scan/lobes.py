"""Lobes of the open scan, estimated once for each pair of masks."""

from __future__ import annotations

from core.measuring.lobes import Lobes
from core.ui.scan.measures import CORRECTED, known_masks
from core.ui.session import OpenStudy, remember


def scan_lobes(current: OpenStudy, name: str) -> Lobes:
    """The lobes of one pair of masks, or why they are not told.

    Args:
        name: of `known_masks`.
    """
    lung, volume = known_masks(current)[name].lung, current.study.volume

    def find() -> Lobes:
        from core.segmentation.lobes import find_lobes

        return find_lobes(lung, volume)

    return remember(
        current, ("lobes", name), find, doing="Estimating the lobes…", corrected=name == CORRECTED
    )
