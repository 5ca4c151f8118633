"""What is found from a lung mask alone, once for each: its lobes, right and left."""

from __future__ import annotations

from dataclasses import dataclass, field

from core.measuring.biomarkers import Biomarkers, LungSides, compute_biomarkers, split_lungs
from core.measuring.lobes import Lobes
from core.system import OnProgress, ShouldCancel, ignore_progress, never_cancel
from core.ui.scan.measures import CORRECTED, known_masks
from core.ui.session import OpenStudy, remember
from core.volume import BoolArray, MaskPair, Volume

_LUNGS = "lungs found"


@dataclass(eq=False)
class Lungs:
    """A lung mask, and what was found from it so far."""

    mask: BoolArray | None
    volume: Volume
    _lobes: Lobes | None = field(default=None, init=False)
    _sides: LungSides | None = field(default=None, init=False)

    def lobes(self) -> Lobes:
        """The lobes, or why they are not told."""
        from core.segmentation.lobes import find_lobes

        if self._lobes is None:
            self._lobes = find_lobes(self.mask, self.volume)
        return self._lobes

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
    kept = [one for one in kept if any(one.mask is pair.lung for pair in pairs.values())]
    mask = pairs[name].lung
    found = next((one for one in kept if one.mask is mask and one.volume is volume), None)
    if found is None:
        found = Lungs(mask, volume)
        kept.append(found)
    current.memo[_LUNGS] = kept
    return found


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
    return remember(
        current,
        ("lobes", name),
        lungs_of(current, name).lobes,
        doing="Estimating the lobes…",
        corrected=name == CORRECTED,
    )
