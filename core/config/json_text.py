"""JSON that others wrote: bounded, with faults described in words."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

MAX_JSON_BYTES = 16 * 1024**2
"""Of a record or manifest: far more than any that is written here."""
MAX_SETTINGS_BYTES = 1024**2
MAX_DEPTH = 32
"""Objects and lists inside each other."""


class NotJson(ValueError):
    """The text is no JSON that is taken; the message says what was found, as `got` of an error."""


def read_json(path: Path, *, most_bytes: int = MAX_JSON_BYTES, finite_only: bool = True) -> Any:
    """The content of a JSON file; `finite_only` as for `parse_json`.

    Raises:
        NotJson: it is missing, no file, too large, no UTF-8, or see `parse_json`.
    """
    try:
        if path.exists() and not path.is_file():
            raise NotJson("a folder" if path.is_dir() else "a pipe or device")
        with path.open("rb") as file:
            content = file.read(most_bytes + 1)
    except OSError as error:
        raise NotJson((error.strerror or "a read error").lower()) from error
    except NotJson:
        raise
    except ValueError as error:  # a path with a zero byte
        raise NotJson("a name that no file has") from error
    if len(content) > most_bytes:
        raise NotJson(f"more than {most_bytes // 1024**2} MB")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotJson("bytes that are not UTF-8 text") from error
    return parse_json(text, finite_only=finite_only)


def parse_json(
    text: str, *, most_characters: int = MAX_JSON_BYTES, finite_only: bool = True
) -> Any:
    """The value of a JSON text.

    Args:
        finite_only: whether to refuse numbers that are not finite here. Who looks at each value
            afterwards can say where they are.

    Raises:
        NotJson: it is none, too long, nested too deep, names a key twice, or holds a number that
            is not finite.
    """
    if len(text) > most_characters:
        raise NotJson(f"more than {most_characters:,} characters".replace(",", " "))
    try:
        value = json.loads(
            text.removeprefix("\ufeff"),  # editors of Windows begin files with it
            object_pairs_hook=_object,
            parse_float=_finite if finite_only else None,
            parse_constant=_refuse_constant if finite_only else None,
        )
    except json.JSONDecodeError as error:
        empty = not text.strip()
        found = "an empty file" if empty else f"not JSON, from line {error.lineno} on"
        raise NotJson(found) from error
    except RecursionError as error:
        raise NotJson("lists or objects nested too deeply") from error
    except NotJson:
        raise
    except ValueError as error:  # a whole number of thousands of digits
        raise NotJson("a number with too many digits") from error
    if _depth_exceeds(value, MAX_DEPTH):
        raise NotJson("lists or objects nested too deeply")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in values if names.count(name) > 1)
        raise NotJson(f"the key {shown_key(twice)} twice")
    return values


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise NotJson(f"{text[:20]}, which is not a finite number")
    return value


def _refuse_constant(text: str) -> float:
    raise NotJson(f"{text}, which is not a finite number")


def _depth_exceeds(value: Any, most: int) -> bool:
    level = [value]
    for _ in range(most):
        level = [
            item
            for one in level
            if isinstance(one, (dict, list))
            for item in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return False
    return any(isinstance(one, (dict, list)) for one in level)


def shown_key(key: str) -> str:
    """A key on one line, of at most 40 characters."""
    return shown_value(key)[1:-1]


def shown_value(value: Any, most: int = 60) -> str:
    """A value as JSON has it, on one line: control characters escaped, cut at `most`."""
    text = json.dumps(value, ensure_ascii=True, default=str) if not _plain(value) else f'"{value}"'
    return text if len(text) <= most else text[: most - 1] + "…"


def _plain(value: Any) -> bool:
    return isinstance(value, str) and value.isprintable() and not set(value) & set('"\\')


def kind_of_value(value: Any) -> str:
    """What JSON calls a value of this kind."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, str):
        return "text"
    return "a list" if isinstance(value, (list, tuple)) else "an object"


def whole_number(found: Any, *, least: int = 0, most: int | None = None) -> int:
    """A whole number in a range, for values that anybody may have written.

    Raises:
        ValueError: it is something else.
    """
    if not isinstance(found, int) or isinstance(found, bool):
        raise ValueError("not a whole number")
    if found < least or (most is not None and found > most):
        raise ValueError("a whole number out of range")
    return found
