"""Whose series it is: read only when a person asks to keep it in a DICOM object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import pydicom

from core.config import LoadLimits
from core.errors import LoadError
from core.loading.archive import is_archive, unpacked
from core.loading.checks import DEFAULT_LIMITS
from core.loading.dicom.headers import read_headers
from core.system import ignore_progress, never_cancel
from core.volume import DicomOrigin

_TAGS = {
    "patient_name": "PatientName",
    "patient_id": "PatientID",
    "birth_date": "PatientBirthDate",
    "sex": "PatientSex",
    "accession_number": "AccessionNumber",
    "study_id": "StudyID",
    "study_date": "StudyDate",
    "study_time": "StudyTime",
    "referring_physician": "ReferringPhysicianName",
}


@dataclass(frozen=True, repr=False)
class PatientIdentity:
    """Tags of patient and study as the series has them; empty by default. Never printed."""

    patient_name: str = ""
    patient_id: str = ""
    birth_date: str = ""
    sex: str = ""
    accession_number: str = ""
    study_id: str = ""
    study_date: str = ""
    study_time: str = ""
    referring_physician: str = ""

    def tags(self) -> dict[str, str]:
        """DICOM keyword → value."""
        return {_TAGS[field.name]: getattr(self, field.name) for field in fields(self)}


def read_patient_identity(
    path: Path | str | Sequence[Path | str],
    origin: DicomOrigin,
    *,
    limits: LoadLimits = DEFAULT_LIMITS,
) -> PatientIdentity:
    """The tags of patient and study of the series that a scan was loaded from.

    Args:
        path: what the scan was loaded from: a folder, a zip, a file or a list of files.
        origin: of the scan, which names its slices.

    Raises:
        LoadError: the files are gone, or are not those of the scan.
    """
    if isinstance(path, (str, Path)) and is_archive(Path(path)):
        with unpacked(
            Path(path), limits=limits, on_progress=ignore_progress, should_cancel=never_cancel
        ) as folder:
            return _read(folder, origin, limits)
    return _read(path, origin, limits)


def _read(
    path: Path | str | Sequence[Path | str], origin: DicomOrigin, limits: LoadLimits
) -> PatientIdentity:
    wanted = origin.instances[0].sop_instance_uid
    headers = read_headers(
        path, limits=limits, on_progress=ignore_progress, should_cancel=never_cancel
    )
    source = next((item.path for item in headers.slices if item.sop_instance_uid == wanted), None)
    if source is None:
        raise LoadError(
            "The patient's data cannot be read again",
            got="files without the slices of this scan",
            expected="the series it was loaded from",
            next_step="leave the identity out, or open the series again",
        )
    header = pydicom.dcmread(
        source, stop_before_pixels=True, specific_tags=list(_TAGS.values()), force=True
    )
    return PatientIdentity(**{name: str(header.get(tag) or "") for name, tag in _TAGS.items()})
