"""The public 20-case set (Ma et al. 2021, doi:10.1002/mp.14676), as Kaggle or Zenodo lay it out."""

from __future__ import annotations

import csv
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path

from core.config import LoadLimits
from core.errors import LoadError, shown_name
from core.loading.checks import DEFAULT_LIMITS
from core.loading.masks import fits_grid, load_labels, load_mask
from core.loading.nifti import load_nifti
from core.loading.pictures import PICTURE_ENDINGS
from core.system import OnProgress, ShouldCancel, ignore_progress, never_cancel
from core.volume import BoolArray, MaskPair, Study

_TABLE = "metadata.csv"
_MAX_TABLE_BYTES = 4 * 1024**2
_MAX_ROWS = 10_000
CASE_FOLDERS: dict[str, tuple[str, ...]] = {
    "ct_scan": ("ct_scans", "covid-19-ct-seg_20cases"),
    "lung_mask": ("lung_mask",),
    "infection_mask": ("infection_mask",),
    "lung_and_infection_mask": ("lung_and_infection_mask",),
}
"""Column of the table → folder names in lower case, Kaggle's first."""

_CORONACASES = re.compile(r"coronacases_(?:org_)?(\d+)")
_RADIOPAEDIA = re.compile(r"radiopaedia_(?:org_covid-19-pneumonia-)?(\d+)_(\d+)_(\d+)(?:-dcm)?")
_OWN = re.compile(r"(own_[a-z0-9-]+)_\d+")
"""Cases made of corrected scans: the patient's pseudonym, and a number."""


@dataclass(frozen=True)
class Case:
    """One scan of a set, and the masks drawn on it where there are any."""

    case_id: str
    """The scan's file name without ending, such as "coronacases_org_001"."""
    patient_id: str
    """The same for scans of one patient, which must stay on one side of a split."""
    scan_path: Path
    lung_path: Path | None = None
    infection_path: Path | None = None
    label_path: Path | None = None


def is_case_folder(folder: Path | str) -> bool:
    """Whether a folder, or its only subfolder, looks like the 20-case set.

    False as well for a folder that may not be read.
    """
    return _root(Path(folder)) is not None


def _root(folder: Path) -> Path | None:
    """The folder that holds `ct_scans`: the one given or its only subfolder."""
    if _subfolder(folder, "ct_scan") is not None:
        return folder
    below = [c for c in _folders_in(folder) if not c.name.startswith((".", "__"))]
    alone = len(below) == 1 and _subfolder(below[0], "ct_scan") is not None
    return below[0] if alone else None


def load_case_table(folder: Path | str) -> tuple[Case, ...]:
    """The cases of a folder, in the order of `metadata.csv` or else of their names.

    Paths in the table are taken by their last two parts, inside `folder`; gzipped or not.

    Raises:
        LoadError: the folder holds no scan, or its table cannot be used.
    """
    folder = _root(Path(folder)) or Path(folder)
    table = folder / _TABLE
    cases = _cases_of_table(folder, table) if os.path.isfile(table) else _cases_of_names(folder)
    if not cases:
        raise LoadError(
            f"{shown_name(folder)} holds no case",
            got="no scan beside metadata.csv or in ct_scans",
            expected="the folders ct_scans, lung_mask and infection_mask",
            next_step="point to the unpacked data set",
        )
    return cases


def load_case(
    case: Case,
    *,
    window: tuple[float, float] | None = None,
    limits: LoadLimits = DEFAULT_LIMITS,
    on_progress: OnProgress = ignore_progress,
    should_cancel: ShouldCancel = never_cancel,
) -> Study:
    """A scan with its true masks; where only the combined mask exists, both are taken from it.

    Args:
        window: HU of black and white, for a scan that is not in HU.

    Raises:
        LoadError, GeometryError: the scan or a mask cannot be read.
    """
    volume = load_nifti(
        case.scan_path,
        window=window,
        limits=limits,
        on_progress=on_progress,
        should_cancel=should_cancel,
    )
    lung: BoolArray | None = None
    infection: BoolArray | None = None
    used: list[Path] = []
    # Masks of this set were drawn voxel by voxel, so a lost affine does not move them.
    if case.lung_path is not None:
        lung = load_mask(case.lung_path, volume, trust_shape=True, limits=limits)
        used.append(case.lung_path)
    if case.infection_path is not None:
        infection = load_mask(case.infection_path, volume, trust_shape=True, limits=limits)
        used.append(case.infection_path)
    if case.label_path is not None and (lung is None or infection is None):
        both = load_labels(case.label_path, volume, trust_shape=True, limits=limits)
        lung = both.lung if lung is None else lung
        infection = both.infection if infection is None else infection
        used.append(case.label_path)
    if any(not fits_grid(path, volume) for path in used):
        warning = (
            "A mask's affine differs from the scan's; it was placed on the scan voxel by voxel."
        )
        volume = replace(volume, warnings=(*volume.warnings, warning))
    truth = None if lung is None and infection is None else MaskPair(lung, infection)
    return Study(volume=volume, truth=truth, case_id=case.case_id)


def case_of_scan(path: Path | str) -> Case:
    """The case that a scan's file name stands for, without masks."""
    stem = _stem(Path(path))
    return Case(case_id=stem, patient_id=patient_of(stem), scan_path=Path(path))


