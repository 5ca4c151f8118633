"""A batch result read back: rows, what their values mean, thumbnails, where scans lie.

Everything in such a folder may have been written by others: values are checked, links are not
followed, and names stay names.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.batch.places import SCAN_ID, BatchPaths, is_batch_result, read_record
from core.batch.tables import BASE_COLUMNS, Row, biomarker_columns, columns, table_csv
from core.drawing import shrink_picture
from core.errors import LoadError, shown_name

_MAX_TABLE_BYTES = 64 * 1024**2
_MAX_THUMBNAIL_BYTES = 4 * 1024**2
_MAX_ROWS = 50_000
_MAX_LINES = 4 * _MAX_ROWS
"""Some reasons and warnings may be of several lines, and lines may be empty."""
_MAX_FOLDERS_LOOKED_INTO = 2000
_STATUSES = ("done", "failed", "waiting")
_WORDS = {"laterality", "mosmed_category"}
_NUMBERS = {
    "columns",
    "rows",
    "slices",
    "spacing_x_mm",
    "spacing_y_mm",
    "spacing_z_mm",
    "key_slice",
    "infected_slices",
    "lung_dice",
    "infection_dice",
    "seconds",
}


@dataclass(frozen=True)
class Cohort:
    """The scans of a batch.

    Attributes:
        rows: column → text, number or none where it is not defined, in the order of the table.
        folder: of the batch; none where only its table is at hand.
        record: of `batch.json`; empty without a folder.
    """

    rows: tuple[Row, ...]
    folder: Path | None = None
    record: dict[str, Any] = field(default_factory=dict)

    def count(self, status: str) -> int:
        """How many scans are done, failed or waiting."""
        return sum(row["status"] == status for row in self.rows)


@dataclass(frozen=True)
class RowFilter:
    """Which rows are wanted; ranges are inclusive, and leave out what is not defined."""

    text: str = ""
    status: str | None = None
    infected_share: tuple[float, float] | None = None
    lung_volume_ml: tuple[float, float] | None = None

    def accepts(self, row: Row) -> bool:
        """Whether a row is wanted."""
        searched = " ".join(str(row.get(name) or "") for name in _SEARCHED).casefold()
        if not all(word in searched for word in self.text.casefold().split()):
            return False
        if self.status is not None and row["status"] != self.status:
            return False
        ranges = (("infected_share", self.infected_share), ("lung_volume_ml", self.lung_volume_ml))
        return all(
            wanted is None or (isinstance(row[name], float) and wanted[0] <= row[name] <= wanted[1])
            for name, wanted in ranges
        )


_SEARCHED = ("name", "scan_id", "kind", "reason", "laterality", "mosmed_category", "warnings")


def load_cohort(folder: Path) -> Cohort:
    """The result of a batch, finished or under way.

    Raises:
        LoadError: no batch was written there, or its table cannot be read.
    """
    paths = BatchPaths(folder)
    record = read_record(paths.record) if _is_plain(paths.record) else {}
    if not record or not _is_plain(paths.table):
        raise LoadError(
            f"{shown_name(folder)} is not a batch result",
            got="a folder without batch.json or cohort.csv",
            expected="what 'python -m core batch' has written",
            next_step="choose the folder given to -o",
        )
    try:
        with paths.table.open("rb") as file:
            content = file.read(_MAX_TABLE_BYTES + 1)
    except OSError as error:
        raise _damaged(error.strerror or "a read error") from error
    return Cohort(read_rows(content), folder=folder, record=record)


def read_rows(content: bytes) -> tuple[Row, ...]:
    """The rows of a `cohort.csv`, checked and with numbers as numbers.

    Raises:
        LoadError: it is none, or it is larger than the app can show.
    """
    if len(content) > _MAX_TABLE_BYTES:
        raise _too_large(f"more than {_MAX_TABLE_BYTES // 1024**2} MiB")
    # Decoded piece by piece: as one text it may take four bytes a character.
    text = io.TextIOWrapper(io.BytesIO(content), encoding="utf-8-sig", newline="")
    reader = csv.reader(text, strict=True)
    try:
        head = next(reader, [])
        if not {"scan_id", "name", "status"} <= set(head):
            raise _damaged("other columns")
        rows = tuple(_checked_rows(reader, head))
    except (UnicodeDecodeError, csv.Error) as error:
        raise _damaged("no table of text") from error
    if len({row["scan_id"] for row in rows}) < len(rows):
        raise _damaged("a scan with two rows")
    return rows


def _checked_rows(reader: Any, head: list[str]) -> Iterator[Row]:
    """The rows of a CSV reader; the reading ends where there are too many."""
    measured = {one.key for one in biomarker_columns()}
    numbers = _NUMBERS | (measured - _WORDS)
    kinds = tuple((name, name in numbers) for name in columns())
    count = 0
    for cells in reader:
        if reader.line_num > _MAX_LINES:
            raise _too_large(f"more than {_MAX_LINES} lines")
        if not cells:
            continue
        count += 1
        if count > _MAX_ROWS:
            raise _too_large(f"more than {_MAX_ROWS} rows")
        yield _checked_row(dict(zip(head, cells, strict=False)), kinds)


def _checked_row(read: dict[str, str], kinds: tuple[tuple[str, bool], ...]) -> Row:
    """A row of text as values.

    Args:
        kinds: name of each column, and whether it holds numbers.
    """
    if not SCAN_ID.fullmatch(read.get("scan_id", "")) or read.get("status") not in _STATUSES:
        raise _damaged("a row without an id or a status")
    row: Row = {}
    for name, is_number in kinds:
        text = read.get(name, "")
        if is_number:
            row[name] = _number(text)
        else:
            # What the table writes before text that could pass for a formula.
            row[name] = text.removeprefix("'") if text[1:2] in "=+-@\t\r" else text
    return row


def _number(text: str) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError as error:
        raise _damaged("text where a number is expected") from error
    return value if abs(value) < 1e12 else None  # nan compares false as well


def _damaged(got: str) -> LoadError:
    return LoadError(
        "The table of the batch cannot be read",
        got=got,
        expected="the cohort.csv of a batch",
        next_step="run the batch command again, which writes it again",
    )


def _too_large(got: str) -> LoadError:
    return LoadError(
        "The table of the batch is too large to be shown",
        got=got,
        expected=f"one row a scan, at most {_MAX_ROWS}",
        next_step="look at it with another program, or work through the scans in several batches",
    )


def select_rows(rows: Iterable[Row], wanted: RowFilter) -> list[Row]:
    """The rows that are wanted, in their order."""
    return [row for row in rows if wanted.accepts(row)]


def sort_rows(rows: Iterable[Row], column: str, *, descending: bool = False) -> list[Row]:
    """Rows by a column; those where it is not defined come last either way."""
    known = [row for row in rows if row[column] not in (None, "")]
    unknown = [row for row in rows if row[column] in (None, "")]
    key: Callable[[Row], Any] = lambda row: _sortable(row[column])  # noqa: E731
    return [*sorted(known, key=key, reverse=descending), *unknown]


def _sortable(value: Any) -> tuple[int, float, str]:
    if isinstance(value, (int, float)):
        return 0, float(value), ""
    return 1, 0.0, str(value).casefold()


def rows_csv(rows: Iterable[Row]) -> str:
    """Rows in the columns of `cohort.csv`."""
    return table_csv(rows, columns())


def median_of(rows: Iterable[Row], column: str) -> tuple[float | None, int]:
    """The median of a column over the rows that know it, and how many these are."""
    values = sorted(row[column] for row in rows if isinstance(row[column], float))
    count = len(values)
    if not count:
        return None, 0
    return (values[(count - 1) // 2] + values[count // 2]) / 2, count


def find_batch_results(root: Path, *, depth: int = 3) -> tuple[Path, ...]:
    """Folders below `root`, or itself, that a batch has written into, by name.

    Links are not followed, hidden folders not entered, and a batch result not searched.
    """
    return tuple(_results_below(root, depth, [_MAX_FOLDERS_LOOKED_INTO]))


def _results_below(folder: Path, depth: int, left: list[int]) -> Iterator[Path]:
    left[0] -= 1
    if is_batch_result(folder):
        yield folder
        return
    if depth == 0 or left[0] <= 0:
        return
    for name in folders_in(folder):
        yield from _results_below(folder / name, depth - 1, left)


def folders_in(folder: Path) -> list[str]:
    """Names of the folders in a folder, in order, without links and hidden ones; none where it
    cannot be read."""
    try:
        with os.scandir(folder) as entries:
            return sorted(
                entry.name
                for entry in entries
                if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False)
            )
    except OSError:
        return []


def read_thumbnail(folder: Path, scan_id: str, *, width: int) -> bytes | None:
    """A scan's picture as JPEG of at most `width` pixels; none where there is no good one."""
    path = BatchPaths(folder).scan(scan_id).thumbnail
    try:
        if not _is_plain(path) or path.stat().st_size > _MAX_THUMBNAIL_BYTES:
            return None
        return shrink_picture(path.read_bytes(), width=width)
    except OSError:
        return None


def scan_place(cohort: Cohort, scan_id: str) -> tuple[Path, str | None] | None:
    """Where a scan lies, and which series it is, as the batch recorded it; to be checked before
    anything is opened there. None where it is not known."""
    if cohort.folder is None:
        return None
    path = BatchPaths(cohort.folder).key
    key = read_record(path) if _is_plain(path) else {}
    scans, root = key.get("scans"), key.get("folder")
    known = scans.get(scan_id) if isinstance(scans, dict) else None
    place = known.get("place") if isinstance(known, dict) else None
    if not isinstance(root, str) or not isinstance(place, str) or "\0" in root + place:
        return None
    uid = known.get("series_uid") if isinstance(known, dict) else None
    return Path(root, place), uid if isinstance(uid, str) else None


def _is_plain(path: Path) -> bool:
    """A regular file of a folder that is none of a link."""
    return path.is_file() and not path.is_symlink() and not path.parent.is_symlink()


__all__ = [
    "BASE_COLUMNS",
    "Cohort",
    "RowFilter",
    "find_batch_results",
    "load_cohort",
    "median_of",
    "scan_place",
    "read_rows",
    "read_thumbnail",
    "rows_csv",
    "select_rows",
    "sort_rows",
]
