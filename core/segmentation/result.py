"""What a segmentation holds: masks, how they were made, and what to know before trusting them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from core.config import PostprocessConfig, SegmentConfig
from core.measuring.quality import slice_ranges
from core.preprocessing import SpatialRecord
from core.segmentation.postprocess import Probabilities, restore_masks
from core.volume import MaskPair


@dataclass(frozen=True, eq=False)
class Segmentation:
    """Masks of a scan, and how the network came to them.

    Attributes:
        probabilities: (2, n, rows, columns) uint8 on the network's grid, neighbouring slices
            blended in. They are small, and kept so that thresholds can move without another run.
        record: how slices were moved onto that grid, the quarter turn of pictures included.
        seconds: time of each step; of all volumes together where several were segmented at once.
        fallback_reason: why Keras ran the network in place of OpenVINO; empty where it did not,
            or was asked to.
    """

    masks: MaskPair
    probabilities: Probabilities
    record: SpatialRecord
    seconds: dict[str, float]
    device: str
    weights_id: str
    config: SegmentConfig
    fallback_reason: str = ""

    @cached_property
    def warnings(self) -> tuple[str, ...]:
        """What a person should know before trusting the masks."""
        every = (
            _turn_warning(self.record),
            _stretch_warning(self.record),
            _lung_warning(self.masks),
            self.fallback_reason,
        )
        return tuple(warning for warning in every if warning)


def apply_thresholds(segmentation: Segmentation, postprocess: PostprocessConfig) -> Segmentation:
    """The same run with other thresholds or clean-up; the network does not run again."""
    if postprocess == segmentation.config.postprocess:
        return segmentation
    return replace(
        segmentation,
        masks=restore_masks(segmentation.probabilities, segmentation.record, postprocess),
        config=replace(segmentation.config, postprocess=postprocess),
    )


def _turn_warning(record: SpatialRecord) -> str:
    if not record.quarter_turns:
        return ""
    return (
        f"The picture seems to lie on its side: it was turned by {90 * record.quarter_turns}° "
        "clockwise for the network, and the masks were turned back."
    )


def _stretch_warning(record: SpatialRecord) -> str:
    if record.stretch is None:
        return ""
    off = record.stretch.slices_off
    which, verb = ("Slice", "looks") if len(off) == 1 else ("Slices", "look")
    return (
        f"{which} {slice_ranges(off)} {verb} darker or brighter throughout than the rest of the "
        "scan, and for the network alone this was adjusted. Measurements made of grey values or "
        "HU, also those of the whole scan, are not reliable."
    )


def _lung_warning(masks: MaskPair) -> str:
    if masks.lung is None or masks.lung.any():
        return ""
    return "No lung was found: this may not be an axial chest CT."
