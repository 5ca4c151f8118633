"""Whether a slice can be classified, and if not, why."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from core.classification.classifier import SlicePrediction
from core.classification.info import FitnessConfig
from core.system import percent_text

FIT = ""


def unfit_reasons(
    frames: npt.NDArray[np.uint8],
    predicted: SlicePrediction,
    lung_shares: Sequence[float],
    config: FitnessConfig,
) -> tuple[str, ...]:
    """For each slice why it cannot be classified; empty where it can.

    Args:
        frames: (n, rows, columns, 3) of `core.classification.frames`.
        lung_shares: of each slice, what of it is lung.
    """
    return tuple(
        _reason(frame, lung, float(distance), float(axial), config)
        for frame, lung, distance, axial in zip(
            frames, lung_shares, predicted.distance, predicted.axial, strict=True
        )
    )


def _reason(
    frame: npt.NDArray[np.uint8], lung: float, distance: float, axial: float, config: FitnessConfig
) -> str:
    contrast = float(frame[..., 0].std())
    if contrast < config.min_contrast:
        return (
            f"too little contrast: standard deviation of grey levels {contrast:.1f}, less than "
            f"{config.min_contrast:g}"
        )
    if lung < config.min_lung_share:
        least = percent_text(config.min_lung_share, digits=0)
        return f"too little lung: {percent_text(lung)} of the picture, less than {least}"
    if distance > config.max_distance:
        return (
            f"unlike the training pictures: distance {distance:.1f}, more than "
            f"{config.max_distance:.1f}"
        )
    if axial < config.min_axial:
        return (
            f"may not be an axial chest slice: probability {axial:.2f}, less than "
            f"{config.min_axial:.2f}"
        )
    return FIT
