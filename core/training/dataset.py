"""Training and validation slices, split by patient.

What a data folder may hold (each part may be absent, but some cases must be there):

- `covid20/`, or the folder itself: the 20-case set, lung and infection known;
- `medseg100_train/`: pictures with infection known and lung unknown, stored on their side;
- `luna_slices/`: pictures of patients without COVID-19, infection known to be none, lung unknown;
- `covid_ct_md/normal001.nii.gz`: a healthy chest, kept out of training as a check.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import numpy.typing as npt

from core.config import PreprocessConfig, TrainConfig
from core.errors import DatasetError, shown_name
from core.loading import load_case, load_case_table, load_mask, load_nifti, load_pictures
from core.measuring.quality import Exclusion
from core.preprocessing import build_model_input, build_model_mask, plan_spatial
from core.system import OnProgress, ignore_progress
from core.training.augmentation import augment, build_augmentation
from core.training.losses import UNKNOWN
from core.volume import MaskPair, Volume

Role = Literal["case", "picture", "negative", "healthy"]
Slices = npt.NDArray[np.uint8]
MOST_BYTES_IN_MEMORY = 6 * 1024**3
"""Of slices and masks; the 20-case set in 512×512 takes half of it."""
_ROLES: tuple[Role, ...] = ("case", "picture", "negative", "healthy")
_TAUGHT_ROLES: tuple[Role, ...] = ("case", "picture", "negative")

_ORIGINS = ("coronacases", "radiopaedia")
"""How the names of the 20-case set begin: scans in HU, scans in 8-bit grey."""

_MEDSEG_QUARTER_TURNS = 1
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


@dataclass(frozen=True, eq=False)
class Split:
    """Scans that teach and scans that judge; no patient is on both sides."""

    train: tuple[TrainingScan, ...]
    validation: tuple[TrainingScan, ...]

    def to_json_dict(self) -> dict[str, Any]:
        """Ids of every scan by side and role, and the patients whose cases they are."""
        return {
            side: {
                "patients": sorted({s.patient_id for s in scans if s.role == "case"}),
                **{role: sorted(s.scan_id for s in scans if s.role == role) for role in _ROLES},
            }
            for side, scans in (("train", self.train), ("validation", self.validation))
        }


def load_training_scans(
    data: Path, preprocess: PreprocessConfig, *, on_progress: OnProgress = ignore_progress
) -> tuple[TrainingScan, ...]:
    """Reads and preprocesses every scan of a data folder that has some truth.

    Raises:
        DatasetError: no case has lung and infection masks.
        LoadError: there is no case, or a file cannot be read.
    """
    cases_folder = data / "covid20" if (data / "covid20").is_dir() else data
    shelf = _Shelf()
    cases = load_case_table(cases_folder)
    for done, case in enumerate(cases):
        on_progress("reading cases", done, len(cases))
        study = load_case(case)
        truth = study.truth
        if truth is not None and truth.lung is not None and truth.infection is not None:
            shelf.add(
                _to_scan(case.case_id, case.patient_id, "case", study.volume, truth, preprocess)
            )
    if not shelf.scans:
        raise DatasetError(
            "No training case found",
            got="a folder without cases that have lung and infection masks",
            expected="the 20-case set, with metadata.csv or ct_scans/, lung_mask/, infection_mask/",
            next_step="pass the folder with --data",
        )
    for scan in _load_pictures(data / "medseg100_train", preprocess, on_progress):
        shelf.add(scan)
    for scan in _load_negatives(data / "luna_slices", preprocess, on_progress):
        shelf.add(scan)
    healthy = data / "covid_ct_md" / "normal001.nii.gz"
    if healthy.is_file():
        volume = load_nifti(healthy)
        none = np.zeros(volume.shape, dtype=np.bool_)
        shelf.add(
            _to_scan("normal001", "normal001", "healthy", volume, MaskPair(None, none), preprocess)
        )
    return tuple(shelf.scans)


class _Shelf:
    """Scans in memory as long as there is room; those that come later wait in files, which go when
    nothing looks at them any more."""

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
    """The same values, read when they are asked for."""
    try:
        with tempfile.TemporaryFile(prefix="lunglens-") as file:
            array.tofile(file)
            # The map keeps the nameless file alive.
            return np.memmap(file, dtype=array.dtype, mode="r", shape=array.shape)
    except OSError as error:
        raise DatasetError(
            "The slices do not fit into memory, and not into a file either",
            got=error.strerror or "a write error",
            expected=f"{array.nbytes / 1e9:.1f} GB of room for temporary files",
            next_step="make room, name another folder in TMPDIR, or take smaller slices",
        ) from error


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
    paths = sorted((folder / "images").glob("*.jpg"), key=lambda path: path.stem.zfill(8))
    scans = []
    for done, path in enumerate(paths):
        on_progress("reading pictures", done, len(paths))
        volume = load_pictures([path])
        infection = load_mask(folder / "infection_mask" / f"{path.stem}.png", volume)
        truth = MaskPair(None, infection)
        # No patient is named in this set; each picture is taken as one.
        name = f"medseg_{path.stem}"
        scans.append(
            _to_scan(
                name,
                name,
                "picture",
                volume,
                truth,
                preprocess,
                quarter_turns=_MEDSEG_QUARTER_TURNS,
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
        truth = MaskPair(None, np.zeros(volume.shape, dtype=np.bool_))
        patient = path.stem.split(".mhd")[0]
        scans.append(_to_scan(path.stem, patient, "negative", volume, truth, preprocess))
    return scans


def leave_out(
    scans: Sequence[TrainingScan], exclusions: Sequence[Exclusion]
) -> tuple[TrainingScan, ...]:
    """The scans without what a person has listed; those of which nothing stays go altogether.

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
                next_step="take it off the list, or pass the folder that the list was made for",
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
            next_step="export the list anew from this scan",
        )
    stay = np.setdiff1d(np.arange(count), out)
    return replace(
        scan,
        images=scan.images[stay],
        lung=None if scan.lung is None else scan.lung[stay],
        infection=scan.infection[stay],
    )


