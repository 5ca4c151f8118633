"""A scan and its masks come in; biomarkers, quality findings and changes over time go out."""

from core.measuring.follow_up import (
    Change,
    SliceMatch,
    changes_csv,
    changes_json_dict,
    compare_biomarkers,
    coverage_note,
    match_slices,
    resample_matched,
)

__all__ = [
    "Change",
    "SliceMatch",
    "changes_csv",
    "changes_json_dict",
    "compare_biomarkers",
    "coverage_note",
    "match_slices",
    "resample_matched",
]
