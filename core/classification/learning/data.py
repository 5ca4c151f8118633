"""Pictures with a known class, split by patient or by blocks of numbers.

What a data folder may hold:

- `covid_ct_ucsd/{train,val}/{covid,noncovid}`: its official split by patient is kept;
- `sars_cov_2_ct/{covid,noncovid}`: numbered slices without patients, of which neighbours are
  often neighbours in one scan. Blocks of numbers are held out, with a gap on either side.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from core.classification.config import ClassifierModelConfig
from core.classification.frames import Frames, slice_frames
from core.classification.pictures import open_picture
from core.errors import DatasetError
from core.loading import pictures_in
from core.segmentation import segment_volumes
from core.segmentation.engines import Engine
from core.system import OnProgress, ShouldCancel, ignore_progress, never_cancel, raise_if_cancelled

Side = Literal["train", "validation", "gap"]
SETS = ("ucsd", "sars")
CLASSES = {"covid": 1, "noncovid": 0}

SARS_BLOCKS = 10
"""Blocks of neighbouring numbers that each class is divided into."""
SARS_HELD_OUT = (2, 6)
"""Those held out for validation, counted from 0."""
SARS_GAP = 10
"""Numbers left out on either side of a held-out block."""

_AT_ONCE = 32


@dataclass(frozen=True)
class LabelledPicture:
    """A picture with its set, its class and its side of the split."""

    path: Path
    source: str
    label: int
    side: Side


def list_labelled(data: Path) -> tuple[LabelledPicture, ...]:
    """Every picture of the two sets with its class and its side.

    Raises:
        DatasetError: a class of a set is missing.
    """
    found: list[LabelledPicture] = []
    for name, side in (("train", "train"), ("val", "validation")):
        for class_name, label in CLASSES.items():
            folder = data / "covid_ct_ucsd" / name / class_name
            found += [
                LabelledPicture(path, "ucsd", label, "train" if side == "train" else "validation")
                for path in _pictures(folder)
            ]
    for class_name, label in CLASSES.items():
        paths = _pictures(data / "sars_cov_2_ct" / class_name)
        numbers = [_number(path) for path in paths]
        sides = split_by_blocks(numbers)
        found += [
            LabelledPicture(path, "sars", label, side)
            for path, side in zip(paths, sides, strict=True)
        ]
    return tuple(found)


def split_by_blocks(
    numbers: Sequence[int],
    *,
    blocks: int = SARS_BLOCKS,
    held_out: Sequence[int] = SARS_HELD_OUT,
    gap: int = SARS_GAP,
) -> tuple[Side, ...]:
    """The side of each number: whole blocks are held out, and what is within `gap` numbers of one
    is used for neither training nor validation.

    Args:
        numbers: from 1 on; blocks are of one length, up to the largest number.
    """
    length = -(-max(numbers, default=1) // blocks)
    sides: list[Side] = []
    for number in numbers:
        side: Side = "train"
        for block in held_out:
            first, last = block * length + 1, (block + 1) * length
            if first <= number <= last:
                side = "validation"
                break
            if first - gap <= number <= last + gap:
                side = "gap"
        sides.append(side)
    return tuple(sides)


def _pictures(folder: Path) -> tuple[Path, ...]:
    paths = pictures_in(folder) if folder.is_dir() else ()
    if not paths:
        raise DatasetError(
            "The training pictures are missing",
            got=f"no picture in {folder.parent.name}/{folder.name}",
            expected="covid_ct_ucsd/{train,val} and sars_cov_2_ct with covid/ and noncovid/",
            next_step="pass the folder that holds both sets with --data",
        )
    return paths


def _number(path: Path) -> int:
    digits = re.findall(r"\d+", path.stem)
    if not digits:
        raise DatasetError(
            "A slice of sars_cov_2_ct has no number", expected="names such as 0001.webp"
        )
    return int(digits[-1])


def picture_frames(
    paths: Sequence[Path],
    segmenter: Engine,
    config: ClassifierModelConfig,
    *,
    on_progress: OnProgress = ignore_progress,
    should_cancel: ShouldCancel = never_cancel,
) -> Frames:
    """The classifier's input for pictures: (n, rows, columns, 3) uint8.

    Raises:
        LoadError: a picture cannot be read.
        Cancelled: the person asked to stop.
    """
    frames = np.empty((len(paths), config.rows, config.columns, 3), dtype=np.uint8)
    for start in range(0, len(paths), _AT_ONCE):
        raise_if_cancelled(should_cancel, "segmenting pictures")
        on_progress("segmenting pictures", start, len(paths))
        volumes = [open_picture(path).volume for path in paths[start : start + _AT_ONCE]]
        found = segment_volumes(volumes, segmenter)
        for n, (volume, segmentation) in enumerate(zip(volumes, found, strict=True)):
            frames[start + n] = slice_frames(volume, segmentation, [0], config)[0]
    return frames
