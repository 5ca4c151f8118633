"""What a training has left behind: predictions, facts and arrays."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.classification.config import ClassifierModelConfig
from core.classification.learning.arrays import Arrays, average_arrays
from core.classification.metrics import Vector
from core.config import from_json_dict
from core.errors import DatasetError, shown_name
from core.segmentation import UNREADABLE_NPZ

MAIN = "both"
"""The variant whose networks of single sets are combined with lesions."""
_VARIANTS = {
    "both": "masks as input and weights",
    "attention": "the same with attention",
    "pooling": "masks as weights alone",
    "none": "without masks",
}


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """A network that was trained.

    Attributes:
        variant: "both", "attention" and so on; see `core.classification.learning.plan`.
        trained: "both", or the one set.
        all_sides: whether it learned from held-out pictures too.
        logits: (n,) of all pictures.
        facts: its job, steps and seconds.
    """

    variant: str
    trained: str
    all_sides: bool
    seed: int
    logits: Vector
    facts: dict[str, Any]

    @property
    def method(self) -> str:
        """Its name in tables."""
        return f"{_VARIANTS.get(self.variant, self.variant)}, seed {self.seed}"

    @property
    def is_main(self) -> bool:
        """Whether it is the network of one set that others are compared with."""
        return self.variant == MAIN and self.trained != "both" and not self.all_sides

    @property
    def model(self) -> ClassifierModelConfig:
        """Its shape."""
        return from_json_dict(ClassifierModelConfig, self.facts["job"]["model"])


def read_networks(runs: Path) -> list[TrainedNetwork]:
    """Every network of a training, by name.

    Raises:
        DatasetError: there is no training there, or it is damaged.
    """
    found = []
    for place in sorted(runs.glob("*-*-*.json")):
        variant, part, seed = place.stem.split("-")
        try:
            logits = np.load(place.with_suffix(".npy"), allow_pickle=False).astype(np.float64)
            facts = json.loads(place.read_text(encoding="utf-8"))
        except UNREADABLE_NPZ as error:
            raise _unreadable(place, error) from error
        trained = "both" if part in ("train", "all") else part
        found.append(TrainedNetwork(variant, trained, part == "all", int(seed), logits, facts))
    if not found:
        raise DatasetError(
            "The run folder holds no trained network",
            got=shown_name(runs),
            expected="a folder of train-classifier --learn",
        )
    return found


def _unreadable(place: Path, error: Exception) -> DatasetError:
    return DatasetError(
        "A trained network cannot be read",
        got=f"{shown_name(place)}: {type(error).__name__}",
        expected="a file of train-classifier --learn",
        next_step="train it again",
    )


def read_averaged(runs: Path, variant: str, part: str, seeds: Sequence[int]) -> Arrays:
    """Mean of the arrays of some seeds; part is "train" or "all"."""
    every = []
    for seed in seeds:
        place = runs / f"{variant}-{part}-{seed}.npz"
        try:
            with np.load(place, allow_pickle=False) as stored:
                every.append({name: stored[name].astype(np.float32) for name in stored.files})
        except UNREADABLE_NPZ as error:
            raise _unreadable(place, error) from error
    return average_arrays(every)
