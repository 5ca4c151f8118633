"""The header of each picture in a DICOM file."""

from __future__ import annotations

import contextlib
import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from core.config import LoadLimits
from core.errors import LoadError, shown_name
from core.loading.checks import check_size

# Odd values are checked here; pydicom would only warn of them.
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
    "PhotometricInterpretation",
    "InstanceNumber",
    "AcquisitionNumber",
    "AcquisitionTime",
    "AcquisitionDateTime",
    "ContentTime",
    "TriggerTime",
    "NominalPercentageOfCardiacPhase",
    "IrradiationEventUID",
    "TemporalPositionIdentifier",
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
    "BitsStored",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
]
"""The only tags kept of a header: of patient, study and place no more than unique identifiers,
which objects derived from the series must refer to."""

_TELL_APART = (
    "TemporalPositionIndex",
    "TemporalPositionIdentifier",
    "AcquisitionNumber",
    "FrameAcquisitionNumber",
    "AcquisitionTime",
    "AcquisitionDateTime",
    "ContentTime",
    "TriggerTime",
    "NominalPercentageOfCardiacPhase",
    "IrradiationEventUID",
    "SeriesDescription",
    "ImageType",
    "ConvolutionKernel",
    "SliceThickness",
)
_WORDS = ("IrradiationEventUID", "SeriesDescription", "ImageType", "ConvolutionKernel")
_PLAIN = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian)
_SLICE_MM = (0.01, 200.0)
_SINGLE_SLICES = ("", "1.2.840.10008.5.1.4.1.1.2")
"""Classes of objects that hold one slice by the standard, and several all the same."""


@dataclass(frozen=True, eq=False)
class Slice:
    """The header of one picture; `frame` counts inside multi-frame files."""

    path: Path
    frame: int | None
    frames: int
    """Of its file."""
    uid: str
    description: str
    modality: str
    localizer: bool
    rows: int
    columns: int
    samples: int
    photometric: str
    """Such as MONOCHROME2; empty where the header does not give it."""
    bits: int
    """Of each stored value."""
    signed: bool
    compressed: bool
    """Whether the pixels need a decoder, or the file has to be inflated."""
    number: int
    times: tuple[tuple[str, float], ...]
    """What tells acquisitions apart: tag → number, seconds, or a number that stands for a text."""
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
    rescaled: bool
    """Whether slope or intercept change the stored values."""
    padding: tuple[float, float] | None
    """Stored values from first to second mean "outside the reconstruction"."""
    kernel: str
    kvp: float | None
    sop_class_uid: str
    sop_instance_uid: str
    study_uid: str
    frame_of_reference_uid: str
    part: int = 0
    """Which acquisition of its series, from 1; 0 where the series is a single one."""
    counted: bool = False
    """Whether its position was counted from that of its file, which does not give it."""


def slices_of(path: Path, dataset: Dataset, limits: LoadLimits) -> list[Slice]:
    """One slice, or one for each frame, of an object with a picture.

    Frames of a file in the class of single CT slices, which has no place for theirs, lie behind
    each other along their normal, as far apart as the file says.

    Raises:
        LoadError: the picture is too large, or its frames have no positions.
    """
    frames = int(dataset.get("NumberOfFrames") or 1)
    check_size((int(dataset.Columns), int(dataset.Rows), frames), limits, what="A DICOM file")
    if frames == 1 and "PerFrameFunctionalGroupsSequence" not in dataset:
        return [_slice(path, dataset, None, [dataset])]
    shared = list(dataset.get("SharedFunctionalGroupsSequence") or [])
    per_frame = list(dataset.get("PerFrameFunctionalGroupsSequence") or [])
    if not per_frame and str(dataset.get("SOPClassUID") or "") in _SINGLE_SLICES:
        return _counted_frames(path, dataset, frames)
    if len(per_frame) != frames:
        raise LoadError(
            "A DICOM file of several frames does not give their positions",
            got=f"{frames} frames, {len(per_frame)} positions",
            expected="one position for each",
            next_step="export the series as single slices",
        )
    return [
        _slice(path, dataset, frame, [*_groups(group), *_groups(*shared), dataset])
        for frame, group in enumerate(per_frame)
    ]


def _counted_frames(path: Path, dataset: Dataset, frames: int) -> list[Slice]:
    first = _slice(path, dataset, 0, [dataset])
    step = first.step_mm or first.thickness_mm
    if first.position is None or first.orientation is None or step is None:
        return [replace(first, frame=k, number=k, position=None) for k in range(frames)]
    along = np.cross(*first.orientation)
    along /= max(float(np.linalg.norm(along)), 0.5)  # what spans no plane is refused later
    return [
        replace(first, frame=k, number=k, position=first.position + k * step * along, counted=True)
        for k in range(frames)
    ]


