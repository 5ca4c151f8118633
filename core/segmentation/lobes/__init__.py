"""A lung mask comes in; the lobe of each of its voxels goes out, estimated from its shape."""

from core.segmentation.lobes.estimate import estimate_lobes, find_lobes
from core.segmentation.lobes.weights import (
    LobeWeightsInfo,
    find_lobe_weights,
    load_lobe_network,
    read_lobe_manifest,
)

__all__ = [
    "estimate_lobes",
    "find_lobes",
    "LobeWeightsInfo",
    "find_lobe_weights",
    "load_lobe_network",
    "read_lobe_manifest",
]
