"""Whether a slice is one that the classifier can judge, and if not, why."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from core.classification.classifier import Sight
from core.classification.info import FitnessConfig

FIT = ""
_SURE = 128


def unfit_reasons(
    frames: npt.NDArray[np.uint8], sight: Sight, config: FitnessConfig
) -> tuple[str, ...]:
    """For each slice why it cannot be judged; empty where it can.

    Args:
        frames: (n, side, side, 3) of `core.classification.frames`.
    """
    return tuple(
        _reason(frame, float(distance), float(axial), config)
        for frame, distance, axial in zip(frames, sight.distance, sight.axial, strict=True)
    )


def _reason(
    frame: npt.NDArray[np.uint8], distance: float, axial: float, config: FitnessConfig
) -> str:
    contrast = float(frame[..., 0].std())
    if contrast < config.min_contrast:
        return (
            f"hardly any contrast: grey levels vary by {contrast:.1f}, less than "
            f"{config.min_contrast:g}"
        )
    lung = float(np.mean(frame[..., 1] >= _SURE))
    if lung < config.min_lung_share:
        return f"too little lung: {lung:.1%} of the picture, less than {config.min_lung_share:.0%}"
    if distance > config.max_distance:
        return (
            f"unlike what the classifier has seen: distance {distance:.1f}, more than "
            f"{config.max_distance:.1f}"
        )
    if axial < config.min_axial:
        return (
            f"may be no axial chest slice: probability {axial:.2f}, less than "
            f"{config.min_axial:.2f}"
        )
    return FIT
