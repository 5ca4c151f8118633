"""The scan in memory: an array, where it lies in the patient, and what its numbers mean.

Canonical axes. Whatever a file's own order of axes, `Volume.array[i, j, k]` has i growing
towards the patient's **L**eft, j towards **P**osterior and k towards **S**uperior, in Fortran
order. So `array[:, :, k].T` is, without a copy, the axial picture in radiological convention:
anterior on top, the patient's right on the left-hand side. The affine stays nibabel's: voxel
index to RAS+ millimetres.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from nibabel.orientations import (
    aff2axcodes,
    apply_orientation,
    axcodes2ornt,
    inv_ornt_aff,
    io_orientation,
    ornt_transform,
)

from core.config import Plane
from core.errors import GeometryError

Array = npt.NDArray[Any]
BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float32]

Unit = Literal["HU", "unknown"]
LengthUnit = Literal["mm", "meter", "micron"]
VolumeFormat = Literal["nifti", "analyze", "nrrd", "metaimage", "numpy"]
"""Files that hold a whole volume."""
SourceFormat = Literal[VolumeFormat, "dicom", "pictures", "generated"]

MM_PER_UNIT: dict[LengthUnit, float] = {"mm": 1.0, "meter": 1000.0, "micron": 0.001}

CANONICAL_AXES = ("L", "P", "S")
PLANE_AXIS: dict[Plane, int] = {"sagittal": 0, "coronal": 1, "axial": 2}

AIR_HU = -1024.0


@dataclass(frozen=True)
class Intensity:
    """What a stored value means.

    `hu = value * slope + intercept`, exactly where `unit` is "HU" (then slope 1, intercept 0),
    as an assumption where it is "unknown" (an 8-bit export through a window).
    """

    unit: Unit
    reason: str
    slope: float = 1.0
    intercept: float = 0.0


@dataclass(frozen=True)
class DicomInstance:
    """Which stored picture a slice came from."""

    sop_class_uid: str
    sop_instance_uid: str
    frame: int | None
    """Counted from 0 inside a multi-frame object; none in a single-frame one."""
    position_mm: tuple[float, float, float]
    """LPS, centre of the first pixel."""


@dataclass(frozen=True)
class DicomOrigin:
    """What objects derived from a DICOM series must refer to, and nothing of the patient.

    Unique identifiers stay on purpose: without them a derived object belongs to no study and
    points at no picture. They name objects, not people, but who holds the original study can find
    it by them.
    """

    study_uid: str
    series_uid: str
    frame_of_reference_uid: str
    orientation: tuple[float, ...]
    """(6,) LPS directions in which columns and rows count up."""
    pixel_mm: tuple[float, float]
    """Distance between rows, between columns."""
    thickness_mm: float | None
    instances: tuple[DicomInstance, ...]
    """One for each slice along the file's last axis."""


@dataclass(frozen=True, eq=False)
class NiftiForms:
    """Both ways in which a NIfTI header says where its voxels lie, as they are stored."""

    affine: npt.NDArray[np.float64]
    """(4, 4), index → RAS mm, as it was read from these fields."""
    fields: tuple[tuple[str, tuple[float, ...]], ...]
    """Name and values of the header's fields: codes, rows of the sform, quaternion and offset of
    the qform, and the first four numbers of `pixdim`."""


@dataclass(frozen=True, eq=False)
class Source:
    """Where a scan came from and how its file lay, so that results go back the same way."""

    name: str
    """Safe to show: no path, no patient."""
    format: SourceFormat
    file_shape: tuple[int, int, int]
    file_affine: npt.NDArray[np.float64]
    """(4, 4), voxel index of the file's own array → RAS mm."""
    facts: tuple[tuple[str, str], ...] = ()
    """What was recognised, as label and value, in the order to show it."""
    trailing_axes: int = 0
    """Axes of length one that the file has behind `file_shape`, as in (a, b, c, 1)."""
    file_unit: LengthUnit = "mm"
    """The unit of length of the file's own header; everything here is in mm all the same."""
    steps_mm: tuple[float, ...] = ()
    """Distances between slices along the file's last axis; none where it does not give them."""
    slice_weights: tuple[float, ...] = ()
    """How thick each of these slices is, over the affine's step; empty where all are alike."""
    dicom: DicomOrigin | None = None
    """Only of a DICOM series whose slices have identifiers and positions."""
    forms: NiftiForms | None = None
    """Only of a NIfTI file whose forms another file can repeat."""
    stored_affine: npt.NDArray[np.float64] | None = None
    """The file's own value of `file_affine`, where a person has corrected it."""
    pictures: tuple[str, ...] = ()
    """Of a stack of pictures, by which masks belong to it; not to be shown as they are."""
    other_orientation: str = ""
    """Codes that the axes of the file may lead to instead, to ask a person about."""
    seems_turned: bool = False
    """Whether the chest contradicts the orientation in the file."""


