"""Lobe by lobe: how much lung, how much of it infected, how dense, and how near to a fissure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from scipy import ndimage

from core.config import FIRST_LEFT_LOBE, LOBES, LobeName
from core.measuring.biomarkers.config import BiomarkerConfig
from core.measuring.biomarkers.sides import LEFT, RIGHT, LungSides, bounding_box
from core.measuring.lobes import LobeLabels, Lobes
from core.volume import BoolArray, FloatArray, MaskPair, Volume

_NAN = float("nan")
_FISSURE_SIDE = 96
"""Points along the longest side of the grid on which distances to fissures are measured."""
_INFECTED, _NEAR, _GLASS, _SOLID = range(4)


@dataclass(frozen=True)
class LobePart:
    """One lobe. Volumes are nan where the size of a voxel is not known, what concerns infection
    where it is not marked, and density where the scan's values are not HU.

    Attributes:
        near_fissure_ml: infected lung within `BiomarkerConfig.fissure_mm` of an estimated fissure.
        near_fissure_share: the same as a share of the infected lung of the lobe; 0 without any.
        score: 0 to 5, of the CT severity score.
    """

    volume_ml: float = _NAN
    infected_ml: float = _NAN
    infected_share: float = _NAN
    ground_glass_ml: float = _NAN
    consolidation_ml: float = _NAN
    near_fissure_ml: float = _NAN
    near_fissure_share: float = _NAN
    score: int | None = None


def measure_lobes(
    volume: Volume, masks: MaskPair, lobes: Lobes | None, config: BiomarkerConfig
) -> Mapping[LobeName, LobePart]:
    """Every lobe of a scan, by name; empty where there are no lobes."""
    if lobes is None or lobes.labels is None or not lobes.labels.any():
        return {}
    held, infected = _count(volume, lobes.labels, masks.infection, config)
    voxel_ml = _NAN if volume.spacing_nominal else volume.voxel_volume_ml
    infected_ml = voxel_ml if masks.infection is not None else _NAN
    by_hu = infected_ml if volume.unit == "HU" else _NAN
    near_known = masks.infection is not None and not volume.spacing_nominal
    parts: dict[LobeName, LobePart] = {}
    for number, name in enumerate(LOBES, start=1):
        of_lobe = infected[number]
        share = _NAN
        if masks.infection is not None and held[number]:
            share = float(of_lobe[_INFECTED] / held[number])
        near = float(of_lobe[_NEAR] / of_lobe[_INFECTED]) if of_lobe[_INFECTED] else 0.0
        parts[name] = LobePart(
            volume_ml=float(held[number]) * voxel_ml,
            infected_ml=float(of_lobe[_INFECTED]) * infected_ml,
            infected_share=share,
            ground_glass_ml=float(of_lobe[_GLASS]) * by_hu,
            consolidation_ml=float(of_lobe[_SOLID]) * by_hu,
            near_fissure_ml=float(of_lobe[_NEAR]) * infected_ml if near_known else _NAN,
            near_fissure_share=near if near_known else _NAN,
            score=_score(share, config),
        )
    return parts


def _score(share: float, config: BiomarkerConfig) -> int | None:
    """0 to 5 by the infected share of a lobe: none, below 5 %, up to 25 %, below 50 %, up to 75 %,
    above."""
    if not np.isfinite(share):
        return None
    if share < config.affected_share:
        return 0
    one, two, three, four = config.lobe_score_shares
    return 1 + int(share >= one) + int(share > two) + int(share >= three) + int(share > four)


def _count(
    volume: Volume, labels: LobeLabels, infection: BoolArray | None, config: BiomarkerConfig
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Voxels of each label (6,); and of those infected (6, 4): all, near a fissure, ground glass,
    consolidation. Each voxel counts as its slice is thick."""
    held, found = np.zeros(len(LOBES) + 1), np.zeros((len(LOBES) + 1, 4))
    weights = volume.slice_weights
    box = bounding_box(labels > 0)
    if box is None:
        return held, found
    distances = None
    if infection is not None and infection.any() and not volume.spacing_nominal:
        distances = _FissureDistances(labels[box], volume.spacing_mm)
    for k in range(box[2].start, box[2].stop):
        weight = 1.0 if weights is None else float(weights[k])
        own = labels[box[0], box[1], k]
        held += np.bincount(own.ravel(order="K"), minlength=len(held)) * weight
        if infection is None:
            continue
        i, j = np.nonzero(infection[box[0], box[1], k] & (own > 0))
        if i.size == 0:
            continue
        lobe = own[i, j]
        kinds: list[npt.NDArray[Any]] = [np.ones(i.size)]
        if distances is None:
            kinds.append(np.zeros(i.size))
        else:
            kinds.append(distances.of_slice(k - box[2].start)[j, i] <= config.fissure_mm)
        kinds += _densities(volume, (i + box[0].start, j + box[1].start, k), config)
        for number, kind in enumerate(kinds):
            found[:, number] += np.bincount(lobe, weights=kind, minlength=len(held)) * weight
    return held, found


