"""A few validation slices of a run, and the masks that its network predicts after every epoch.

In the folder `samples` of a run: `slices.npz` once, and a few kilobytes per epoch.
"""

from __future__ import annotations

import os
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.errors import DatasetError
from core.volume import Array, BoolArray

MOST_SLICES = 4


@dataclass(frozen=True, eq=False)
class SampleSlices:
    """Slices on the network's grid.

    Attributes:
        names: such as "generated_4, slice 21", one per slice.
        images: (n, rows, columns) uint8.
        truth: (n, rows, columns, 2) lung and infection.
    """

    names: tuple[str, ...]
    images: Array
    truth: BoolArray


def save_slices(folder: Path, samples: SampleSlices) -> None:
    """Writes the slices of a run; they stay the same for all of its epochs."""
    names = np.asarray(samples.names, dtype=np.str_)
    _save(_folder(folder) / "slices.npz", names=names, images=samples.images, truth=samples.truth)


def save_prediction(folder: Path, epoch: int, predicted: BoolArray) -> None:
    """Writes the masks predicted after an epoch: (n, rows, columns, 2), as the truth."""
    _save(_folder(folder) / f"epoch-{epoch:05d}.npz", predicted=predicted)


def sampled_epochs(folder: Path) -> tuple[int, ...]:
    """Epochs whose prediction was written, ascending."""
    found = (folder / "samples").glob("epoch-*.npz")
    return tuple(sorted(int(path.stem[6:]) for path in found if path.stem[6:].isdecimal()))


def read_slices(folder: Path) -> SampleSlices | None:
    """The slices of a run; none where none were written.

    Raises:
        DatasetError: the file is damaged.
    """
    path = folder / "samples" / "slices.npz"
    if not path.is_file():
        return None
    found = _load(path, "names", "images", "truth")
    return SampleSlices(tuple(map(str, found["names"])), found["images"], found["truth"])


def read_prediction(folder: Path, epoch: int) -> BoolArray:
    """The masks predicted after an epoch.

    Raises:
        DatasetError: it is missing or damaged.
    """
    return _load(folder / "samples" / f"epoch-{epoch:05d}.npz", "predicted")["predicted"]


def _folder(folder: Path) -> Path:
    place = folder / "samples"
    place.mkdir(exist_ok=True)
    return place


def _save(path: Path, **arrays: Array) -> None:
    part = path.with_name("part_" + path.name)
    np.savez_compressed(part, allow_pickle=False, **arrays)
    os.replace(part, path)


def _load(path: Path, *names: str) -> dict[str, Array]:
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in names}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DatasetError(
            "The sample slices of the run cannot be read",
            got=f"a missing or damaged {path.name}",
            expected="the file that training wrote",
        ) from error
