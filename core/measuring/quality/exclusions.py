"""What is left out of training: a list that a person makes, and that `train --exclude` and
`evaluate --folds --exclude` take.

Layout, as JSON; slices count from 1 at the feet, as everywhere that people read:

    {
     "slices_count_from": 1,
     "exclude": [
      {"case_id": "coronacases_org_003", "slices": [29, 30]},
      {"case_id": "coronacases_org_008", "slices": "all"}
     ]
    }
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.config import NotJson, read_json
from core.errors import DatasetError, shown_name
from core.system import json_text

_FIRST = 1
_ALL = "all"
_LAYOUT = '{"slices_count_from": 1, "exclude": [{"case_id": "NAME", "slices": [1, 2] or "all"}, …]}'


@dataclass(frozen=True)
class Exclusion:
    """What of one case is left out.

    Attributes:
        case_id: as in the table of cases.
        slices: axial, from 0, ascending; none leaves the whole case out.
    """

    case_id: str
    slices: tuple[int, ...] | None

    def to_json_dict(self) -> dict[str, Any]:
        """As in the file."""
        slices = _ALL if self.slices is None else [k + _FIRST for k in self.slices]
        return {"case_id": self.case_id, "slices": slices}


def exclusions_record(exclusions: Iterable[Exclusion]) -> dict[str, Any]:
    """The content of the file, which a run writes down as well."""
    return {
        "slices_count_from": _FIRST,
        "exclude": [exclusion.to_json_dict() for exclusion in exclusions],
    }


def exclusions_text(exclusions: Iterable[Exclusion]) -> str:
    """The file's text."""
    return json_text(exclusions_record(exclusions)) + "\n"


def read_exclusions(path: Path) -> tuple[Exclusion, ...]:
    """Reads a file of the layout above, and nothing that is anywhere else than in it.

    Raises:
        DatasetError: it cannot be read or says something else.
    """
    try:
        content = read_json(path)
    except NotJson as error:
        raise DatasetError(
            f"The list of exclusions {shown_name(path)} cannot be read",
            got=str(error),
            expected="the file that the Quality page exports",
            next_step="check the path given to --exclude",
        ) from error
    return parse_exclusions(content, name=shown_name(path))


def parse_exclusions(content: Any, *, name: str) -> tuple[Exclusion, ...]:
    """Exclusions from what a JSON file holds.

    Args:
        name: of the file, for messages.

    Raises:
        DatasetError: the content has another layout, or names a case or slice twice.
    """
    if not isinstance(content, dict) or set(content) != {"slices_count_from", "exclude"}:
        got = ", ".join(sorted(map(str, content))[:4]) if isinstance(content, dict) else "no object"
        raise _wrong(name, got=got or "an empty object")
    first, entries = content["slices_count_from"], content["exclude"]
    if type(first) is not int or first != _FIRST:
        raise _wrong(name, got=f"slices_count_from {shown_name(first)}")
    if not isinstance(entries, list):
        raise _wrong(name, got="exclude that is not a list")
    exclusions = tuple(_parse(entry, name) for entry in entries)
    case_ids = [exclusion.case_id for exclusion in exclusions]
    twice = [case_id for case_id, count in Counter(case_ids).items() if count > 1]
    if twice:
        raise _wrong(name, got=f"case {shown_name(twice[0])} twice")
    return exclusions


def _parse(entry: Any, name: str) -> Exclusion:
    if not isinstance(entry, dict) or set(entry) != {"case_id", "slices"}:
        raise _wrong(name, got="an entry without exactly case_id and slices")
    case_id, slices = entry["case_id"], entry["slices"]
    if not isinstance(case_id, str) or not case_id:
        raise _wrong(name, got="a case_id that is not text")
    if slices == _ALL:
        return Exclusion(case_id, None)
    of_case = f"of case {shown_name(case_id)}"
    if not isinstance(slices, list) or not slices:
        raise _wrong(name, got=f"slices {of_case} that are neither numbers nor {_ALL!r}")
    if any(type(k) is not int or k < _FIRST for k in slices):
        raise _wrong(name, got=f"a slice {of_case} that is not a whole number from {_FIRST} on")
    if len(set(slices)) < len(slices):
        raise _wrong(name, got=f"a slice {of_case} twice")
    return Exclusion(case_id, tuple(sorted(k - _FIRST for k in slices)))


def _wrong(name: str, *, got: str) -> DatasetError:
    return DatasetError(
        f"The list of exclusions {name} is not understood",
        got=got,
        expected=_LAYOUT,
        next_step="export it again on the Quality page, or correct it by hand",
    )
