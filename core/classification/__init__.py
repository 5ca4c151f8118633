"""From masks to a verdict: a slice classifier, a rule for scans, and when to abstain."""

from core.classification.classifier import Classifier, load_classifier
from core.classification.classify import (
    classify_pictures,
    classify_volume,
    explain_slices,
    load_segmenter_for,
    segment_for,
)
from core.classification.info import ClassifierInfo, find_classifier
from core.classification.pictures import OpenedPicture, open_picture
from core.classification.verdict import NOT_A_DIAGNOSIS, Verdict

__all__ = [
    "Classifier",
    "ClassifierInfo",
    "NOT_A_DIAGNOSIS",
    "OpenedPicture",
    "Verdict",
    "classify_pictures",
    "classify_volume",
    "explain_slices",
    "find_classifier",
    "load_classifier",
    "load_segmenter_for",
    "open_picture",
    "segment_for",
]
