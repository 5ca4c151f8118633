"""How well lobes of held-out patients are estimated, on the label maps' own grid."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from core.config import LOBES
from core.loading import load_label_map
from core.measuring.biomarkers import find_fissures
from core.segmentation.lobes.estimate import label_lung
from core.segmentation.lobes.weights import LobePredictor
from core.system import OnProgress, ignore_progress
from core.training.lobes.deformation import consolidated
from core.training.lobes.sources import find_folder
from core.volume import BoolArray

CONSOLIDATED_SHARE = 0.2
"""Of each lung, taken away by a simulated consolidation."""

Labels = npt.NDArray[np.uint8]
Grid = tuple[int, int, int]


@dataclass(frozen=True)
class LobeEvaluation:
    """Measurements of one case.

    Attributes:
        dice: of each lobe, in the order of `LOBES`, where the lungs are whole.
        fissure_mm: mean distance between drawn and estimated fissures, either way.
        consolidated_dice: with a fifth of each lung taken away, of what is left.
    """

    case_id: str
    dice: tuple[float, ...]
    fissure_mm: float
    consolidated_dice: tuple[float, ...]


def evaluate_lobes(
    data: Path,
    predictor: LobePredictor,
    grid: Grid,
    case_ids: Collection[str],
    *,
    on_progress: OnProgress = ignore_progress,
) -> tuple[LobeEvaluation, ...]:
    """Evaluates a network on the named label maps of a data folder.

    Args:
        data: see `core.training.lobes.sources.find_folder`; no packed file.
        on_progress: called with "evaluating label maps".

    Raises:
        DatasetError, LoadError: the maps are not there or cannot be read.
    """
    found = []
    for case_id, labels, spacing_mm in _read(data, case_ids):
        found.append(evaluate_case(case_id, labels, spacing_mm, predictor, grid))
        on_progress("evaluating label maps", len(found), len(case_ids))
    return tuple(found)


def _read(
    data: Path, case_ids: Collection[str]
) -> Iterator[tuple[str, Labels, tuple[float, float, float]]]:
    for case_id in sorted(case_ids):
        volume = load_label_map(find_folder(data) / f"{case_id}.nii.gz")
        labels = np.where(volume.array <= len(LOBES), volume.array, 0)
        yield case_id, np.asfortranarray(labels, dtype=np.uint8), volume.spacing_mm


def evaluate_case(
    case_id: str,
    labels: Labels,
    spacing_mm: Sequence[float],
    predictor: LobePredictor,
    grid: Grid,
) -> LobeEvaluation:
    """One case.

    Args:
        labels: (i, j, k) drawn lobes, 0 to 5.
    """
    lung: BoolArray = np.asfortranarray(labels > 0)
    found = label_lung(lung, predictor, grid)
    generator = np.random.default_rng(int(np.count_nonzero(lung)))
    shares = (CONSOLIDATED_SHARE, CONSOLIDATED_SHARE)
    left: BoolArray = np.asfortranarray(
        consolidated(lung, labels, shares=shares, generator=generator)
    )
    return LobeEvaluation(
        case_id=case_id,
        dice=lobe_dice(labels, found),
        fissure_mm=fissure_distance_mm(labels, found, spacing_mm),
        consolidated_dice=lobe_dice(labels * left, label_lung(left, predictor, grid)),
    )


def lobe_dice(true: Labels, found: Labels) -> tuple[float, ...]:
    """Dice of each lobe."""
    side = len(LOBES) + 1
    codes = true.ravel(order="K").astype(np.int64) * side + found.ravel(order="K")
    table = np.bincount(codes, minlength=side * side).reshape(side, side)
    sizes = table.sum(axis=0) + table.sum(axis=1)
    return tuple(float(2 * table[n, n] / sizes[n]) for n in range(1, side))


def fissure_distance_mm(true: Labels, found: Labels, spacing_mm: Sequence[float]) -> float:
    """Mean distance from each point of the drawn fissures to the estimated ones and the other way
    round, both directions weighted alike."""
    drawn, estimated = find_fissures(true), find_fissures(found)
    either = ndimage.find_objects((drawn | estimated).view(np.uint8))
    if not either or not drawn.any() or not estimated.any():
        return float("nan")
    one, other = drawn[either[0]], estimated[either[0]]
    distances = [
        ndimage.distance_transform_edt(~target, sampling=spacing_mm)[start].mean()
        for start, target in ((one, other), (other, one))
    ]
    return float(np.mean(distances))


def summarize(found: Sequence[LobeEvaluation]) -> dict[str, Any]:
    """Means over cases, as the manifest records them."""
    distances = [one.fissure_mm for one in found if np.isfinite(one.fissure_mm)]
    dice = np.array([one.dice for one in found])
    eroded = np.array([one.consolidated_dice for one in found])
    return {
        "cases": len(found),
        "mean_dice": float(dice.mean()),
        "lobe_dice": dict(zip(LOBES, dice.mean(axis=0).tolist(), strict=True)),
        "worst_case": found[int(dice.mean(axis=1).argmin())].case_id,
        "worst_case_dice": float(dice.mean(axis=1).min()),
        "fissure_mm": float(np.mean(distances)) if distances else float("nan"),
        "consolidated_dice": float(eroded.mean()),
        "consolidated_lobe_dice": dict(zip(LOBES, eroded.mean(axis=0).tolist(), strict=True)),
    }


def to_rows(found: Sequence[LobeEvaluation]) -> list[dict[str, Any]]:
    """For the manifest."""
    return [asdict(one) for one in found]