def split_by_patient(
    scans: Sequence[TrainingScan], *, validation_fraction: float, seed: int
) -> Split:
    """Draws validation patients within each kind of scan, so that both sides hold every kind.

    Cases of the 20-case set are drawn apart by their origin (true HU or 8-bit). The healthy scan
    is always on the validation side.

    Raises:
        DatasetError: the cases are of too few patients for two sides.
    """
    generator = np.random.default_rng(seed)
    kept_out: set[str] = set()
    for stratum, patients in _strata(scans).items():
        if stratum == "healthy":
            kept_out.update(patients)
            continue
        count = min(len(patients) - 1, ceil(len(patients) * validation_fraction))
        chosen = generator.permutation(len(patients))[:count]
        kept_out.update(patients[index] for index in chosen)
    return _split_at(scans, kept_out)


def split_folds(scans: Sequence[TrainingScan], *, folds: int, seed: int) -> tuple[Split, ...]:
    """Deals the patients of each kind of scan out to folds; each fold judges its own patients and
    learns from all others. The healthy scan judges in every fold.

    Raises:
        DatasetError: a fold would be left without cases on one side.
    """
    generator = np.random.default_rng(seed)
    kept_out: list[set[str]] = [set() for _ in range(folds)]
    next_fold = 0
    for stratum, patients in _strata(scans).items():
        if stratum == "healthy":
            for fold in kept_out:
                fold.update(patients)
            continue
        # Dealt on from where the last kind ended, so that folds stay of one size.
        for index in generator.permutation(len(patients)):
            kept_out[next_fold].add(patients[index])
            next_fold = (next_fold + 1) % folds
    return tuple(_split_at(scans, fold) for fold in kept_out)


def _strata(scans: Sequence[TrainingScan]) -> dict[str, list[str]]:
    """Patients by kind of scan, both sorted."""
    strata: dict[str, set[str]] = {}
    for scan in scans:
        origin = scan.scan_id.split("_")[0]
        known = scan.role == "case" and origin in _ORIGINS
        stratum = f"{scan.role} {origin}" if known else scan.role
        strata.setdefault(stratum, set()).add(scan.patient_id)
    return {stratum: sorted(strata[stratum]) for stratum in sorted(strata)}


def _split_at(scans: Sequence[TrainingScan], kept_out: set[str]) -> Split:
    split = Split(
        train=tuple(scan for scan in scans if scan.patient_id not in kept_out),
        validation=tuple(scan for scan in scans if scan.patient_id in kept_out),
    )
    for side in (split.train, split.validation):
        if not any(scan.role == "case" for scan in side):
            raise DatasetError(
                "The cases cannot be split into those that teach and those that judge",
                got=f"{len({scan.patient_id for scan in scans if scan.role == 'case'})} patients",
                expected="at least two patients of one origin",
                next_step="add cases of other patients",
            )
    return split


