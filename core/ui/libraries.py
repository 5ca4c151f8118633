"""Libraries, loaded once when the server starts and then left alone by the garbage collector."""

from __future__ import annotations

import gc
from importlib import import_module

from core.ui.streamlit_internals import leave_keras_alone

_LIBRARIES = ("cv2", "nibabel", "pandas", "plotly.graph_objects", "pydicom", "scipy.ndimage")


def load_libraries() -> None:
    """Imports what nearly every page needs, and keeps it out of garbage collection.

    The objects of libraries, about 100 000, never become garbage, and going through them takes a
    tenth of a second each time. Called before the first session, so that nothing of a session is
    kept.
    """
    for name in _LIBRARIES:
        import_module(name)
    leave_keras_alone()
    gc.collect()
    gc.freeze()
