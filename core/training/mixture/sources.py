"""Every labelled scan of a data folder, at its own pixels.

What the folder may hold, each part optional, and what is known there:

| part | name here | lung | infection |
|---|---|---|---|
| `covid20/` | `covid20` | drawn | drawn |
| `medseg_set2/` | `second_team` | drawn | drawn, by other people |
| `whole_chest/`, with lung masks | `whole_chest` | drawn | none |
| `whole_chest/`, without | `whole_unmarked` | unknown | none |
| `medseg100_train/` | `pictures` | unknown | drawn |
| `luna_slices/` | `reviewed` | unknown | none; slices that show disease are left out |
| `luna_slices_more/` | `unreviewed` | unknown | none as far as known: nobody has looked |
| `lung_slices/` | `lung_slices` | drawn | unknown |
| `covid_ct_md/normal001.nii.gz` | `healthy` | unknown | none |

Lung means both lungs with their infected parts, without trachea and main bronchi. The sets depart
from it: large vessels at the hilum are inside in some and outside in others. Five of the
`lung_slices` are left out: in two of them one whole lung is not drawn, in the others the air around
the body is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import cv2
import numpy as np
import numpy.typing as npt

from core.config import PreprocessConfig
from core.errors import DatasetError
from core.loading import load_case, load_case_table, load_mask, load_nifti, load_pictures
from core.preprocessing import plan_spatial, window_slice
from core.preprocessing.roi import BoundingBox
from core.preprocessing.spatial import turn_volume
from core.system import WEIGHTS_FOLDER, OnProgress, ignore_progress
from core.training.scans import (
    HEALTHY_CHEST,
    MEDSEG_QUARTER_TURNS,
    infection_free,
    luna_patient,
    medseg_slices,
    read_medseg_slice,
)
from core.volume import BoolArray, MaskPair, Volume

SourceName = Literal[
    "covid20",
    "second_team",
    "whole_chest",
    "whole_unmarked",
    "pictures",
    "reviewed",
    "unreviewed",
    "lung_slices",
    "healthy",
]
SOURCES: tuple[SourceName, ...] = get_args(SourceName)
VOLUME_SOURCES: tuple[SourceName, ...] = (
    "covid20",
    "second_team",
    "whole_chest",
    "whole_unmarked",
    "healthy",
)
"""Those of whole scans; the others are of single slices."""
_CASE_FOLDERS: dict[str, SourceName] = {
    "covid20": "covid20",
    "medseg_set2": "second_team",
    "whole_chest": "whole_chest",
}
_SLICE_FOLDERS: dict[str, SourceName] = {
    "luna_slices": "reviewed",
    "luna_slices_more": "unreviewed",
}
DISEASE_LIST = WEIGHTS_FOLDER / "luna-visible-disease.json"
_WRONG_LUNG = (
    "ID_0052_Z_0108",
    "ID_0079_Z_0072",
    "ID_0116_Z_0116",
    "ID_0134_Z_0137",
    "ID_0254_Z_0075",
)
_MOST_PIXELS_A_SIDE = 352
"""Larger slices are shrunk: the network sees fewer pixels than that anyway."""
_MISPLACED_SLICE = "radiopaedia_org_covid-19-pneumonia-29_86490_1-dcm"
"""This one slice of the 20-case set belongs to another patient."""
_ITS_PATIENT = "radiopaedia_27"

Slices = npt.NDArray[np.uint8]
PixelBox = tuple[int, int, int, int]
"""Rows from and to, columns from and to; half-open."""


@dataclass(frozen=True, eq=False)
class LabelledScan:
    """One scan or picture.

    Attributes:
        images: (n, rows, columns) uint8, whole axial slices through the network's window.
        lung, infection: the same shape, 0 or 1; none where unknown.
        body_box, lung_box: as the pipeline finds them, in pixels of `images`.
        infection_unverified: nobody has looked whether the slices are free of other disease.
    """

    scan_id: str
    patient_id: str
    source: SourceName
    images: Slices
    lung: Slices | None
    infection: Slices | None
    body_box: PixelBox
    lung_box: PixelBox
    infection_unverified: bool = False


def load_labelled_scans(
    data: Path, preprocess: PreprocessConfig, *, on_progress: OnProgress = ignore_progress
) -> tuple[LabelledScan, ...]:
    """All labelled scans of a data folder.

    Args:
        preprocess: window, levelling and margin; its crop is not used.

    Raises:
        DatasetError: there is none.
        LoadError: a file cannot be read.
    """
    scans: list[LabelledScan] = []
    for study in read_studies(data):
        scans.append(_labelled(study, preprocess))
        on_progress("reading scans", len(scans), 0)
    if not scans:
        raise DatasetError(
            "No labelled scan found",
            got="a folder without any of the known sets",
            expected="covid20/, medseg_set2/, whole_chest/ or others that the README lists",
            next_step="pass the folder with --data",
        )
    return tuple(scans)


@dataclass(frozen=True, eq=False)
class LabelledStudy:
    """A scan on its own grid, with what is known of it."""

    scan_id: str
    patient_id: str
    source: SourceName
    volume: Volume
    truth: MaskPair


def read_studies(data: Path) -> Iterator[LabelledStudy]:
    """Every labelled scan of a data folder, one after the other.

    Raises:
        LoadError: a file cannot be read.
    """
    for folder, source in _CASE_FOLDERS.items():
        if (data / folder).is_dir():
            yield from _cases(data / folder, source)
    healthy = data / HEALTHY_CHEST
    if healthy.is_file():
        volume = load_nifti(healthy)
        yield LabelledStudy("normal001", "normal001", "healthy", volume, infection_free(volume))
    yield from _marked_pictures(data / "medseg100_train")
    diseased = _diseased()
    for folder, source in _SLICE_FOLDERS.items():
        for path in sorted((data / folder).glob("*.webp")):
            if path.stem not in diseased:
                volume = load_pictures([path])
                truth = infection_free(volume)
                yield LabelledStudy(path.stem, luna_patient(path), source, volume, truth)
    for path in sorted((data / "lung_slices" / "images").glob("*.png")):
        if path.stem not in _WRONG_LUNG:
            volume = load_pictures([path])
            lung = load_mask(data / "lung_slices" / "lung_mask" / path.name, volume)
            truth = MaskPair(lung, None)
            yield LabelledStudy(path.stem, path.stem, "lung_slices", volume, truth)


def _cases(folder: Path, source: SourceName) -> Iterator[LabelledStudy]:
    for case in load_case_table(folder):
        study = load_case(case)
        truth = study.truth or MaskPair(None, None)
        name = source
        if source == "whole_chest":
            name = "whole_chest" if truth.lung is not None else "whole_unmarked"
            truth = MaskPair(truth.lung, infection_free(study.volume).infection)
        patient = _ITS_PATIENT if case.case_id == _MISPLACED_SLICE else case.patient_id
        scan_id = f"second_team_{case.case_id}" if source == "second_team" else case.case_id
        yield LabelledStudy(scan_id, patient, name, study.volume, truth)


def _marked_pictures(folder: Path) -> Iterator[LabelledStudy]:
    for path in medseg_slices(folder):
        name, volume, infection = read_medseg_slice(path)
        upright = turn_volume(volume, MEDSEG_QUARTER_TURNS)
        turned = np.rot90(infection, MEDSEG_QUARTER_TURNS, axes=(0, 1))
        truth = MaskPair(None, np.asfortranarray(turned))
        yield LabelledStudy(name, name, "pictures", upright, truth)


def _diseased() -> frozenset[str]:
    listed = json.loads(DISEASE_LIST.read_text(encoding="utf-8"))["exclude"]
    return frozenset(str(entry["case_id"]) for entry in listed)


def _labelled(study: LabelledStudy, preprocess: PreprocessConfig) -> LabelledScan:
    volume = study.volume
    body = plan_spatial(volume, replace(preprocess, crop="body"))
    lungs = plan_spatial(volume, replace(preprocess, crop="lungs"))
    whole = plan_spatial(volume, replace(preprocess, crop="none"))
    rows, columns = volume.shape[1], volume.shape[0]
    scale = min(1.0, _MOST_PIXELS_A_SIDE / max(rows, columns))
    size = (round(columns * scale), round(rows * scale))
    images = np.stack(
        [_shrunk(window_slice(volume, whole, preprocess, k), size) for k in range(volume.shape[2])]
    )
    return LabelledScan(
        scan_id=study.scan_id,
        patient_id=study.patient_id,
        source=study.source,
        images=images,
        lung=_mask_slices(study.truth.lung, size),
        infection=_mask_slices(study.truth.infection, size),
        body_box=_scaled(body.box, scale, size),
        lung_box=_scaled(lungs.box, scale, size),
        infection_unverified=study.source == "unreviewed",
    )


def _mask_slices(mask: BoolArray | None, size: tuple[int, int]) -> Slices | None:
    if mask is None:
        return None
    slices: Sequence[Slices] = [
        (_shrunk(mask[:, :, k].T.astype(np.float32), size) >= 0.5).astype(np.uint8)
        for k in range(mask.shape[2])
    ]
    return np.stack(slices)


def _shrunk(picture: npt.NDArray[Any], size: tuple[int, int]) -> npt.NDArray[Any]:
    picture = np.ascontiguousarray(picture)
    if picture.shape == (size[1], size[0]):
        return picture
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))


def _scaled(box: BoundingBox, scale: float, size: tuple[int, int]) -> PixelBox:
    return (
        int(box.j_start * scale),
        min(size[1], int(np.ceil(box.j_stop * scale))),
        int(box.i_start * scale),
        min(size[0], int(np.ceil(box.i_stop * scale))),
    )