def split_as_recorded(scans: Sequence[TrainingScan], record: Mapping[str, Any]) -> Split:
    """The split that a run or a manifest has written down, so that another run is judged on the
    very same patients.

    Args:
        record: `Split.to_json_dict` of the earlier run. Scans it does not name are left out.

    Raises:
        DatasetError: a patient would stand on both sides, or a side has no case.
    """
    sides: dict[str, set[str]] = {}
    for side, kinds in (("train", _TAUGHT_ROLES), ("validation", _ROLES)):
        roles = record.get(side, {})
        sides[side] = {str(name) for role in kinds for name in roles.get(role, ())}
    split = Split(
        train=tuple(scan for scan in scans if scan.scan_id in sides["train"]),
        validation=tuple(scan for scan in scans if scan.scan_id in sides["validation"]),
    )
    shared = {scan.patient_id for scan in split.train} & {s.patient_id for s in split.validation}
    both_filled = all(
        any(scan.role == "case" for scan in side) for side in (split.train, split.validation)
    )
    if shared or not both_filled:
        raise DatasetError(
            "The recorded split does not fit the data",
            got=f"{len(split.train)} scans to learn from, {len(split.validation)} to judge, "
            f"{len(shared)} patients on both sides",
            expected="cases on both sides and no patient on both",
            next_step="check that --data and --split belong together",
        )
    return split


class SliceBatches(keras.utils.PyDataset):
    """Batches of augmented slices; a new draw of order, extras and changes every epoch.

    Of the cases all slices come once, or a number of each patient; of the pictures and of the
    negatives a number is drawn. The config sets them; where there are fewer, some come twice.
    Gives images (n, rows, columns, 1) float32 in [0, 1] and truth (n, rows, columns, 2) float32:
    0, 1, or `UNKNOWN` throughout a lung channel that is not known.
    """

    def __init__(
        self,
        scans: Sequence[TrainingScan],
        config: TrainConfig,
        *,
        epoch: int,
        only_full: bool = False,
    ) -> None:
        """
        Args:
            epoch: the first one to draw.
            only_full: the last batch is filled up with slices of the first, as devices that
                share each batch evenly need it.
        """
        super().__init__(workers=1, use_multiprocessing=False, max_queue_size=4)
        self._only_full = only_full
        self._scans = tuple(scans)
        self._config = config
        self._start_epoch(epoch)

    def _start_epoch(self, epoch: int) -> None:
        self._epoch = epoch
        seed = self._config.seed * 100_003 + epoch
        generator = np.random.default_rng(seed)
        index: list[tuple[int, int]] = []
        by_role: dict[str, list[tuple[int, int]]] = {role: [] for role in _TAUGHT_ROLES}
        for number, scan in enumerate(self._scans):
            by_role[scan.role] += [(number, k) for k in range(len(scan.images))]
        index += self._draw_cases(by_role["case"], generator)
        for role, wanted in (
            ("picture", self._config.pictures_per_epoch),
            ("negative", self._config.negatives_per_epoch),
        ):
            pool = by_role[role]
            if pool and wanted:
                drawn = generator.choice(len(pool), wanted, replace=wanted > len(pool))
                index += [pool[n] for n in drawn]
        self._index = [index[n] for n in generator.permutation(len(index))]
        if self._only_full:
            missing = -len(self._index) % self._config.batch_size
            self._index += [self._index[n % len(index)] for n in range(missing)]
        layers_seed = seed % (2**31 - 100)
        self._augmentations = {
            sharp: build_augmentation(self._config.augment, seed=layers_seed, sharp=sharp)
            for sharp in (False, True)
        }
        self._is_sharp = generator.random(len(self)) < self._config.augment.sharp_share

    def _draw_cases(
        self, pool: Sequence[tuple[int, int]], generator: np.random.Generator
    ) -> list[tuple[int, int]]:
        wanted = self._config.slices_per_patient
        if wanted == 0:
            return list(pool)
        patients: dict[str, list[tuple[int, int]]] = {}
        for number, k in pool:
            patients.setdefault(self._scans[number].patient_id, []).append((number, k))
        drawn = []
        for slices in patients.values():
            chosen = generator.choice(len(slices), wanted, replace=wanted > len(slices))
            drawn += [slices[n] for n in chosen]
        return drawn

    def __len__(self) -> int:
        return ceil(len(self._index) / self._config.batch_size)

    def __getitem__(self, number: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        size = self._config.batch_size
        chosen = self._index[number * size : (number + 1) * size]
        images = np.stack([self._scans[s].images[k] for s, k in chosen])[..., None]
        masks = np.zeros((*images.shape[:3], 2), dtype=np.float32)
        for row, (s, k) in enumerate(chosen):
            lung = self._scans[s].lung
            if lung is not None:
                masks[row, ..., 0] = lung[k]
            masks[row, ..., 1] = self._scans[s].infection[k]
        changed, truth = augment(
            self._augmentations[bool(self._is_sharp[number])],
            images.astype(np.float32) / 255.0,
            masks,
        )
        for row, (s, _) in enumerate(chosen):
            if self._scans[s].lung is None:
                truth[row, ..., 0] = UNKNOWN
        return changed, truth

    def on_epoch_end(self) -> None:
        self._start_epoch(self._epoch + 1)
