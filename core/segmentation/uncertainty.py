"""How unsure the network is of a scan, so that a person's hour goes where it counts.

Two signs, both of the infection and on the network's grid:

- entropy at the border: mean binary entropy, in bits, of the probabilities in a band around the
  edge of what is marked. Where the network is sure, its probabilities fall steeply there.
- disagreement under mirrored input: 1 - Dice of the masks of the scan and of its mirror image.
  Right and left are alike to the question whether lung is infected.

Neither knows the truth: a network can be sure and wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from core.config import SegmentConfig
from core.errors import Cancelled, LungLensError
from core.preprocessing import build_model_input, plan_spatial
from core.segmentation.engines import Engine
from core.segmentation.postprocess import Probabilities, probability_level
from core.system import OnProgress, ShouldCancel, ignore_progress, never_cancel, raise_if_cancelled
from core.volume import Volume

FloatVector = npt.NDArray[np.float64]
_BAND = np.ones((5, 5), dtype=np.uint8)
"""Two pixels to both sides of an edge."""


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """How unsure the network is of one scan.

    Attributes:
        border_entropy: bits, over all slices; nan where nothing is marked.
        disagreement: 0 to 1, over all slices; nan where neither the scan nor its mirror image has
            anything marked.
        slice_entropy, slice_disagreement: (slices,) the same for each axial slice.
        slice_pixels: (slices,) pixels in which scan and mirror image disagree.
    """

    border_entropy: float
    disagreement: float
    slice_entropy: FloatVector
    slice_disagreement: FloatVector
    slice_pixels: FloatVector

    @property
    def score(self) -> float:
        """By which scans are ordered: disagreement, which is related to the true Dice where the
        entropy at the border was not (see docs/accuracy.md); 0 where nothing is marked."""
        return float(np.nan_to_num(self.disagreement))

    def slices_to_look_at(self, count: int) -> tuple[int, ...]:
        """Slices in which scan and mirror image disagree in most pixels, from the worst on."""
        order = np.argsort(-self.slice_pixels, kind="stable")[:count]
        return tuple(int(k) for k in order if self.slice_pixels[k] > 0)


def measure_uncertainty(
    volume: Volume,
    segmenter: Engine,
    *,
    config: SegmentConfig | None = None,
    on_progress: OnProgress = ignore_progress,
    should_cancel: ShouldCancel = never_cancel,
) -> Uncertainty:
    """Runs the network on a scan and on its mirror image.

    Args:
        segmenter: of `load_segmenter`.
        config: batch size, preprocessing and threshold; none takes those of the weights.

    Raises:
        Cancelled: the person asked to stop.
    """
    config = config or SegmentConfig(
        weights_id=segmenter.weights_id, postprocess=segmenter.info.postprocess
    )
    preprocess = config.preprocess or segmenter.preprocess
    record = plan_spatial(volume, preprocess)
    frames = build_model_input(volume, record, preprocess, range(volume.shape[2]))
    raise_if_cancelled(should_cancel, "preparing slices")
    plain, mirrored = (
        segmenter.predict(
            np.ascontiguousarray(shown),
            batch_size=config.batch_size,
            on_progress=on_progress,
            should_cancel=should_cancel,
        ).pixels
        for shown in (frames, frames[:, :, ::-1])
    )
    return compare_probabilities(
        plain, mirrored[:, :, :, ::-1], threshold=config.postprocess.infection_threshold
    )


@dataclass(frozen=True, eq=False)
class RankedScan:
    """One scan of a list of what to correct next.

    Attributes:
        name: what it is called.
        found: how unsure the network is; none where it could not be measured.
        slices: to look at first, from 0, the worst first.
        trouble: why it could not be measured, in a sentence.
    """

    name: str
    found: Uncertainty | None
    slices: tuple[int, ...] = ()
    trouble: str = ""


def rank_scans(
    scans: Sequence[tuple[str, Callable[[], Volume]]],
    segmenter: Engine,
    *,
    slices: int = 5,
    on_progress: OnProgress = ignore_progress,
    should_cancel: ShouldCancel = never_cancel,
) -> list[RankedScan]:
    """Scans by how unsure the network is of them, the most unsure first; those that could not be
    measured come last.

    Args:
        scans: name, and what opens the scan.
        slices: how many of each are named to be looked at first.
        on_progress: called with "measuring scans".

    Raises:
        Cancelled: the person asked to stop.
    """
    ranked = []
    for done, (name, open_scan) in enumerate(scans):
        raise_if_cancelled(should_cancel, "measuring scans")
        on_progress("measuring scans", done, len(scans))
        try:
            found = measure_uncertainty(open_scan(), segmenter, should_cancel=should_cancel)
        except Cancelled:
            raise
        except LungLensError as error:
            ranked.append(RankedScan(name, None, trouble=str(error)))
        else:
            ranked.append(RankedScan(name, found, found.slices_to_look_at(slices)))
    on_progress("measuring scans", len(scans), len(scans))
    return sorted(
        ranked, key=lambda one: -1.0 if one.found is None else one.found.score, reverse=True
    )


def compare_probabilities(
    plain: Probabilities, mirrored: Probabilities, *, threshold: float
) -> Uncertainty:
    """The uncertainty of a scan from probabilities that are known already.

    Args:
        plain, mirrored: (2, slices, rows, columns) uint8, lung and infection times 255; of the
            scan, and of its mirror image turned back.
        threshold: from which infection is marked.
    """
    level = probability_level(threshold)
    infected, other = plain[1] >= level, np.ascontiguousarray(mirrored[1]) >= level
    entropy, pixels = _border_entropy(plain[1], infected)
    shared = np.count_nonzero(infected & other, axis=(1, 2)).astype(np.float64)
    both = (np.count_nonzero(infected, axis=(1, 2)) + np.count_nonzero(other, axis=(1, 2))).astype(
        np.float64
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        return Uncertainty(
            border_entropy=float(np.float64(entropy.sum()) / np.float64(pixels.sum())),
            disagreement=float(1 - np.float64(2 * shared.sum()) / np.float64(both.sum())),
            slice_entropy=entropy / pixels,
            slice_disagreement=1 - 2 * shared / both,
            slice_pixels=both - 2 * shared,
        )


def _border_entropy(
    probability: Probabilities, infected: npt.NDArray[np.bool_]
) -> tuple[FloatVector, FloatVector]:
    """Sum of the entropy in the band of each slice, and how many pixels that has."""
    share = (np.arange(256, dtype=np.float64) / 255).clip(1e-12, 1 - 1e-12)
    bits = -(share * np.log2(share) + (1 - share) * np.log2(1 - share))
    sums, counts = np.zeros(len(infected)), np.zeros(len(infected))
    for k, mask in enumerate(infected):
        if not mask.any():
            continue
        marked = mask.astype(np.uint8)
        band = cv2.dilate(marked, _BAND) > cv2.erode(marked, _BAND, borderValue=0)
        sums[k] = bits[probability[k][band]].sum()
        counts[k] = np.count_nonzero(band)
    return sums, counts


def rank_correlation(one: Sequence[float], other: Sequence[float]) -> float:
    """Spearman's rank correlation; nan for fewer than three pairs or where all are alike."""
    from scipy import stats

    if len(one) < 3 or len(set(one)) < 2 or len(set(other)) < 2:
        return float("nan")
    return float(stats.spearmanr(one, other).statistic)
