"""The scans and pictures of a data folder, on the network's grid, for training and validation.

What a data folder may hold (each part may be absent, but some cases must be there):

- `covid20/`, or the folder itself: the 20-case set, lung and infection known;
- `medseg100_train/`: pictures with infection known and lung unknown, stored on their side;
- `luna_slices/`: pictures of patients without COVID-19, infection known to be none, lung unknown;
- `covid_ct_md/normal001.nii.gz`: a healthy chest, kept out of training as a check.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from core.config import PreprocessConfig
from core.errors import DatasetError, shown_name
from core.loading import load_case, load_case_table, load_mask, load_nifti, load_pictures
from core.measuring.quality import Exclusion
from core.preprocessing import build_model_input, build_model_mask, plan_spatial
from core.system import OnProgress, ignore_progress
from core.volume import BoolArray, MaskPair, Volume

Role = Literal["case", "picture", "negative", "healthy"]
ROLES: tuple[Role, ...] = ("case", "picture", "negative", "healthy")
TRAINING_ROLES: tuple[Role, ...] = ("case", "picture", "negative")
"""Roles of the scans that networks are trained on; the healthy chest is for validation only."""
Slices = npt.NDArray[np.uint8]
MOST_BYTES_IN_MEMORY = 6 * 1024**3
"""Of slices and masks; the 20-case set in 512×512 takes half of it."""
HEALTHY_CHEST = Path("covid_ct_md", "normal001.nii.gz")
"""Below the data folder."""

MEDSEG_QUARTER_TURNS = 1
"""The MedSeg slices lie with the spine to the right; one turn clockwise puts them upright."""


@dataclass(frozen=True, eq=False)
class TrainingScan:
    """One scan or picture on the network's grid.

    Attributes:
        images, lung, infection: (n, rows, columns) uint8; masks 0 or 1, lung none where unknown.
    """

    scan_id: str
    patient_id: str
    role: Role
    images: Slices
    lung: Slices | None
    infection: Slices

    def thinned(self, count: int) -> TrainingScan:
        """At most so many of its slices, evenly spaced; all where `count` is 0."""
        slices = len(self.images)
        if not 0 < count < slices:
            return self
        taken = np.linspace(0, slices - 1, count).round().astype(np.int64)
        lung = None if self.lung is None else self.lung[taken]
        return replace(self, images=self.images[taken], lung=lung, infection=self.infection[taken])


def cases_folder(data: Path) -> Path:
    """Where the 20-case set, or cases in its layout, lie in a data folder."""
    return data / "covid20" if (data / "covid20").is_dir() else data


def load_training_scans(
    data: Path, preprocess: PreprocessConfig, *, on_progress: OnProgress = ignore_progress
) -> tuple[TrainingScan, ...]:
    """Reads and preprocesses every scan of a data folder that has truth masks.

    Raises:
        DatasetError: no case has lung and infection masks.
        LoadError: there is no case, or a file cannot be read.
    """
    cache = _ScanCache()
    cases = load_case_table(cases_folder(data))
    for done, case in enumerate(cases):
        on_progress("reading cases", done, len(cases))
        study = load_case(case)
        truth = study.truth
        if truth is not None and truth.lung is not None and truth.infection is not None:
            cache.add(
                _to_scan(case.case_id, case.patient_id, "case", study.volume, truth, preprocess)
            )
    if not cache.scans:
        raise DatasetError(
            "No training case found",
            got="a folder without cases that have lung and infection masks",
            expected="the 20-case set, with metadata.csv or ct_scans/, lung_mask/, infection_mask/",
            next_step="pass the folder with --data",
        )
    for scan in _load_pictures(data / "medseg100_train", preprocess, on_progress):
        cache.add(scan)
    for scan in _load_negatives(data / "luna_slices", preprocess, on_progress):
        cache.add(scan)
    healthy = data / HEALTHY_CHEST
    if healthy.is_file():
        volume = load_nifti(healthy)
        truth = infection_free(volume)
        cache.add(_to_scan("normal001", "normal001", "healthy", volume, truth, preprocess))
    return tuple(cache.scans)


class _ScanCache:
    """Scans in memory as long as there is room, later ones in temporary files, which are removed
    when nothing uses them any more."""

    def __init__(self) -> None:
        self.scans: list[TrainingScan] = []
        self._bytes = 0

    def add(self, scan: TrainingScan) -> None:
        arrays = {"images": scan.images, "lung": scan.lung, "infection": scan.infection}
        known = {name: array for name, array in arrays.items() if array is not None}
        size = sum(array.nbytes for array in known.values())
        if self._bytes + size > MOST_BYTES_IN_MEMORY:
            placed: dict[str, Any] = {name: _in_a_file(array) for name, array in known.items()}
            scan = replace(scan, **placed)
        else:
            self._bytes += size
        self.scans.append(scan)


def _in_a_file(array: Slices) -> Slices:
    """The same values, read from a file on access."""
    try:
        with tempfile.TemporaryFile(prefix="lunglens-") as file:
            array.tofile(file)
            # The map keeps the unnamed file alive.
            return np.memmap(file, dtype=array.dtype, mode="r", shape=array.shape)
    except OSError as error:
        raise DatasetError(
            "The slices fit neither into memory nor into a temporary file",
            got=error.strerror or "a write error",
            expected=f"{array.nbytes / 1e9:.1f} GB free for temporary files",
            next_step="free some space, set another folder in TMPDIR, or use smaller slices",
        ) from error


def medseg_slices(folder: Path) -> list[Path]:
    """The pictures of the MedSeg set in order."""
    return sorted((folder / "images").glob("*.jpg"), key=lambda path: path.stem.zfill(8))


def read_medseg_slice(path: Path) -> tuple[str, Volume, BoolArray]:
    """Id, picture and infection of a MedSeg slice as it is stored. The set names no patients, so
    each slice counts as one."""
    volume = load_pictures([path])
    mask_path = path.parent.parent / "infection_mask" / f"{path.stem}.png"
    return f"medseg_{path.stem}", volume, load_mask(mask_path, volume)


def luna_patient(path: Path) -> str:
    """The patient of a LUNA slice, by its file name."""
    return path.stem.split(".mhd")[0]


def infection_free(volume: Volume) -> MaskPair:
    """The truth of a scan that shows no infection; its lung is unknown."""
    return MaskPair(None, np.zeros(volume.shape, dtype=np.bool_))


def _to_scan(
    scan_id: str,
    patient_id: str,
    role: Role,
    volume: Volume,
    truth: MaskPair,
    preprocess: PreprocessConfig,
    *,
    quarter_turns: int = 0,
) -> TrainingScan:
    record = plan_spatial(volume, preprocess, quarter_turns=quarter_turns)
    slices = range(volume.shape[2])
    if truth.infection is None:
        raise DatasetError(f"Scan {scan_id} has no infection truth", expected="an infection mask")
    return TrainingScan(
        scan_id=scan_id,
        patient_id=patient_id,
        role=role,
        images=build_model_input(volume, record, preprocess, slices),
        lung=None if truth.lung is None else build_model_mask(truth.lung, record, slices),
        infection=build_model_mask(truth.infection, record, slices),
    )


def _load_pictures(
    folder: Path, preprocess: PreprocessConfig, on_progress: OnProgress
) -> list[TrainingScan]:
    paths = medseg_slices(folder)
    scans = []
    for done, path in enumerate(paths):
        on_progress("reading pictures", done, len(paths))
        name, volume, infection = read_medseg_slice(path)
        truth = MaskPair(None, infection)
        scans.append(
            _to_scan(
                name,
                name,
                "picture",
                volume,
                truth,
                preprocess,
                quarter_turns=MEDSEG_QUARTER_TURNS,
            )
        )
    return scans


def _load_negatives(
    folder: Path, preprocess: PreprocessConfig, on_progress: OnProgress
) -> list[TrainingScan]:
    paths = sorted(folder.glob("*.webp"))
    scans = []
    for done, path in enumerate(paths):
        on_progress("reading infection-free slices", done, len(paths))
        volume = load_pictures([path])
        truth = infection_free(volume)
        scans.append(_to_scan(path.stem, luna_patient(path), "negative", volume, truth, preprocess))
    return scans


def leave_out(
    scans: Sequence[TrainingScan], exclusions: Sequence[Exclusion]
) -> tuple[TrainingScan, ...]:
    """The scans without what a person has listed; those without any slice left are dropped.

    Raises:
        DatasetError: the list names a scan or a slice that is not there.
    """
    wanted = {exclusion.case_id: exclusion for exclusion in exclusions}
    known = {scan.scan_id for scan in scans}
    for case_id in wanted:
        if case_id not in known:
            raise DatasetError(
                "The list of exclusions names a case that is not there",
                got=shown_name(case_id),
                expected=f"one of the {len(scans)} scans and pictures of the data folder",
                next_step="remove it from the list, or pass the folder that the list was made for",
            )
    reduced = (
        _without(scan, wanted[scan.scan_id]) if scan.scan_id in wanted else scan for scan in scans
    )
    return tuple(scan for scan in reduced if len(scan.images))


def _without(scan: TrainingScan, exclusion: Exclusion) -> TrainingScan:
    count = len(scan.images)
    out = range(count) if exclusion.slices is None else exclusion.slices
    if max(out) >= count:
        raise DatasetError(
            f"The list of exclusions names a slice that {shown_name(scan.scan_id)} does not have",
            got=f"slice {max(out) + 1}",
            expected=f"slices 1 to {count}",
            next_step="export the list again from this scan",
        )
    stay = np.setdiff1d(np.arange(count), out)
    return replace(
        scan,
        images=scan.images[stay],
        lung=None if scan.lung is None else scan.lung[stay],
        infection=scan.infection[stay],
    )
