"""The region of interest: where the body is, where the lungs are, and cutting that out.

Found by thresholds, without a network. `find_body_box` and `find_lung_box` give the box of the
network's input; `find_region` adds to it what a person may want to see, choose and be warned of.
"""

from core.preprocessing.roi.body import find_body_box, spread_slices
from core.preprocessing.roi.boxes import BoundingBox, VolumeBox, whole_slice_box, whole_volume_box
from core.preprocessing.roi.crop import CropRecord, crop_volume, uncrop_array, uncrop_volume
from core.preprocessing.roi.lungs import SliceTissue, find_lungs, part_slice
from core.preprocessing.roi.region import (
    Finding,
    Region,
    Savings,
    compute_savings,
    find_lung_box,
    find_region,
    part_slice_of,
)
from core.preprocessing.roi.threshold import (
    count_levels,
    find_thresholds,
    level_values,
    slice_levels,
    tissue_threshold,
)

__all__ = [
    "find_body_box",
    "spread_slices",
    "BoundingBox",
    "VolumeBox",
    "whole_slice_box",
    "whole_volume_box",
    "CropRecord",
    "crop_volume",
    "uncrop_array",
    "uncrop_volume",
    "SliceTissue",
    "find_lungs",
    "part_slice",
    "Finding",
    "Region",
    "Savings",
    "compute_savings",
    "find_lung_box",
    "find_region",
    "part_slice_of",
    "count_levels",
    "find_thresholds",
    "level_values",
    "slice_levels",
    "tissue_threshold",
]