@dataclass(frozen=True, eq=False)
class Volume:
    """One scan, read-only. See the module's text for axes.

    Attributes:
        array: (i, j, k) int16, uint8 or float32, canonical axes.
        affine: (4, 4) float64, index of `array` → RAS mm.
        intensity: what the values mean.
        source: where it came from.
        spacing_nominal: true where the file gives no usable spacing (pictures, headers left at
            1 × 1 × 1); volumes in ml then mean nothing.
        warnings: sentences for the person, such as missing slices.
    """

    array: Array
    affine: npt.NDArray[np.float64]
    intensity: Intensity
    source: Source
    spacing_nominal: bool = False
    warnings: tuple[str, ...] = field(default=())

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along left, posterior and superior."""
        return self.array.shape

    @property
    def unit(self) -> Unit:
        """ "HU" or "unknown"."""
        return self.intensity.unit

    @cached_property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between neighbouring voxels along i, j, k."""
        return spacing_mm(self.affine)

    @property
    def slice_steps_mm(self) -> tuple[float, ...]:
        """Distances between neighbouring axial slices as the file gives them, from the feet up.

        Empty where the file does not give the position of each slice, or lies in other planes.
        """
        return self._from_the_feet_up(self.source.steps_mm)

    @cached_property
    def slice_weights(self) -> npt.NDArray[np.float64] | None:
        """(slices,) how thick each axial slice is, as a share of `spacing_mm[2]`; none where all
        are alike. What counts voxels for a volume in ml multiplies by them."""
        weights = self._from_the_feet_up(self.source.slice_weights)
        return np.array(weights) if len(weights) == self.shape[2] else None

    def _from_the_feet_up(self, values: tuple[float, ...]) -> tuple[float, ...]:
        """Values along the file's last axis, where that is the axial one."""
        turned = ornt_transform(
            io_orientation(self.source.file_affine), axcodes2ornt(CANONICAL_AXES)
        )
        axis, direction = turned[2]
        if int(axis) != PLANE_AXIS["axial"]:
            return ()
        return values if direction > 0 else values[::-1]

    @property
    def voxel_volume_ml(self) -> float:
        """Volume of one voxel, by the affine's determinant; meaningless if spacing is nominal.

        See `slice_weights` for scans whose slices are not alike.
        """
        return float(abs(np.linalg.det(self.affine[:3, :3]))) / 1000.0

    @property
    def file_orientation(self) -> str:
        """The file's own axis codes, such as "LAS"."""
        return "".join(str(code) for code in aff2axcodes(self.source.file_affine))

    @cached_property
    def digest(self) -> str:
        """Hash of content, geometry and meaning of values; keys caches."""
        state = hashlib.blake2b(digest_size=16)
        for k in range(self.shape[2]):
            state.update(np.ascontiguousarray(self.array[:, :, k].T).data)
        if self.source.slice_weights:
            state.update(repr(self.source.slice_weights).encode())
        state.update(repr((self.shape, str(self.array.dtype))).encode())
        state.update(repr((self.source.trailing_axes, self.source.file_unit)).encode())
        state.update(np.ascontiguousarray(self.affine).tobytes())
        state.update(np.ascontiguousarray(self.source.file_affine).tobytes())
        state.update(repr(self.intensity).encode())
        return state.hexdigest()

    def plane_count(self, plane: Plane) -> int:
        """Number of slices in a plane."""
        return self.shape[PLANE_AXIS[plane]]

    def hu(self, values: Array) -> FloatArray:
        """`values` of this volume as float32 on the HU scale (assumed where unit is unknown)."""
        result = values.astype(np.float32)
        if self.intensity.slope != 1.0 or self.intensity.intercept != 0.0:
            result *= np.float32(self.intensity.slope)
            result += np.float32(self.intensity.intercept)
        return result

    def with_intensity(self, intensity: Intensity) -> Volume:
        """The same voxels with another meaning; shares memory."""
        return replace(self, intensity=intensity)


def spacing_mm(affine: npt.NDArray[np.float64]) -> tuple[float, float, float]:
    """Lengths of the affine's columns, in mm."""
    i, j, k = (float(np.linalg.norm(affine[:3, axis])) for axis in range(3))
    return i, j, k