def kind_of_object(sop_class_uid: str) -> str:
    """What the standard calls a class of objects, such as "RT Dose"."""
    name = str(UID(sop_class_uid).name).removesuffix(" Storage")
    return "object of an unknown class" if not name or name[0].isdigit() else shown_name(name)


def _groups(*items: Dataset) -> list[Dataset]:
    """The first item of every functional group: where enhanced CT keeps geometry and rescale."""
    names = (
        "PlanePositionSequence",
        "PlaneOrientationSequence",
        "PixelMeasuresSequence",
        "PixelValueTransformationSequence",
        "CTImageFrameTypeSequence",
        "FrameContentSequence",
        "TemporalPositionSequence",
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
        frames=int(dataset.get("NumberOfFrames") or 1),
        uid=str(dataset.get("SeriesInstanceUID") or ""),
        description=_text(dataset.get("SeriesDescription")),
        modality=_text(dataset.get("Modality")),
        localizer=any("LOCALIZER" in str(word).upper() for word in image_type),
        rows=int(dataset.Rows),
        columns=int(dataset.Columns),
        samples=int(dataset.get("SamplesPerPixel") or 1),
        photometric=str(dataset.get("PhotometricInterpretation") or "").strip().upper()[:16],
        bits=int(dataset.get("BitsStored") or dataset.get("BitsAllocated") or 16),
        signed=int(dataset.get("PixelRepresentation") or 0) == 1,
        compressed=needs_decoder(dataset),
        number=int(_number(dataset.get("InstanceNumber")) or 0) if frame is None else frame,
        position=position,
        orientation=None if orientation is None else orientation.reshape(2, 3),
        times=_times(find),
        location=_finite(find("SliceLocation")),
        pixel_mm=None if spacing is None else (float(spacing[0]), float(spacing[1])),
        thickness_mm=_length(find("SliceThickness")),
        step_mm=_length(find("SpacingBetweenSlices")),
        slope=1.0 if slope is None else slope,
        rescaled=(slope or 1.0, intercept or 0.0) != (1.0, 0.0),
        intercept=0.0 if intercept is None else intercept,
        padding=_padding(dataset),
        kernel=_text(find("ConvolutionKernel")),
        kvp=_finite(find("KVP")),
        sop_class_uid=str(dataset.get("SOPClassUID") or ""),
        sop_instance_uid=str(dataset.get("SOPInstanceUID") or ""),
        study_uid=str(dataset.get("StudyInstanceUID") or ""),
        frame_of_reference_uid=str(dataset.get("FrameOfReferenceUID") or ""),
    )


def _numbers(value: Any, count: int) -> npt.NDArray[np.float64] | None:
    if value is None:
        return None
    numbers = np.array([float(v) for v in value], dtype=np.float64)
    if numbers.shape != (count,):
        raise ValueError("a DICOM tag has the wrong number of values")
    return numbers


def _number(value: Any) -> float | None:
    """May be infinite or nan, which `values.check_values` refuses where it matters."""
    if value is None or value == "":
        return None
    if isinstance(value, (list, tuple, pydicom.multival.MultiValue)):
        value = value[0]
    return float(value)


def _finite(value: Any) -> float | None:
    number = _number(value)
    return number if number is not None and math.isfinite(number) else None


def _length(value: Any) -> float | None:
    """A distance of slices in mm; none where it is not one."""
    number = _number(value)
    low, high = _SLICE_MM
    return number if number is not None and low <= number <= high else None


def _times(find: Callable[[str], Any]) -> tuple[tuple[str, float], ...]:
    found = []
    for name in _TELL_APART:
        value = find(name)
        with contextlib.suppress(ValueError, TypeError):
            number = _as_number(name, value)
            if math.isfinite(number):
                found.append((name, number))
    return tuple(found)


def _as_number(name: str, value: Any) -> float:
    """Of a tag that tells acquisitions apart: equal where its values are."""
    if name == "AcquisitionDateTime":
        return int(str(value)[:8]) * 86400.0 + _seconds(str(value)[8:].split("+")[0].split("-")[0])
    if name in ("AcquisitionTime", "ContentTime"):
        return _seconds(str(value))
    if name in _WORDS:
        return float(zlib.crc32(str(value).encode())) if value else math.nan
    return round(float(value), 1 if name == "SliceThickness" else 6)


def _seconds(text: str) -> float:
    """Of a time of day HHMMSS.FFFFFF."""
    return int(text[:2]) * 3600 + int(text[2:4]) * 60 + float(text[4:] or 0)


def needs_decoder(dataset: Dataset) -> bool:
    """Whether the pixels are anything but plain numbers."""
    syntax = getattr(dataset, "file_meta", {}).get("TransferSyntaxUID")
    return syntax is not None and syntax not in _PLAIN


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