def _densities(
    volume: Volume,
    at: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], int],
    config: BiomarkerConfig,
) -> list[npt.NDArray[np.bool_]]:
    """Which voxels of a slice are ground glass, and which are consolidation."""
    hu = volume.hu(volume.array[at])
    solid = hu >= config.consolidation_from_hu
    return [(hu >= config.ground_glass_from_hu) & ~solid, solid]


class _FissureDistances:
    """How far each point is from a fissure, on a grid of some millimetres."""

    def __init__(self, labels: LobeLabels, spacing_mm: tuple[float, float, float]) -> None:
        self._size = labels.shape[:2]
        step_mm = max(
            side * step / _FISSURE_SIDE for side, step in zip(labels.shape, spacing_mm, strict=True)
        )
        self._steps = [max(1, round(step_mm / step)) for step in spacing_mm]
        coarse = labels[:: self._steps[0], :: self._steps[1], :: self._steps[2]]
        sampling = [a * b for a, b in zip(self._steps, spacing_mm, strict=True)]
        fissures = find_fissures(coarse)
        self._mm: FloatArray = np.full(coarse.shape, np.inf, dtype=np.float32)
        if fissures.any():
            found = ndimage.distance_transform_edt(~fissures, sampling=sampling)
            self._mm = np.asarray(found, dtype=np.float32)

    def of_slice(self, k: int) -> npt.NDArray[np.float32]:
        """(rows, columns) mm."""
        plane = self._mm[:, :, min(k // self._steps[2], self._mm.shape[2] - 1)].T
        grown = cv2.resize(np.ascontiguousarray(plane), self._size, interpolation=cv2.INTER_NEAREST)
        return np.asarray(grown, dtype=np.float32)


def find_fissures(labels: LobeLabels) -> BoolArray:
    """Voxels of a lobe beside another lobe of the same lung, towards growing indices."""
    found = np.zeros(labels.shape, dtype=np.bool_)
    for axis in range(3):
        low = [slice(None)] * 3
        high = [slice(None)] * 3
        low[axis], high[axis] = slice(None, -1), slice(1, None)
        one, other = labels[tuple(low)], labels[tuple(high)]
        beside = (one != other) & (one > 0) & (other > 0)
        found[tuple(low)] |= beside & ((one >= FIRST_LEFT_LOBE) == (other >= FIRST_LEFT_LOBE))
    return found


def sides_of_lobes(labels: LobeLabels, sides: LungSides) -> LungSides:
    """Right and left lung as the lobes have them, in place of a cut between lungs that touch."""
    own = labels[sides.box]
    found = np.where(own >= FIRST_LEFT_LOBE, np.uint8(LEFT), np.uint8(RIGHT))
    found = np.asfortranarray(np.where(own > 0, found, sides.labels))
    voxels = tuple(int(np.count_nonzero(found == side)) for side in (RIGHT, LEFT))
    return LungSides(sides.box, found, (voxels[0], voxels[1]), "lobes", sides.midline)
