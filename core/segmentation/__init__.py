"""Scans and pictures come in; masks of lung and infection on their own grid go out."""

from core.segmentation.empty_slices import (
    KIND,
    SHARE_NAMES,
    EmptySliceGate,
    find_gate,
    slice_shares,
)
from core.segmentation.graph import Graph, describe_graph
from core.segmentation.pipeline import segment_volume, segment_volumes
from core.segmentation.postprocess import (
    Probabilities,
    blend_neighbours,
    clean_lung,
    probability_level,
    restore_cleaned,
    restore_masks,
)
from core.segmentation.result import Segmentation, apply_thresholds
from core.segmentation.segmenter import load_segmenter
from core.segmentation.trial import find_outlines, segment_slice
from core.segmentation.turning import find_quarter_turns
from core.segmentation.weights import (
    CARD_NAME,
    MANIFEST_NAME,
    UNREADABLE_NPZ,
    WeightsInfo,
    check_weights_name,
    find_weights,
    list_weights,
    manifest_kind,
    published_folder,
    read_arrays,
    read_manifest,
    read_stored_graph,
    save_weights,
    write_network,
)

__all__ = [
    "EmptySliceGate",
    "KIND",
    "SHARE_NAMES",
    "find_gate",
    "slice_shares",
    "Graph",
    "describe_graph",
    "Segmentation",
    "apply_thresholds",
    "find_quarter_turns",
    "load_segmenter",
    "segment_volume",
    "segment_volumes",
    "Probabilities",
    "blend_neighbours",
    "clean_lung",
    "probability_level",
    "restore_cleaned",
    "restore_masks",
    "find_outlines",
    "segment_slice",
    "CARD_NAME",
    "MANIFEST_NAME",
    "UNREADABLE_NPZ",
    "WeightsInfo",
    "check_weights_name",
    "find_weights",
    "list_weights",
    "manifest_kind",
    "published_folder",
    "read_arrays",
    "read_manifest",
    "read_stored_graph",
    "save_weights",
    "write_network",
]
