"""Networks: layers → functional graph → config."""

from core.segmentation.graph import PRESENCE
from core.segmentation.models.build import build_model
from core.segmentation.models.encoded import PIXELS, build_encoded, training_network
from core.segmentation.models.ensemble import build_ensemble, join_members
from core.segmentation.models.unet import build_unet
from core.segmentation.models.unetpp import averaged, build_unetpp, supervised

__all__ = [
    "build_model",
    "build_unet",
    "build_unetpp",
    "build_encoded",
    "training_network",
    "PIXELS",
    "PRESENCE",
    "build_ensemble",
    "join_members",
    "supervised",
    "averaged",
]
