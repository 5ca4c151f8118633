"""Lobes of the open scan, estimated once for each pair of masks."""

from __future__ import annotations

from core.measuring.lobes import Lobes
from core.ui.scan.measures import CORRECTED, known_masks
from core.ui.session import OpenStudy, remember


def shown_lobes(current: OpenStudy) -> Lobes | None:
    """The lobes of the network's lung mask, else of the true one, for the picture; none where
    neither is known. Not of the corrected mask: they would have to be estimated again after each
    stroke."""
    names = [
        name
        for name, pair in known_masks(current).items()
        if name != CORRECTED and pair.lung is not None
    ]
    return scan_lobes(current, names[0]) if names else None


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
