"""Lung and infection as one DICOM segmentation object that refers to the series it was made from.

Written with highdicom (Bridge et al. 2022, doi:10.1007/s10278-022-00683-y): type BINARY, a segment
each for lung and infection, every frame at the position of its own source picture.

Patient tags are left empty unless an identity is handed in. Unique identifiers of study, series
and pictures stay: they are what makes the object belong to its study and its frames to their
pictures, and they name objects, not people. Who must break that link as well can leave the object
out and take the NIfTI masks.
"""

from __future__ import annotations

import hashlib
import io
import warnings
from datetime import date
from typing import Any

import numpy as np

from core import __version__
from core.config import LOBE_COLOURS, LOBES
from core.correction import HandCorrection
from core.errors import GeometryError, SaveError
from core.loading.dicom.identity import PatientIdentity
from core.measuring.lobes import Lobes
from core.volume import DicomOrigin, MaskPair, Volume, to_file_order

_MULTI_FRAME_CT = "1.2.840.10008.5.1.4.1.1.2.1"
_SERIES_NUMBER = 900


def _rgb(colour: str) -> tuple[int, int, int]:
    """Of a colour such as "#56B4E9"."""
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red, green, blue


_COLOURS: dict[str, tuple[int, int, int]] = {
    "lung": (86, 180, 233),
    "infection": (230, 159, 0),
    **{name: _rgb(colour) for name, colour in LOBE_COLOURS.items()},
}
"""#56B4E9 and #E69F00, as everywhere."""
_LOBE_CODES: dict[str, tuple[str, str]] = {
    "right_upper": ("45653009", "Upper lobe of right lung"),
    "right_middle": ("72481006", "Middle lobe of right lung"),
    "right_lower": ("266005", "Lower lobe of right lung"),
    "left_upper": ("44714003", "Upper lobe of left lung"),
    "left_lower": ("41224006", "Lower lobe of left lung"),
}
"""Codes and meanings of SNOMED CT."""


_DEVICE: dict[str, Any] = {
    "manufacturer": "LungLens",
    "manufacturer_model_name": "LungLens",
    "software_versions": __version__,
    "device_serial_number": "none",
}


def dicom_seg_bytes(
    masks: MaskPair,
    volume: Volume,
    *,
    algorithm: str,
    made_on: date,
    lobes: Lobes | None = None,
    identity: PatientIdentity | None = None,
    by_hand: HandCorrection | None = None,
) -> bytes:
    """A DICOM SEG of the masks; the same input always gives the same bytes.

    Args:
        masks: on the canonical grid of `volume`; one that is not known or empty is left out.
        volume: loaded from a DICOM series.
        algorithm: what drew the masks, such as the id of the weights.
        made_on: date of the object's creation.
        lobes: of the lung, a segment each; none, or without labels, add none.
        identity: patient tags to copy; none leaves them empty.
        by_hand: how a person has corrected them: the segments are then semiautomatic or manual,
            not automatic, and manual ones name no algorithm.

    Raises:
        SaveError: the scan is no DICOM series, its slices have no unique identifiers or
            positions, or nothing is marked.
        GeometryError: a mask has not the shape of the scan.
    """
    import highdicom
    from pydicom.uid import generate_uid

    origin, marked = check_dicom_seg(masks, volume)
    marked += _marked_lobes(lobes)
    sources = _source_headers(origin, volume, identity or PatientIdentity())
    frames = _stored_frames([mask for _, mask in marked], volume, origin)
    seed = [origin.series_uid, algorithm, __version__, made_on.isoformat(), _digest(frames)]
    seed += [] if by_hand is None else [by_hand.algorithm_type]
    segments = _descriptions([name for name, _ in marked], algorithm, lobes, by_hand)
    content_text, series_text = _texts(by_hand)
    with warnings.catch_warnings():
        # highdicom warns of empty names and of slices that are not evenly spaced: both are meant.
        warnings.simplefilter("ignore")
        segmentation = highdicom.seg.Segmentation(
            source_images=sources,
            pixel_array=frames,
            segmentation_type="BINARY",
            segment_descriptions=segments,
            series_instance_uid=generate_uid(entropy_srcs=["series", *seed]),
            series_number=_SERIES_NUMBER,
            sop_instance_uid=generate_uid(entropy_srcs=["object", *seed]),
            instance_number=1,
            **_DEVICE,
            content_label="LUNGLENS",
            content_description=content_text,
            series_description=series_text,
            omit_empty_frames=True,
        )
    _settle(segmentation, made_on, seed)
    packed = io.BytesIO()
    segmentation.save_as(packed, enforce_file_format=True)
    return packed.getvalue()


