"""All labelled pictures in one file: standardised grey, predicted masks, class, set and split.

Training then needs neither the data folder nor the segmentation network.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from core.classification.config import ClassifierModelConfig
from core.classification.frames import Frames
from core.classification.learning.data import LabelledPicture, picture_frames
from core.errors import DatasetError
from core.segmentation import UNREADABLE_NPZ
from core.segmentation.engines import Engine
from core.system import OnProgress, ignore_progress

_QUALITY = 90
"""Of the JPEG that greys are kept as."""
_MASK_STEP = 2
"""Masks are kept at half the rows and columns."""
_MASK_BITS = 0xF0


@dataclass(frozen=True, eq=False)
class Pictures:
    """Pictures ready for training.

    Attributes:
        frames: (n, rows, columns, 3) uint8: grey, lung and infection probability times 255.
        labels: (n,) 1 for COVID-19, else 0.
        sources, sides, groups, names: (n,) text: the set, the side of its split, what probably
            is one patient, the file.
    """

    frames: Frames
    labels: npt.NDArray[np.int64]
    sources: npt.NDArray[np.str_]
    sides: npt.NDArray[np.str_]
    groups: npt.NDArray[np.str_]
    names: npt.NDArray[np.str_]

    def of(self, kept: npt.NDArray[Any]) -> Pictures:
        """Some of them, by a mask or by numbers."""
        return Pictures(
            self.frames[kept],
            self.labels[kept],
            self.sources[kept],
            self.sides[kept],
            self.groups[kept],
            self.names[kept],
        )


def group_of(picture: LabelledPicture) -> str:
    """What probably is one patient: figures of one paper, crops of one figure, ten neighbouring
    numbers of SARS-COV-2."""
    stem = picture.path.stem
    if picture.source == "sars":
        number = int(re.findall(r"\d+", stem)[-1])
        return f"sars-{picture.label}-{number // 10}"
    paper = re.split(r"-p\d+-|%", stem)[0]
    return f"ucsd-{picture.label}-{paper}"


def build_pictures(
    labelled: Sequence[LabelledPicture],
    segmenter: Engine,
    config: ClassifierModelConfig,
    *,
    on_progress: OnProgress = ignore_progress,
) -> Pictures:
    """Segments and standardises pictures.

    Raises:
        LoadError: a picture cannot be read.
    """
    frames = picture_frames(
        [one.path for one in labelled], segmenter, config, on_progress=on_progress
    )
    return Pictures(
        frames=frames,
        labels=np.array([one.label for one in labelled], dtype=np.int64),
        sources=np.array([one.source for one in labelled]),
        sides=np.array([one.side for one in labelled]),
        groups=np.array([group_of(one) for one in labelled]),
        names=np.array([f"{one.path.parent.name}/{one.path.name}" for one in labelled]),
    )


def write_pack(place: Path, pictures: Pictures) -> None:
    """Writes them: greys as JPEG, masks with 16 levels at half their size."""
    codes = [
        cv2.imencode(".jpg", frame[..., 0], (cv2.IMWRITE_JPEG_QUALITY, _QUALITY))[1].ravel()
        for frame in pictures.frames
    ]
    _, rows, columns, _ = pictures.frames.shape
    small = (columns // _MASK_STEP, rows // _MASK_STEP)
    masks = [
        cv2.resize(frame[..., 1:], small, interpolation=cv2.INTER_AREA) & _MASK_BITS
        for frame in pictures.frames
    ]
    with place.open("wb") as file:
        np.savez_compressed(
            file,
            greys=np.concatenate(codes),
            lengths=np.array([len(code) for code in codes]),
            masks=np.stack(masks).transpose(3, 0, 1, 2),
            shape=np.array([rows, columns]),
            labels=pictures.labels,
            sources=pictures.sources,
            sides=pictures.sides,
            groups=pictures.groups,
            names=pictures.names,
        )


def read_pack(place: Path) -> Pictures:
    """Reads what `write_pack` has written.

    Raises:
        DatasetError: there is no such file, or it is damaged.
    """
    try:
        with np.load(place, allow_pickle=False) as stored:
            held = {name: stored[name] for name in stored.files}
        rows, columns = (int(n) for n in held["shape"])
        frames = np.empty((len(held["labels"]), rows, columns, 3), dtype=np.uint8)
        ends = np.cumsum(held["lengths"])
        held["masks"] |= held["masks"] >> 4  # the highest level is 255 again
        for n, (frame, end) in enumerate(zip(frames, ends, strict=True)):
            code = held["greys"][end - held["lengths"][n] : end]
            frame[..., 0] = np.asarray(cv2.imdecode(code, cv2.IMREAD_GRAYSCALE))
            for channel in (0, 1):
                frame[..., 1 + channel] = cv2.resize(
                    held["masks"][channel, n], (columns, rows), interpolation=cv2.INTER_LINEAR
                )
        return Pictures(
            frames, *(held[name] for name in ("labels", "sources", "sides", "groups", "names"))
        )
    except (*UNREADABLE_NPZ, cv2.error) as error:
        raise DatasetError(
            "The packed pictures cannot be read",
            got=type(error).__name__,
            expected="a file of train-classifier --pack",
        ) from error
