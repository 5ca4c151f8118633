"""What a training has left behind: predictions, facts and arrays."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.classification.config import ClassifierModelConfig
from core.classification.learning.arrays import Arrays, average_arrays
from core.classification.learning.queues import RESULTS_NAME
from core.classification.metrics import Vector
from core.config import from_json_dict
from core.errors import DatasetError
from core.segmentation import UNREADABLE_NPZ

MAIN = "both"
"""The variant whose networks of single sets are combined with lesions."""
_VARIANTS = {
    "both": "masks as input and weights",
    "attention": "the same with attention",
    "pooling": "masks as weights alone",
    "none": "without masks",
    "imagenet": "from ImageNet",
}


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """A network that was trained.

    Attributes:
        variant: "both", "attention" and so on; see `core.classification.learning.plan`.
        trained: "both", or the one set.
        all_sides: whether it learned from held-out pictures too.
        logits: (n,) of all pictures, mean over each and its mirror image.
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
    try:
        with tarfile.open(runs / RESULTS_NAME) as tar:
            held = {one.name: tar.extractfile(one) for one in tar.getmembers() if one.isfile()}
            files = {name: file.read() for name, file in held.items() if file is not None}
        found = []
        for name in sorted(files):
            if not name.endswith(".json"):
                continue
            variant, part, seed = name.removesuffix(".json").split("-")
            logits = np.load(
                io.BytesIO(files[name.replace(".json", ".npy")]), allow_pickle=False
            ).astype(np.float64)
            trained = "both" if part in ("train", "all") else part
            found.append(
                TrainedNetwork(
                    variant, trained, part == "all", int(seed), logits, json.loads(files[name])
                )
            )
        return found
    except (tarfile.TarError, *UNREADABLE_NPZ) as error:
        raise DatasetError(
            "The trained networks cannot be read",
            got=type(error).__name__,
            expected=f"a folder of train-classifier --learn with {RESULTS_NAME}",
        ) from error


def read_averaged(runs: Path, variant: str, part: str, seeds: Sequence[int]) -> Arrays:
    """Mean of the arrays of some seeds; part is "train" or "all"."""
    every = []
    for seed in seeds:
        try:
            with np.load(runs / f"{variant}-{seed}.npz", allow_pickle=False) as stored:
                every.append(
                    {
                        name.removeprefix(f"{part}/"): stored[name].astype(np.float32)
                        for name in stored.files
                        if name.startswith(f"{part}/")
                    }
                )
        except UNREADABLE_NPZ as error:
            raise DatasetError(
                "The arrays of a trained network cannot be read",
                got=f"{variant}-{seed}.npz: {type(error).__name__}",
                expected="a file of train-classifier --learn",
            ) from error
    return average_arrays(every)
