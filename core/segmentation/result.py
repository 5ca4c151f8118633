"""What a segmentation holds: masks, how they were made, and what to know before trusting them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np

from core.config import CHANNELS, EXCHANGED_NOTE, PostprocessConfig, SegmentConfig
from core.correction import HandCorrection
from core.measuring.quality import slice_ranges
from core.preprocessing import SpatialRecord
from core.preprocessing.roi import whole_slice_box
from core.segmentation.coverage import Coverage, find_coverage, find_size_doubt
from core.segmentation.noise import ESTIMATED_LIMIT_HU, LIMIT_HU
from core.segmentation.postprocess import Probabilities, restore_masks
from core.system import number_text
from core.volume import BoolArray, MaskPair, Volume

_LIKELY = 128
_MANY = 0.25
"""Share of the slices that are too dark or bright from which on the whole scan is doubtful."""

_CHILD_MM = (80.0, 240.0)
"""Widths of the chest of children up to about ten years; less is no spacing of a person."""


@dataclass(frozen=True)
class ScanFacts:
    """What warnings need to know of a scan.

    Attributes:
        spacing_mm: of voxels; none where the file does not say.
        noise_hu: on the network's grid; nan where it is not known.
        noise_is_estimated: whether the scan is not in HU, and its scale was estimated.
        seems_turned: whether the orientation seems to differ from that in the file, so that slices
            may not be axial.
        seems_exchanged: whether it looks like a negative.
        width_mm: of the body in the picture, from side to side; nan where it is not known.
    """

    spacing_mm: tuple[float, float, float] | None
    noise_hu: float = float("nan")
    noise_is_estimated: bool = False
    seems_turned: bool = False
    seems_exchanged: bool = False
    width_mm: float = float("nan")


@dataclass(frozen=True, eq=False)
class Segmentation:
    """Masks of a scan, and how the network came to them.

    Attributes:
        probabilities: (2, n, rows, columns) uint8 on the network's grid, neighbouring slices
            blended in. They are small, and kept so that thresholds can move without another run.
        presence: (2, n) uint8, how likely each slice shows any lung, and any infection, times
            255; none where the network has no slice head.
        record: how slices were moved onto that grid, the quarter turn of pictures included.
        seconds: time of each step; of all volumes together where several were segmented at once.
        scan: what warnings need to know of the scan; none for pictures.
        fallback_reason: why Keras ran the network in place of OpenVINO; empty where it did not,
            or was asked to.
        weights_id: of the network; empty where none has run.
        by_hand: how a person has corrected the masks; none where they are the network's.
    """

    masks: MaskPair
    probabilities: Probabilities
    record: SpatialRecord
    seconds: dict[str, float]
    device: str
    weights_id: str
    config: SegmentConfig
    fallback_reason: str = ""
    scan: ScanFacts | None = None
    presence: Probabilities | None = None
    by_hand: HandCorrection | None = None

    @property
    def by_network(self) -> bool:
        """Whether a network has run, not only a person drawn."""
        return bool(self.weights_id)

    def slices_with(self, channel: Literal["lung", "infection"]) -> BoolArray | None:
        """(n,) which slices the network's slice head takes to show any lung, or any infection,
        more likely than not; none where it has no such head."""
        if self.presence is None:
            return None
        likely: BoolArray = self.presence[CHANNELS.index(channel)] >= _LIKELY
        return likely

    @cached_property
    def warnings(self) -> tuple[str, ...]:
        """What a person should know before trusting the masks."""
        every = (
            "" if self.by_hand is None else self.by_hand.sentence,
            _turn_warning(self.record),
            _stretch_warning(self.record),
            _noise_warning(self.scan),
            _small_warning(self.scan),
            self.size_doubt,
            _lung_warning(self.masks),
            self._coverage_warning,
            self.fallback_reason,
        )
        return tuple(warning for warning in every if warning)

    @property
    def doubts(self) -> tuple[str, ...]:
        """Those of the warnings that make every measurement doubtful, not only volumes."""
        off = 0 if self.record.stretch is None else len(self.record.stretch.slices_off)
        every = (
            _turned_doubt(self.scan),
            EXCHANGED_NOTE if self.scan is not None and self.scan.seems_exchanged else "",
            _noise_warning(self.scan),
            _small_warning(self.scan),
            _stretch_warning(self.record) if off > _MANY * self.probabilities.shape[1] else "",
            _lung_warning(self.masks),
        )
        return tuple(doubt for doubt in every if doubt)

    @property
    def is_noisy(self) -> bool:
        """Whether the scan has so much noise that faint opacities may be missed or invented."""
        return bool(_noise_warning(self.scan))

    @cached_property
    def coverage(self) -> Coverage | None:
        """How much of the lungs the scan holds; none where that is not known."""
        if self.scan is None or self.masks.lung is None:
            return None
        spacing_mm = self.scan.spacing_mm
        return find_coverage(self.masks.lung, None if spacing_mm is None else spacing_mm[2])

    @property
    def _coverage_warning(self) -> str:
        return "" if self.coverage is None else self.coverage.warning

    @cached_property
    def size_doubt(self) -> str:
        """Why lungs of this size cannot be those of a person; empty where they can."""
        spacing_mm = None if self.scan is None else self.scan.spacing_mm
        if spacing_mm is None or self.coverage is None or self.masks.lung is None:
            return ""
        return find_size_doubt(self.masks.lung, self.coverage, spacing_mm)


def with_hand_correction(
    segmentation: Segmentation, masks: MaskPair, by_hand: HandCorrection
) -> Segmentation:
    """The same run with masks as a person has corrected them."""
    return replace(segmentation, masks=masks, by_hand=by_hand)


def drawn_by_hand(volume: Volume, masks: MaskPair, by_hand: HandCorrection) -> Segmentation:
    """Masks that a person drew on a scan that no network has marked, as a result that can be
    measured, reported and saved. It holds no probabilities."""
    columns, rows, slices = volume.shape
    record = SpatialRecord(
        slice_shape=(rows, columns),
        box=whole_slice_box(volume),
        rows=rows,
        columns=columns,
        top=0,
        left=0,
        height=rows,
        width=columns,
    )
    return Segmentation(
        masks=masks,
        probabilities=np.zeros((len(CHANNELS), slices, 0, 0), dtype=np.uint8),
        record=record,
        seconds={},
        device="",
        weights_id="",
        config=SegmentConfig(),
        by_hand=by_hand,
    )


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
        "scan; this was corrected for the network only. Measurements based on grey values or HU, "
        "including those of the whole scan, are not reliable."
    )


def _turned_doubt(scan: ScanFacts | None) -> str:
    """No warning of its own: the scan has one, which proposes how to turn it."""
    if scan is None or not scan.seems_turned:
        return ""
    return (
        "The orientation of the chest seems to differ from that in the file, so its slices may not "
        "be axial: turn the scan first."
    )


def _noise_warning(scan: ScanFacts | None) -> str:
    if scan is None:
        return ""
    limit_hu = ESTIMATED_LIMIT_HU if scan.noise_is_estimated else LIMIT_HU
    if not scan.noise_hu > limit_hu:
        return ""
    found = f"{number_text(scan.noise_hu, digits=0)} HU on the network's grid"
    if scan.noise_is_estimated:
        found += ", estimated by the contrast of lung and tissue"
    return (
        f"The scan is noisy ({found}, more than {number_text(limit_hu, digits=0)} HU): faint "
        "opacities may be missed or falsely marked, and density is measured on the noisy scan."
    )


def _small_warning(scan: ScanFacts | None) -> str:
    low, high = _CHILD_MM
    if scan is None or not low <= scan.width_mm < high:
        return ""
    return (
        f"The body is {number_text(scan.width_mm, digits=0)} mm wide in the picture, as in a "
        "child or a cropped chest. The network was trained on whole chests of adults only: faint "
        "opacities may be missed or falsely marked."
    )


def _lung_warning(masks: MaskPair) -> str:
    if masks.lung is None or masks.lung.any():
        return ""
    return "No lung was found: this may not be an axial chest CT."
