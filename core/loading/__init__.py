"""Files, folders and archives become a `Volume` or a `Study`."""

from core.loading.archive import is_archive
from core.loading.case_table import (
    CASE_FOLDERS,
    Case,
    case_of_scan,
    is_case_folder,
    load_case,
    load_case_table,
)
from core.loading.checks import DEFAULT_LIMITS, check_file, exists, may_be_read
from core.loading.dicom import JOINED, SeriesInfo, SeveralSeriesError, load_dicom
from core.loading.download import download_covid20
from core.loading.intensity import (
    UnknownScaleError,
    as_hu,
    detect_intensity,
    grey_ends,
    grey_intensity,
    windowed_intensity,
)
from core.loading.label_codings import NotLabelsError, UnknownLabelsError
from core.loading.label_map import load_label_map
from core.loading.masks import load_labels, load_mask, load_role_mask
from core.loading.masks_beside import SeveralScansError
from core.loading.names import stage_uploads
from core.loading.nifti import load_nifti, nifti_stem
from core.loading.open import open_study, with_mask
from core.loading.orientation import reoriented_study, turned_back
from core.loading.picture_stack import load_pictures
from core.loading.pictures import (
    PICTURE_ENDINGS,
    is_picture,
    load_picture,
    load_unfit_picture,
    natural_order,
    pictures_in,
    tiff_pages,
)
from core.loading.recognise import Kind, recognise
from core.loading.volume_files import VOLUME_ENDINGS

__all__ = [
    "is_archive",
    "CASE_FOLDERS",
    "Case",
    "case_of_scan",
    "is_case_folder",
    "load_case",
    "load_case_table",
    "DEFAULT_LIMITS",
    "check_file",
    "exists",
    "may_be_read",
    "JOINED",
    "SeriesInfo",
    "SeveralSeriesError",
    "load_dicom",
    "download_covid20",
    "as_hu",
    "detect_intensity",
    "grey_ends",
    "grey_intensity",
    "windowed_intensity",
    "load_label_map",
    "load_labels",
    "load_mask",
    "load_role_mask",
    "NotLabelsError",
    "UnknownLabelsError",
    "UnknownScaleError",
    "reoriented_study",
    "turned_back",
    "stage_uploads",
    "load_nifti",
    "nifti_stem",
    "Kind",
    "SeveralScansError",
    "open_study",
    "recognise",
    "with_mask",
    "PICTURE_ENDINGS",
    "VOLUME_ENDINGS",
    "is_picture",
    "load_picture",
    "load_pictures",
    "load_unfit_picture",
    "natural_order",
    "pictures_in",
    "tiff_pages",
]
