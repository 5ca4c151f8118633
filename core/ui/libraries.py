"""Libraries, loaded once when the server starts and then left alone by the garbage collector."""

from __future__ import annotations

import gc
from importlib import import_module

_LIBRARIES = ("cv2", "nibabel", "pandas", "plotly.graph_objects", "pydicom", "scipy.ndimage")


def load_libraries() -> None:
    """Imports what nearly every page needs, and keeps it out of garbage collection.

    Streamlit collects all garbage after every run of a page. The objects of libraries, more than
    100 000, never become garbage, and looking through them took a tenth of a second each time.
    Called before the first session, so that nothing of a session is kept.
    """
    for name in _LIBRARIES:
        import_module(name)
    gc.collect()
    gc.freeze()