def patient_of(stem: str) -> str:
    """The patient behind a scan's name; names of other sets stand for one patient each.

    Radiopaedia numbers the case (one patient) first: `10_85902_1` and `10_85902_3` are two
    series of patient 10, `29_86490_1` and `29_86491_1` two studies of patient 29.
    """
    name = stem.lower()
    if match := _CORONACASES.fullmatch(name):
        return f"coronacases_{match[1]}"
    if match := _RADIOPAEDIA.fullmatch(name):
        return f"radiopaedia_{match[1]}"
    if match := _OWN.fullmatch(name):
        return match[1]
    return stem


def _key(stem: str) -> str:
    """The same for a scan and its masks, whose names differ."""
    name = stem.lower()
    if match := _CORONACASES.fullmatch(name):
        return f"coronacases_{match[1]}"
    if match := _RADIOPAEDIA.fullmatch(name):
        return f"radiopaedia_{match[1]}_{match[2]}_{match[3]}"
    return name


def _stem(path: Path) -> str:
    name = path.name
    for ending in (".gz", ".nii", *PICTURE_ENDINGS):
        if name.lower().endswith(ending):
            name = name[: -len(ending)]
    return name


def _cases_of_table(folder: Path, table: Path) -> tuple[Case, ...]:
    rows = csv.DictReader(_table_text(table).splitlines())
    try:
        return _cases_of_rows(folder, rows)
    except csv.Error as error:
        raise LoadError(
            f"{_TABLE} cannot be used",
            got=f"line {rows.line_num + 1}, which is not a line of a table",
            expected="text in columns, separated by commas",
            next_step="use the table that comes with the data set",
        ) from error


def _cases_of_rows(folder: Path, rows: csv.DictReader[str]) -> tuple[Case, ...]:
    if rows.fieldnames is None or "ct_scan" not in rows.fieldnames:
        raise LoadError(
            f"{_TABLE} cannot be used",
            got="no column ct_scan",
            expected="columns " + ", ".join(CASE_FOLDERS),
            next_step="use the table that comes with the data set",
        )
    cases = []
    for number, row in enumerate(rows, 1):
        # Each row asks the disk a dozen times.
        if number > _MAX_ROWS:
            raise LoadError(
                f"{_TABLE} has too many rows",
                got=f"more than {_MAX_ROWS}",
                expected="one row a scan",
                next_step="split the set into several folders",
            )
        scan = _inside(folder, row.get("ct_scan"))
        if scan is None:
            continue  # a part of the set is a set
        cases.append(
            replace(
                case_of_scan(scan),
                lung_path=_inside(folder, row.get("lung_mask")),
                infection_path=_inside(folder, row.get("infection_mask")),
                label_path=_inside(folder, row.get("lung_and_infection_mask")),
            )
        )
    return tuple(cases)


def _table_text(table: Path) -> str:
    try:
        size_bytes = table.stat().st_size
        if size_bytes <= _MAX_TABLE_BYTES:
            return table.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise LoadError(
            f"{_TABLE} cannot be opened",
            got=error.strerror or "a read error",
            expected="a table that may be read",
            next_step="check its permissions",
        ) from error
    raise LoadError(
        f"{_TABLE} is too large",
        got=f"{size_bytes} bytes",
        expected=f"at most {_MAX_TABLE_BYTES}",
        next_step="use the table that comes with the data set",
    )


def _inside(folder: Path, written: str | None) -> Path | None:
    """The file inside `folder` that a path written elsewhere means, gzipped or not."""
    parts = [part for part in re.split(r"[\\/]", (written or "").strip()) if part]
    if not parts or any(part in (".", "..") or "\0" in part for part in parts[-2:]):
        return None
    path = folder.joinpath(*parts[-2:])
    plain = path.with_name(path.name[:-3]) if path.name.lower().endswith(".gz") else path
    for candidate in (path, plain, plain.with_name(f"{plain.name}.gz")):
        if os.path.isfile(candidate):
            return candidate
    return None


def _subfolder(folder: Path, column: str) -> Path | None:
    found = {child.name.lower(): child for child in _folders_in(folder)}
    return next((found[name] for name in CASE_FOLDERS[column] if name in found), None)


def _scans_in(folder: Path | None) -> list[Path]:
    if folder is None:
        return []
    return [
        path
        for path in _children(folder)
        if os.path.isfile(path)
        and path.name.lower().endswith((".nii", ".nii.gz"))
        and not path.name.startswith(".")
    ]


def _folders_in(folder: Path) -> list[Path]:
    return [child for child in _children(folder) if os.path.isdir(child)]


def _children(folder: Path) -> list[Path]:
    """What lies in a folder, sorted; nothing where it is no folder or may not be read."""
    try:
        return sorted(folder.iterdir())
    except (OSError, ValueError):
        return []


def _cases_of_names(folder: Path) -> tuple[Case, ...]:
    masks = {
        column: {_key(_stem(path)): path for path in _scans_in(_subfolder(folder, column))}
        for column in CASE_FOLDERS
        if column != "ct_scan"
    }
    cases = []
    for scan in _scans_in(_subfolder(folder, "ct_scan")):
        key = _key(_stem(scan))
        cases.append(
            replace(
                case_of_scan(scan),
                lung_path=masks["lung_mask"].get(key),
                infection_path=masks["infection_mask"].get(key),
                label_path=masks["lung_and_infection_mask"].get(key),
            )
        )
    return tuple(cases)
