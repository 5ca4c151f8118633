"""Whether a scan lies as its file says, and the same scan laid otherwise on request.

Files whose voxels were turned without their header, or whose axes were exchanged, open without an
error and are marked wrongly. How the chest lies is found by `upright_chest`. Left and right are
not: those of a mirrored chest look much the same.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from nibabel.orientations import aff2axcodes, axcodes2ornt, io_orientation, ornt_transform

from core.errors import ConfigError
from core.loading.upright_chest import find_turn, head_is_last
from core.volume import (
    AIR_HU,
    CANONICAL_AXES,
    BoolArray,
    FloatArray,
    MaskPair,
    Study,
    Volume,
    to_canonical,
    to_file_order,
    volume_from_file,
)

_OPPOSITE = dict(zip("LRPASI", "RLAPIS", strict=True))
_RAS_AXIS = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "S": (2, 1), "I": (2, -1)}
_SIDE = 72
"""Voxels a side that the check looks at, at most."""
_FEWEST_SLICES = 8
_ASKED = "--orientation"
"""Stands in each warning that a person answers by saying how the scan lies."""


def reoriented(volume: Volume, codes: str) -> Volume:
    """The same voxels, the axes of whose file run as a person says.

    Args:
        codes: where each axis of the file's array leads, such as "LPS": left, posterior, superior.

    Masks go back to the file's own voxels and position, so that they lie on it in any viewer.

    Raises:
        ConfigError: the codes are not one of each pair, or the scan is a picture.
    """
    codes = codes.upper()
    if len(codes) != 3 or {_RAS_AXIS[c][0] for c in codes if c in _RAS_AXIS} != {0, 1, 2}:
        raise ConfigError(
            "The orientation cannot be used",
            got=codes[:20] or "nothing",
            expected="three letters, one of L and R, one of A and P, one of S and I, such as LPS",
            next_step="give the direction of each axis of the file",
        )
    if volume.source.format == "pictures":
        raise ConfigError(
            "Pictures have no axes to turn",
            got="--orientation",
            expected="it with scans only",
            next_step="leave it out",
        )
    source = volume.source
    affine = np.zeros((4, 4))
    affine[3, 3] = 1.0
    for axis, code in enumerate(codes):
        row, sign = _RAS_AXIS[code]
        affine[row, axis] = sign * np.linalg.norm(source.file_affine[:3, axis])
    middle = (np.array(source.file_shape) - 1) / 2
    affine[:3, 3] = (source.file_affine @ [*middle, 1.0])[:3] - affine[:3, :3] @ middle
    turned = _laid(volume, affine)
    facts = tuple(
        (label, f"{codes}, set by hand" if label == "Orientation" else value)
        for label, value in source.facts
    )
    stored = source.file_affine if source.stored_affine is None else source.stored_affine
    settled = replace(
        turned.source,
        facts=facts,
        stored_affine=stored,
        other_orientation="",
        seems_turned=False,
    )
    kept = tuple(note for note in turned.warnings if _ASKED not in note)
    return replace(turned, source=settled, warnings=kept)


def reoriented_study(study: Study, codes: str) -> Study:
    """A scan and its true masks, which lie on the same voxels of the file, as `reoriented`.

    Raises:
        ConfigError: as `reoriented`.
    """
    return _with_volume(study, reoriented(study.volume, codes))


def turned_back(study: Study) -> Study:
    """A scan that a person has turned by `reoriented_study`, with its true masks, as its file
    says again; whether it lies so may be asked once more."""
    volume = study.volume
    stored = volume.source.stored_affine
    if stored is None:
        return study
    back = _laid(volume, stored)
    codes = "".join(str(code) for code in aff2axcodes(stored))
    facts = tuple(
        (label, codes if label == "Orientation" else value) for label, value in back.source.facts
    )
    source = replace(back.source, facts=facts, stored_affine=None)
    back = with_checked_orientation(replace(back, source=source))
    if not back.source.other_orientation:
        source = replace(source, other_orientation=volume.file_orientation)
        back = replace(back, source=source)
    return _with_volume(study, back)


def _with_volume(study: Study, volume: Volume) -> Study:
    """The study with its scan laid otherwise, and the true masks with it."""
    truth = study.truth
    if truth is None:
        return replace(study, volume=volume)

    def moved(mask: BoolArray | None) -> BoolArray | None:
        if mask is None:
            return None
        in_file = to_file_order(mask, study.volume.source)
        return np.asfortranarray(to_canonical(in_file, volume.source.file_affine))

    pair = MaskPair(lung=moved(truth.lung), infection=moved(truth.infection))
    return replace(study, volume=volume, truth=pair)


def with_head_up(volume: Volume) -> Volume:
    """Slices that do not say where they lie, with the end last that by the lungs is the head's,
    and a warning that says so."""
    volume, was_up = _head_up(volume)
    last = "the first" if was_up is False else "the last"
    other = volume.file_orientation.translate(str.maketrans("SI", "IS"))
    why = "which the lungs do not show" if was_up is None else "by the shape of the lungs"
    warning = (
        f"Of the slices, {last} one is taken to lie nearest to the head, {why}. If that is wrong, "
        f"open the scan with the other orientation (--orientation {other})."
    )
    source = replace(volume.source, other_orientation=other)
    return replace(volume, source=source, warnings=(*volume.warnings, warning))


def _head_up(volume: Volume) -> tuple[Volume, bool | None]:
    """The scan with the head's end last in the canonical array; and whether it was last before,
    none where the chest does not show it; then nothing changes."""
    was_up = None if min(volume.shape) < _FEWEST_SLICES else head_is_last(coarse_hu(volume))
    if was_up is not False:
        return volume, was_up
    affine = volume.source.file_affine.copy()
    axis = int(np.argmax(np.abs(affine[2, :3])))
    affine[:3, 3] += affine[:3, axis] * (volume.source.file_shape[axis] - 1)
    affine[:3, axis] *= -1
    turned = _laid(volume, affine)
    codes = "".join(str(code) for code in aff2axcodes(affine))
    facts = tuple(
        (label, codes if label == "Orientation" else value) for label, value in turned.source.facts
    )
    return replace(turned, source=replace(turned.source, facts=facts)), was_up


def _laid(volume: Volume, affine: npt.NDArray[np.float64]) -> Volume:
    """The same voxels of the file under another affine of the file."""
    source = volume.source
    turned = volume_from_file(
        to_file_order(volume.array, source),
        affine,
        intensity=volume.intensity,
        name=source.name,
        format=source.format,
        spacing_nominal=volume.spacing_nominal,
        warnings=volume.warnings,
    )
    return replace(turned, source=replace(source, file_affine=affine))


def propose_orientation(volume: Volume) -> str | None:
    """Codes for the axes of the file that fit the chest in it; none where those in use do, or
    where the chest does not show it."""
    if volume.source.format == "pictures" or min(volume.shape) < _FEWEST_SLICES:
        return None
    found = _true_codes(coarse_hu(volume))
    if found is None or found == CANONICAL_AXES:
        return None
    turn = ornt_transform(io_orientation(volume.source.file_affine), axcodes2ornt(CANONICAL_AXES))
    codes = [found[int(target)] for target, _ in turn]
    return "".join(
        code if flip > 0 else _OPPOSITE[code] for code, (_, flip) in zip(codes, turn, strict=True)
    )


def with_checked_orientation(volume: Volume) -> Volume:
    """The scan, with a warning where its orientation seems to differ from that in its file."""
    proposed = propose_orientation(volume)
    if proposed is None:
        return volume
    warning = (
        "The orientation of the chest seems to differ from that in the file "
        f"({volume.file_orientation}): if its axes point to {proposed}, open it with that "
        f"orientation (--orientation {proposed}). What is marked before may be wrong; left and "
        "right cannot be recognised in the picture."
    )
    source = replace(volume.source, other_orientation=proposed, seems_turned=True)
    return replace(volume, source=source, warnings=(*volume.warnings, warning))


def coarse_hu(volume: Volume) -> FloatArray:
    """(i, j, k) HU with few voxels, about as many along each axis as the scan has."""
    steps = [max(1, -(-side // _SIDE)) for side in volume.shape]
    return np.clip(volume.hu(volume.array[:: steps[0], :: steps[1], :: steps[2]]), AIR_HU, 400.0)


def _true_codes(hu: FloatArray) -> tuple[str, str, str] | None:
    """Where the three axes of the array lead by what they show; none where that is not clear."""
    turn = find_turn(hu)
    if turn is None:
        return None
    codes = ["", "", ""]
    for axis, sign, code in zip(*turn, CANONICAL_AXES, strict=True):
        codes[axis] = code if sign > 0 else _OPPOSITE[code]
    # A quarter turn keeps the sides that it started from; elsewhere they are as the file says.
    if codes[0] == "P" and codes[1] == "L":
        codes[1] = "R"
    return (codes[0], codes[1], codes[2])
