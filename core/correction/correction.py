"""Masks of one scan as a person corrects them, step by step."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from core.config import CHANNELS, Channel, CorrectionConfig
from core.correction.edits import (
    BackToNetwork,
    CopySlice,
    Edit,
    Interpolate,
    Paint,
    Redo,
    TogglePart,
    Undo,
)
from core.correction.history import History, SliceAt, Step
from core.correction.record import HandCorrection
from core.correction.runs import MOST_VOXELS, Numbers, Runs, flat, numbers_in_slice, runs_of
from core.correction.shapes import hole_at, part_at, slices_between
from core.correction.wording import change_text
from core.errors import CorrectionError, StaleCorrectionError
from core.volume import PLANE_AXIS, BoolArray, MaskPair, Volume


@dataclass(frozen=True, eq=False)
class Change:
    """What an edit has done.

    Attributes:
        revision: of the masks after it.
        flips: voxels that were turned over, by mask.
        undoable, redoable: steps on both sides of the present.
        touched: whether the masks may differ from the network's.
        text: one sentence for the person.
    """

    revision: int
    flips: Mapping[Channel, Runs]
    undoable: int
    redoable: int
    touched: bool
    text: str


class Correction:
    """Lung and infection of one scan, corrected by hand or drawn from nothing.

    Until the first edit nothing is copied. Edits may come from several threads.

    Args:
        volume: the scan.
        network: the network's masks; none where it has not run.
        config: size of the history.

    Attributes:
        revision: grows by one with every edit; distinguishes the masks from those before.
    """

    def __init__(
        self,
        volume: Volume,
        network: MaskPair | None = None,
        config: CorrectionConfig | None = None,
    ) -> None:
        self.config = config or CorrectionConfig()
        self.revision = 0
        self._volume = volume
        self._network = self._begun_with = network
        self._history = History(
            fewest=self.config.fewest_steps, most_bytes=self.config.history_bytes
        )
        self._masks: dict[Channel, BoolArray] = {}
        self._marked: dict[Channel, int] = {}
        self._frozen: MaskPair | None = None
        self._changing = threading.RLock()

    @property
    def touched(self) -> bool:
        """Whether the masks may differ from the network's: not before the first edit, and no more
        once all are undone."""
        return bool(self._masks) and (
            self._history.steps > 0 or self._begun_with is not self._network
        )

    @property
    def from_network(self) -> bool:
        """Whether the correction began with masks of the network, not with nothing."""
        return self._begun_with is not None

    @property
    def steps(self) -> int:
        """How many edits lie between the network's masks and these."""
        return self._history.steps

    @property
    def record(self) -> HandCorrection:
        """What is told of the masks wherever they go."""
        return HandCorrection(self.from_network, self.steps)

    @property
    def undoable(self) -> int:
        """How many edits can be undone."""
        return self._history.undoable

    @property
    def redoable(self) -> int:
        """How many undone edits can be done again."""
        return self._history.redoable

    def follow(self, network: MaskPair | None) -> None:
        """Takes over other masks of the network. What was corrected stays as it is."""
        with self._changing:
            if not self.touched:
                self._begun_with = network
                self._masks, self._marked, self._frozen = {}, {}, None
                self._history = History(
                    fewest=self.config.fewest_steps, most_bytes=self.config.history_bytes
                )
            self._network = network

    def masks(self) -> MaskPair | None:
        """The corrected masks as they are now; later edits do not change what is returned.

        A mask that the network does not know and in which nothing is drawn is none. None where
        nothing was corrected.
        """
        with self._changing:
            if not self.touched:
                return None
            if self._frozen is None:
                known = {channel: self._snapshot(channel) for channel in CHANNELS}
                self._frozen = MaskPair(known["lung"], known["infection"])
            return self._frozen

    def apply(self, edit: Edit, *, revision: int, free: bool = False) -> Change:
        """Makes an edit.

        Args:
            revision: of the masks that the edit was made for.
            free: infection may be marked outside of the lung. Otherwise, where any lung is
                marked, it may not, and goes with the lung that is removed.

        Raises:
            StaleCorrectionError: the masks have changed since.
            CorrectionError: it cannot be made; nothing was changed.
        """
        with self._changing:
            if revision != self.revision:
                raise StaleCorrectionError(
                    "The mask has changed since this was drawn",
                    next_step="it is loaded again, and this stroke is left out",
                )
            self._begin()
            if isinstance(edit, Undo | Redo):
                return self._step_back(edit)
            step, where = self._computed(edit, free)
            if not step.flips:
                return self._changed(step, "Nothing changed.", by=0)
            self._history.add(step)
            self._turn_over(step.flips)
            text = change_text(self._volume, self._signed(step.flips), where)
            return self._changed(step, text)

    # ------------------------------------------------------------ edits

    def _computed(self, edit: Edit, free: bool) -> tuple[Step, str]:
        """What an edit turns over, and where that is if it is not obvious."""
        drawn: SliceAt | None = None
        where = ""
        if isinstance(edit, Paint):
            self._check_inside(edit.at)
            numbers, drawn = edit.runs.numbers(), edit.at
            marked, cleared = (numbers, _NONE) if edit.marked else (_NONE, numbers)
        elif isinstance(edit, TogglePart):
            marked, cleared = self._part(edit)
            drawn = None if edit.whole else edit.at
        elif isinstance(edit, Interpolate):
            marked, cleared, where = self._between(edit)
        elif isinstance(edit, CopySlice):
            marked, cleared, where = self._copied(edit)
            drawn = edit.at
        elif isinstance(edit, BackToNetwork):
            marked, cleared = self._back(edit)
            free = True  # the network's mask as it is
        else:
            raise TypeError(f"{edit!r} is no edit")
        flips = self._flips(edit.channel, marked, cleared, free=free)
        return Step(flips, edit.channel, drawn), where

    def _part(self, edit: TogglePart) -> tuple[Numbers, Numbers]:
        mask = self._masks[edit.channel]
        self._check_inside(edit.at)
        if not all(0 <= at < count for at, count in zip(edit.voxel, mask.shape, strict=True)):
            raise _outside()
        axis = PLANE_AXIS[edit.at.plane]
        is_marked = bool(mask[edit.voxel])
        find = part_at if is_marked else hole_at
        if edit.whole:
            numbers = self._part_of_scan(mask, edit.voxel, is_marked=is_marked)
        else:
            place = tuple(at for other, at in enumerate(edit.voxel) if other != axis)
            found = find(np.take(mask, edit.at.index, axis=axis), place)
            numbers = np.sort(numbers_in_slice(mask.shape, axis, edit.at.index)[found])
        return (_NONE, numbers) if is_marked else (numbers, _NONE)

    def _part_of_scan(
        self, mask: BoolArray, voxel: tuple[int, int, int], *, is_marked: bool
    ) -> Numbers:
        # Only what lies around marked voxels is looked at. A hole needs a margin, to be open to.
        box, corner = _box_around(mask, margin=0 if is_marked else 1)
        place = tuple(at - low for at, low in zip(voxel, corner, strict=True))
        inside = mask[box]
        if any(not 0 <= at < count for at, count in zip(place, inside.shape, strict=True)):
            hole_at(np.zeros((3, 3), dtype=bool), (1, 1))  # far away: open
        found = part_at(inside, place) if is_marked else hole_at(inside, place)
        i, j, k = (at + low for at, low in zip(np.nonzero(found), corner, strict=True))
        columns, rows, _ = mask.shape
        numbers: Numbers = np.sort(i + columns * (j + rows * k.astype(np.int64)))
        return numbers

    def _between(self, edit: Interpolate) -> tuple[Numbers, Numbers, str]:
        self._check_inside(edit.at)
        low, high = self._drawn_pair(edit)
        mask, axis = self._masks[edit.channel], PLANE_AXIS[edit.at.plane]
        first, last = (np.take(mask, index, axis=axis) for index in (low, high))
        if not first.any() or not last.any():
            empty = low if not first.any() else high
            raise CorrectionError(
                "There is nothing to interpolate",
                got=f"slice {empty + 1}, which has nothing marked",
                expected="two drawn slices with something marked",
            )
        along, across = (self._volume.spacing_mm[other] for other in range(3) if other != axis)
        shapes = slices_between(first, last, count=high - low - 1, spacing_mm=(along, across))
        marked, cleared = [], []
        for index, shape in enumerate(shapes, low + 1):
            numbers = numbers_in_slice(mask.shape, axis, index)
            marked.append(numbers[shape])
            cleared.append(numbers[~shape])
        where = f"slice {low + 2}" if high - low == 2 else f"slices {low + 2} to {high}"
        return _sorted(marked), _sorted(cleared), f"in {where}, interpolated"

    def _drawn_pair(self, edit: Interpolate) -> tuple[int, int]:
        """The two drawn slices, in order."""
        latest = list(dict.fromkeys(self._history.drawn(edit.channel, edit.at.plane)))
        here = edit.at.index
        if here in latest:
            others = [index for index in latest if index != here]
            pair = sorted((here, others[0])) if others else []
        else:
            below = max((index for index in latest if index < here), default=None)
            above = min((index for index in latest if index > here), default=None)
            pair = [] if below is None or above is None else [below, above]
        if not pair or pair[1] - pair[0] < 2:
            raise CorrectionError(
                "There is nothing to interpolate",
                got=f"{len(latest)} drawn {edit.at.plane} slices"
                if len(latest) != 1
                else f"1 drawn {edit.at.plane} slice",
                expected="two drawn slices of this plane with others between them",
                next_step="draw on one more slice, or go to a slice between two drawn ones",
            )
        return pair[0], pair[1]

    def _copied(self, edit: CopySlice) -> tuple[Numbers, Numbers, str]:
        self._check_inside(edit.at)
        mask, axis = self._masks[edit.channel], PLANE_AXIS[edit.at.plane]
        source = edit.at.index + edit.step
        if not 0 <= source < mask.shape[axis]:
            raise CorrectionError(
                "There is no slice to copy from", got=f"the {_end(edit.step)} slice of the scan"
            )
        shape = np.take(mask, source, axis=axis)
        numbers = numbers_in_slice(mask.shape, axis, edit.at.index)
        where = f"copied from slice {source + 1}"
        return np.sort(numbers[shape]), np.sort(numbers[~shape]), where

    def _back(self, edit: BackToNetwork) -> tuple[Numbers, Numbers]:
        mask, network = self._masks[edit.channel], _mask_of(self._network, edit.channel)
        if edit.at is None:
            now = flat(mask)
            was = np.zeros_like(now) if network is None else flat(np.asfortranarray(network))
            return np.flatnonzero(was & ~now), np.flatnonzero(now & ~was)
        self._check_inside(edit.at)
        axis, index = PLANE_AXIS[edit.at.plane], edit.at.index
        numbers = numbers_in_slice(mask.shape, axis, index)
        if network is None:
            return _NONE, np.sort(numbers.ravel())
        shape = np.take(network, index, axis=axis)
        return np.sort(numbers[shape]), np.sort(numbers[~shape])

    def _flips(
        self, channel: Channel, marked: Numbers, cleared: Numbers, *, free: bool
    ) -> dict[Channel, Runs]:
        """What has to be turned over to mark and clear voxels, by the rule on the lung."""
        mask = flat(self._masks[channel])
        on, off = marked[~mask[marked]], cleared[mask[cleared]]
        flips: dict[Channel, Runs] = {}
        if channel == "infection" and not free and self._marked["lung"]:
            on = on[flat(self._masks["lung"])[on]]
        if channel == "lung" and not free:
            with_it = off[flat(self._masks["infection"])[off]]
            if with_it.size:
                flips["infection"] = runs_of(with_it)
        if on.size or off.size:
            flips[channel] = runs_of(_sorted([on, off]))
        return flips

    # ------------------------------------------------------------ state

    def _begin(self) -> None:
        if self._masks:
            return
        shape = self._volume.shape
        if int(np.prod(shape, dtype=np.int64)) > MOST_VOXELS:
            raise CorrectionError("This scan is too large to be corrected by hand")
        for channel in CHANNELS:
            known = _mask_of(self._begun_with, channel)
            mask = np.zeros(shape, bool, order="F") if known is None else known.copy(order="F")
            self._masks[channel] = mask
            self._marked[channel] = int(np.count_nonzero(mask))

    def _step_back(self, edit: Undo | Redo) -> Change:
        undoing = isinstance(edit, Undo)
        step = self._history.undo() if undoing else self._history.redo()
        if step is None:
            raise CorrectionError(f"There is nothing to {'undo' if undoing else 'do again'}")
        self._turn_over(step.flips)
        text = change_text(self._volume, self._signed(step.flips), "")
        return self._changed(step, f"{'Undone' if undoing else 'Done again'}. {text}")

    def _turn_over(self, flips: Mapping[Channel, Runs]) -> None:
        for channel, runs in flips.items():
            row, numbers = flat(self._masks[channel]), runs.numbers()
            turned = ~row[numbers]
            row[numbers] = turned
            self._marked[channel] += 2 * int(np.count_nonzero(turned)) - numbers.size

    def _signed(self, flips: Mapping[Channel, Runs]) -> dict[Channel, tuple[Numbers, Numbers]]:
        """Voxels that are marked and cleared now, by mask."""
        found = {}
        for channel, runs in flips.items():
            numbers = runs.numbers()
            now = flat(self._masks[channel])[numbers]
            found[channel] = (numbers[now], numbers[~now])
        return found

    def _changed(self, step: Step, text: str, *, by: int = 1) -> Change:
        self.revision += by
        if by:
            self._frozen = None
        return Change(self.revision, step.flips, self.undoable, self.redoable, self.touched, text)

    def _snapshot(self, channel: Channel) -> BoolArray | None:
        if not self._marked[channel] and _mask_of(self._begun_with, channel) is None:
            return None
        kept = self._masks[channel].copy(order="F")
        kept.flags.writeable = False
        return kept

    def _check_inside(self, at: SliceAt) -> None:
        if not 0 <= at.index < self._volume.shape[PLANE_AXIS[at.plane]]:
            raise _outside()


_NONE: Numbers = np.empty(0, np.int64)


def _sorted(parts: list[Numbers]) -> Numbers:
    joined: Numbers = np.sort(np.concatenate(parts))
    return joined


def _mask_of(pair: MaskPair | None, channel: Channel) -> BoolArray | None:
    if pair is None:
        return None
    return pair.lung if channel == "lung" else pair.infection


def _box_around(mask: BoolArray, *, margin: int) -> tuple[tuple[slice, ...], tuple[int, ...]]:
    """The smallest box with all that is marked, and its first voxel."""
    box = []
    for axis, count in enumerate(mask.shape):
        others = tuple(other for other in range(3) if other != axis)
        marked = np.flatnonzero(mask.any(axis=others))
        low, high = (int(marked[0]), int(marked[-1]) + 1) if marked.size else (0, 0)
        box.append(slice(max(low - margin, 0), min(high + margin, count)))
    return tuple(box), tuple(part.start for part in box)


def _outside() -> CorrectionError:
    return CorrectionError("This place lies outside of the scan")


def _end(step: int) -> str:
    return "first" if step < 0 else "last"
