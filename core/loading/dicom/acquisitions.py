"""Acquisitions that share one series, such as two breathing phases or two overlapping passes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from core.errors import LoadError
from core.loading.dicom.geometry import one_orientation, unit_normal
from core.loading.dicom.slices import Slice

_AT_MOST = 12
_FEWEST_SLICES = 3
_FAR = 1e5
_SAME_PLACE = 0.02
"""As a share of the usual step."""

_BY_VALUE = (
    "TemporalPositionIndex",
    "TemporalPositionIdentifier",
    "AcquisitionNumber",
    "FrameAcquisitionNumber",
    "AcquisitionTime",
    "AcquisitionDateTime",
    "ContentTime",
    "TriggerTime",
    "NominalPercentageOfCardiacPhase",
    "IrradiationEventUID",
    "ConvolutionKernel",
    "SeriesDescription",
    "ImageType",
    "SliceThickness",
)
_BY_ORDER = ("AcquisitionTime", "AcquisitionDateTime", "ContentTime")


def split(slices: list[Slice]) -> list[list[Slice]]:
    """The acquisitions of one series, numbered by `part` from 1; the series itself if it is one.

    Acquisitions are distinguished only where they lie over each other: a scan that was taken in
    several steps, one behind the other, stays one. Slices without a position and localizers go
    with the first.
    """
    pictures = [s for s in slices if not s.localizer and s.position is not None]
    if len(pictures) < 2 * _FEWEST_SLICES:
        return [slices]
    pictures, _told_later = one_orientation(pictures)
    heights = _heights(pictures)
    if heights is None:
        return [slices]
    for groups in _proposals(pictures, heights):
        stacks = _stacks(groups, heights)
        if len(stacks) > 1:
            return _numbered(slices, [[pictures[n] for n in stack] for stack in stacks])
    return [slices]


def _heights(pictures: list[Slice]) -> npt.NDArray[np.float64] | None:
    """(slices,) mm along their normal; none where the headers' numbers cannot be used."""
    orientation = pictures[0].orientation
    positions = np.array([item.position for item in pictures])
    if orientation is None or not (np.abs(orientation) < _FAR).all():
        return None
    if not (np.abs(positions) < _FAR).all():
        return None
    try:
        return positions @ unit_normal(orientation)
    except LoadError:  # reported once the series is chosen
        return None


def _proposals(
    pictures: list[Slice], heights: npt.NDArray[np.float64]
) -> Iterator[list[list[int]]]:
    """Ways in which the slices may belong together: by equal values, then by order in time and
    number."""
    for name in _BY_VALUE:
        yield _by_value([dict(item.times).get(name) for item in pictures])
    for name in _BY_ORDER:
        values = [dict(item.times).get(name) for item in pictures]
        if None not in values:
            order = np.array(values, dtype=np.float64)
            yield _passes(order, heights)
            yield _in_turns(order, heights)
    numbers = np.array([item.number for item in pictures], dtype=np.float64)
    yield _passes(numbers, heights)
    yield _in_turns(numbers, heights)


def _by_value(values: Iterable[float | None]) -> list[list[int]]:
    groups: dict[float | None, list[int]] = {}
    for number, value in enumerate(values):
        groups.setdefault(value, []).append(number)
    if len(groups) > _AT_MOST or None in groups:
        return []
    kept = [groups[value] for value in sorted(groups, key=lambda value: value or 0.0)]
    return [group for group in kept if len(group) >= _FEWEST_SLICES]


def _passes(order: npt.NDArray[np.float64], heights: npt.NDArray[np.float64]) -> list[list[int]]:
    """Runs through the body from one end to the other, in the order of time or number."""
    if np.unique(order).size < order.size:
        return []
    ordered = np.argsort(order)
    ways = np.sign(np.diff(heights[ordered]))
    turns = np.flatnonzero(ways == -np.sign(ways.sum())) + 1
    there_and_back = np.flatnonzero(ways[1:] * ways[:-1] < 0) + 2
    if there_and_back.size == 1:
        turns = there_and_back
    if turns.size >= _AT_MOST:
        return []
    runs = [run.tolist() for run in np.split(ordered, turns)]
    return runs if min(map(len, runs)) >= _FEWEST_SLICES else []


def _in_turns(order: npt.NDArray[np.float64], heights: npt.NDArray[np.float64]) -> list[list[int]]:
    """Equally many slices at each place, taken in turns: the first of each, the second of each.

    Only where the order tells those at one place apart, and runs up or down along each stack.
    """
    places = [np.flatnonzero(heights.round(2) == place) for place in np.unique(heights.round(2))]
    count = places[0].size
    if not 2 <= count <= _AT_MOST or any(place.size != count for place in places):
        return []
    stacks = np.array([place[np.argsort(order[place], kind="stable")] for place in places]).T
    ways = np.diff(order[stacks], axis=1)
    if not all((way >= 0).all() or (way <= 0).all() for way in ways):
        return []
    if (np.diff(order[stacks], axis=0) == 0).any():
        return []
    return [stack.tolist() for stack in stacks] if len(places) >= _FEWEST_SLICES else []


def _stacks(groups: list[list[int]], heights: npt.NDArray[np.float64]) -> list[list[int]]:
    """Groups that lie one behind the other together, those that overlap apart."""
    stacks: list[list[list[int]]] = []
    for group in groups:
        free = (s for s in stacks if not any(_overlap(group, other, heights) for other in s))
        stack = next(free, None)
        if stack is None:
            stacks.append([group])
        else:
            stack.append(group)
    return [[n for group in stack for n in group] for stack in stacks]


def _overlap(one: list[int], other: list[int], heights: npt.NDArray[np.float64]) -> bool:
    low = max(heights[one].min(), heights[other].min())
    high = min(heights[one].max(), heights[other].max())
    step = float(np.median(np.diff(np.unique(heights[one]))))
    return bool(high - low > -_SAME_PLACE * step)


def _numbered(slices: list[Slice], stacks: list[list[Slice]]) -> list[list[Slice]]:
    taken = {id(item) for stack in stacks for item in stack}
    rest = [item for item in slices if id(item) not in taken]
    stacks[0] = [*stacks[0], *rest]
    return [
        [replace(item, part=number) for item in stack] for number, stack in enumerate(stacks, 1)
    ]
