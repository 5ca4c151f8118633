"""What the folds of a cross-validation found together."""

from __future__ import annotations

from dataclasses import dataclass

from core.evaluation import CaseResult


@dataclass(frozen=True)
class CrossValidation:
    """What all folds found together.

    Attributes:
        results: one per case, by the fold that held its patient out.
        picture_infection_dice: mean over single pictures, each by the fold that held it out.
        negative_shares, healthy_shares: falsely infected share of the lung, one per fold, in slices
            without infection and in the healthy chest; nan where there are none.
    """

    results: tuple[CaseResult, ...]
    picture_infection_dice: float
    negative_shares: tuple[float, ...]
    healthy_shares: tuple[float, ...]
