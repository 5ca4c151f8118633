"""Libraries, loaded once when the server starts and then left alone by the garbage collector."""

from __future__ import annotations

import gc
import logging
import threading
from importlib import import_module

from core.ui.streamlit_internals import leave_keras_alone, refuse_parts_of_other_pages

_LOG = logging.getLogger(__name__)
_MODULES = (
    "cv2",
    "nibabel",
    "pandas",
    "plotly.graph_objects",
    "pydicom",
    "scipy.ndimage",
    "core.phantom",
    "core.ui.classify.part",
    "core.ui.scan.browse",
    "core.ui.segment.part",
    "core.ui.home.opening",
)
"""Libraries that nearly every page needs, and what most people see first: Home and View."""


def _load() -> None:
    try:
        for name in _MODULES:
            import_module(name)
        leave_keras_alone()
        refuse_parts_of_other_pages()
        gc.collect()
        gc.freeze()
    except Exception:  # the page that needs it says so
        _LOG.exception("A library could not be loaded")


_thread = threading.Thread(target=_load, name="libraries", daemon=True)


def start_loading() -> None:
    """Imports what nearly every page needs, while the first browser still loads the app, and keeps
    it out of garbage collection.

    The objects of libraries, about 100 000, never become garbage, and going through them takes a
    tenth of a second each time.
    """
    if _thread.ident is None:
        _thread.start()


def wait_until_loaded() -> None:
    """Waits for `start_loading`, where that was called. No session begins before: nothing of one
    would ever be collected, and two threads would import the same modules."""
    if _thread.ident is not None:
        _thread.join()
