"""Whether the network looks at the lung: where its evidence lies, and what blanking changes."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from core.classification.classifier import Network
from core.classification.config import CELL, ClassifierModelConfig
from core.classification.frames import AIR_GREY, TISSUE_GREY, Frames
from core.classification.learning.pack import Pictures
from core.classification.metrics import Vector, area_under_curve
from core.classification.pooling import pool_evidence

_LUNG = 128
_WALL = 9
"""Pixels around the lung that stay when everything else is blanked."""


def check_heat(
    network: Network,
    pictures: Pictures,
    evidence: npt.NDArray[np.float32],
    model: ClassifierModelConfig,
) -> dict[str, Any]:
    """Share of the heat inside the lung, before it is cut off there, and the AUC and the change of
    the probability when grey levels are blanked; masks stay as they are.

    Args:
        evidence: (n, height, width) of the pictures.
    """
    whole = _logits(network, pictures.frames, model)
    without_lung = _logits(network, blanked(pictures.frames, lung=True), model)
    lung_alone = _logits(network, blanked(pictures.frames, lung=False), model)
    shares = [
        _share_inside(cells, frame) for cells, frame in zip(evidence, pictures.frames, strict=True)
    ]
    return {
        "share_inside": float(np.nanmean(shares)),
        "pictures": len(pictures.labels),
        "change_without_lung": _change(whole, without_lung),
        "change_lung_alone": _change(whole, lung_alone),
        "auc": {
            source: {
                name: area_under_curve(pictures.labels[own], logits[own])
                for name, logits in (
                    ("whole", whole),
                    ("without lung", without_lung),
                    ("lung alone", lung_alone),
                )
            }
            for source in sorted(set(pictures.sources.tolist()))
            if (own := pictures.sources == source).any()
        },
    }


def blanked(frames: Frames, *, lung: bool) -> Frames:
    """Copies with the lung's grey replaced by that of aerated lung, or with everything but the
    lung and its wall replaced by that of soft tissue."""
    blank = frames.copy()
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (_WALL, _WALL))
    for frame in blank:
        inside = frame[..., 1] >= _LUNG
        if lung:
            frame[inside, 0] = AIR_GREY
        else:
            around = cv2.dilate(inside.astype(np.uint8), kernel) > 0
            frame[~around, 0] = TISSUE_GREY
    return blank


def _logits(network: Network, frames: Frames, model: ClassifierModelConfig) -> Vector:
    shown = np.ascontiguousarray(frames[..., : model.channels])
    return np.array(
        [
            pool_evidence(found, frame[..., 1:], model).logit
            for (_, found), frame in zip(network.maps(shown), frames, strict=True)
        ]
    )


def _change(before: Vector, after: Vector) -> float:
    """Mean change of the probability."""
    return float(np.mean(np.abs(1 / (1 + np.exp(-before)) - 1 / (1 + np.exp(-after)))))


def _share_inside(cells: npt.NDArray[np.float32], frame: npt.NDArray[np.uint8]) -> float:
    heat = np.repeat(np.repeat(np.maximum(cells, 0), CELL, axis=0), CELL, axis=1)
    total = float(heat.sum())
    return float(heat[frame[..., 1] >= _LUNG].sum()) / total if total > 0 else float("nan")
