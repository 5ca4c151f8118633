"""What commands share: progress on a terminal, results, tables."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, TextIO

from core.system import number_text, plain_text


@dataclass(frozen=True)
class Result:
    """What a command prints at its end: text for people, values for `--json`."""

    text: str
    values: dict[str, Any] = field(default_factory=dict)
    failed: bool = False


class TerminalProgress:
    """A callback of `core.system.progress` that redraws one line of standard error.

    Silent where standard error is no terminal, so that logs stay readable.
    """

    def __init__(self, *, enabled: bool) -> None:
        self._enabled = enabled and sys.stderr.isatty()
        self._width = 0

    def __enter__(self) -> TerminalProgress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.clear()

    def __call__(self, stage: str, done: int, total: int) -> None:
        if not self._enabled:
            return
        share = done / total if total else 0.0
        filled = round(24 * share)
        line = f"{stage} [{'#' * filled}{'.' * (24 - filled)}] {done}/{total}"
        sys.stderr.write("\r" + line.ljust(self._width))
        sys.stderr.flush()
        self._width = len(line)

    def clear(self) -> None:
        """Removes the line, so that what is printed next starts clean."""
        if self._enabled and self._width:
            sys.stderr.write("\r" + " " * self._width + "\r")
            sys.stderr.flush()
            self._width = 0


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns padded to one width: the first to the left, numbers to the right."""
    widths = [max(len(row[n]) for row in (header, *rows)) for n in range(len(header))]

    def line(row: Sequence[str]) -> str:
        cells = [
            cell.ljust(width) if n == 0 else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        return "  ".join(cells).rstrip()

    return "\n".join([line(header), "  ".join("-" * width for width in widths), *map(line, rows)])


def ml_text(value: float | None) -> str:
    """Millilitres, or "not known" where the spacing is nominal."""
    if value is None or math.isnan(value):
        return "not known"
    return f"{number_text(value, digits=0)} ml"


def encodable(text: str, stream: TextIO) -> str:
    """`text`, in ASCII signs where the stream's encoding lacks those of numbers."""
    try:
        text.encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return plain_text(text)
    return text
