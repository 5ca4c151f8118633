"""The demo study: a generated chest CT of no real patient, with its true lung and infection masks.

Anatomy is written down in millimetres (`frame`). Outlines are tables of control points at a few
heights, joined by smooth curves; vessels and airways in the lungs are trees grown towards random
points of each lobe. Everything is painted back to front with antialiased edges, later organs over
earlier ones, so that what is left of the lungs at the end is the true lung mask.
"""

from core.phantom.disease import INFECTED_FRACTION
from core.phantom.frame import EXTENT_MM
from core.phantom.kept import kept_demo_study
from core.phantom.study import FOLLOW_UP_FRACTION, build_demo_follow_up, build_demo_study

__all__ = [
    "EXTENT_MM",
    "FOLLOW_UP_FRACTION",
    "INFECTED_FRACTION",
    "build_demo_follow_up",
    "build_demo_study",
    "kept_demo_study",
]