def _stored_frames(masks: list[Any], volume: Volume, origin: DicomOrigin) -> Any:
    """Frames of all segments, in the order of the slices as they are stored."""
    frames = np.stack([_frames(mask, volume) for mask in masks], axis=-1)
    return frames if origin.instances[0].frame is None else frames[_as_stored(origin)]


def _descriptions(
    names: list[str], algorithm: str, lobes: Lobes | None, by_hand: HandCorrection | None
) -> list[Any]:
    """One a segment; lobes come from an algorithm of their own."""
    lobar = "" if lobes is None else lobes.weights_id
    return [
        _description(n, name, lobar if name in LOBES else algorithm, by_hand)
        for n, name in enumerate(names, 1)
    ]


def _texts(by_hand: HandCorrection | None) -> tuple[str, str]:
    """Descriptions of the content, at most 64 characters, and of the series."""
    if by_hand is None:
        content = "Lung and infection. Research, never a diagnosis."
        return content, "LungLens: lung and infection"
    content = f"Lung and infection, {by_hand.text}. Never a diagnosis."
    return content, f"LungLens: lung and infection, {by_hand.text}"


def check_dicom_seg(masks: MaskPair, volume: Volume) -> tuple[DicomOrigin, list[tuple[str, Any]]]:
    """What a segmentation refers to, and the masks that go into it by name.

    Raises:
        SaveError, GeometryError: as `dicom_seg_bytes`, before anything is made.
    """
    return _origin_of(volume), _marked(masks, volume)


def _origin_of(volume: Volume) -> DicomOrigin:
    origin = volume.source.dicom
    if origin is None:
        is_dicom = volume.source.format == "dicom"
        raise SaveError(
            "A DICOM segmentation of this scan cannot be made",
            got="slices without unique identifiers or positions"
            if is_dicom
            else "a scan that is not a DICOM series",
            expected="a DICOM series with its unique identifiers and positions",
            next_step="export the masks as NIfTI",
        )
    files = {instance.sop_instance_uid for instance in origin.instances}
    frames = [instance.frame for instance in origin.instances if instance.frame is not None]
    if frames and (len(files) > 1 or sorted(frames) != list(range(len(origin.instances)))):
        raise SaveError(
            "A DICOM segmentation of this scan cannot be made",
            got="frames that are not all those of one file",
            expected="one file of several frames, or single slices",
            next_step="export the masks as NIfTI",
        )
    return origin


def _as_stored(origin: DicomOrigin) -> list[int]:
    """Slices in the order of their frames in the file."""
    return sorted(range(len(origin.instances)), key=lambda k: origin.instances[k].frame or 0)


def _marked(masks: MaskPair, volume: Volume) -> list[tuple[str, Any]]:
    known = {"lung": masks.lung, "infection": masks.infection}
    for mask in known.values():
        if mask is not None and mask.shape != volume.shape:
            raise GeometryError(
                "A mask does not fit its scan",
                got=f"shape {mask.shape}",
                expected=f"{volume.shape}",
            )
    marked = [(name, mask) for name, mask in known.items() if mask is not None and mask.any()]
    if not marked:
        raise SaveError(
            "A DICOM segmentation of this scan cannot be made",
            got="no voxel marked",
            expected="lung or infection",
        )
    return marked


def _marked_lobes(lobes: Lobes | None) -> list[tuple[str, Any]]:
    if lobes is None or lobes.labels is None:
        return []
    found = [(name, lobes.labels == number) for number, name in enumerate(LOBES, start=1)]
    return [(name, mask) for name, mask in found if mask.any()]


def _frames(mask: Any, volume: Volume) -> Any:
    """(slices, rows, columns) bool, in the order of the source pictures."""
    return np.transpose(to_file_order(mask, volume.source), (2, 1, 0))


def _digest(frames: Any) -> str:
    state = hashlib.blake2b(digest_size=16)
    for frame in frames:
        state.update(np.ascontiguousarray(frame).tobytes())
    return state.hexdigest()


def _description(number: int, name: str, algorithm: str, by_hand: HandCorrection | None) -> Any:
    import highdicom
    from highdicom.sr import CodedConcept
    from pydicom.sr.codedict import codes

    # Lobes are estimated on whatever mask there is, never drawn.
    is_lobe = name in _LOBE_CODES
    kind = "AUTOMATIC" if by_hand is None or is_lobe else by_hand.algorithm_type
    lung = codes.SCT.Lung
    is_lung = name == "lung"
    label, of_type = ("Lung", lung) if is_lung else ("Infection", codes.SCT.Lesion)
    if is_lobe:
        code, label = _LOBE_CODES[name]
        of_type = CodedConcept(code, "SCT", label)
        label = f"{label} (estimated from shape)"
    return highdicom.seg.SegmentDescription(
        segment_number=number,
        segment_label=label,
        segmented_property_category=codes.SCT.AnatomicalStructure
        if is_lung or is_lobe
        else codes.SCT.MorphologicallyAbnormalStructure,
        segmented_property_type=of_type,
        anatomic_regions=None if is_lung or is_lobe else [lung],
        algorithm_type=kind,
        algorithm_identification=None
        if kind == "MANUAL"
        else highdicom.AlgorithmIdentificationSequence(
            name=f"LungLens {algorithm}"[:64],
            version=__version__,
            family=codes.DCM.ArtificialIntelligence,
        ),
        display_color=highdicom.color.CIELabColor.from_rgb(*_COLOURS[name]),
    )


