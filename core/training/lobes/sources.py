"""Label maps of lobes, drawn by people, on one coarse grid in mm; in a folder or in one small file.

A map holds 1 to 5 for the lobes (right upper, middle and lower, left upper and lower) and 6 for
airways outside of them. Outside the lungs each point counts to the nearest lobe, so that there is
an answer wherever a rough mask reaches.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from core.errors import DatasetError, SaveError, shown_name
from core.loading import load_label_map
from core.segmentation import UNREADABLE_NPZ
from core.system import OnProgress, ignore_progress
from core.volume import BoolArray

STEP_MM = 2.5
_FORMAT = 1
_LOBE, _LUNG, _AIRWAY = 7, 8, 16
_AIRWAY_LABEL = 6
_LOBE_COUNT = 5
_MARGIN_MM = 15.0

Codes = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class LabelledLungs:
    """One patient's lobes, axes to the left, to the back and upwards, `STEP_MM` a point.

    Attributes:
        codes: lobe (1 to 5, everywhere), plus 8 in the lungs, plus 16 in airways outside of them.
    """

    case_id: str
    patient_id: str
    codes: Codes

    @property
    def lobes(self) -> Codes:
        """1 to 5, also around the lungs."""
        return self.codes & np.uint8(_LOBE)

    @property
    def lungs(self) -> BoolArray:
        """Both lungs."""
        return (self.codes & _LUNG) > 0

    @property
    def airways(self) -> BoolArray:
        """Trachea and bronchi outside the lobes."""
        return (self.codes & _AIRWAY) > 0


def load_lungs(
    data: Path, *, on_progress: OnProgress = ignore_progress
) -> tuple[LabelledLungs, ...]:
    """All label maps of a folder, or of a file that `pack_lungs` wrote.

    Args:
        data: the file, the folder `lobes`, or the one that holds it.

    Raises:
        DatasetError: there is none, or a map lacks a lobe.
        LoadError: a file cannot be read.
    """
    if data.is_file():
        return unpack_lungs(data)
    folder = find_folder(data)
    patients = _patients(folder)
    paths = sorted(folder.glob("lobes_*.nii.gz"))
    found = []
    for number, path in enumerate(paths, start=1):
        volume = load_label_map(path)
        codes = make_codes(volume.array, volume.spacing_mm)
        if codes is None:
            raise DatasetError(
                f"The label map {shown_name(path)} is incomplete",
                got="fewer than five lobes",
                expected="labels 1 to 5",
                next_step="remove it from the folder",
            )
        case_id = path.name.removesuffix(".nii.gz")
        found.append(LabelledLungs(case_id, patients.get(path.name, case_id), codes))
        on_progress("reading label maps", number, len(paths))
    return tuple(found)


def find_folder(data: Path) -> Path:
    """The folder with the label maps.

    Raises:
        DatasetError: there is none.
    """
    for folder in (data / "lobes", data):
        if any(folder.glob("lobes_*.nii.gz")):
            return folder
    raise DatasetError(
        "No label map of lobes found",
        got="a folder without files named lobes_*.nii.gz",
        expected="the folder lobes/, or the one that holds it",
        next_step="pass it with --data",
    )


def _patients(folder: Path) -> dict[str, str]:
    table = folder / "series.csv"
    if not table.is_file():
        return {}
    with table.open(newline="", encoding="utf-8") as file:
        return {row["file"]: row["series"] for row in csv.DictReader(file)}


def make_codes(labels: npt.NDArray[Any], spacing_mm: Sequence[float]) -> Codes | None:
    """Codes of a label map on the grid of `STEP_MM`, cut to the lungs; none if a lobe is missing.

    Args:
        labels: (i, j, k), canonical axes, 0 to 6.
        spacing_mm: between voxels.
    """
    is_lung = (labels >= 1) & (labels <= _LOBE_COUNT)
    if len(np.unique(labels[is_lung])) < _LOBE_COUNT:
        return None
    box = ndimage.find_objects(is_lung.view(np.uint8))[0]
    index = []
    for part, step in zip(box, spacing_mm, strict=True):
        low, high = part.start * step - _MARGIN_MM, part.stop * step + _MARGIN_MM
        index.append(np.rint(np.arange(low, high, STEP_MM) / step).astype(np.int64))
    inside = [(at >= 0) & (at < side) for at, side in zip(index, labels.shape, strict=True)]
    clipped = [np.clip(at, 0, side - 1) for at, side in zip(index, labels.shape, strict=True)]
    coarse = np.where(
        np.logical_and.outer(np.logical_and.outer(*inside[:2]), inside[2]),
        labels[np.ix_(*clipped)],
        0,
    ).astype(np.uint8)
    lung = (coarse >= 1) & (coarse <= _LOBE_COUNT)
    nearest = ndimage.distance_transform_edt(~lung, return_distances=False, return_indices=True)
    codes = coarse[tuple(nearest)]
    codes[lung] += np.uint8(_LUNG)
    codes[coarse == _AIRWAY_LABEL] += np.uint8(_AIRWAY)
    return codes


def pack_lungs(lungs: Sequence[LabelledLungs], path: Path) -> int:
    """Writes label maps into one file, to carry them to another machine.

    Returns:
        Its size in bytes.

    Raises:
        SaveError: it cannot be written.
    """
    table = {
        "format": _FORMAT,
        "step_mm": STEP_MM,
        "lungs": [{"case_id": one.case_id, "patient_id": one.patient_id} for one in lungs],
    }
    arrays: dict[str, Any] = {f"codes{n}": one.codes for n, one in enumerate(lungs)}
    try:
        np.savez_compressed(
            path, table=np.frombuffer(json.dumps(table).encode(), dtype=np.uint8), **arrays
        )
        return path.stat().st_size
    except OSError as error:
        raise SaveError(
            f"The label maps cannot be packed into {shown_name(path)}",
            got=error.strerror or "a write error",
            expected="a folder with room, and a name that ends in .npz",
        ) from error


def unpack_lungs(path: Path) -> tuple[LabelledLungs, ...]:
    """The inverse of `pack_lungs`.

    Raises:
        DatasetError: this is no such file.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            table = json.loads(stored["table"].tobytes())
            if table["format"] != _FORMAT or table["step_mm"] != STEP_MM:
                raise ValueError("another format")
            return tuple(
                LabelledLungs(
                    str(entry["case_id"]), str(entry["patient_id"]), _checked(stored[f"codes{n}"])
                )
                for n, entry in enumerate(table["lungs"])
            )
    except UNREADABLE_NPZ as error:
        raise DatasetError(
            f"The packed label maps {shown_name(path)} cannot be read",
            got=type(error).__name__,
            expected="a file that packing wrote",
            next_step="pack them again",
        ) from error


def _checked(codes: Any) -> Codes:
    if codes.dtype != np.uint8 or codes.ndim != 3:
        raise ValueError("other arrays")
    found: Codes = codes
    return found


def assign_folds(lungs: Sequence[LabelledLungs], *, folds: int, seed: int) -> dict[str, int]:
    """The fold, from 1, that keeps each case out, by case id; a patient's cases stay together."""
    patients = sorted({one.patient_id for one in lungs})
    order = np.random.default_rng(seed).permutation(len(patients))
    fold_of = {patients[at]: number % folds + 1 for number, at in enumerate(order)}
    return {one.case_id: fold_of[one.patient_id] for one in lungs}
