"""Slices grouped into series, and the choice of the one to load."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from core.errors import LoadError
from core.loading.dicom.acquisitions import split
from core.loading.dicom.geometry import unit_normal
from core.loading.dicom.slices import Slice, kind_of_object
from core.system import size_text

JOINED = "joined"
"""Chosen in place of a UID, it joins slices that each have a series of their own; joined#1 or
joined#2 where they form several scans."""
_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
"""Secondary captures, of one frame and of several."""
_OTHER_SLICE = "slice of another series"
_SCATTERED_FROM = 3
_SAME_DIRECTION = 0.01


@dataclass(frozen=True)
class SeriesInfo:
    """One series among the files, described without patient data."""

    uid: str
    description: str
    n_slices: int
    size: str
    """Columns × rows, such as "512 × 512"."""
    modality: str


class SeveralSeriesError(LoadError):
    """The files hold more than one CT series; `series` lists them for the person to choose."""

    def __init__(self, series: tuple[SeriesInfo, ...]) -> None:
        self.series = series
        super().__init__(
            "The files hold several CT series",
            got=_listed(series),
            expected="one",
            next_step="choose one (command line: --series UID)",
        )


class ScatteredSeriesError(SeveralSeriesError):
    """Every slice has a series of its own; the only choice is to open them as one scan."""

    def __init__(self, slices: list[Slice]) -> None:
        self.series = (_joined_info(slices, JOINED),)
        LoadError.__init__(
            self,
            "Every slice has a series of its own",
            got=f"{len(slices)} series of one slice, in one place and of one size",
            expected="one series",
            next_step="open them as one scan (command line: --join-series)",
        )


def _joined_info(slices: list[Slice], uid: str) -> SeriesInfo:
    """Slices that each have a series of their own, offered as one scan."""
    return replace(series_info(slices), uid=uid, description="all slices joined")


def joined_ids(count: int) -> list[str]:
    """What so many scans of joined slices are chosen by."""
    return [JOINED] if count == 1 else [f"{JOINED}#{number}" for number in range(1, count + 1)]


@dataclass(frozen=True)
class CtSeries:
    """Slices of each CT series, and how many pictures of other kinds were ignored."""

    series: list[list[Slice]]
    ignored: Counter[str]


@dataclass(frozen=True)
class Chosen:
    """Slices of the series to load, and how many pictures of other kinds were ignored."""

    slices: list[Slice]
    ignored: Counter[str]
    joined: bool = False
    """Whether each slice had a series of its own."""


def ignored_warning(ignored: Counter[str]) -> tuple[str, ...]:
    """What lay beside the series, in one sentence; none where there was nothing."""
    if not ignored:
        return ()
    kinds = sorted(ignored.items())
    listed = ", ".join(f"{count} × {kind}" for kind, count in kinds[:6])
    more = f" and {len(kinds) - 6} more kinds" if len(kinds) > 6 else ""
    return (f"Ignored beside the series: {listed}{more}.",)


def by_uid(slices: Iterable[Slice]) -> dict[str, list[Slice]]:
    """Slices by the UID of their series, in the order in which they come."""
    groups: dict[str, list[Slice]] = {}
    for item in slices:
        groups.setdefault(item.uid, []).append(item)
    return groups


def group_by_series(slices: Iterable[Slice]) -> dict[str, list[Slice]]:
    """Slices by `series_id`, as `by_uid`; acquisitions are distinguished."""
    parts = [part for group in by_uid(slices).values() for part in split(group)]
    return {series_id(part[0]): part for part in parts}


def series_id(item: Slice) -> str:
    """What a person chooses a series by: its UID, and #1 or #2 for one acquisition of several."""
    return item.uid + (f"#{item.part}" if item.part else "")


def series_info(group: list[Slice]) -> SeriesInfo:
    """The description of one series, without patient data."""
    pictures = [s for s in group if not s.localizer] or group
    first = pictures[0]
    part = f"acquisition {first.part}" if first.part else ""
    return SeriesInfo(
        uid=shown_uid(series_id(first)),
        description=", ".join(filter(None, (first.description, part))),
        n_slices=len(pictures),
        size=size_text((first.columns, first.rows)),
        modality=first.modality,
    )


