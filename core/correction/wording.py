"""What an edit has done, in a sentence that is shown and spoken."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from core.config import CHANNELS, Channel
from core.correction.runs import Numbers
from core.system import number_text
from core.volume import Volume


def change_text(
    volume: Volume, changed: Mapping[Channel, tuple[Numbers, Numbers]], where: str
) -> str:
    """Such as "Infection: 1.2 ml added." or "Lung in slices 4 to 8, interpolated: 3.0 ml added,
    0.1 ml removed."

    Args:
        changed: numbers of the voxels that were marked and cleared, by mask.
        where: what follows the mask's name, if anything.
    """
    sentences = []
    for channel in CHANNELS:
        if channel not in changed:
            continue
        parts = [
            f"{amount_text(volume, numbers)} {done}"
            for numbers, done in zip(changed[channel], ("added", "removed"), strict=True)
            if numbers.size
        ]
        name = f"{channel.capitalize()} {where}".strip()
        sentences.append(f"{name}: {', '.join(parts)}.")
    return " ".join(sentences)


def amount_text(volume: Volume, numbers: Numbers) -> str:
    """How much that many voxels are: in ml, or in voxels where the spacing is nominal."""
    if volume.spacing_nominal:
        return f"{numbers.size} voxel" + ("" if numbers.size == 1 else "s")
    ml = volume_ml(volume, numbers)
    digits = 1 if ml >= 10 else 2 if ml >= 0.1 else 3
    return f"{number_text(ml, digits=digits)} ml"


def volume_ml(volume: Volume, numbers: Numbers) -> float:
    """Volume of voxels given by number, in ml; slices that are not alike count as they are."""
    weights = volume.slice_weights
    if weights is None:
        return numbers.size * volume.voxel_volume_ml
    columns, rows, slices = volume.shape
    counts = np.bincount(numbers // (columns * rows), minlength=slices)
    return float(counts @ weights) * volume.voxel_volume_ml
