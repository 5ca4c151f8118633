"""Libraries, loaded once when the server starts and then left alone by the garbage collector."""

from __future__ import annotations

import gc
import sys
import threading
from importlib import import_module

_LIBRARIES = ("cv2", "nibabel", "pandas", "plotly.graph_objects", "pydicom", "scipy.ndimage")
_LATE_LIBRARY = "keras"
_late_library_is_set_aside = threading.Event()
_collection_is_due = threading.Event()


def load_libraries() -> None:
    """Imports what nearly every page needs, and keeps it out of garbage collection.

    Streamlit collects all garbage after every run of a page. The objects of libraries, more than
    100 000, never become garbage, and looking through them took a tenth of a second each time.
    Called before the first session, so that nothing of a session is kept.
    """
    for name in _LIBRARIES:
        import_module(name)
    collect_all()


def set_keras_aside() -> None:
    """Keeps Keras and TensorFlow out of garbage collection, once a page or a run has loaded them.

    Once Keras is loaded, Streamlit resets it after every run of a page, which collects all garbage
    a second time. With the objects of TensorFlow each collection took half a second.
    """
    keras = sys.modules.get(_LATE_LIBRARY)
    # The version is the last that the import of Keras sets.
    if hasattr(keras, "__version__") and not _late_library_is_set_aside.is_set():
        _late_library_is_set_aside.set()
        collect_all()


def collect_all() -> None:
    """Collects the garbage among all objects, and sets those that remain aside.

    What sessions hold at this moment is set aside as well, and given back by the next call.
    """
    _collection_is_due.clear()
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def ask_for_collection() -> None:
    """A scan is being closed: what it leaves is to be collected soon, beside the page."""
    _collection_is_due.set()


def collection_is_due() -> bool:
    """Whether somebody has asked since the last collection."""
    return _collection_is_due.is_set()
