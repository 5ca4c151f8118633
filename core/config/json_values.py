"""Any config as plain JSON values, and back."""

from __future__ import annotations

import dataclasses
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
            return float(value)
        if isinstance(option, type) and type(value) is option:
            return value
    raise ConfigError(f"Setting {name} is not understood", got=repr(value), expected=str(hint))
