"""The lobes of the open scan, estimated once for each lung mask that is asked for."""

from __future__ import annotations

from threading import Lock

import streamlit as st

from core.measuring.biomarkers import Biomarkers, LungSides, compute_biomarkers, split_lungs
from core.measuring.lobes import Lobes
from core.system import (
    OnProgress,
    ShouldCancel,
    ignore_progress,
    never_cancel,
    raise_if_cancelled,
)
from core.ui.job_slot import POLL_SECONDS
from core.ui.jobs import MEASURING_QUEUE, BackgroundJob
from core.ui.scan.measures import CORRECTED, known_masks
from core.ui.session import OpenStudy, remember
from core.volume import BoolArray, MaskPair, Volume

LARGE_VOXELS = 12_000_000
"""Larger scans are measured beside the page."""
NOT_YET = Lobes(None, "The lobes are being estimated.")
_LUNGS = "lungs found"


class Lungs:
    """A lung mask and what was found from it so far, on whichever thread it was asked first."""

    def __init__(self, mask: BoolArray | None, volume: Volume) -> None:
        self.mask, self.volume = mask, volume
        self.known: Lobes | None = None
        """None until they are estimated."""
        self.job: BackgroundJob[Lobes] | None = None
        """Estimates them beside the page."""
        self._sides: LungSides | None = None
        self._lock = Lock()

    def lobes(self) -> Lobes:
        """The lobes, or why there are none; waits where another thread estimates them."""
        from core.segmentation.lobes import find_lobes

        with self._lock:
            if self.known is None:
                self.known = find_lobes(self.mask, self.volume)
            return self.known

    def biomarkers(
        self,
        pair: MaskPair,
        *,
        on_progress: OnProgress = ignore_progress,
        should_cancel: ShouldCancel = never_cancel,
    ) -> Biomarkers:
        """Of a pair of masks with this lung mask."""
        if self._sides is None and self.mask is not None:
            on_progress("separating the lungs", 0, 1)
            self._sides = split_lungs(self.mask, self.volume, should_cancel=should_cancel)
        return compute_biomarkers(
            self.volume,
            pair,
            lobes=self.lobes(),
            sides=self._sides,
            on_progress=on_progress,
            should_cancel=should_cancel,
        )


def lungs_of(current: OpenStudy, name: str) -> Lungs:
    """The lungs of one pair of masks; the same object as long as its lung mask is the same, as it
    is while a person corrects infection.

    Args:
        name: of `known_masks`.
    """
    pairs, volume = known_masks(current), current.study.volume
    kept: list[Lungs] = current.memo.get(_LUNGS, [])
    # Lung masks that have changed since are let go of.
    for gone in (one for one in kept if not _is_held(one, pairs)):
        if gone.job is not None:
            gone.job.stop()
    kept = [one for one in kept if _is_held(one, pairs)]
    mask = pairs[name].lung
    found = next((one for one in kept if one.mask is mask and one.volume is volume), None)
    if found is None:
        found = Lungs(mask, volume)
        kept.append(found)
    current.memo[_LUNGS] = kept
    return found


def _is_held(lungs: Lungs, pairs: dict[str, MaskPair]) -> bool:
    return any(lungs.mask is pair.lung for pair in pairs.values())


def scan_lobes(current: OpenStudy, name: str) -> Lobes:
    """The lobes of one pair of masks, or why there are none.

    Args:
        name: of `known_masks`.
    """
    return remember(
        current,
        ("lobes", name),
        lungs_of(current, name).lobes,
        doing="Estimating the lobes…",
        corrected=name == CORRECTED,
    )


def shown_lobes(current: OpenStudy) -> Lobes | None:
    """The lobes for the picture: of the corrected lung mask, else the network's, else the true one;
    none where none of them is known.

    The picture of a large scan does not wait for them: `NOT_YET` until a job has estimated them,
    after which the page is drawn again.
    """
    names = [name for name, pair in known_masks(current).items() if pair.lung is not None]
    if not names:
        return None
    lungs = lungs_of(current, names[0])
    if current.study.volume.array.size > LARGE_VOXELS and lungs.known is None:
        if lungs.job is None:

            def work(_: OnProgress, should_cancel: ShouldCancel) -> Lobes:
                raise_if_cancelled(should_cancel, "estimating lobes")
                return lungs.lobes()

            lungs.job = BackgroundJob(work, queue=MEASURING_QUEUE, owner=current)
        if not lungs.job.finished:
            _draw_again(lungs.job)
            return NOT_YET
    return scan_lobes(current, names[0])


@st.fragment(run_every=POLL_SECONDS)
def _draw_again(job: BackgroundJob[Lobes]) -> None:
    if job.finished:
        st.rerun()
