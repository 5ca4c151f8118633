"""NIfTI-1 and NIfTI-2 files, and pairs, become a `Volume`, or raw voxels with a checked header."""

from core.loading.nifti.header import half_of_a_pair, read_header
from core.loading.nifti.load import load_nifti, nifti_stem, volume_of
from core.loading.nifti.voxels import read_voxels

__all__ = [
    "half_of_a_pair",
    "load_nifti",
    "nifti_stem",
    "read_header",
    "read_voxels",
    "volume_of",
]
