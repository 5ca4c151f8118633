"""Which DICOM slices below a folder form one scan."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from core.loading.dicom.acquisitions import split
from core.loading.dicom.series import joined_ids, scattered_scans, series_id
from core.loading.dicom.slices import Slice

Parts = list[tuple[Path, list[Slice]]]
"""One series by the folders that hold it."""


class DicomScan(NamedTuple):
    """Slices that form one scan."""

    folder: Path
    slices: list[Slice]
    uid: str | None
    """What the scan is chosen by; none where opening it has to ask."""
    key: str
    """Which scan of its folder it is; the same each time."""


def dicom_scans(series: dict[str, Parts], *, join: bool) -> Iterator[DicomScan]:
    """The scans of all series.

    A series that was split over folders is one scan; copies of one are several. Acquisitions that
    share a series are scans of their own. Slices that each have a series of their own, in one
    folder or each in a folder of its own, are scans that are opened joined where `join` says so,
    and else ask for it.
    """
    scattered = _scattered(series)
    joined = {id(item) for scans in scattered.values() for scan in scans for item in scan}
    for here, scans in scattered.items():
        for uid, scan in zip(joined_ids(len(scans)), scans, strict=True):
            key = uid if join or len(scans) > 1 else ""
            yield DicomScan(here, scan, uid if join else None, key)
    for parts in series.values():
        if id(parts[0][1][0]) in joined:
            continue
        for here, group in _together(parts):
            for acquisition in split(group):
                own = series_id(acquisition[0])
                yield DicomScan(here, acquisition, own or None, own)


def _together(parts: Parts) -> Parts:
    """The parts as one where no slice is there twice."""
    together = [item for _, group in parts for item in group]
    if len(parts) == 1 or len({_position(item) for item in together}) < len(together):
        return parts
    return [(Path(os.path.commonpath([str(here) for here, _ in parts])), together)]


def _scattered(series: dict[str, Parts]) -> dict[Path, list[list[Slice]]]:
    """Scans of slices that each have a series of their own, by the folder that holds them or
    the folders of each."""
    single: dict[Path, list[Slice]] = defaultdict(list)
    for parts in series.values():
        if _is_single(parts):
            single[parts[0][0]].append(parts[0][1][0])
    found: dict[Path, list[list[Slice]]] = defaultdict(list)
    alone: dict[tuple[Path, str], list[Slice]] = defaultdict(list)
    for here, slices in sorted(single.items()):
        found[here] += scattered_scans(slices)
        frame_of_reference = slices[0].frame_of_reference_uid
        # Folders may be those of patients: without it, nothing says that they belong together.
        if len(slices) == 1 and frame_of_reference:
            alone[here.parent, frame_of_reference].append(slices[0])
    for (parent, _), slices in alone.items():
        found[parent] += scattered_scans(slices)
    return {here: scans for here, scans in found.items() if scans}


def _is_single(parts: Parts) -> bool:
    return len(parts) == 1 and len(parts[0][1]) == 1


def _position(item: Slice) -> object:
    return item.number if item.position is None else tuple(item.position.round(3).tolist())
