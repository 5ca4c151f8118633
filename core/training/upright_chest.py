"""Fits the weights by which `core.loading` tells how a chest lies.

Scans that are known to lie as their files say are shown whole and in random crops, rotations,
thicknesses and noise. Each patient counts alike.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage, optimize

from core.loading.orientation import coarse_hu
from core.loading.upright_chest import CELLS, CHANNELS, UPRIGHT, coarse_picture, in_all_turns
from core.phantom import build_demo_study
from core.system import OnProgress, ignore_progress
from core.training.mixture.sources import VOLUME_SOURCES, read_studies
from core.volume import AIR_HU, FloatArray

_COPIES = 16
_PENALTY = 3e-3
_ITERATIONS = 80
_FEWEST_SLICES = 8


def read_chests(
    data: Path, *, on_progress: OnProgress = ignore_progress
) -> tuple[list[FloatArray], list[str]]:
    """Coarse scans of a data folder and of the demo study, with whose each is.

    Args:
        data: folder of the sets, see `core.training.mixture.sources`.
    """
    chests, patients = [coarse_hu(build_demo_study().volume)], ["demo"]
    for study in read_studies(data):
        if study.source in VOLUME_SOURCES and min(study.volume.shape) >= _FEWEST_SLICES:
            chests.append(coarse_hu(study.volume))
            patients.append(study.patient_id)
        on_progress("reading scans", len(chests), 0)
    return chests, patients


def fit_upright_chest(
    scans: Sequence[FloatArray],
    patients: Sequence[str],
    *,
    copies: int = _COPIES,
    seed: int = 7,
    on_progress: OnProgress = ignore_progress,
) -> npt.NDArray[np.float16]:
    """(features,) weights of a coarse picture, mirror-symmetric.

    Args:
        scans: coarse (i, j, k) HU on canonical axes (L, P, S); not changed.
        patients: whose each of them is.
        copies: random copies of each.
    """
    rng = np.random.default_rng(seed)
    rows, owners = [], []
    for done, (hu, patient) in enumerate(zip(scans, patients, strict=True)):
        for number in range(copies + 1):
            picture = coarse_picture(hu if number == 0 else _changed(hu, rng))
            if picture is not None:
                rows.append(in_all_turns(picture))
                owners.append(patient)
        on_progress("reading scans", done + 1, len(scans))
    counts = Counter(owners)
    importance = np.array([1 / counts[owner] for owner in owners])
    return _fit(np.stack(rows), importance / importance.sum()).astype(np.float16)


def _fit(rows: FloatArray, importance: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Multinomial logistic regression with a squared penalty.

    Args:
        rows: (n, 24, features).
        importance: (n,) of sum 1.
    """

    def loss(
        weights: npt.NDArray[np.float64],
    ) -> tuple[float, npt.NDArray[np.float64]]:
        scores = (rows @ weights.astype(np.float32)).astype(np.float64)
        scores -= scores.max(axis=1, keepdims=True)
        shares = np.exp(scores)
        shares /= shares.sum(axis=1, keepdims=True)
        value = -float(importance @ np.log(shares[:, UPRIGHT] + 1e-300))
        shares[:, UPRIGHT] -= 1
        shares *= importance[:, np.newaxis]
        slope = np.einsum("nh,nhd->d", shares.astype(np.float32), rows, optimize=True)
        return value + _PENALTY * float(weights @ weights), slope + 2 * _PENALTY * weights

    start = np.zeros(CHANNELS * CELLS**3)
    options = {"maxiter": _ITERATIONS}
    found = optimize.minimize(loss, start, jac=True, method="L-BFGS-B", options=options)
    weights: npt.NDArray[np.float64] = found.x
    return weights


def _changed(hu: FloatArray, rng: np.random.Generator) -> FloatArray:
    """A copy as other scanners and people might have made it."""
    out = _cropped(hu, rng)
    if rng.random() < 0.6:
        out = _rotated(out, rng.uniform(-12, 12), (0, 1))
    if rng.random() < 0.3:
        out = _rotated(out, rng.uniform(-8, 8), (1, 2))
    if rng.random() < 0.5:
        out = out * np.float32(rng.uniform(0.85, 1.15)) + np.float32(rng.uniform(-80, 80))
    if rng.random() < 0.4:
        out = out + rng.normal(0, rng.uniform(20, 120), out.shape).astype(np.float32)
    return np.clip(out, AIR_HU, 400)


def _cropped(hu: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Without some slices at either end, rows and columns at the edges, and slices in between."""
    count = hu.shape[2]
    ends = (rng.uniform(0, 0.35, 2) * (rng.random(2) < 0.5) * count).astype(int)
    if count - ends.sum() >= _FEWEST_SLICES:
        hu = hu[:, :, ends[0] : count - ends[1]]
    if rng.random() < 0.5:
        columns, rows = hu.shape[:2]
        a, b, c, d = (rng.uniform(0, 0.12, 4) * [columns, columns, rows, rows]).astype(int)
        hu = hu[a : columns - b, c : rows - d]
    if rng.random() < 0.4:
        step = int(rng.integers(1, max(2, hu.shape[2] // _FEWEST_SLICES) + 1))
        hu = hu[:, :, ::step]
    return hu


def _rotated(hu: FloatArray, degrees: float, axes: tuple[int, int]) -> FloatArray:
    turned: FloatArray = ndimage.rotate(hu, degrees, axes=axes, reshape=False, order=1, cval=AIR_HU)
    return turned
