"""A scan, its masks and measurements come in; files that other programs open go out."""

from core.output.saving import (
    mask_file_notes,
    mask_nifti_bytes,
    mask_picture_bytes,
    save_mask,
    save_mask_png,
    save_volume,
    volume_nifti_bytes,
)
from core.output.training_case import (
    add_training_case,
    list_training_cases,
    remove_training_case,
)

__all__ = [
    "add_training_case",
    "list_training_cases",
    "remove_training_case",
    "mask_file_notes",
    "mask_nifti_bytes",
    "mask_picture_bytes",
    "save_mask",
    "save_mask_png",
    "save_volume",
    "volume_nifti_bytes",
]
