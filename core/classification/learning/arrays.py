"""Arrays of networks by "layer/variable": their mean, and writing them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Arrays = dict[str, npt.NDArray[Any]]


def average_arrays(every: Sequence[Arrays]) -> Arrays:
    """The mean of networks that started alike (Wortsman et al. 2022, arXiv:2203.05482)."""
    return {
        name: np.asarray(
            np.mean([arrays[name] for arrays in every], axis=0, dtype=np.float64), np.float32
        )
        for name in every[0]
    }


def save_arrays(place: Path, arrays: Arrays) -> None:
    """Writes arrays as float16, small ones as they are."""
    stored: dict[str, Any] = {
        name: array.astype(np.float16) if array.ndim > 1 else array
        for name, array in arrays.items()
    }
    with place.open("wb") as file:
        np.savez(file, allow_pickle=False, **stored)