def _source_headers(origin: DicomOrigin, volume: Volume, identity: PatientIdentity) -> list[Any]:
    """As much of each source picture's header as a segmentation refers to."""
    if origin.instances[0].frame is not None:
        return [_multi_frame_header(origin, volume, identity)]
    headers = []
    for number, instance in enumerate(origin.instances, 1):
        header = _common_header(origin, volume, identity)
        header.SOPClassUID = instance.sop_class_uid
        header.SOPInstanceUID = instance.sop_instance_uid
        header.InstanceNumber = number
        header.ImagePositionPatient = _decimals(instance.position_mm)
        header.ImageOrientationPatient = _decimals(origin.orientation)
        header.PixelSpacing = _decimals(origin.pixel_mm)
        header.SliceThickness = _decimal(_thickness(origin, volume))
        headers.append(header)
    return headers


def _common_header(origin: DicomOrigin, volume: Volume, identity: PatientIdentity) -> Any:
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    header = Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    for keyword, value in identity.tags().items():
        setattr(header, keyword, value)
    header.StudyInstanceUID = origin.study_uid
    header.SeriesInstanceUID = origin.series_uid
    header.FrameOfReferenceUID = origin.frame_of_reference_uid
    header.PositionReferenceIndicator = ""
    header.Modality = "CT"
    header.Columns, header.Rows = volume.source.file_shape[:2]
    return header


def _multi_frame_header(origin: DicomOrigin, volume: Volume, identity: PatientIdentity) -> Any:
    """Of one object with a frame for each slice, which are put back into the file's order."""
    from pydicom.dataset import Dataset

    def item(**values: Any) -> Any:
        made = Dataset()
        for keyword, value in values.items():
            setattr(made, keyword, value)
        return made

    header = _common_header(origin, volume, identity)
    header.SOPClassUID = origin.instances[0].sop_class_uid or _MULTI_FRAME_CT
    header.SOPInstanceUID = origin.instances[0].sop_instance_uid
    header.InstanceNumber = 1
    header.NumberOfFrames = len(origin.instances)
    measures = item(
        PixelSpacing=_decimals(origin.pixel_mm),
        SliceThickness=_decimal(_thickness(origin, volume)),
    )
    turned = item(ImageOrientationPatient=_decimals(origin.orientation))
    header.SharedFunctionalGroupsSequence = [
        item(PixelMeasuresSequence=[measures], PlaneOrientationSequence=[turned])
    ]
    header.PerFrameFunctionalGroupsSequence = [
        item(
            PlanePositionSequence=[
                item(ImagePositionPatient=_decimals(origin.instances[k].position_mm))
            ]
        )
        for k in _as_stored(origin)
    ]
    return header


def _thickness(origin: DicomOrigin, volume: Volume) -> float:
    return origin.thickness_mm or volume.spacing_mm[2]


def _decimal(value: float) -> str:
    from pydicom.valuerep import format_number_as_ds

    return format_number_as_ds(float(value))


def _decimals(values: tuple[float, ...]) -> list[str]:
    return [_decimal(value) for value in values]


def _settle(segmentation: Any, made_on: date, seed: list[str]) -> None:
    """Dates and identifiers that would otherwise change from one writing to the next."""
    from pydicom.uid import generate_uid

    day = made_on.strftime("%Y%m%d")
    for keyword in ("ContentDate", "InstanceCreationDate", "SeriesDate"):
        setattr(segmentation, keyword, day)
    for keyword in ("ContentTime", "InstanceCreationTime", "SeriesTime"):
        setattr(segmentation, keyword, "000000")
    for equipment in segmentation.get("ContributingEquipmentSequence", []):
        equipment.ContributionDateTime = f"{day}000000"
    organization = generate_uid(entropy_srcs=["dimensions", *seed])
    segmentation.DimensionOrganizationSequence[0].DimensionOrganizationUID = organization
    for item in segmentation.DimensionIndexSequence:
        item.DimensionOrganizationUID = organization