def shown_uid(uid: str) -> str:
    """A series UID with nothing but what UIDs are made of, and the number of its acquisition."""
    plain, _, part = uid.partition("#")
    digits = "".join(c for c in plain if c.isdigit() or c == ".")[:64]
    return f"{digits}#{part}" if part.isdecimal() and len(part) < 4 else digits


def choose(slices: list[Slice], series_uid: str | None) -> Chosen:
    """The slices of the one series to load, without localizers.

    Args:
        series_uid: of one series, as `SeriesInfo` has it, or `JOINED`.

    Raises:
        SeveralSeriesError: there are several and `series_uid` is none.
        ScatteredSeriesError: each slice has a series of its own, and they may be joined.
        LoadError: there is no such series, or no CT.
    """
    groups = group_by_series(slices)
    if series_uid is not None and series_uid.partition("#")[0] == JOINED:
        return _joined(groups, series_uid)
    wanted = list(groups.values()) if series_uid is None else _of_uid(groups, series_uid)
    found = ct_series(wanted)
    if len(found.series) > 1:
        scans, others = _scattered_and_others(found.series)
        if len(scans) == 1 and not others:
            raise ScatteredSeriesError(scans[0])
        raise SeveralSeriesError(_offered(scans, others))
    ignored = found.ignored
    if series_uid is not None and len(groups) > 1:
        ignored = ct_series(groups.values()).ignored
    return Chosen(found.series[0], ignored)


def _scattered_and_others(
    series: list[list[Slice]],
) -> tuple[list[list[Slice]], list[list[Slice]]]:
    """Scans of slices that each have a series of their own, and the series that are left."""
    scans = scattered_scans([group[0] for group in series if len(group) == 1])
    return scans, [group for group in series if len(group) > 1 or not scans]


def _offered(scans: list[list[Slice]], others: list[list[Slice]]) -> tuple[SeriesInfo, ...]:
    """What a person may choose from."""
    joined = map(_joined_info, scans, joined_ids(len(scans)))
    return (*joined, *map(series_info, others))


def _joined(groups: dict[str, list[Slice]], wanted: str) -> Chosen:
    found = ct_series(groups.values())
    scans, others = _scattered_and_others(found.series)
    by_id = dict(zip(joined_ids(len(scans)), scans, strict=True))
    if len(scans) == 1:  # the files of one of several, without the others
        by_id[wanted] = scans[0]
    if wanted == JOINED and len(scans) > 1:
        raise SeveralSeriesError(_offered(scans, others))
    if wanted not in by_id:
        if len({group[0].uid for group in found.series}) == 1:  # one, or its acquisitions
            together = [replace(item, part=0) for group in found.series for item in group]
            return Chosen(together, found.ignored)
        raise LoadError(
            "The series cannot be joined to one scan",
            got=_listed(_offered(scans, others)),
            expected="single slices of one size, frame of reference and direction",
            next_step="choose one (command line: --series UID)",
        )
    chosen = by_id[wanted]
    together = [replace(item, uid=chosen[0].uid, part=0) for item in chosen]
    left = sum(map(len, [*scans, *others])) - len(chosen)
    return Chosen(together, +(found.ignored + Counter({_OTHER_SLICE: left})), joined=True)


def scattered_scans(slices: list[Slice]) -> list[list[Slice]]:
    """Slices that each have a series of their own as the scans that they form by frame of
    reference, size, direction and place; none where any of them is left over."""
    scans: list[list[Slice]] = []
    for item in slices:
        own = next((scan for scan in scans if _fits(item, scan[0])), None)
        if own is None:
            scans.append(own := [])
        own.append(item)
    return scans if all(map(_is_scan, scans)) else []


def _fits(item: Slice, first: Slice) -> bool:
    alike = [(s.frame_of_reference_uid, s.rows, s.columns, s.pixel_mm) for s in (item, first)]
    if item.orientation is None or first.orientation is None or alike[0] != alike[1]:
        return False
    return bool(np.abs(item.orientation - first.orientation).max() <= _SAME_DIRECTION)


def _is_scan(slices: list[Slice]) -> bool:
    """Whether there are enough slices, each in a place of its own."""
    orientation = slices[0].orientation
    positions = [item.position for item in slices if item.position is not None]
    if orientation is None or len(positions) < max(_SCATTERED_FROM, len(slices)):
        return False
    if not all(np.abs(position).max() < 1e5 for position in positions):
        return False
    heights = np.unique((np.array(positions) @ unit_normal(orientation)).round(2))
    return bool(heights.size == len(slices))


