"""How much lung, how much of it infected, where, how dense, in how many pieces.

`compute_burden` and `compute_slice_burden` are quick and follow every slice; `compute_biomarkers`
measures a scan once, and gives every measurement with its definition and source.
"""

from core.measuring.biomarkers.burden import (
    Burden,
    FloatVector,
    SliceBurden,
    compute_burden,
    compute_slice_burden,
    count_by_slice,
)
from core.measuring.biomarkers.compute import compute_biomarkers
from core.measuring.biomarkers.config import BiomarkerConfig
from core.measuring.biomarkers.lesions import Lesions
from core.measuring.biomarkers.listing import GROUPS, lobe_score_rule
from core.measuring.biomarkers.lobar import LobePart, find_fissures
from core.measuring.biomarkers.measurement import Measurement, measurement_text
from core.measuring.biomarkers.result import MISSING_LUNG, Biomarkers, Density, Part
from core.measuring.biomarkers.sides import LungSides, bounding_box, split_lungs
from core.measuring.biomarkers.zones import leading_zones

__all__ = [
    "BiomarkerConfig",
    "Biomarkers",
    "Burden",
    "Density",
    "FloatVector",
    "GROUPS",
    "Lesions",
    "LobePart",
    "LungSides",
    "find_fissures",
    "MISSING_LUNG",
    "Measurement",
    "Part",
    "SliceBurden",
    "bounding_box",
    "compute_biomarkers",
    "count_by_slice",
    "compute_burden",
    "compute_slice_burden",
    "leading_zones",
    "lobe_score_rule",
    "measurement_text",
    "split_lungs",
]
