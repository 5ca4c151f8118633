"""Out-of-distribution pictures: slices that are not axial chest slices, to learn to abstain on.

Coronal and sagittal planes and slices without lung of scans at hand, photographs, and artificial
pictures: noise, gradients, stripes, discs. Those to learn from and those kept apart come from
different scans and different photographs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from core.classification.config import ClassifierModelConfig
from core.classification.frames import GREY_WINDOW, Frames, slice_frames
from core.config import Plane
from core.loading import grey_intensity, load_case, load_case_table, load_nifti
from core.preprocessing import window_to_grey
from core.segmentation import segment_volumes
from core.segmentation.engines import Engine
from core.training.scans import HEALTHY_CHEST
from core.volume import BoolArray, Volume, plane_slice, volume_from_file

Values = npt.NDArray[np.float64]

_SIDE = 224
_PLANES: tuple[Plane, ...] = ("coronal", "sagittal")
_ARTIFICIAL_KINDS = 6
_PARTS = 4
_ARTIFICIAL, _PLANES_OF_CASE, _LUNG_FREE = 60, 5, 16
PHOTOGRAPHS = (
    "astronaut",
    "brick",
    "camera",
    "cat",
    "clock",
    "coffee",
    "coins",
    "grass",
    "gravel",
    "moon",
    "page",
    "text",
)


def other_planes(volume: Volume, *, count: int) -> Iterator[Volume]:
    """Coronal and sagittal slices of a scan, from its middle half, as pictures."""
    for plane in _PLANES:
        total = volume.plane_count(plane)
        for index in np.linspace(0.3 * total, 0.7 * total, count).round().astype(int):
            cut = plane_slice(volume.array, plane, int(index))
            yield as_picture(window_to_grey(volume, cut, GREY_WINDOW))


def artificial(count: int, *, seed: int) -> Iterator[Volume]:
    """Artificial pictures: noise, gradients, stripes, discs."""
    generator = np.random.default_rng(seed)
    for number in range(count):
        yield as_picture(_to_grey(_artificial(number % _ARTIFICIAL_KINDS, generator)))


def _artificial(kind: int, generator: np.random.Generator) -> Values:
    rows, columns = np.indices((_SIDE, _SIDE), dtype=np.float64) / _SIDE
    noise: Values = generator.normal(size=(_SIDE, _SIDE))
    if kind == 0:
        return noise
    if kind == 1:
        return np.asarray(cv2.GaussianBlur(noise, (0, 0), float(generator.uniform(1, 24))))
    if kind == 2:
        slope, other = generator.uniform(-1, 1, 2)
        shade: Values = slope * rows + other * columns + 0.02 * noise
        return shade
    if kind == 3:
        turns, slant = generator.uniform(3, 40), generator.uniform(-1, 1)
        stripes: Values = np.sin(turns * (rows + slant * columns)) + 0.1 * noise
        return stripes
    if kind == 4:
        discs = np.zeros((_SIDE, _SIDE))
        for _ in range(int(generator.integers(2, 30))):
            x, y = (int(n) for n in generator.integers(0, _SIDE, 2))
            radius = int(generator.integers(4, 70))
            cv2.circle(discs, (x, y), radius, float(generator.random()), -1)
        return discs + 0.02 * noise
    # A spectrum as that of photographs.
    along = np.fft.fftfreq(_SIDE)
    distance = np.hypot(*np.meshgrid(along, along))
    return np.asarray(np.fft.ifft2(np.fft.fft2(noise) / (distance + 1 / _SIDE)).real)


def lung_free(volume: Volume, lung: BoolArray, *, count: int) -> Iterator[Volume]:
    """Axial slices of a whole scan without any lung: neck, shoulders, abdomen."""
    free = np.flatnonzero(~lung.any(axis=(0, 1)))
    for k in free[np.linspace(0, len(free) - 1, min(count, len(free))).round().astype(int)]:
        yield as_picture(window_to_grey(volume, volume.array[:, :, k].T, GREY_WINDOW))


def photographs(*, seed: int) -> Iterator[Volume]:
    """Parts of the photographs, textures and pages that come with scikit-image."""
    from skimage import data

    generator = np.random.default_rng(seed)
    for name in PHOTOGRAPHS:
        picture = np.asarray(getattr(data, name)())
        grey = picture if picture.ndim == 2 else cv2.cvtColor(picture[..., :3], cv2.COLOR_RGB2GRAY)
        grey = _to_grey(grey.astype(np.float64))
        yield as_picture(_small(grey))
        for _ in range(_PARTS):
            side = int(generator.uniform(0.4, 0.9) * min(grey.shape))
            top, left = (int(generator.integers(0, length - side + 1)) for length in grey.shape)
            part = np.ascontiguousarray(grey[top : top + side, left : left + side])
            yield as_picture(_small(part))


def _small(grey: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    return np.asarray(
        cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA), dtype=np.uint8
    )


def as_picture(grey: npt.NDArray[np.uint8]) -> Volume:
    """A volume of one slice from grey levels (rows, columns)."""
    return volume_from_file(
        np.asfortranarray(grey.T[:, :, None]),
        np.diag([-1.0, -1.0, 1.0, 1.0]),
        intensity=grey_intensity(),
        name="picture",
        format="pictures",
        spacing_nominal=True,
    )


def _to_grey(values: Values) -> npt.NDArray[np.uint8]:
    low, high = float(values.min()), float(values.max())
    scaled = (values - low) * (255.0 / max(high - low, 1e-6))
    return scaled.astype(np.uint8)


@dataclass(frozen=True, eq=False)
class OtherPictures:
    """Pictures that must be refused.

    Attributes:
        frames: (n, rows, columns, 3) as the classifier sees them.
        lung_shares: (n,) what of each is taken for lung.
        kinds: (n,) text.
        kept_apart: (n,) whether they are for validation.
    """

    frames: Frames
    lung_shares: npt.NDArray[np.float64]
    kinds: npt.NDArray[np.str_]
    kept_apart: npt.NDArray[np.bool_]


def collect_others(
    data: Path, segmenter: Engine, config: ClassifierModelConfig, *, seed: int = 7
) -> OtherPictures:
    """Segments all of them. Of scans and photographs every second one is kept apart.

    Raises:
        DatasetError, LoadError: `covid20` or `whole_chest` is missing or cannot be read.
    """
    volumes: list[Volume] = []
    kinds: list[str] = []
    apart: list[bool] = []

    def add(kind: str, found: Iterable[Volume], kept: bool) -> None:
        own = list(found)
        volumes.extend(own)
        kinds.extend([kind] * len(own))
        apart.extend([kept] * len(own))

    for kept in (False, True):
        add("artificial", artificial(_ARTIFICIAL, seed=seed + kept), kept)
    for n, case in enumerate(load_case_table(data / "covid20")):
        add("other plane", other_planes(load_case(case).volume, count=_PLANES_OF_CASE), n % 2 > 0)
    healthy = data / HEALTHY_CHEST
    if healthy.is_file():  # the one scan without disease, whose planes are the hardest to refuse
        add("other plane", other_planes(load_nifti(healthy), count=_PLANES_OF_CASE), True)
    for n, case in enumerate(load_case_table(data / "whole_chest")):
        study = load_case(case)
        add("other plane", other_planes(study.volume, count=_PLANES_OF_CASE), n % 2 > 0)
        if study.truth is not None and study.truth.lung is not None:
            add("no lung", lung_free(study.volume, study.truth.lung, count=_LUNG_FREE), n % 2 > 0)
    photos = list(photographs(seed=seed))
    for n in range(len(PHOTOGRAPHS)):
        add("photograph", photos[n * (1 + _PARTS) : (n + 1) * (1 + _PARTS)], n % 2 > 0)
    segmentations = segment_volumes(volumes, segmenter)
    frames = [
        slice_frames(volume, found, [0], config)[0]
        for volume, found in zip(volumes, segmentations, strict=True)
    ]
    return OtherPictures(
        np.stack(frames),
        np.array(
            [
                0.0 if one.masks.lung is None else float(one.masks.lung.mean())
                for one in segmentations
            ]
        ),
        np.array(kinds),
        np.array(apart),
    )
