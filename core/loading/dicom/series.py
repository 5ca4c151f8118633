"""Slices grouped into series, and the choice of the one to load."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from core.errors import LoadError
from core.loading.dicom.geometry import unit_normal
from core.loading.dicom.slices import Slice
from core.system import size_text


@dataclass(frozen=True)
class SeriesInfo:
    """One series among the files, described without patient data."""

    uid: str
    description: str
    n_slices: int
    size: str
    """Columns × rows, such as "512 × 512"."""
    modality: str
    is_localizer: bool


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


def group_by_series(slices: Iterable[Slice]) -> dict[str, list[Slice]]:
    """Slices by the UID of their series, in the order in which they come."""
    groups: dict[str, list[Slice]] = {}
    for item in slices:
        groups.setdefault(item.uid, []).append(item)
    return groups


def series_info(group: list[Slice]) -> SeriesInfo:
    """What to tell a person of one series."""
    pictures = [s for s in group if not s.localizer] or group
    first = pictures[0]
    return SeriesInfo(
        uid=shown_uid(first.uid),
        description=first.description,
        n_slices=len(pictures),
        size=size_text((first.columns, first.rows)),
        modality=first.modality,
        is_localizer=all(s.localizer for s in group),
    )


def shown_uid(uid: str) -> str:
    """A series UID with nothing but what UIDs are made of."""
    return "".join(c for c in uid if c.isdigit() or c == ".")[:64]


def choose(groups: dict[str, list[Slice]], series_uid: str | None) -> list[Slice]:
    """The slices of the one series to load, without localizers.

    Raises:
        SeveralSeriesError: there are several and `series_uid` is none.
        LoadError: there is no such series, or no CT.
    """
    wanted = list(groups.values()) if series_uid is None else [_of_uid(groups, series_uid)]
    pictures = ct_series(wanted)
    if len(pictures) > 1:
        raise SeveralSeriesError(tuple(series_info(group) for group in pictures))
    return pictures[0]


def ct_series(groups: Iterable[list[Slice]]) -> list[list[Slice]]:
    """The series that are scans of their own: CT, without localizers and scouts.

    Raises:
        LoadError: there is none.
    """
    pictures = _ct_pictures(list(groups))
    if len(pictures) > 1:
        # A single coronal or sagittal picture is a scout that does not say so.
        pictures = [g for g in pictures if len(g) > 1 or _is_axial(g[0])] or pictures
    return pictures


def _of_uid(groups: dict[str, list[Slice]], series_uid: str) -> list[Slice]:
    wanted = shown_uid(series_uid)
    for uid, group in groups.items():
        if wanted and shown_uid(uid) == wanted:
            return group
    raise LoadError(
        "There is no such series",
        got=f"UID {wanted or 'without digits'}",
        expected="one of " + _listed(tuple(series_info(g) for g in groups.values())),
    )


def _ct_pictures(groups: list[list[Slice]]) -> list[list[Slice]]:
    """The CT series that hold more than localizers, without these."""
    ct = [group for group in groups if group[0].modality in ("CT", "")]
    if not ct:
        raise LoadError(
            "The series is not CT",
            got=f"modality {groups[0][0].modality[:16]}",
            expected="CT",
            next_step="open the CT series of the study",
        )
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
        text = f"{info.uid} ({info.description[:16] or 'no name'}, {info.n_slices} slices)"
        if shown and len("; ".join([*shown, text])) > 240:
            break
        shown.append(text)
    left = len(series) - len(shown)
    return "; ".join(shown) + (f"; and {left} more" if left else "")
