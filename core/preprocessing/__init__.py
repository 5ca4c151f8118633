"""A scan comes in; the region of interest, enhanced slices and the input of the network go out."""

from core.preprocessing.enhancement import enhance
from core.preprocessing.model_input import (
    Grey,
    build_model_input,
    build_model_mask,
    slice_in_box,
    window_slice,
    window_to_grey,
)
from core.preprocessing.spatial import (
    SpatialRecord,
    cut_slice,
    frame_interior,
    plan_spatial,
    resize_to_frame,
    restore_slice,
    restore_whole_slice,
)
from core.preprocessing.upright import uprightness

__all__ = [
    "enhance",
    "Grey",
    "build_model_input",
    "build_model_mask",
    "slice_in_box",
    "window_slice",
    "window_to_grey",
    "SpatialRecord",
    "cut_slice",
    "frame_interior",
    "plan_spatial",
    "resize_to_frame",
    "restore_slice",
    "restore_whole_slice",
    "uprightness",
]
