"""The two forms in which a NIfTI header gives its position: which one is used, and both to repeat.

The sform is an affine, the qform a quaternion with an offset. nibabel takes the sform first, ITK
often the qform: where the two disagree, programs show the same file in two places.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from nibabel.orientations import aff2axcodes
from nibabel.spatialimages import HeaderDataError

from core.errors import GeometryError
from core.system import number_text
from core.volume import check_affine

_FIELDS = (
    *("sform_code", "qform_code", "srow_x", "srow_y", "srow_z"),
    *("quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z"),
)
_MAX_SHIFT_VOXELS = 0.5
_NEGATIVE = (
    "The header gives a negative size of voxels, which NIfTI does not allow: it is read as "
    "positive, while other programs may mirror the scan. Check left and right, front and back, "
    "head and feet."
)


@dataclass(frozen=True, eq=False)
class FormInUse:
    """The affine that a header is read by."""

    affine: npt.NDArray[np.float64]
    """(4, 4), index → RAS in the file's unit."""
    repeatable: bool
    """False where a file with the same fields would be unreadable to others."""
    warnings: tuple[str, ...] = ()


def choose_form(raw: Any, name: str) -> FormInUse:
    """The sform where it has a code and spans space, else the qform, else the spacing alone.

    Raises:
        GeometryError: the only form that the header claims cannot be used.
    """
    sform = _sform(raw) if int(raw["sform_code"]) > 0 else None
    qform, broken = None, None
    if int(raw["qform_code"]) > 0:
        try:
            qform = np.asarray(raw.get_qform(), dtype=np.float64)
            check_affine(qform)
        except (HeaderDataError, ValueError, GeometryError) as error:
            qform, broken = None, error
    if sform is not None:
        if qform is not None and _is_usable(sform):
            return FormInUse(sform, True, _disagreement(sform, qform, raw))
        if qform is not None:
            warning = (
                "The header claims an sform but leaves it empty or unusable: the scan is placed "
                "by its qform."
            )
            return FormInUse(qform, False, (warning,))
        return FormInUse(sform, broken is None)
    if broken is not None:
        raise GeometryError(
            f"{name} has an unusable orientation",
            got="a broken quaternion",
            expected="a rotation",
            next_step="repair the header or convert the original DICOM again",
        ) from broken
    if qform is not None:
        return FormInUse(qform, True)
    return FormInUse(np.asarray(raw.get_base_affine(), dtype=np.float64), True)


def mend_voxel_sizes(raw: Any) -> tuple[str, ...]:
    """Makes the sizes of voxels positive and the sign of the third axis −1 or 1, in place, and
    says so where somebody else may read them otherwise."""
    pixdim = raw["pixdim"]
    pixdim[0] = -1.0 if pixdim[0] < 0 else 1.0  # by the standard 0 is read as 1
    if not (pixdim[1:4] < 0).any():
        return ()
    pixdim[1:4] = np.abs(pixdim[1:4])
    return (_NEGATIVE,)


def form_fields(raw: Any) -> tuple[tuple[str, tuple[float, ...]], ...]:
    """The fields of both forms as they are stored, codes included."""
    fields = [(name, tuple(map(float, np.atleast_1d(raw[name])))) for name in _FIELDS]
    return (*fields, ("pixdim", tuple(map(float, raw["pixdim"][:4]))))


def _sform(raw: Any) -> npt.NDArray[np.float64]:
    affine = np.eye(4)
    for row, field in enumerate(("srow_x", "srow_y", "srow_z")):
        affine[row] = raw[field]
    return affine


def _is_usable(affine: npt.NDArray[np.float64]) -> bool:
    try:
        check_affine(affine)
    except GeometryError:
        return False
    return True


def _disagreement(
    sform: npt.NDArray[np.float64], qform: npt.NDArray[np.float64], raw: Any
) -> tuple[str, ...]:
    """What a person has to know where the two forms place a corner of the scan differently."""
    sides = np.maximum(np.asarray(raw["dim"][1:4], dtype=np.float64) - 1, 1)
    corners = np.array([[i, j, k, 1.0] for i in (0, 1) for j in (0, 1) for k in (0, 1)])
    corners[:, :3] *= sides
    shift = float(np.linalg.norm((corners @ (sform - qform).T)[:, :3], axis=1).max())
    if shift <= _MAX_SHIFT_VOXELS * float(np.linalg.norm(sform[:3, :3], axis=0).min()):
        return ()
    codes = ["".join(map(str, aff2axcodes(form))) for form in (sform, qform)]
    axes = f" and turn it to {codes[0]} and {codes[1]}" if codes[0] != codes[1] else ""
    return (
        f"The header gives two positions, by its sform and its qform, which lie up to "
        f"{number_text(shift, digits=1)} mm apart{axes}: the sform is used here, while other "
        "programs may use the qform. Check front and back, left and right.",
    )
