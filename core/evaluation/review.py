"""All that is worth keeping of one evaluated case, small enough to keep for every case of a set.

A scan, its masks and its probabilities are used once and freed. What stays: the values of the scan
and of its slices, counts for every threshold, small pictures of the worst slices, and the network's
probabilities, packed, so that the case can be looked at again without another run.
"""

from __future__ import annotations

import csv
import io
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from core.config import CHANNELS, Channel, EvaluateConfig
from core.drawing import AGREEMENT_COLOURS, crop_around, draw_agreement
from core.evaluation.cases import CaseResult, compare_case, csv_cell, truth_of
from core.evaluation.slice_scores import SCORES, SliceScores, score_slices
from core.evaluation.threshold_curve import LevelCounts, count_levels
from core.loading import Case
from core.measuring.biomarkers import FloatVector, compute_slice_burden
from core.segmentation import Segmentation, WeightsInfo, clean_lung, restore_masks
from core.system import FASTEST, ShouldCancel, never_cancel
from core.volume import BoolArray, MaskPair, Study

_PICTURES = 6
"""Of each channel and each way to be worst."""
_OF_ONE_CASE = 3
_PICTURE_WIDTH = 300


@dataclass(frozen=True, eq=False)
class WorstSlice:
    """A slice among the worst of its case, with its picture as JPEG."""

    case_id: str
    slice_index: int
    channel: Channel
    dice: float
    missed: int
    false: int
    picture: bytes


@dataclass(frozen=True, eq=False)
class CaseReview:
    """What is kept of a case; channels that are unknown on either side are absent.

    Attributes:
        slice_fraction_true, slice_fraction_pred: (slices,) infected share of the lung, nan where
            there is no lung.
        worst: by channel and by "dice" or "area", worst first.
    """

    result: CaseResult
    slices: dict[Channel, SliceScores]
    slice_fraction_true: FloatVector
    slice_fraction_pred: FloatVector
    levels: dict[Channel, LevelCounts]
    worst: dict[tuple[Channel, str], tuple[WorstSlice, ...]]
    kept: KeptSegmentation


@dataclass(frozen=True, eq=False)
class KeptSegmentation:
    """A segmentation without masks and with its probabilities packed: about a hundredth."""

    packed: bytes
    shape: tuple[int, ...]
    bare: Segmentation

    @classmethod
    def of(cls, segmentation: Segmentation) -> KeptSegmentation:
        """The inverse of `restore`."""
        probabilities = segmentation.probabilities
        return cls(
            packed=zlib.compress(np.ascontiguousarray(probabilities).data, FASTEST),
            shape=probabilities.shape,
            bare=replace(
                segmentation,
                masks=MaskPair(None, None),
                probabilities=np.empty((0,), dtype=np.uint8),
            ),
        )

    def restore(self) -> Segmentation:
        """The segmentation as it was."""
        probabilities = np.frombuffer(zlib.decompress(self.packed), np.uint8).reshape(self.shape)
        masks = restore_masks(probabilities, self.bare.record, self.bare.config.postprocess)
        return replace(
            self.bare,
            masks=masks,
            probabilities=probabilities,
        )


def review_case(
    case: Case,
    study: Study,
    segmentation: Segmentation,
    *,
    info: WeightsInfo | None = None,
    config: EvaluateConfig | None = None,
    should_cancel: ShouldCancel = never_cancel,
) -> CaseReview:
    """Evaluates a segmented case.

    Args:
        info: the weights whose split tells whether the case was seen in training.
        config: tolerance of surface Dice; none takes the defaults.

    Raises:
        DatasetError: the case has no truth.
        Cancelled: the person asked to stop.
    """
    config = config or EvaluateConfig()
    volume, truth = study.volume, truth_of(study, case)
    pairs = _known_pairs(truth, segmentation.masks)
    spacing = None if volume.spacing_nominal else volume.spacing_mm
    slices = {
        channel: score_slices(
            mask_true,
            mask_pred,
            spacing_mm=spacing,
            tolerance_mm=config.surface_tolerance_mm,
            should_cancel=should_cancel,
        )
        for channel, (mask_true, mask_pred) in pairs.items()
    }
    return CaseReview(
        result=compare_case(case, study, segmentation.masks, info=info, config=config),
        slices=slices,
        slice_fraction_true=compute_slice_burden(truth, volume).infection_fraction,
        slice_fraction_pred=compute_slice_burden(segmentation.masks, volume).infection_fraction,
        levels=_count_levels(truth, segmentation, should_cancel),
        worst={
            (channel, by): _draw_worst(study, case.case_id, pairs, slices[channel], channel, by=by)
            for channel in slices
            for by in ("dice", "area")
        },
        kept=KeptSegmentation.of(segmentation),
    )


