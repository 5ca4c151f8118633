"""Any config as plain JSON values, and back."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from core.config.ranges import check_choice
from core.errors import ConfigError

C = TypeVar("C")


def to_json_dict(config: Any) -> dict[str, Any]:
    """A config (any frozen dataclass of this package) as a dictionary of plain JSON values."""
    return dataclasses.asdict(config)


def from_json_dict(kind: type[C], values: dict[str, Any]) -> C:
    """The config of class `kind` from plain JSON values; missing keys take their defaults.

    Raises:
        ConfigError: a key is unknown or a value has another type than the field.
    """
    if not isinstance(values, dict):
        raise ConfigError(
            f"{kind.__name__} cannot be read", got=type(values).__name__, expected="a JSON object"
        )
    upgrade = getattr(kind, "upgrade_json", None)
    if upgrade is not None:
        values = upgrade(values)
    hints = get_type_hints(kind)
    fields = {f.name for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(set(values) - fields)
    if unknown:
        raise ConfigError(
            f"{kind.__name__} has no such setting",
            got=", ".join(unknown),
            expected="one of " + ", ".join(sorted(fields)),
        )
    return kind(**{name: _coerce(hints[name], value, name) for name, value in values.items()})


def settings_in_text(text: str, *, under: str, what: str, page: str) -> Any:
    """What a JSON file that a person chose says, or what it holds under `under`.

    Args:
        what, page: for the sentence where it is no JSON: what was looked for, and where to get it.

    Raises:
        ConfigError: it is no JSON.
    """
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(
            f"The {what} settings cannot be read",
            got="no JSON",
            expected="a JSON object",
            next_step=f"download them from the {page} page",
        ) from error
    return values[under] if isinstance(values, dict) and under in values else values


def _finite(value: float, name: str) -> float:
    # JSON as Python reads it knows NaN, Infinity and whole numbers of any length.
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ConfigError(f"Setting {name} is no number", got=f"{number}", expected="a finite one")
    return number


def _coerce(hint: Any, value: Any, name: str) -> Any:
    if get_origin(hint) is Literal:
        check_choice(name, value, get_args(hint))
        return value
    options = get_args(hint) or (hint,)
    for option in options:
        if value is None and option is type(None):
            return None
        if dataclasses.is_dataclass(option) and isinstance(value, dict):
            return from_json_dict(option, value)  # type: ignore[arg-type]
        if option is float and isinstance(value, (int, float)) and not isinstance(value, bool):
            return _finite(value, name)
        if isinstance(option, type) and type(value) is option:
            return value
    raise ConfigError(f"Setting {name} is not understood", got=repr(value), expected=str(hint))
