"""Masks before and after: whether two results are the same, and what old steps have done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from core.config import CHANNELS, Channel
from core.correction.history import Step
from core.correction.runs import Runs, flat, runs_of
from core.volume import BoolArray, MaskPair


def mask_of(pair: MaskPair | None, channel: Channel) -> BoolArray | None:
    """The mask of a channel, where there is one."""
    if pair is None:
        return None
    return pair.lung if channel == "lung" else pair.infection


def same_masks(one: MaskPair | None, other: MaskPair | None) -> bool:
    """Whether nothing tells two results of the network apart."""
    if one is other or one is None or other is None:
        return one is other
    return all(_same(mask_of(one, channel), mask_of(other, channel)) for channel in CHANNELS)


def _same(one: BoolArray | None, other: BoolArray | None) -> bool:
    if one is None or other is None:
        return one is other
    return np.array_equal(one, other)


def turned_before(
    masks: Mapping[Channel, BoolArray], begun_with: MaskPair | None, done: Sequence[Step]
) -> dict[Channel, Runs]:
    """What the steps that can no longer be undone have turned over.

    Args:
        masks: as they are now, in Fortran order.
        begun_with: what the correction began with.
        done: the steps that can be undone.
    """
    flips: dict[Channel, Runs] = {}
    for channel in CHANNELS:
        row = flat(masks[channel]).copy()
        for step in done:
            if channel in step.flips:
                row[step.flips[channel].numbers()] ^= True
        begun = mask_of(begun_with, channel)
        if begun is not None:
            row ^= flat(np.asfortranarray(begun))
        if row.any():
            flips[channel] = runs_of(np.flatnonzero(row))
    return flips
