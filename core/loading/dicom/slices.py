"""What a DICOM header says of each picture in its file."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.dataset import Dataset

from core.config import LoadLimits
from core.errors import LoadError, shown_name
from core.loading.checks import check_size

# Odd values are judged here; pydicom would only warn of them.
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE

TAGS = [
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "FrameOfReferenceUID",
    "SeriesDescription",
    "Modality",
    "ImageType",
    "Rows",
    "Columns",
    "NumberOfFrames",
    "SamplesPerPixel",
    "InstanceNumber",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "SliceLocation",
    "PixelSpacing",
    "SliceThickness",
    "SpacingBetweenSlices",
    "ConvolutionKernel",
    "KVP",
    "RescaleSlope",
    "RescaleIntercept",
    "PixelRepresentation",
    "BitsAllocated",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
]
"""The only tags kept of a header: of patient, study and place no more than unique identifiers,
which objects derived from the series must refer to."""


@dataclass(frozen=True, eq=False)
class Slice:
    """What one picture's header says; `frame` counts inside multi-frame files."""

    path: Path
    frame: int | None
    uid: str
    description: str
    modality: str
    localizer: bool
    rows: int
    columns: int
    samples: int
    number: int
    position: npt.NDArray[np.float64] | None
    """(3,) LPS mm, centre of the first pixel."""
    orientation: npt.NDArray[np.float64] | None
    """(2, 3) LPS directions in which columns and rows count up."""
    location: float | None
    pixel_mm: tuple[float, float] | None
    """Distance between rows, between columns."""
    thickness_mm: float | None
    step_mm: float | None
    slope: float
    intercept: float
    padding: tuple[float, float] | None
    """Stored values from first to second mean "outside the reconstruction"."""
    kernel: str
    kvp: float | None
    sop_class_uid: str
    sop_instance_uid: str
    study_uid: str
    frame_of_reference_uid: str


def slices_of(path: Path, dataset: Dataset, limits: LoadLimits) -> list[Slice]:
    """One slice, or one for each frame, or none where the object is no picture."""
    if "Rows" not in dataset or "Columns" not in dataset:
        return []
    frames = int(dataset.get("NumberOfFrames") or 1)
    check_size((int(dataset.Columns), int(dataset.Rows), frames), limits, what="A DICOM file")
    if frames == 1 and "PerFrameFunctionalGroupsSequence" not in dataset:
        return [_slice(path, dataset, None, [dataset])]
    shared = list(dataset.get("SharedFunctionalGroupsSequence") or [])
    per_frame = list(dataset.get("PerFrameFunctionalGroupsSequence") or [])
    if len(per_frame) != frames:
        raise LoadError(
            "A DICOM file of several frames does not say where they lie",
            got=f"{frames} frames, {len(per_frame)} positions",
            expected="one position for each",
            next_step="export the series as single slices",
        )
    return [
        _slice(path, dataset, frame, [*_groups(group), *_groups(*shared), dataset])
        for frame, group in enumerate(per_frame)
    ]


def _groups(*items: Dataset) -> list[Dataset]:
    """The first item of every functional group: where enhanced CT keeps geometry and rescale."""
    names = (
        "PlanePositionSequence",
        "PlaneOrientationSequence",
        "PixelMeasuresSequence",
        "PixelValueTransformationSequence",
        "CTImageFrameTypeSequence",
    )
    return [item[name][0] for item in items for name in names if item.get(name)]


def _slice(path: Path, dataset: Dataset, frame: int | None, sources: list[Dataset]) -> Slice:
    def find(name: str) -> Any:
        return next((s.get(name) for s in sources if s.get(name) not in (None, "")), None)

    position = _numbers(find("ImagePositionPatient"), 3)
    orientation = _numbers(find("ImageOrientationPatient"), 6)
    spacing = _numbers(find("PixelSpacing"), 2)
    image_type = find("ImageType") or find("FrameType") or ()
    slope, intercept = _number(find("RescaleSlope")), _number(find("RescaleIntercept"))
    return Slice(
        path=path,
        frame=frame,
        uid=str(dataset.get("SeriesInstanceUID") or ""),
        description=_text(dataset.get("SeriesDescription")),
        modality=_text(dataset.get("Modality")),
        localizer=any("LOCALIZER" in str(word).upper() for word in image_type),
        rows=int(dataset.Rows),
        columns=int(dataset.Columns),
        samples=int(dataset.get("SamplesPerPixel") or 1),
        number=int(_number(dataset.get("InstanceNumber")) or 0) if frame is None else frame,
        position=position,
        orientation=None if orientation is None else orientation.reshape(2, 3),
        location=_number(find("SliceLocation")),
        pixel_mm=None if spacing is None else (float(spacing[0]), float(spacing[1])),
        thickness_mm=_number(find("SliceThickness")),
        step_mm=_number(find("SpacingBetweenSlices")),
        slope=1.0 if slope is None else slope,
        intercept=0.0 if intercept is None else intercept,
        padding=_padding(dataset),
        kernel=_text(find("ConvolutionKernel")),
        kvp=_number(find("KVP")),
        sop_class_uid=str(dataset.get("SOPClassUID") or ""),
        sop_instance_uid=str(dataset.get("SOPInstanceUID") or ""),
        study_uid=str(dataset.get("StudyInstanceUID") or ""),
        frame_of_reference_uid=str(dataset.get("FrameOfReferenceUID") or ""),
    )


def _numbers(value: Any, count: int) -> npt.NDArray[np.float64] | None:
    if value is None:
        return None
    numbers = np.array([float(v) for v in value], dtype=np.float64)
    if numbers.shape != (count,) or not np.isfinite(numbers).all():
        raise ValueError("a DICOM tag has the wrong number of values")
    return numbers


def _number(value: Any) -> float | None:
    if value is None or value == "":
        return None
    if isinstance(value, (list, tuple, pydicom.multival.MultiValue)):
        value = value[0]
    number = float(value)
    return number if math.isfinite(number) else None


def _text(value: Any) -> str:
    if isinstance(value, pydicom.multival.MultiValue):
        value = " ".join(map(str, value))
    return shown_name(str(value).replace("/", "-").replace("\\", "-")) if value else ""


def _padding(dataset: Dataset) -> tuple[float, float] | None:
    """Range of stored values that mean "outside", as the pixels' own integer type has them."""
    first = dataset.get("PixelPaddingValue")
    if first is None or isinstance(first, bytes):
        return None
    last = dataset.get("PixelPaddingRangeLimit")
    ends = [int(first), int(first if last is None or isinstance(last, bytes) else last)]
    # Some exporters write -2000 as 63536 or the other way round.
    span = 1 << int(dataset.get("BitsAllocated") or 16)
    signed = int(dataset.get("PixelRepresentation") or 0) == 1
    ends = [end % span for end in ends]
    if signed:
        ends = [end - span if end >= span // 2 else end for end in ends]
    return float(min(ends)), float(max(ends))
