"""What the labels of a mask stand for, by the codings that public sets and tools use.

| values | meaning |
|---|---|
| 0 and one other, such as 1 or 255 | a mask |
| fractions from 0 to 1 | probability, true from 0.5 |
| 1 lung, 3 infection; 1 and 2 lungs, 3 infection | the combined masks of the 20-case set |
| 1 lung, 2 infection | the label map of LungLens |
| 1 and 2 | right and left lung |
| 1 to 5 | lobes |

Others code kinds of lesion the same way (1 ground glass, 2 consolidation, 3 effusion), so a label
is taken for lung only where the scan is as dark there as aerated lung.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from core.errors import LoadError
from core.system import percent_text
from core.volume import Array, BoolArray, Volume

Role = Literal["lung", "infection"]

INFECTION_LABEL = 3
"""In lung-and-infection masks: 1 and 2 are the lungs, 3 the infection inside them."""

_MAX_LABELS = 8


class UnknownLabelsError(LoadError):
    """The labels of an infection mask are of no known coding; `labels` are those it has, for the
    person to say which of them are infection."""

    def __init__(
        self, what: str, *, labels: tuple[int, ...], got: str, expected: str, next_step: str
    ) -> None:
        self.labels = labels
        super().__init__(what, got=got, expected=expected, next_step=next_step)


class NotLabelsError(LoadError):
    """The values of a file are no labels; it may be a scan."""


_NEAR_WHOLE = 1e-3
_FEWEST_PROBABILITIES = 5
_SURE = 0.8
"""Where there are few different fractions they may be scaled labels; not if they come near 1."""
_MOST_MARKED = 0.85
_FEWEST_VOXELS = 1000
_AERATED_HU = -650.0
"""The median of aerated lung is about -850 HU, that of ground glass -600 or more."""
_SAMPLE = 200_000


def check_labels(name: str, array: Array) -> tuple[Array, tuple[str, ...]]:
    """The voxels of a mask file as whole numbers, and notes for the person.

    Values within 0.001 of whole numbers are those numbers, as scaled integers and resampling leave
    them. Fractions from 0 to 1 are probabilities and become 0 and 1.

    Raises:
        LoadError: other fractions, or more labels than a mask has.
    """
    notes: tuple[str, ...] = ()
    if array.dtype.kind == "f":
        whole = np.rint(array)
        if bool((np.abs(array - whole) <= _NEAR_WHOLE).all()):
            array = whole
        elif float(array.min()) >= -_NEAR_WHOLE and float(array.max()) <= 1 + _NEAR_WHOLE:
            few = np.unique(array).size < _FEWEST_PROBABILITIES
            if float(array.max()) < (_SURE if few else 0.5):
                raise LoadError(
                    f"{name} is not a mask",
                    got=f"fractions up to {float(array.max()):.3g}",
                    expected="whole numbers as labels, or probabilities that reach "
                    + (f"{_SURE:g}" if few else "0.5"),
                    next_step="threshold it first",
                )
            array = (array >= 0.5).astype(np.uint8)
            notes = (f"{name} holds fractions from 0 to 1: read as probability, true from 0.5.",)
        else:
            raise NotLabelsError(
                f"{name} is not a mask",
                got=f"fractions from {float(array.min()):.4g} to {float(array.max()):.4g}",
                expected="whole numbers as labels, or probabilities from 0 to 1",
                next_step="threshold it first",
            )
    low, high = int(array.min()), int(array.max())
    levels = [low, high]
    if low >= 0 and high <= 255:
        array = array.astype(np.uint8, copy=False)
        levels = np.flatnonzero(np.bincount(array.ravel(order="K"), minlength=1)).tolist()
    if low < 0 or high > 255 or len(levels) > _MAX_LABELS:
        raise NotLabelsError(
            f"{name} is not a mask",
            got=f"values {low} to {high}",
            expected=f"at most {_MAX_LABELS} labels from 0 to 255",
            next_step="threshold it first"
            if low >= 0 and high <= 255
            else "open it as a scan instead",
        )
    return array, notes


def read_labels(
    labels: Array,
    volume: Volume,
    role: Role,
    *,
    name: str,
    infection_labels: tuple[int, ...] = (),
) -> tuple[BoolArray, tuple[str, ...]]:
    """What is lung or infection of (i, j, k) labels on the grid of `volume`, and by which coding.

    Args:
        infection_labels: which labels are infection, where a person says so.

    Raises:
        UnknownLabelsError: those of an infection mask are of no known coding.
        LoadError: those of a lung mask are not.
    """
    counts = np.bincount(labels.ravel(order="K"), minlength=1)
    _refuse_everything(counts, role, name)
    present = np.flatnonzero(counts[1:]) + 1
    found = tuple(int(label) for label in present)
    if role == "infection" and infection_labels:
        missing = [label for label in infection_labels if label not in found]
        if missing:
            raise LoadError(
                f"Infection mask {name} lacks a label",
                got=_listed(found) or "an empty mask",
                expected=_listed(missing),
                next_step="correct the labels that are to be infection",
            )
        return np.isin(labels, infection_labels), ()
    if len(found) <= 1:
        mask = labels != 0
        return mask, () if role == "lung" else _lung_as_infection(mask, volume, name)
    if role == "lung":
        return _lung(labels, found, name)
    return _infection(labels, found, volume, name)


def _refuse_everything(counts: npt.NDArray[np.int64], role: Role, name: str) -> None:
    """A chest is more than lungs: what marks nearly all is turned, or marks something else."""
    share = 1 - int(counts[0]) / int(counts.sum())
    if share > _MOST_MARKED:
        raise LoadError(
            f"{role.capitalize()} mask {name} marks nearly the whole scan",
            got=f"{percent_text(share)} of the voxels with a label other than 0",
            expected=f"the {role}, and 0 elsewhere",
            next_step="exchange 0 and the label if they are the wrong way round, or open another "
            "mask",
        )


def _lung_as_infection(mask: BoolArray, volume: Volume, name: str) -> tuple[str, ...]:
    if np.count_nonzero(mask) < _FEWEST_VOXELS or not is_aerated(mask, volume):
        return ()
    return (
        f"Infection mask {name} marks mostly voxels as dark as healthy lung: check that it is not "
        "the lung mask.",
    )


def _lung(labels: Array, found: tuple[int, ...], name: str) -> tuple[BoolArray, tuple[str, ...]]:
    if not set(found) <= {1, 2, 3, 4, 5}:
        raise _unknown(
            "Lung", name, found, "1 and 2 (lungs), 3 (infection in them), 1 to 5 (lobes)"
        )
    return labels != 0, (
        f"Lung mask {name} holds the labels {_listed(found)}: together they are read as the lungs.",
    )


def _infection(
    labels: Array, found: tuple[int, ...], volume: Volume, name: str
) -> tuple[BoolArray, tuple[str, ...]]:
    expected = "1 (or 1 and 2) for lung with 3 for infection, 1 for lung with 2 for infection"
    if not set(found) <= {1, 2, 3}:
        raise _unknown("Infection", name, found, expected)
    aerated = [label for label in found if is_aerated(labels == label, volume)]
    lesion = found[-1]
    if found == (1, 2) and len(aerated) == 2:
        raise UnknownLabelsError(
            f"Infection mask {name} marks the two lungs, not the infection",
            labels=found,
            got="labels 1 and 2, both on aerated lung",
            expected=expected,
            next_step="give it as the lung mask, or name the labels of the infection "
            "(--infection-label)",
        )
    if aerated == list(found[:-1]):
        share = int(np.count_nonzero(labels == lesion)) / int(np.count_nonzero(labels))
        others = _listed(found[:-1])
        return labels == lesion, (
            f"Infection mask {name} is a combined mask, {others} for lung and {lesion} for "
            f"infection: only {lesion} was taken, {percent_text(share)} of what is marked.",
        )
    raise _unknown("Infection", name, found, expected)


def is_aerated(mask: BoolArray, volume: Volume) -> bool:
    """Whether what an (i, j, k) mask marks is as dark as lung with air in it."""
    values = volume.array[mask]
    values = volume.hu(values[:: max(1, values.size // _SAMPLE)])
    return float(np.median(values)) <= _AERATED_HU


def _unknown(role: str, name: str, found: tuple[int, ...], expected: str) -> LoadError:
    what = f"{role} mask {name} has labels of unknown meaning"
    got, expected = f"labels {_listed(found)}", f"one label, or {expected}"
    next_step = "make a mask of one label"
    if role == "Lung":
        return LoadError(what, got=got, expected=expected, next_step=next_step)
    next_step += ", or name the labels of the infection (--infection-label)"
    return UnknownLabelsError(what, labels=found, got=got, expected=expected, next_step=next_step)


def _listed(labels: tuple[int, ...] | list[int]) -> str:
    *first, last = [*map(str, labels)] or [""]
    return f"{', '.join(first)} and {last}" if first else last
