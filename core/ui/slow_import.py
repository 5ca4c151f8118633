"""Importing a module that takes seconds, which a person need not wait for."""

from __future__ import annotations

import threading
from importlib import import_module

from core.system import ShouldCancel, raise_if_cancelled

_QUESTION_SECONDS = 0.1
"""How often waiting work checks whether it was cancelled."""


def wait_for_import(name: str, should_cancel: ShouldCancel) -> None:
    """Imports a module on a thread of its own, which goes on where the person no longer waits: the
    next one finds it done.

    Raises:
        Cancelled: the person stopped waiting.
    """
    thread = threading.Thread(target=import_module, args=(name,), name="import", daemon=True)
    thread.start()
    while thread.is_alive():
        raise_if_cancelled(should_cancel, "loading a library")
        thread.join(_QUESTION_SECONDS)
