"""Predicted and true masks come in; agreement by case, slice and threshold goes out."""

from core.evaluation.bland_altman import BlandAltman, compare_measurements
from core.evaluation.cases import (
    FEW_SLICES,
    CaseResult,
    bootstrap_intervals,
    csv_cell,
    evaluate_cases,
    load_prediction,
    mean_values,
    paired_differences,
    results_csv,
)
from core.evaluation.hand_correction import Difference, compute_differences
from core.evaluation.measurements import AFTER_MASKS, describe, measure
from core.evaluation.metrics import (
    Overlap,
    compute_overlap,
    compute_overlap_per_slice,
)
from core.evaluation.review import (
    CaseReview,
    WorstSlice,
    find_worst,
    review_case,
    slice_rows,
    slices_csv,
)
from core.evaluation.slice_change import Change, compute_change
from core.evaluation.slice_scores import SCORES
from core.evaluation.surface_distance import compute_surface_agreement
from core.evaluation.threshold_curve import (
    THRESHOLDS,
    ThresholdCurve,
    Values,
    curve_of,
    mean_curves,
)
from core.evaluation.training_side import (
    Side,
    cross_validated_dice,
    side_of_case,
    side_sentence,
    trained_on_generated,
)

__all__ = [
    "BlandAltman",
    "compare_measurements",
    "CaseResult",
    "FEW_SLICES",
    "Side",
    "bootstrap_intervals",
    "csv_cell",
    "evaluate_cases",
    "Difference",
    "compute_differences",
    "load_prediction",
    "mean_values",
    "paired_differences",
    "results_csv",
    "side_of_case",
    "cross_validated_dice",
    "side_sentence",
    "trained_on_generated",
    "AFTER_MASKS",
    "describe",
    "measure",
    "Overlap",
    "compute_overlap",
    "compute_overlap_per_slice",
    "compute_surface_agreement",
    "CaseReview",
    "WorstSlice",
    "find_worst",
    "review_case",
    "slice_rows",
    "slices_csv",
    "Change",
    "compute_change",
    "SCORES",
    "Values",
    "THRESHOLDS",
    "ThresholdCurve",
    "curve_of",
    "mean_curves",
]
