"""The picture of a scan: one slice on a canvas, with overlays and the value under the pointer."""

from core.ui.viewer.packing import Overlay, Style, Window, pack_slice
from core.ui.viewer.slice_view import show_slice

__all__ = ["Overlay", "Style", "Window", "pack_slice", "show_slice"]
