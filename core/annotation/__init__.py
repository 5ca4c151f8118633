"""What a person points at in a scan comes in; its lengths and densities go out."""

from core.annotation.annotations import (
    KINDS,
    MOST_ANNOTATIONS,
    MOST_CHARACTERS,
    Annotation,
    Kind,
    annotations_json,
    read_annotations,
)
from core.annotation.measures import Measured, measure_annotation, measured_text

__all__ = [
    "Annotation",
    "KINDS",
    "Kind",
    "MOST_ANNOTATIONS",
    "MOST_CHARACTERS",
    "Measured",
    "annotations_json",
    "measure_annotation",
    "measured_text",
    "read_annotations",
]
