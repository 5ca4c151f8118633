"""A scan comes in; the region of interest, enhanced slices and the input of the network go out."""

from core.preprocessing.enhancement import Contrast, compute_contrast, compute_histogram, enhance
from core.preprocessing.model_input import (
    Grey,
    SpatialRecord,
    build_model_input,
    build_model_mask,
    plan_spatial,
    restore_slice,
    window_slice,
    window_to_grey,
)
from core.preprocessing.upright import uprightness

__all__ = [
    "Contrast",
    "compute_contrast",
    "compute_histogram",
    "enhance",
    "Grey",
    "SpatialRecord",
    "build_model_input",
    "build_model_mask",
    "plan_spatial",
    "restore_slice",
    "window_slice",
    "window_to_grey",
    "uprightness",
]
