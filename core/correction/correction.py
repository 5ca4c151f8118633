"""Masks of one scan as a person corrects them, step by step."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import Protocol

import numpy as np

from core.config import CHANNELS, Channel, CorrectionConfig
from core.correction.comparing import mask_of, same_masks, turned_before
from core.correction.computing import copied, interpolated, outside_of_scan, toggled_part
from core.correction.edits import (
    BackToNetwork,
    Change,
    CopySlice,
    Edit,
    Interpolate,
    Paint,
    TogglePart,
)
from core.correction.history import Act, Base, History, Redo, SliceAt, Step, Undo
from core.correction.record import HandCorrection
from core.correction.runs import (
    MOST_VOXELS,
    NO_NUMBERS,
    Numbers,
    Runs,
    flat,
    joined,
    numbers_in_slice,
    runs_of,
)
from core.correction.wording import change_text
from core.errors import CorrectionError, StaleCorrectionError
from core.volume import PLANE_AXIS, BoolArray, Intensity, MaskPair, Volume


class StepKeeper(Protocol):
    """What keeps the steps of a correction outside of this process."""

    def refusal(self) -> str:
        """Why no step can be made here, in a sentence; empty where it can."""

    def keep(self, act: Act) -> str:
        """Keeps a step that was made; returns a sentence if it could not."""

    def begin_anew(self) -> None:
        """Forgets all steps: the correction begins with other masks."""

    def close(self) -> None:
        """Lets go of what it holds; nothing is kept from now on."""


class Correction:
    """Lung and infection of one scan, corrected by hand or drawn from nothing.

    Until the first edit nothing is copied. Edits may come from several threads.

    Args:
        volume: the scan.
        network: the network's masks; none where it has not run.
        config: size of the history.

    Attributes:
        revision: grows by one with every edit; distinguishes the masks from those before.
        locked: why the masks cannot be changed here, in a sentence; empty where they can.
        keeper: keeps every step, also undone ones; none where nothing is kept.
    """

    def __init__(
        self,
        volume: Volume,
        network: MaskPair | None = None,
        config: CorrectionConfig | None = None,
    ) -> None:
        self.config = config or CorrectionConfig()
        self.revision = 0
        self.locked = ""
        self.keeper: StepKeeper | None = None
        self._volume = volume
        self._network = self._begun_with = network
        self._history = History(
            fewest=self.config.fewest_steps, most_bytes=self.config.history_bytes
        )
        self._masks: dict[Channel, BoolArray] = {}
        self._marked: dict[Channel, int] = {}
        self._frozen: MaskPair | None = None
        self._snapshots: dict[Channel, BoolArray | None] = {}
        self._changing = threading.RLock()

    @property
    def touched(self) -> bool:
        """Whether the masks may differ from the network's: not before the first edit, and no more
        once all are undone."""
        return bool(self._masks) and (
            self._history.steps > 0 or self._begun_with is not self._network
        )

    @property
    def begun_with(self) -> MaskPair | None:
        """The network's masks that the correction began with."""
        return self._begun_with

    @property
    def network(self) -> MaskPair | None:
        """The network's masks as they are now, which masks can go back to; those that a kept
        correction began with until the network runs again."""
        return self._network

    @property
    def from_network(self) -> bool:
        """Whether the correction began with masks of the network."""
        return self._begun_with is not None

    @property
    def steps(self) -> int:
        """How many edits lie between the network's masks and these."""
        return self._history.steps

    @property
    def record(self) -> HandCorrection:
        """How the masks were corrected, for pages and files."""
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
            if same_masks(network, self._begun_with):
                self._begun_with = network
            elif not self.touched:
                if self.keeper is not None:
                    self.keeper.begin_anew()
                self._begun_with = network
                self._masks, self._marked, self._frozen = {}, {}, None
                self._history = History(
                    fewest=self.config.fewest_steps, most_bytes=self.config.history_bytes
                )
            self._network = network

    def use_intensity(self, intensity: Intensity) -> None:
        """Takes over another meaning of the scan's values; the masks stay."""
        with self._changing:
            self._volume = self._volume.with_intensity(intensity)

    def close(self) -> None:
        """Ends keeping: the scan is being closed."""
        with self._changing:
            if self.keeper is not None:
                self.keeper.close()
            self.keeper = None

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
            if not self.locked and self.keeper is not None:
                self.locked = self.keeper.refusal()
            if self.locked:
                raise CorrectionError(self.locked.rstrip("."))
            if revision != self.revision:
                raise StaleCorrectionError(
                    "The mask has changed since this was drawn",
                    next_step="it is loaded again; draw this stroke once more",
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
            return self._changed(step, f"{text} {self._kept(step)}".strip())

    def replay(self, begun_with: MaskPair | None, acts: Iterable[Act]) -> None:
        """Makes again what was kept of an earlier session.

        Args:
            begun_with: the network's masks that it began with.
            acts: in their order; undone steps and undoing are among them.
        """
        with self._changing:
            self._begun_with = begun_with
            if self._network is None:
                self._network = begun_with
            self._masks, self._marked, self._frozen = {}, {}, None
            self._history = History(
                fewest=self.config.fewest_steps, most_bytes=self.config.history_bytes
            )
            self._begin()
            for act in acts:
                if isinstance(act, Base):
                    self._history.forgotten += act.steps
                    self._turn_over(act.flips)
                    continue
                if isinstance(act, Step):
                    self._history.add(act)
                step = act if isinstance(act, Step) else self._moved(act)
                if step is not None:
                    self._turn_over(step.flips)
                self.revision += 1

    def acts(self) -> list[Act]:
        """The fewest acts that lead from the masks that it began with to where it is now, with
        all that can be undone and done again."""
        with self._changing:
            if not self._masks:
                return []
            done, undone = self._history.done, self._history.undone
            found: list[Act] = [*done, *undone, *([Undo()] * len(undone))]
            if self._history.forgotten:
                found.insert(
                    0,
                    Base(
                        turned_before(self._masks, self._begun_with, done), self._history.forgotten
                    ),
                )
            return found

    # ------------------------------------------------------------ edits

    def _computed(self, edit: Edit, free: bool) -> tuple[Step, str]:
        """What an edit turns over, and where that is if it is not obvious."""
        drawn: SliceAt | None = None
        where = ""
        if isinstance(edit, Paint):
            self._check_inside(edit.at)
            numbers, drawn = edit.runs.numbers(), edit.at
            marked, cleared = (numbers, NO_NUMBERS) if edit.marked else (NO_NUMBERS, numbers)
        elif isinstance(edit, TogglePart):
            self._check_inside(edit.at)
            limited = edit.channel == "infection" and not free and self._marked["lung"] > 0
            inside = self._masks["lung"] if limited else None
            marked, cleared = toggled_part(self._masks[edit.channel], edit, self._volume, inside)
            drawn = None if edit.whole else edit.at
        elif isinstance(edit, Interpolate):
            self._check_inside(edit.at)
            latest = list(dict.fromkeys(self._history.drawn(edit.channel, edit.at.plane)))
            mask, spacing_mm = self._masks[edit.channel], self._volume.spacing_mm
            marked, cleared, where = interpolated(mask, edit, latest, spacing_mm=spacing_mm)
        elif isinstance(edit, CopySlice):
            self._check_inside(edit.at)
            marked, cleared, where = copied(self._masks[edit.channel], edit)
            drawn = edit.at
        elif isinstance(edit, BackToNetwork):
            marked, cleared = self._back(edit)
            free = True  # the network's mask as it is
        else:
            raise TypeError(f"{edit!r} is no edit")
        flips = self._flips(edit.channel, marked, cleared, free=free)
        return Step(flips, edit.channel, drawn), where

    def _back(self, edit: BackToNetwork) -> tuple[Numbers, Numbers]:
        mask, network = self._masks[edit.channel], mask_of(self._network, edit.channel)
        if edit.at is None:
            now = flat(mask)
            was = np.zeros_like(now) if network is None else flat(np.asfortranarray(network))
            return np.flatnonzero(was & ~now), np.flatnonzero(now & ~was)
        self._check_inside(edit.at)
        axis, index = PLANE_AXIS[edit.at.plane], edit.at.index
        numbers = numbers_in_slice(mask.shape, axis, index)
        if network is None:
            return NO_NUMBERS, np.sort(numbers.ravel())
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
            flips[channel] = runs_of(joined(on, off))
        return flips

    # ------------------------------------------------------------ state

    def _begin(self) -> None:
        if self._masks:
            return
        shape = self._volume.shape
        if int(np.prod(shape, dtype=np.int64)) > MOST_VOXELS:
            raise CorrectionError("This scan is too large to be corrected by hand")
        for channel in CHANNELS:
            known = mask_of(self._begun_with, channel)
            mask = np.zeros(shape, bool, order="F") if known is None else known.copy(order="F")
            self._masks[channel], self._snapshots[channel] = mask, known
            self._marked[channel] = int(np.count_nonzero(mask))

    def _step_back(self, edit: Undo | Redo) -> Change:
        undoing = isinstance(edit, Undo)
        step = self._moved(edit)
        if step is None:
            raise CorrectionError(f"There is nothing to {'undo' if undoing else 'redo'}")
        self._turn_over(step.flips)
        text = change_text(self._volume, self._signed(step.flips), "")
        text = f"{'Undone' if undoing else 'Redone'}. {text} {self._kept(edit)}"
        return self._changed(step, text.strip())

    def _moved(self, act: Undo | Redo) -> Step | None:
        return self._history.undo() if isinstance(act, Undo) else self._history.redo()

    def _kept(self, act: Act) -> str:
        return "" if self.keeper is None else self.keeper.keep(act)

    def _turn_over(self, flips: Mapping[Channel, Runs]) -> None:
        for channel, runs in flips.items():
            self._snapshots.pop(channel, None)
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
        """The mask as it is now: the same array until it changes, at first the network's own."""
        if channel not in self._snapshots:
            unknown = not self._marked[channel] and mask_of(self._begun_with, channel) is None
            kept = None if unknown else self._masks[channel].copy(order="F")
            if kept is not None:
                kept.flags.writeable = False
            self._snapshots[channel] = kept
        return self._snapshots[channel]

    def _check_inside(self, at: SliceAt) -> None:
        if not 0 <= at.index < self._volume.shape[PLANE_AXIS[at.plane]]:
            raise outside_of_scan()
