"""Progress and cancellation as plain callables, so that core needs no user interface."""

from __future__ import annotations

from collections.abc import Callable

from core.errors import Cancelled

OnProgress = Callable[[str, int, int], None]
"""Called as `on_progress(stage, done, total)`; `stage` is a phrase such as "reading slices"."""

ShouldCancel = Callable[[], bool]
"""Asked between units of work; true makes the work raise `Cancelled`."""


def ignore_progress(stage: str, done: int, total: int) -> None:
    """The default callback: does nothing."""


def never_cancel() -> bool:
    """The default answer: carry on."""
    return False


def raise_if_cancelled(should_cancel: ShouldCancel, stage: str) -> None:
    """Raises `Cancelled` when the person asked to stop during `stage`."""
    if should_cancel():
        raise Cancelled(stage)
