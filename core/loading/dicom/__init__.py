"""DICOM series to a volume in HU, with positions in space that are the scanner's own.

Only what describes the picture is kept, and the unique identifiers that derived objects refer to.
Patient, study and institution tags are not read, except by `read_patient_identity` for a person
who asks to keep them, and file names, which often hold a patient's number, are never shown.
"""

from core.loading.dicom.headers import is_dicom
from core.loading.dicom.identity import PatientIdentity, read_patient_identity
from core.loading.dicom.load import load_dicom
from core.loading.dicom.series import JOINED, SeriesInfo, SeveralSeriesError, shown_uid

__all__ = [
    "JOINED",
    "PatientIdentity",
    "SeriesInfo",
    "SeveralSeriesError",
    "is_dicom",
    "load_dicom",
    "read_patient_identity",
    "shown_uid",
]
