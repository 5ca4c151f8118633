"""Slices and masks come in; small pictures, outlines and triangle meshes go out."""

from core.drawing.clips import cine_frames, turning_frames
from core.drawing.overlays import (
    AGREEMENT_COLOURS,
    CORRECTED_COLOURS,
    PREDICTION_COLOURS,
    SECOND_COLOURS,
    TRUTH_COLOURS,
    Picture,
    draw_outlines,
    heat_colours,
)
from core.drawing.regions import region_of_faces
from core.drawing.surfaces import Surface, build_surface, slice_corners_mm
from core.drawing.thumbnails import crop_around, draw_agreement, draw_key_slice, shrink_picture

__all__ = [
    "cine_frames",
    "turning_frames",
    "AGREEMENT_COLOURS",
    "CORRECTED_COLOURS",
    "PREDICTION_COLOURS",
    "SECOND_COLOURS",
    "Picture",
    "TRUTH_COLOURS",
    "draw_outlines",
    "heat_colours",
    "Surface",
    "build_surface",
    "region_of_faces",
    "slice_corners_mm",
    "crop_around",
    "draw_agreement",
    "draw_key_slice",
    "shrink_picture",
]
