"""Steps of a correction that can be undone and done again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from core.config import Channel, Plane
from core.correction.runs import Runs


@dataclass(frozen=True)
class Undo:
    """The last step back."""


@dataclass(frozen=True)
class Redo:
    """The step undone last, done again."""


@dataclass(frozen=True)
class SliceAt:
    """One slice of a plane, counted from 0."""

    plane: Plane
    index: int


@dataclass(frozen=True, eq=False)
class Step:
    """What one change has done.

    Attributes:
        flips: voxels that it turned over, by mask; turning them over again undoes it.
        channel: the mask that was being corrected.
        drawn: the slice that was drawn on by hand; none for what was computed.
    """

    flips: Mapping[Channel, Runs]
    channel: Channel
    drawn: SliceAt | None = None

    @property
    def nbytes(self) -> int:
        """Memory it takes."""
        return sum(runs.nbytes for runs in self.flips.values())


@dataclass(frozen=True, eq=False)
class Base:
    """Steps that can no longer be undone, as one: where a shortened history begins.

    Attributes:
        flips: voxels that all of them together have turned over, by mask.
        steps: how many they were.
    """

    flips: Mapping[Channel, Runs]
    steps: int


Act: TypeAlias = Base | Step | Undo | Redo
"""What a history is made of, one after the other; a base comes first if at all."""


class History:
    """Steps in order, up to the present and beyond it.

    Args:
        fewest: so many steps are kept whatever they take.
        most_bytes: memory from which on older ones go.
    """

    def __init__(self, *, fewest: int, most_bytes: int) -> None:
        self._fewest, self._most_bytes = fewest, most_bytes
        self._done: list[Step] = []
        self._undone: list[Step] = []
        self.forgotten = 0

    @property
    def done(self) -> tuple[Step, ...]:
        """Steps that can be undone, the oldest first."""
        return tuple(self._done)

    @property
    def undone(self) -> tuple[Step, ...]:
        """Steps that can be done again, the next one first."""
        return tuple(reversed(self._undone))

    @property
    def undoable(self) -> int:
        """How many steps can be undone."""
        return len(self._done)

    @property
    def redoable(self) -> int:
        """How many undone steps can be done again."""
        return len(self._undone)

    @property
    def steps(self) -> int:
        """How many steps lie behind the present, forgotten ones included."""
        return self.forgotten + len(self._done)

    def add(self, step: Step) -> None:
        """A new step, after which what was undone cannot be done again."""
        self._undone.clear()
        self._done.append(step)
        taken = sum(step.nbytes for step in self._done)
        while taken > self._most_bytes and len(self._done) > self._fewest:
            taken -= self._done.pop(0).nbytes
            self.forgotten += 1

    def undo(self) -> Step | None:
        """The last step, to be turned over again; none where there is none."""
        if not self._done:
            return None
        self._undone.append(self._done.pop())
        return self._undone[-1]

    def redo(self) -> Step | None:
        """The step undone last; none where there is none."""
        if not self._undone:
            return None
        self._done.append(self._undone.pop())
        return self._done[-1]

    def drawn(self, channel: Channel, plane: Plane) -> Iterator[int]:
        """Slices of a plane that were drawn on by hand, the latest first, each as often as it
        was."""
        for step in reversed(self._done):
            if step.channel == channel and step.drawn is not None and step.drawn.plane == plane:
                yield step.drawn.index
