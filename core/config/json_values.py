"""Any config as plain JSON values, and back."""

from __future__ import annotations

import dataclasses
import difflib
import math
import re
from types import NoneType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from core.config.json_text import (
    MAX_SETTINGS_BYTES,
    NotJson,
    kind_of_value,
    parse_json,
    shown_key,
    shown_value,
)
from core.config.ranges import check_choice
from core.errors import ConfigError

C = TypeVar("C")

_LARGEST = 2**53
"""Larger whole numbers cannot be counted in floats, and no setting comes near."""
_WORDS = {float: "a number", int: "a whole number", bool: "true or false", str: "text"}


def to_json_dict(config: Any) -> dict[str, Any]:
    """A config (any frozen dataclass of this package) as a dictionary of plain JSON values."""
    return dataclasses.asdict(config)


def from_json_dict(kind: type[C], values: dict[str, Any]) -> C:
    """The config of class `kind` from plain JSON values; missing keys take their defaults.

    Raises:
        ConfigError: a key is unknown, or a value has another type than the field or is out of
            its range.
    """
    words = _words_for(kind)
    if not isinstance(values, dict):
        raise ConfigError(
            f"The {words} settings cannot be read",
            got=kind_of_value(values),
            expected="a JSON object of settings",
        )
    upgrade = getattr(kind, "upgrade_json", None)
    if upgrade is not None:
        values = upgrade(values)
    hints = get_type_hints(kind)
    fields = {f.name for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(set(map(str, values)) - fields)
    if unknown:
        raise _unknown(words, unknown, fields)
    return kind(**{name: _coerce(hints[name], value, name) for name, value in values.items()})


def settings_in_text(text: str, *, under: str, what: str, page: str) -> Any:
    """The settings in a JSON file that a person chose, or those under `under`.

    Args:
        what, page: for the sentence where it is no JSON: what was looked for, and where to get it.

    Raises:
        ConfigError: it is no JSON.
    """
    try:
        values = parse_json(text, most_characters=MAX_SETTINGS_BYTES, finite_only=False)
    except NotJson as error:
        raise ConfigError(
            f"The {what} settings cannot be read",
            got=str(error),
            expected="a JSON object",
            next_step=f"download them from the {page} page",
        ) from error
    return values[under] if isinstance(values, dict) and under in values else values


def _words_for(kind: type) -> str:
    """ "PreprocessConfig" → "preprocess", which is also its key in the files."""
    name = kind.__name__.removesuffix("Config")
    return re.sub(r"(?<!^)(?=[A-Z])", " ", name).lower()


def _unknown(words: str, unknown: list[str], fields: set[str]) -> ConfigError:
    more = f" and {len(unknown) - 3} more" if len(unknown) > 3 else ""
    close = difflib.get_close_matches(unknown[0][:80], sorted(fields), n=1)
    return ConfigError(
        f"The {words} settings have no such setting",
        got=", ".join(map(shown_key, unknown[:3])) + more,
        expected=close[0] if close else "one of " + ", ".join(sorted(fields)),
    )


def _coerce(hint: Any, value: Any, name: str) -> Any:
    if get_origin(hint) is Literal:
        check_choice(name, value, get_args(hint))
        return value
    if get_origin(hint) is tuple:
        return _coerce_tuple(get_args(hint), value, name)
    options = get_args(hint) or (hint,)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        _check_size(value, name)
    for option in options:
        if value is None and option is NoneType:
            return None
        if dataclasses.is_dataclass(option) and isinstance(value, dict):
            return from_json_dict(option, value)  # type: ignore[arg-type]
        if option is float and isinstance(value, (int, float)) and not isinstance(value, bool):
            return float(value)
        if isinstance(option, type) and type(value) is option:
            return value
    raise ConfigError(
        f"Setting {name} is not understood",
        got=shown_value(value),
        expected=" or ".join(_words_of(option) for option in options),
    )


def _coerce_tuple(hints: tuple[Any, ...], value: Any, name: str) -> tuple[Any, ...]:
    """A list of one value for each hint, as JSON has it."""
    if not isinstance(value, (list, tuple)) or len(value) != len(hints):
        raise ConfigError(
            f"Setting {name} is not understood",
            got=shown_value(value),
            expected=f"a list of {len(hints)} values",
        )
    return tuple(_coerce(hint, one, name) for hint, one in zip(hints, value, strict=True))


def _check_size(value: float, name: str) -> None:
    # JSON as Python reads it knows NaN, Infinity and whole numbers of any length.
    if isinstance(value, int):
        if abs(value) > _LARGEST:
            raise ConfigError(
                f"Setting {name} is not a usable number",
                got="a number that is too large",
                expected="a smaller one",
            )
    elif not math.isfinite(value):
        raise ConfigError(
            f"Setting {name} is not a number", got=f"{value}", expected="a finite one"
        )


def _words_of(option: Any) -> str:
    if option is NoneType:
        return "null"
    if dataclasses.is_dataclass(option):
        return "an object of settings"
    if get_origin(option) is Literal:
        return "one of " + ", ".join(get_args(option))
    return _WORDS.get(option, "another kind of value")
