"""Numbers that the operator of a server sets in the environment."""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from typing import Any

from core.config import AppConfig
from core.errors import ConfigError

_LOG = logging.getLogger(__name__)


def read_number(variable: str, field: str, *, expected: str) -> float:
    """What an environment variable sets; the default where it is absent or empty.

    Args:
        field: of `AppConfig`, which holds the default and checks the range.
        expected: unit and example, for the error.

    Raises:
        ConfigError: the variable holds no number, or one out of range.
    """
    text = os.environ.get(variable, "").strip()
    config = AppConfig()
    if text:
        try:
            changed: dict[str, Any] = {field: float(text)}
            config = replace(config, **changed)
        except ValueError as error:
            raise ConfigError(
                f"{variable} is not a number", got=text[:40], expected=expected
            ) from error
    return float(getattr(config, field))


def number_or_default(variable: str, field: str, *, expected: str) -> float:
    """As `read_number`, with the default for what is wrong: it must not stop the server."""
    try:
        return read_number(variable, field, expected=expected)
    except ConfigError as error:
        _LOG.error("%s The default is used.", error)
        return float(getattr(AppConfig(), field))
