"""Lobes of the open scan, estimated once for each pair of masks."""

from __future__ import annotations

from threading import Lock

from core.measuring.lobes import Lobes
from core.ui.scan.measures import CORRECTED, known_masks
from core.ui.session import OpenStudy, remember
from core.volume import BoolArray, Volume

LARGE_VOXELS = 12_000_000
"""Larger scans are measured beside the page."""
NOT_YET = Lobes(None, "The lobes of the corrected masks are being estimated.")


class LobesOnce:
    """The lobes of one lung mask, estimated by whoever asks first, on whichever thread."""

    def __init__(self, lung: BoolArray | None, volume: Volume) -> None:
        self._lung, self._volume = lung, volume
        self._lock = Lock()
        self.known: Lobes | None = None
        """None until they are estimated."""

    def get(self) -> Lobes:
        """The lobes, or why there are none; waits where another thread estimates them."""
        from core.segmentation.lobes import find_lobes

        with self._lock:
            if self.known is None:
                self.known = find_lobes(self._lung, self._volume)
            return self.known


def lobes_once(current: OpenStudy, name: str) -> LobesOnce:
    """The lobes of one pair of masks, for a job beside the page.

    Args:
        name: of `known_masks`.
    """
    memo = current.corrected_memo if name == CORRECTED else current.memo
    pair = known_masks(current)[name]
    found: LobesOnce = memo.setdefault(
        ("lobes once", name), LobesOnce(pair.lung, current.study.volume)
    )
    return found


def scan_lobes(current: OpenStudy, name: str) -> Lobes:
    """The lobes of one pair of masks, or why there are none.

    Args:
        name: of `known_masks`.
    """
    return remember(
        current,
        ("lobes", name),
        lobes_once(current, name).get,
        doing="Estimating the lobes…",
        corrected=name == CORRECTED,
    )


def shown_lobes(current: OpenStudy) -> Lobes | None:
    """The lobes for the picture: of the corrected lung mask, else the network's, else the true one;
    none where none of them is known.

    A large scan is not kept waiting after each stroke: `NOT_YET` until the job that measures the
    corrected masks has estimated them.
    """
    names = [name for name, pair in known_masks(current).items() if pair.lung is not None]
    if not names:
        return None
    is_large = current.study.volume.array.size > LARGE_VOXELS
    if names[0] == CORRECTED and is_large and lobes_once(current, CORRECTED).known is None:
        return NOT_YET
    return scan_lobes(current, names[0])
