"""Scans and pictures come in; masks of lung and infection on their own grid go out."""

from core.segmentation.graph import Graph, describe_graph
from core.segmentation.manifests import (
    CARD_NAME,
    MANIFEST_NAME,
    Manifest,
    StoredWeights,
    UnusableWeights,
    list_kind,
    read_manifest_as,
)
from core.segmentation.pipeline import segment_volume, segment_volumes
from core.segmentation.postprocess import (
    Probabilities,
    clean_lung,
    probability_level,
    restore_masks,
    share_of_neighbours,
)
from core.segmentation.remembered import ResultStore
from core.segmentation.result import (
    Segmentation,
    apply_thresholds,
    drawn_by_hand,
    with_hand_correction,
)
from core.segmentation.segmenter import load_segmenter
from core.segmentation.trial import find_outlines, segment_slice
from core.segmentation.turning import find_quarter_turns
from core.segmentation.uncertainty import (
    RankedScan,
    Uncertainty,
    measure_uncertainty,
    rank_correlation,
    rank_scans,
)
from core.segmentation.weights import (
    WeightsInfo,
    find_weights,
    list_unusable_weights,
    list_weights,
    load_weights,
    marked_default,
    published_folder,
    read_manifest,
)
from core.segmentation.weights_files import (
    UNREADABLE_NPZ,
    read_arrays,
    read_stored_graph,
    write_network,
)
from core.segmentation.weights_store import (
    STAGE_NAME,
    add_to_manifest,
    check_publish_folder,
    save_weights,
    stage_weights,
    write_manifest,
)

__all__ = [
    "Graph",
    "describe_graph",
    "RankedScan",
    "ResultStore",
    "Uncertainty",
    "measure_uncertainty",
    "rank_correlation",
    "rank_scans",
    "Segmentation",
    "apply_thresholds",
    "with_hand_correction",
    "drawn_by_hand",
    "find_quarter_turns",
    "load_segmenter",
    "segment_volume",
    "segment_volumes",
    "Probabilities",
    "clean_lung",
    "probability_level",
    "restore_masks",
    "share_of_neighbours",
    "find_outlines",
    "segment_slice",
    "CARD_NAME",
    "MANIFEST_NAME",
    "Manifest",
    "StoredWeights",
    "UnusableWeights",
    "list_kind",
    "read_manifest_as",
    "WeightsInfo",
    "find_weights",
    "list_unusable_weights",
    "list_weights",
    "load_weights",
    "marked_default",
    "published_folder",
    "read_manifest",
    "UNREADABLE_NPZ",
    "read_arrays",
    "read_stored_graph",
    "write_network",
    "STAGE_NAME",
    "add_to_manifest",
    "check_publish_folder",
    "save_weights",
    "stage_weights",
    "write_manifest",
]
