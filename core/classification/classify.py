"""From a scan or pictures to verdicts: the one path for the page, the command line and tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import expit, logit

from core.classification.classifier import Classifier, SlicePrediction, heat
from core.classification.fitness import FIT, unfit_reasons
from core.classification.frames import Frames, cut_to_lung, heat_share, slice_frames, unframed
from core.classification.pictures import OpenedPicture
from core.classification.scan import (
    choose_slices,
    highest_scoring_slices,
    lesion_logit,
    scan_logit,
    shares,
    suspicious_mean,
)
from core.classification.verdict import Verdict, band_of, disagree
from core.config import EXCHANGED_NOTE
from core.measuring.biomarkers import count_by_slice
from core.segmentation import (
    MANIFEST_NAME,
    Segmentation,
    load_segmenter,
    segment_volume,
    segment_volumes,
)
from core.segmentation.engines import Engine
from core.system import (
    WEIGHTS_FOLDER,
    OnProgress,
    ShouldCancel,
    ignore_progress,
    never_cancel,
    percent_text,
)
from core.volume import FloatArray, Volume

_PICTURES_AT_ONCE = 32


def load_segmenter_for(classifier: Classifier) -> Engine:
    """The segmentation network whose masks the classifier was trained with, else the default.

    Raises:
        WeightsError: there are no weights, or they are damaged.
    """
    trained_with = classifier.info.segmentation_id
    installed = (WEIGHTS_FOLDER / trained_with / MANIFEST_NAME).is_file()
    return load_segmenter(trained_with if installed else None)


def segment_for(
    volume: Volume,
    classifier: Classifier,
    *,
    on_progress: OnProgress = ignore_progress,
    should_cancel: ShouldCancel = never_cancel,
) -> Segmentation:
    """Lung and infection as the classifier needs them.

    Raises:
        Cancelled: the person asked to stop.
        WeightsError: the segmentation weights are missing or damaged.
    """
    segmenter = load_segmenter_for(classifier)
    return segment_volume(volume, segmenter, on_progress=on_progress, should_cancel=should_cancel)


def classify_volume(
    volume: Volume,
    segmentation: Segmentation | None,
    classifier: Classifier,
    *,
    on_progress: OnProgress = ignore_progress,
    should_cancel: ShouldCancel = never_cancel,
) -> Verdict:
    """The verdict on a scan, or on one picture.

    Args:
        segmentation: of this scan; none lets the network run first.
        on_progress: called with the stages of `segment_volume` and "classifying slices".

    Raises:
        Cancelled: the person asked to stop.
        WeightsError: the segmentation weights are missing or damaged.
    """
    if segmentation is None:
        segmentation = segment_for(
            volume, classifier, on_progress=on_progress, should_cancel=should_cancel
        )
    slices: tuple[int, ...] = (0,)
    if not _is_picture(volume):
        lung = segmentation.masks.lung
        assert lung is not None
        slices = choose_slices(count_by_slice(lung), classifier.info.scan)
    frames = slice_frames(volume, segmentation, slices, classifier.info.model)
    predicted = classifier.predict(frames, on_progress=on_progress, should_cancel=should_cancel)
    if _is_picture(volume):
        verdict = _picture_verdict(segmentation, frames, predicted, classifier)
        return _with_complaint(verdict, _exchanged_complaint(volume))
    return _scan_verdict(segmentation, slices, frames, predicted, classifier)


def classify_pictures(
    pictures: Sequence[OpenedPicture],
    classifier: Classifier,
    *,
    segmenter: Engine | None = None,
    on_progress: OnProgress = ignore_progress,
    should_cancel: ShouldCancel = never_cancel,
) -> tuple[Verdict, ...]:
    """Verdicts on pictures, each by itself, computed together.

    Raises:
        Cancelled: the person asked to stop.
        WeightsError: the segmentation weights are missing or damaged.
    """
    segmenter = segmenter or load_segmenter_for(classifier)
    model = classifier.info.model
    verdicts: list[Verdict] = []
    for start in range(0, len(pictures), _PICTURES_AT_ONCE):
        on_progress("classifying pictures", start, len(pictures))
        part = pictures[start : start + _PICTURES_AT_ONCE]
        found = segment_volumes(
            [picture.volume for picture in part], segmenter, should_cancel=should_cancel
        )
        frames = np.concatenate(
            [
                slice_frames(picture.volume, segmentation, [0], model)
                for picture, segmentation in zip(part, found, strict=True)
            ]
        )
        predicted = classifier.predict(frames, should_cancel=should_cancel)
        for n, (picture, segmentation) in enumerate(zip(part, found, strict=True)):
            verdict = _picture_verdict(
                segmentation, frames[n : n + 1], predicted.one(n), classifier
            )
            complaint = picture.complaint or _exchanged_complaint(picture.volume)
            verdicts.append(_with_complaint(verdict, complaint))
    on_progress("classifying pictures", len(pictures), len(pictures))
    return tuple(verdicts)


def _exchanged_complaint(picture: Volume) -> str:
    return EXCHANGED_NOTE.rstrip(".") if EXCHANGED_NOTE in picture.warnings else ""


def _with_complaint(verdict: Verdict, complaint: str) -> Verdict:
    """The verdict, which abstains where something is wrong with the picture itself."""
    return replace(verdict, abstained=True, reason=complaint) if complaint else verdict


def explain_slices(
    volume: Volume,
    slices: Sequence[int],
    segmentation: Segmentation,
    classifier: Classifier,
    *,
    on_progress: OnProgress = ignore_progress,
    should_cancel: ShouldCancel = never_cancel,
) -> tuple[ExplainedSlice, ...]:
    """Where in slices the evidence for COVID-19 lies.

    What a cell of 16 × 16 input pixels adds to the network's logit, which is the sum of these; so
    it is no estimate, and it is zero outside of the lung but for cells on its border, which are cut
    off at the lung (class activation mapping, Zhou et al. 2016, with the lung as weights).

    Raises:
        Cancelled: the person asked to stop.
    """
    frames = slice_frames(volume, segmentation, slices, classifier.info.model)
    predicted = classifier.predict(frames, on_progress=on_progress, should_cancel=should_cancel)
    heats = unframed([heat(own) for own in predicted.evidence], volume, segmentation, slices)
    lung = segmentation.masks.lung
    return tuple(
        ExplainedSlice(
            cut_to_lung(own, lung, k), heat_share(own, None if lung is None else lung[:, :, k])
        )
        for own, k in zip(heats, slices, strict=True)
    )


@dataclass(frozen=True, eq=False)
class ExplainedSlice:
    """Where the evidence of a slice lies.

    Attributes:
        heat: (rows, columns) float32 in [0, 1] on the slice's grid as it is stored: evidence over
            its maximum, 0 outside of the lung, all 0 where there is none.
        inside: share of the heat inside the lung before it was cut off there; nan without heat.
    """

    heat: FloatArray
    inside: float


def _is_picture(volume: Volume) -> bool:
    return volume.source.format == "pictures" and volume.shape[2] == 1


def _picture_verdict(
    segmentation: Segmentation, frames: Frames, predicted: SlicePrediction, classifier: Classifier
) -> Verdict:
    lung_shares = _lung_shares(segmentation, (0,))
    (reason,) = unfit_reasons(frames, predicted, lung_shares, classifier.info.fitness)
    probability = float(expit(classifier.combined_logits(predicted))[0])
    opinions = _Opinions(
        probability,
        network=float(classifier.network_probability(predicted)[0]),
        lesions=float(classifier.lesion_probability(predicted)[0]),
    )
    return _verdict(segmentation, (0,), (probability,), opinions, reason, classifier)


def _scan_verdict(
    segmentation: Segmentation,
    slices: tuple[int, ...],
    frames: Frames,
    predicted: SlicePrediction,
    classifier: Classifier,
) -> Verdict:
    lung_shares = _lung_shares(segmentation, slices)
    reasons = unfit_reasons(frames, predicted, lung_shares, classifier.info.fitness)
    unfit = [reason for reason in reasons if reason != FIT]
    infected_share, _ = shares(segmentation.masks, has_zones=False)
    by_slice = classifier.network_probability(predicted)
    model = classifier.info.scan
    suspicious = suspicious_mean(logit(by_slice), model)
    opinions = _Opinions(
        float(expit(scan_logit(logit(by_slice), infected_share, model))),
        network=float(expit(suspicious)),
        lesions=float(expit(lesion_logit(infected_share, model))),
    )
    reason = FIT
    if 2 * len(unfit) > len(reasons):
        reason = (
            f"{len(unfit)} of {len(reasons)} slices cannot be classified, the first: {unfit[0]}"
        )
    combined = tuple(float(p) for p in expit(classifier.combined_logits(predicted)))
    return _verdict(segmentation, slices, combined, opinions, reason, classifier)


@dataclass(frozen=True)
class _Opinions:
    together: float
    network: float
    lesions: float


def _lung_shares(segmentation: Segmentation, slices: Sequence[int]) -> list[float]:
    """Lung of each slice, as a share of the slice."""
    lung = segmentation.masks.lung
    assert lung is not None
    return [float(np.mean(lung[:, :, k])) for k in slices]


def _verdict(
    segmentation: Segmentation,
    slices: tuple[int, ...],
    by_slice: tuple[float, ...],
    opinions: _Opinions,
    unfit: str,
    classifier: Classifier,
) -> Verdict:
    is_scan = segmentation.probabilities.shape[1] > 1
    infected_share, by_zone = shares(segmentation.masks, has_zones=is_scan)
    bands = classifier.info.bands
    contradict = disagree(opinions.network, opinions.lesions, bands)
    if unfit == FIT and is_scan and segmentation.doubts:
        unfit = " ".join(segmentation.doubts).rstrip(".")
    return Verdict(
        covid_probability=opinions.together,
        network_probability=opinions.network,
        lesion_probability=opinions.lesions,
        disagreement=contradict,
        band="indeterminate" if contradict else band_of(opinions.together, bands),
        abstained=unfit != FIT,
        reason=unfit or _reason(opinions, infected_share, contradict, by_slice),
        slice_indices=slices,
        slice_probabilities=by_slice,
        infected_share=infected_share,
        share_by_zone=by_zone,
        highest_scoring=highest_scoring_slices(slices, by_slice),
        weights_id=classifier.weights_id,
        segmentation_id=segmentation.weights_id,
    )


def _reason(
    opinions: _Opinions, infected_share: float, contradict: bool, by_slice: tuple[float, ...]
) -> str:
    share = (
        "no lung was marked"
        if np.isnan(infected_share)
        else f"{percent_text(infected_share)} of the lung is marked as infected"
    )
    seen = "picture" if len(by_slice) == 1 else "slices"
    both = f"{seen} {opinions.network:.2f}, lesions {opinions.lesions:.2f}"
    verb = "contradict each other" if contradict else "agree"
    if len(by_slice) == 1:
        return f"{seen} and lesions {verb} ({both}); {share}"
    above = sum(p >= 0.5 for p in by_slice)
    return (
        f"{seen} and lesions {verb} ({both}); {above} of {len(by_slice)} classified slices have "
        f"a probability of 0.5 or more; {share}"
    )
