"""The lungs' mask comes in; which lobe each of its voxels belongs to goes out, told by shape."""

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
