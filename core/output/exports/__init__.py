"""Results as files that other programs open: DICOM segmentations, meshes, tables.

Masks as NIfTI are in `core.output.saving`. Nothing here names a patient unless asked to.
"""

from core.output.exports.clips import gif_bytes, mp4_bytes
from core.output.exports.dicom_seg import check_dicom_seg, dicom_seg_bytes
from core.output.exports.meshes import ply_bytes, stl_bytes
from core.output.exports.tables import slice_rows, table_csv, values_csv

__all__ = [
    "gif_bytes",
    "mp4_bytes",
    "check_dicom_seg",
    "dicom_seg_bytes",
    "values_csv",
    "ply_bytes",
    "slice_rows",
    "stl_bytes",
    "table_csv",
]