def ct_series(groups: Iterable[list[Slice]]) -> CtSeries:
    """The series that are scans of their own: CT, without localizers, scouts and captures.

    Raises:
        LoadError: there is none.
    """
    ignored: Counter[str] = Counter()
    pictures = _ct_pictures(list(groups), ignored)
    pictures = _without_captures(pictures, ignored)
    pictures = _without_unplaced(pictures, ignored)
    if len(pictures) > 1:
        # A single coronal or sagittal picture is a scout that does not say so.
        kept = [g for g in pictures if len(g) > 1 or _is_axial(g[0])] or pictures
        ignored["localizer"] += len(pictures) - len(kept)
        pictures = kept
    return CtSeries(pictures, +ignored)


def _without_captures(groups: list[list[Slice]], ignored: Counter[str]) -> list[list[Slice]]:
    """Without pictures of a screen, such as dose pages, where there are others."""
    kept = [[s for s in group if not s.sop_class_uid.startswith(_CAPTURE)] for group in groups]
    if not any(kept):
        return groups
    for item in chain.from_iterable(groups):
        if item.sop_class_uid.startswith(_CAPTURE):
            ignored[kind_of_object(item.sop_class_uid)] += 1
    return [group for group in kept if group]


def _without_unplaced(groups: list[list[Slice]], ignored: Counter[str]) -> list[list[Slice]]:
    """Without series that say nowhere where they lie, where others do."""
    placed = [group for group in groups if any(item.position is not None for item in group)]
    if not placed:
        return groups
    left_out = sum(len(group) for group in groups if group not in placed)
    if left_out:
        ignored["picture without a position"] += left_out
    return placed


def _of_uid(groups: dict[str, list[Slice]], series_uid: str) -> list[list[Slice]]:
    """The series of that id, or the acquisitions of the series of that UID."""
    wanted = shown_uid(series_uid)
    plain = wanted.partition("#")[0]
    shown = {shown_uid(uid): group for uid, group in groups.items()}
    if wanted in shown:
        return [shown[wanted]]
    parts = [group for uid, group in shown.items() if uid.partition("#")[0] == wanted]
    if wanted and parts:
        return parts
    if plain in shown and plain != wanted:  # the files of one acquisition, without the others
        return [shown[plain]]
    raise LoadError(
        "There is no such series",
        got=f"UID {wanted or 'without digits'}",
        expected="one of " + _listed(tuple(series_info(g) for g in groups.values())),
    )


def _ct_pictures(groups: list[list[Slice]], ignored: Counter[str]) -> list[list[Slice]]:
    """The CT series that hold more than localizers, without these."""
    ct = [[s for s in group if s.modality in ("CT", "")] for group in groups]
    if not any(ct):
        raise LoadError(
            "The series is not CT",
            got=f"modality {groups[0][0].modality[:16]}",
            expected="CT",
            next_step="open the CT series of the study",
        )
    ignored["localizer"] += sum(s.localizer for s in chain.from_iterable(ct))
    others = chain.from_iterable(groups)
    kinds = {s.path: s.sop_class_uid for s in others if s.modality not in ("CT", "")}
    ignored.update(map(kind_of_object, kinds.values()))
    pictures = [[s for s in group if not s.localizer] for group in ct]
    if not any(pictures):
        raise LoadError(
            "The files hold localizers only",
            got="scout views",
            expected="the slices of a CT series",
            next_step="open the folder of the series itself",
        )
    return [group for group in pictures if group]


def _is_axial(item: Slice) -> bool:
    return item.orientation is None or abs(unit_normal(item.orientation)[2]) > 0.7


def _listed(series: tuple[SeriesInfo, ...]) -> str:
    """As many series as fit into one sentence."""
    shown: list[str] = []
    for info in series:
        text = f"{info.uid} ({info.description[:32] or 'no name'}, {info.n_slices} slices)"
        if shown and len("; ".join([*shown, text])) > 240:
            break
        shown.append(text)
    left = len(series) - len(shown)
    return "; ".join(shown) + (f"; and {left} more" if left else "")
