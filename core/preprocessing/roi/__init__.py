"""The region of interest: where the body is, where the lungs are, and cutting that out.

Found by thresholds, without a network. `find_body_box` and `find_lung_box` give the box of the
network's input; `find_region` adds to it what a person may want to see, choose and be warned of.
"""

from core.preprocessing.roi.body import find_body_box
from core.preprocessing.roi.boxes import BoundingBox, VolumeBox, whole_slice_box, whole_volume_box
from core.preprocessing.roi.crop import CropRecord, crop_volume, uncrop_array, uncrop_volume
from core.preprocessing.roi.lungs import SliceTissue, part_slice
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
    "BoundingBox",
    "CropRecord",
    "Finding",
    "Region",
    "Savings",
    "SliceTissue",
    "VolumeBox",
    "compute_savings",
    "count_levels",
    "crop_volume",
    "find_body_box",
    "find_lung_box",
    "find_region",
    "find_thresholds",
    "level_values",
    "part_slice",
    "part_slice_of",
    "slice_levels",
    "tissue_threshold",
    "uncrop_array",
    "uncrop_volume",
    "whole_slice_box",
    "whole_volume_box",
]
