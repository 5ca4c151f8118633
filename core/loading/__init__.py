"""Files, folders and archives become a `Volume` or a `Study`."""

from core.loading.case_table import Case, is_case_folder, load_case, load_case_table
from core.loading.checks import DEFAULT_LIMITS
from core.loading.dicom import SeriesInfo, SeveralSeriesError, list_series, load_dicom
from core.loading.intensity import as_hu, detect_intensity, grey_intensity
from core.loading.masks import load_labels, load_mask
from core.loading.names import stage_uploads
from core.loading.nifti import load_nifti
from core.loading.open import Kind, SeveralScansError, open_study, recognise
from core.loading.pictures import load_picture, load_pictures, pictures_in

__all__ = [
    "DEFAULT_LIMITS",
    "Case",
    "Kind",
    "SeriesInfo",
    "SeveralScansError",
    "SeveralSeriesError",
    "as_hu",
    "detect_intensity",
    "grey_intensity",
    "is_case_folder",
    "list_series",
    "load_case",
    "load_case_table",
    "load_dicom",
    "load_labels",
    "load_mask",
    "load_nifti",
    "load_picture",
    "load_pictures",
    "open_study",
    "pictures_in",
    "recognise",
    "stage_uploads",
]