def _known_pairs(
    truth: MaskPair, predicted: MaskPair
) -> dict[Channel, tuple[BoolArray, BoolArray]]:
    pairs: dict[Channel, tuple[BoolArray, BoolArray]] = {}
    for channel in CHANNELS:
        mask_true, mask_pred = getattr(truth, channel), getattr(predicted, channel)
        if mask_true is not None and mask_pred is not None:
            pairs[channel] = (mask_true, mask_pred)
    return pairs


def _count_levels(
    truth: MaskPair, segmentation: Segmentation, should_cancel: ShouldCancel
) -> dict[Channel, LevelCounts]:
    lung, infection = segmentation.probabilities
    found: dict[Channel, LevelCounts] = {}
    if truth.lung is not None:
        cleaned = clean_lung(lung, segmentation.config.postprocess)
        found["lung"] = count_levels(
            cleaned, truth.lung, segmentation.record, should_cancel=should_cancel
        )
    if truth.infection is not None:
        found["infection"] = count_levels(
            infection,
            truth.infection,
            segmentation.record,
            inside=segmentation.masks.lung,
            should_cancel=should_cancel,
        )
    return found


def _draw_worst(
    study: Study,
    case_id: str,
    pairs: dict[Channel, tuple[BoolArray, BoolArray]],
    scores: SliceScores,
    channel: Channel,
    *,
    by: str,
) -> tuple[WorstSlice, ...]:
    mask_true, mask_pred = pairs[channel]
    around = pairs.get("lung", pairs[channel])
    crop = crop_around(around[0] | around[1], study.volume)
    return tuple(
        WorstSlice(
            case_id=case_id,
            slice_index=k,
            channel=channel,
            dice=float(scores.dice[k]),
            missed=int(scores.missed[k]),
            false=int(scores.false[k]),
            picture=draw_agreement(
                study.volume,
                k,
                mask_true=mask_true,
                mask_pred=mask_pred,
                crop=crop,
                colours=AGREEMENT_COLOURS,
                width=_PICTURE_WIDTH,
            ),
        )
        for k in scores.worst(_PICTURES, by=by)
    )


def find_worst(
    reviews: Sequence[CaseReview], channel: Channel, *, by: str, count: int
) -> list[WorstSlice]:
    """The worst slices of several cases together, worst first; of each case at most three while
    there are others, so that one bad case does not hide the rest.

    Args:
        by: "dice" or "area", as in `SliceScores.worst`.
    """
    found = [one for review in reviews for one in review.worst.get((channel, by), ())]
    if by == "dice":
        found.sort(key=lambda one: (one.dice, -(one.missed + one.false)))
    else:
        found.sort(key=lambda one: -(one.missed + one.false))
    seen: dict[str, int] = {}
    first: list[WorstSlice] = []
    rest: list[WorstSlice] = []
    for one in found:
        seen[one.case_id] = seen.get(one.case_id, 0) + 1
        (first if seen[one.case_id] <= _OF_ONE_CASE else rest).append(one)
    return [*first, *rest][:count]


def slice_rows(review: CaseReview) -> list[dict[str, Any]]:
    """One row per slice, counted from 1; undefined values are nan."""
    rows = []
    for k in range(review.result.slices):
        row: dict[str, Any] = {
            "case_id": review.result.case_id,
            "side": review.result.side,
            "slice": k + 1,
        }
        for channel, scores in review.slices.items():
            row.update({f"{channel}_{name}": float(getattr(scores, name)[k]) for name in SCORES})
        true, pred = float(review.slice_fraction_true[k]), float(review.slice_fraction_pred[k])
        row.update(
            infection_fraction_true=true,
            infection_fraction_pred=pred,
            infection_fraction_error=pred - true,
        )
        rows.append(row)
    return rows


def slices_csv(reviews: Sequence[CaseReview]) -> str:
    """One row per slice of every case; undefined values are empty, and no text can pass for a
    formula."""
    rows = [row for review in reviews for row in slice_rows(review)]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=columns, lineterminator="\n", restval="")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: csv_cell(value) for name, value in row.items()})
    return text.getvalue()