def volume_from_file(
    file_array: Array,
    file_affine: npt.NDArray[np.float64],
    *,
    intensity: Intensity,
    name: str,
    format: SourceFormat,
    facts: tuple[tuple[str, str], ...] = (),
    spacing_nominal: bool = False,
    warnings: tuple[str, ...] = (),
) -> Volume:
    """A canonical `Volume` from an array in the order of its file.

    Args:
        file_array: (a, b, c) in the file's order; int16, uint8 or float32. Not copied where a
            view will do.
        file_affine: (4, 4), index of `file_array` → RAS mm; must be invertible.

    Raises:
        GeometryError: the affine is singular or not finite.
    """
    affine = np.asarray(file_affine, dtype=np.float64)
    check_affine(affine)
    array = to_canonical(file_array, affine)
    to_lps = ornt_transform(io_orientation(affine), axcodes2ornt(CANONICAL_AXES))
    canonical_affine = affine @ inv_ornt_aff(to_lps, file_array.shape)
    if not array.flags.f_contiguous:
        array = np.asfortranarray(array)
    array.flags.writeable = False
    return Volume(
        array=array,
        affine=canonical_affine,
        intensity=intensity,
        source=Source(
            name=name,
            format=format,
            file_shape=tuple(int(n) for n in file_array.shape),  # type: ignore[arg-type]
            file_affine=affine,
            facts=facts,
        ),
        spacing_nominal=spacing_nominal,
        warnings=warnings,
    )


def check_affine(affine: npt.NDArray[np.float64]) -> None:
    """Raises `GeometryError` unless the affine is finite and invertible."""
    if affine.shape != (4, 4) or not np.isfinite(affine).all():
        raise GeometryError(
            "The scan's position in space cannot be read",
            got="an affine that is not a finite 4 × 4 matrix",
            expected="finite numbers",
            next_step="export the scan again with its geometry",
        )
    spacing = spacing_mm(affine)
    determinant = abs(float(np.linalg.det(affine[:3, :3])))
    if min(spacing) < 1e-3 or determinant < 1e-6 * float(np.prod(spacing)):
        shown = " × ".join(f"{s:.3g}" for s in spacing)
        raise GeometryError(
            "The scan's axes do not span space",
            got=f"spacing {shown} mm and a singular affine",
            expected="three independent axes with spacing above 0.001 mm",
            next_step="repair the header or convert the original DICOM again",
        )


def to_canonical(file_array: Array, file_affine: npt.NDArray[np.float64]) -> Array:
    """An array in file order turned to canonical axes (a view where possible)."""
    to_lps = ornt_transform(io_orientation(file_affine), axcodes2ornt(CANONICAL_AXES))
    turned: Array = apply_orientation(file_array, to_lps)
    return turned


def to_file_order(array: Array, source: Source) -> Array:
    """The inverse of `to_canonical`: a canonical array in the file's own order and shape.

    Raises:
        GeometryError: `array` has not the shape of the scan.
    """
    back = ornt_transform(axcodes2ornt(CANONICAL_AXES), io_orientation(source.file_affine))
    turned: Array = apply_orientation(array, back)
    if turned.shape != source.file_shape:
        raise GeometryError(
            "A result does not fit its scan",
            got=f"shape {turned.shape}",
            expected=f"{source.file_shape}",
        )
    return turned


def plane_slice(array: Array, plane: Plane, index: int) -> Array:
    """One slice as a picture (rows, columns) in radiological convention; a view.

    axial: anterior on top, patient's right on the left; coronal: superior on top, patient's
    right on the left; sagittal: superior on top, anterior on the left.
    """
    if plane == "axial":
        return array[:, :, index].T
    if plane == "coronal":
        return array[:, index, ::-1].T
    return array[index, :, ::-1].T


PLANE_LABELS: dict[Plane, tuple[str, str, str, str]] = {
    "axial": ("R", "L", "A", "P"),
    "coronal": ("R", "L", "S", "I"),
    "sagittal": ("A", "P", "S", "I"),
}
"""Letters at the left, right, top and bottom edge of each plane's picture."""


def pixel_size_mm(volume: Volume, plane: Plane) -> tuple[float, float]:
    """Height and width of a pixel of `plane_slice`, in mm."""
    i, j, k = volume.spacing_mm
    return {"axial": (j, i), "coronal": (k, i), "sagittal": (k, j)}[plane]


@dataclass(frozen=True, eq=False)
class MaskPair:
    """Lung and infection as boolean arrays on the canonical grid of a scan.

    Either is none where it is not known (lung truth of infection-only data sets).
    """

    lung: BoolArray | None
    infection: BoolArray | None

    def label_map(self) -> npt.NDArray[np.uint8]:
        """(i, j, k) uint8: 0 background, 1 lung, 2 infection."""
        known = self.lung if self.lung is not None else self.infection
        if known is None:
            raise GeometryError("No mask to label", got="neither lung nor infection")
        labels = np.zeros(known.shape, dtype=np.uint8, order="F")
        if self.lung is not None:
            labels[self.lung] = 1
        if self.infection is not None:
            labels[self.infection] = 2
        return labels


@dataclass(frozen=True, eq=False)
class Study:
    """What a person has open: a scan and, where known, its true masks."""

    volume: Volume
    truth: MaskPair | None = None
    case_id: str = ""
    synthetic: bool = False
