"""What commands share: progress on a terminal, results, tables."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any


@dataclass(frozen=True)
class Result:
    """What a command says at its end: text for people, figures for `--json`."""

    text: str
    figures: dict[str, Any] = field(default_factory=dict)
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
    """Columns padded to one width: the first to the left, figures to the right."""
    widths = [max(len(row[n]) for row in (header, *rows)) for n in range(len(header))]

    def line(row: Sequence[str]) -> str:
        cells = [
            cell.ljust(width) if n == 0 else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        return "  ".join(cells).rstrip()

    return "\n".join([line(header), "  ".join("-" * width for width in widths), *map(line, rows)])


def shown_share(value: float | None) -> str:
    """A share as percent, or "not defined"."""
    return "not defined" if value is None or math.isnan(value) else f"{100 * value:.2f} %"


def shown_figure(value: float | None, *, digits: int = 3) -> str:
    """A figure, or "not defined"."""
    return "not defined" if value is None or math.isnan(value) else f"{value:.{digits}f}"


def shown_ml(value: float | None) -> str:
    """Millilitres, or "not known" where the spacing is nominal."""
    return "not known" if value is None or math.isnan(value) else f"{value:.0f} ml"
