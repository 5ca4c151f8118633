"""Fits the weights by which `core.preprocessing` tells how a picture lies.

Slices that are known to stand upright are shown in all four positions; the score of the upright
one is to be the highest. A few slices of each volume and all single slices of the public sets take
part, except the pictures that lie on their side (`LEFT_OUT`), which are left for evaluation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import optimize

from core.preprocessing import build_model_input, plan_spatial
from core.preprocessing.upright import coarse_picture
from core.segmentation.engines import Engine
from core.system import OnProgress, ignore_progress
from core.training.mixture.sources import LabelledStudy, SourceName, read_studies

LEFT_OUT: SourceName = "pictures"
"""The set that is read, but not to be fitted to."""
_SLICES = 8
"""Of each volume."""
_FEWEST_LUNG_PIXELS = 300
_PENALTY = 3e-3
_ITERATIONS = 150

Features = npt.NDArray[np.float32]


def read_positions(
    data: Path, segmenter: Engine, *, seed: int = 0, on_progress: OnProgress = ignore_progress
) -> tuple[Features, list[str]]:
    """Coarse pictures of upright slices in four positions, the upright one first.

    Args:
        data: folder of the sets, see `core.training.mixture.sources`.

    Returns:
        (n, 4, features), and the set that each slice is of.
    """
    rng = np.random.default_rng(seed)
    pictures: list[Features] = []
    sources: list[str] = []
    for study in read_studies(data):
        for k in _chosen_slices(study, rng):
            pictures.append(_positions(study, k, segmenter))
            sources.append(study.source)
            on_progress("reading scans", len(pictures), 0)
    return np.stack(pictures), sources


def _chosen_slices(study: LabelledStudy, rng: np.random.Generator) -> Iterator[int]:
    count = study.volume.shape[2]
    lung = study.truth.lung
    for k in rng.choice(count, min(count, _SLICES), replace=False):
        if lung is None or np.count_nonzero(lung[:, :, k]) >= _FEWEST_LUNG_PIXELS:
            yield int(k)


def _positions(study: LabelledStudy, k: int, segmenter: Engine) -> Features:
    volume = study.volume
    # Scans are kept with their own spacing and side; a picture has neither.
    picture = replace(volume, array=np.asfortranarray(volume.array[:, :, k : k + 1]))
    preprocess = segmenter.preprocess
    frames = np.concatenate(
        [
            build_model_input(
                picture, plan_spatial(picture, preprocess, quarter_turns=turns), preprocess, [0]
            )
            for turns in range(4)
        ]
    )
    lung = segmenter.predict(frames, batch_size=len(frames)).pixels[0]
    return np.stack([coarse_picture(*pair) for pair in zip(frames, lung, strict=True)])


def fit_uprightness(positions: Features) -> npt.NDArray[np.float16]:
    """Multinomial logistic regression over the four positions, with a squared penalty.

    Args:
        positions: (n, 4, features), the upright one first.

    Returns:
        (features,) weights.
    """

    def loss(weights: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        scores = (positions @ weights.astype(np.float32)).astype(np.float64)
        scores -= scores.max(axis=1, keepdims=True)
        shares = np.exp(scores)
        shares /= shares.sum(axis=1, keepdims=True)
        value = -float(np.log(shares[:, 0] + 1e-300).mean())
        shares[:, 0] -= 1.0
        slope = np.einsum("nt,ntd->d", shares / len(shares), positions)
        return value + _PENALTY * float(weights @ weights), slope + 2 * _PENALTY * weights

    start = np.zeros(positions.shape[2])
    options = {"maxiter": _ITERATIONS}
    found = optimize.minimize(loss, start, jac=True, method="L-BFGS-B", options=options)
    return np.asarray(found.x, dtype=np.float16)
