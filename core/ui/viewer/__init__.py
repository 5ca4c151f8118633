"""The picture of a scan on every page, as one canvas component in plain JavaScript.

How to stand on it:

- `show_viewer(ViewerScan(owner, volume, …), place, key=…)` draws a scan with its masks. The
  browser fetches the voxels once (see `serving`) and keeps them across pages, widgets and planes.
  Slices, planes, window, overlays, zoom, distances and cine never wait for Python.
- `Place` says where the person is. Keep one for each open scan; the browser brings it up to date
  on release, and `place.go_to(…)` moves the picture.
- `drawings=[Box(start, stop, …), Line(points, …)]` draws over the picture: a crop box in all
  planes, or a line in one.
- `heat=Heat(name, {slice: map})` lays coarse maps over axial slices.
- `comparison=Comparison("Truth", "Prediction", left_masks=("truth",), right_masks=("prediction",))`
  puts a draggable divider between two sets of masks of one scan; with `scan=` between two scans.
- `ViewerScan(…, correction=Correction(volume, network))` lets people change masks in it: strokes
  are drawn in the browser and sent to the correction, whose masks stand beside the others. The
  page runs again after each.
- `ViewerScan(…, lobes=Lobes)` offers fissures as lines and lobes as colours.
- `notebook=Notebook(items, command, locked, take)` lets people place notes, arrows, distances and
  regions; `take` gets them all after each change.
- `slice_routes()` and `lobe_routes()` must be among the routes of the server (see
  `streamlit_app.py`).
"""

from core.ui.viewer.component import VIEWER_SCRIPT, VIEWER_STYLE, show_viewer
from core.ui.viewer.header import (
    Box,
    Comparison,
    Heat,
    Line,
    Marks,
    Notebook,
    Tools,
    ViewerScan,
)
from core.ui.viewer.lobes import lobe_routes
from core.ui.viewer.place import DEFAULT_WINDOW, PLANES, Layout, Place, Window
from core.ui.viewer.serving import slice_routes, withdraw_slices

__all__ = [
    "Box",
    "Comparison",
    "DEFAULT_WINDOW",
    "Heat",
    "Layout",
    "Line",
    "Marks",
    "Notebook",
    "PLANES",
    "Place",
    "Tools",
    "VIEWER_SCRIPT",
    "VIEWER_STYLE",
    "ViewerScan",
    "Window",
    "show_viewer",
    "lobe_routes",
    "slice_routes",
    "withdraw_slices",
]
