"""A scan and its masks among the files of one folder, archive or upload, told apart by content."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from core.config import LoadLimits
from core.errors import LoadError, shown_name
from core.loading.label_codings import INFECTION_LABEL, Role, check_labels, is_aerated
from core.loading.masks import load_mask, load_role_mask
from core.loading.nifti import nifti_stem, read_voxels
from core.loading.numpy_file import split_arrays
from core.loading.volume_files import load_volume_file, read_volume_header
from core.system import OnProgress, ShouldCancel
from core.volume import MaskPair, Study

_MOST_FILES = 4
"""A scan with three masks: lung, infection, and both in one."""
_LUNG = re.compile("lung", re.IGNORECASE)
_INFECTION = re.compile("infect|lesion|opacit|ggo|consolid", re.IGNORECASE)
_COMBINED = ({1, INFECTION_LABEL}, {1, 2, INFECTION_LABEL}, {2, INFECTION_LABEL})
"""Labels of lungs and infection in one mask; 1 and 2 alone may be two lungs."""
_ONE_ALONE = "unpack a zip first and open one scan alone; a mask is added beside its scan"
_ONE_ARRAY = "save one scan alone, or together with its masks"


class SeveralScansError(LoadError):
    """A folder or archive holds several scans; `names` lists them for the person to choose."""

    def __init__(self, names: tuple[str, ...], *, next_step: str = _ONE_ALONE) -> None:
        self.names = names
        listed = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        super().__init__(
            "There are several scans",
            got=listed,
            expected="one",
            next_step=next_step,
        )


class _ScanFiles(NamedTuple):
    """The file of a scan, and those of its masks."""

    scan: Path
    masks: tuple[Path, ...]


def open_volumes(
    files: list[Path],
    *,
    window: tuple[float, float] | None,
    limits: LoadLimits,
    on_progress: OnProgress,
    should_cancel: ShouldCancel,
) -> Study:
    """A study from one volume file, or from a scan and its masks; the arrays of a .npz count as
    files.

    Raises:
        SeveralScansError: there are several scans, or masks for one purpose.
        LoadError, GeometryError: a file cannot be opened.
        Cancelled: the person asked to stop.
    """
    with tempfile.TemporaryDirectory(prefix="lunglens-") as folder:
        arrays = split_arrays(files[0], Path(folder), limits=limits) if len(files) == 1 else []
        study = _open(
            arrays or files,
            next_step=_ONE_ARRAY if arrays else _ONE_ALONE,
            window=window,
            limits=limits,
            on_progress=on_progress,
            should_cancel=should_cancel,
        )
    if not arrays:
        return study
    source = replace(study.volume.source, name=nifti_stem(files[0]))
    return replace(study, volume=replace(study.volume, source=source), case_id=source.name)


def _open(
    files: list[Path],
    *,
    next_step: str,
    window: tuple[float, float] | None,
    limits: LoadLimits,
    on_progress: OnProgress,
    should_cancel: ShouldCancel,
) -> Study:
    several = SeveralScansError(tuple(map(shown_name, files)), next_step=next_step)
    found = _ScanFiles(files[0], ()) if len(files) == 1 else _tell_masks_apart(files, limits=limits)
    if found is None:
        raise several
    volume = load_volume_file(
        found.scan,
        window=window,
        limits=limits,
        on_progress=on_progress,
        should_cancel=should_cancel,
    )
    study = Study(volume=volume, case_id=volume.source.name)
    if not found.masks:
        return study
    with_masks = _with_masks(study, found.masks, limits=limits)
    if with_masks is None:
        raise several
    return with_masks


def _tell_masks_apart(files: Sequence[Path], *, limits: LoadLimits) -> _ScanFiles | None:
    """Which of several volume files is the scan, where all others hold labels; else none.

    Raises:
        LoadError: a file cannot be read.
    """
    if not 2 <= len(files) <= _MOST_FILES:
        return None
    scans: list[Path] = []
    masks: list[Path] = []
    for file in files:
        (masks if _holds_labels(file, limits) else scans).append(file)
    return _ScanFiles(scans[0], tuple(masks)) if len(scans) == 1 else None


def _holds_labels(file: Path, limits: LoadLimits) -> bool:
    voxels, _ = read_voxels(file, read_volume_header(file, limits=limits), of_labels=True)
    try:
        _, notes = check_labels(shown_name(file.name), voxels)
    except LoadError:
        return False
    return not notes  # fractions may be probabilities, but a scan that was scaled as well


def _with_masks(study: Study, masks: Sequence[Path], *, limits: LoadLimits) -> Study | None:
    """The study with the masks that came with its scan, and what each was taken for as warnings.

    None where two of them are for the same purpose.

    Raises:
        LoadError, GeometryError: as `load_role_mask`.
    """
    volume = study.volume
    truth = study.truth or MaskPair(lung=None, infection=None)
    notes: tuple[str, ...] = ()
    for file in masks:
        name = shown_name(file.name)
        roles = _roles(file, study, limits)
        for role in roles:
            if getattr(truth, role) is not None:
                return None
            reading = load_role_mask(file, volume, role, limits=limits)
            truth = replace(truth, **{role: reading.mask})
            notes += tuple(note for note in reading.notes if note not in notes)
        purpose = " and ".join(roles)
        notes += (f"{name} holds labels and lies beside the scan: taken as true {purpose} mask.",)
    volume = replace(volume, warnings=volume.warnings + notes)
    return replace(study, volume=volume, truth=truth)


def _labels_in(file: Path, limits: LoadLimits) -> set[int]:
    voxels, _ = read_voxels(file, read_volume_header(file, limits=limits), of_labels=True)
    labels, _ = check_labels(shown_name(file.name), voxels)
    return set(map(int, np.flatnonzero(np.bincount(labels.ravel(order="K"))))) - {0}


def _roles(file: Path, study: Study, limits: LoadLimits) -> tuple[Role, ...]:
    """What a mask is for, by its name; where that does not say, by what it marks."""
    name = file.name
    named: tuple[Role, ...] = ("lung",) if _LUNG.search(name) else ()
    if _INFECTION.search(name):
        named += ("infection",)
    if len(named) == 1:
        return named
    labels = _labels_in(file, limits)
    if named and len(labels) > 1:
        return named
    if labels in _COMBINED:
        return ("lung", "infection")
    mask = load_mask(file, study.volume, limits=limits)
    if not mask.any():
        return ("infection",)  # of a healthy lung; no scan of a chest has an empty lung mask
    return ("lung",) if is_aerated(mask, study.volume) else ("infection",)
