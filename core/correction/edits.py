"""What a person can ask to be changed in a mask, and what an edit has done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from core.config import Channel
from core.correction.history import Redo, SliceAt, Undo
from core.correction.runs import Runs


@dataclass(frozen=True, eq=False)
class Paint:
    """A stroke or a filled outline.

    Attributes:
        marked: whether its voxels are marked afterwards, or not.
        runs: its voxels.
        at: the slice that it was drawn on.
    """

    channel: Channel
    marked: bool
    runs: Runs
    at: SliceAt


@dataclass(frozen=True)
class TogglePart:
    """A click on a part: a marked one is removed, a hole is filled.

    With limits, a click on what is not marked grows from there through neighbouring voxels between
    them instead.

    Attributes:
        voxel: (i, j, k) clicked on.
        at: the slice that it was clicked on.
        whole: through all slices, or in this one alone.
        limits_hu: lowest and highest HU to grow through; none to fill holes.
    """

    channel: Channel
    voxel: tuple[int, int, int]
    at: SliceAt
    whole: bool
    limits_hu: tuple[float, float] | None = None


@dataclass(frozen=True)
class Interpolate:
    """The slices between two that were drawn, by their shapes.

    If `at` was drawn on, the other one is the slice drawn on before it, else they are the drawn
    slices next to `at` on both sides.
    """

    channel: Channel
    at: SliceAt


@dataclass(frozen=True)
class CopySlice:
    """A slice becomes what another one of its plane is.

    Attributes:
        step: where that lies, such as -1 for the slice before.
    """

    channel: Channel
    at: SliceAt
    step: int


@dataclass(frozen=True)
class BackToNetwork:
    """A mask becomes the network's again; nothing is marked where the network has not run.

    Attributes:
        at: the slice that goes back; none for all of them.
    """

    channel: Channel
    at: SliceAt | None = None


Edit: TypeAlias = Paint | TogglePart | Interpolate | CopySlice | BackToNetwork | Undo | Redo


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
