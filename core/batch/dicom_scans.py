"""Which DICOM slices below a folder form one scan."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from core.loading.dicom.acquisitions import split
from core.loading.dicom.series import JOINED, are_scattered, series_id
from core.loading.dicom.slices import Slice

Parts = list[tuple[Path, list[Slice]]]
"""One series by the folders that hold it."""


def dicom_scans(
    series: dict[str, Parts], *, join: bool
) -> Iterator[tuple[Path, list[Slice], str | None]]:
    """Folder, slices and choosable id of each scan; no id where opening it has to ask.

    A series that was split over folders is one scan; copies of one are several. Acquisitions that
    share a series are scans of their own. Slices that all have a series of their own are one
    scan, which is opened joined where `join` says so, and else asks for it.
    """
    scattered = _scattered(series)
    for here, slices in scattered.items():
        yield here, slices, JOINED if join else None
    for parts in series.values():
        if _is_single(parts) and parts[0][0] in scattered:
            continue
        for here, group in _together(parts):
            for acquisition in split(group):
                yield here, acquisition, series_id(acquisition[0]) or None


def _together(parts: Parts) -> Parts:
    """The parts as one where no slice is there twice."""
    together = [item for _, group in parts for item in group]
    if len(parts) == 1 or len({_position(item) for item in together}) < len(together):
        return parts
    return [(Path(os.path.commonpath([str(here) for here, _ in parts])), together)]


def _scattered(series: dict[str, Parts]) -> dict[Path, list[Slice]]:
    single: dict[Path, list[list[Slice]]] = defaultdict(list)
    for parts in series.values():
        if _is_single(parts):
            single[parts[0][0]].append(parts[0][1])
    return {
        here: list(chain.from_iterable(groups))
        for here, groups in sorted(single.items())
        if are_scattered(groups)
    }


def _is_single(parts: Parts) -> bool:
    return len(parts) == 1 and len(parts[0][1]) == 1


def _position(item: Slice) -> object:
    return item.number if item.position is None else tuple(item.position.round(3).tolist())
