"""The region of interest of a scan, what speaks against it, and what it saves."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import cv2
import numpy as np

from core.config import RoiConfig
from core.preprocessing.roi.body import (
    body_extent,
    box_around_body,
    box_around_small_body,
    cut_to,
    is_cut_off,
    moved_box,
    scaled_box,
    small_body_frame,
    spread_slices,
)
from core.preprocessing.roi.boxes import BoundingBox, VolumeBox, whole_slice_box, whole_volume_box
from core.preprocessing.roi.components import Extent, extent_of, outer_pieces
from core.preprocessing.roi.lungs import SliceTissue, find_lungs, part_slice
from core.preprocessing.roi.threshold import (
    Counts,
    Levels,
    coarse_levels,
    count_levels,
    find_thresholds,
    slice_levels,
    tissue_threshold,
)
from core.volume import BoolArray, Volume

_MIN_LUNG_SHARE = 0.08
"""Lungs whose largest slice covers less of the body's box than this hold hardly any air."""
_MIN_SIDE_RATIO = 0.25
"""One lung with less than this share of the air of the other is nearly without any."""
_ARM_FRACTION = 0.01
"""A piece of tissue beside the body that covers more of a slice than this is an arm."""
_MIN_ARM_SLICES = 0.1


@dataclass(frozen=True)
class Finding:
    """Something about a scan that makes a region unreliable, in one sentence.

    Attributes:
        spoils_box: the box in the slice is unreliable.
        spoils_slices: the range of slices with lungs is unreliable.
    """

    text: str
    spoils_box: bool = False
    spoils_slices: bool = False


@dataclass(frozen=True, eq=False)
class Region:
    """The region of interest of a scan.

    Attributes:
        box: what to keep; the whole slice and all slices where findings spoil them.
        thresholds: those of each slice, as levels of `core.preprocessing.roi.threshold`.
        slice_boxes: the box of each slice by itself; none where nothing is found in it.
        counts: (256,) pixels of each level, over all slices, coarse.
        lungs: (n, rows, columns) lung candidates, coarse.
        lung_slices: first and one past the last slice with lung candidates; none without any.
        findings: what makes the region unreliable.
    """

    box: VolumeBox
    thresholds: tuple[tuple[int, ...], ...]
    slice_boxes: tuple[BoundingBox | None, ...]
    counts: Counts
    lungs: BoolArray
    lung_slices: tuple[int, int] | None
    findings: tuple[Finding, ...]


def find_region(volume: Volume, config: RoiConfig) -> Region:
    """The region of interest by the config, or as much of the scan as is safe to keep.

    With the default config, and where nothing spoils it, the box in the slice is that of
    `find_body_box`.
    """
    levels = coarse_levels(volume, range(volume.shape[2]))
    spread = spread_slices(volume)
    thresholds = _slice_thresholds(levels, spread, config)
    cuts = np.array([tissue_threshold(several) for several in thresholds])
    tissues: BoolArray = levels > cuts[:, None, None]
    lungs = find_lungs(tissues)
    extents = [body_extent(tissue) for tissue in tissues]
    held = np.flatnonzero(lungs.any(axis=(1, 2)))
    lung_slices = (int(held[0]), int(held[-1]) + 1) if held.size else None
    body_box = box_around_body(volume, tissues[spread], margin_mm=config.margin_mm)
    if body_box is None:
        body_box = box_around_small_body(volume, tissues[spread], margin_mm=config.margin_mm)
    findings = _look_around(volume, tissues, extents, lungs, found_body=body_box is not None)
    if config.target == "body":
        in_slice = body_box
        slice_extents = extents
    else:
        in_slice = _box_of_lungs(volume, lungs, config)
        slice_extents = [extent_of(lung) if lung.any() else None for lung in lungs]
        findings = [_spoiling_lung_box(finding) for finding in findings]
    if in_slice is None or any(finding.spoils_box for finding in findings):
        in_slice = whole_slice_box(volume)
    spoilt = any(finding.spoils_slices for finding in findings)
    keeps_all = spoilt or not config.leave_out_slices
    return Region(
        box=_with_slices(volume, in_slice, None if keeps_all else lung_slices, config),
        thresholds=thresholds,
        slice_boxes=tuple(
            None
            if extent is None
            else scaled_box(volume, extent, _shape(tissues), margin_mm=config.margin_mm)
            for extent in slice_extents
        ),
        counts=count_levels(levels),
        lungs=lungs,
        lung_slices=lung_slices,
        findings=tuple(findings),
    )


def find_lung_box(volume: Volume, *, margin_mm: float) -> BoundingBox:
    """One box for the whole scan that holds the lungs in every slice looked at, found by their
    air; that of `find_body_box`, with the same margin, where they cannot be found so.

    Looks at the same slices as `find_body_box`, with the same threshold.
    """
    levels = coarse_levels(volume, spread_slices(volume))
    tissues: BoolArray = levels > tissue_threshold(
        find_thresholds(levels, RoiConfig(method="otsu"))
    )
    body = box_around_body(volume, tissues, margin_mm=margin_mm)
    if body is None:
        if box_around_small_body(volume, tissues, margin_mm=margin_mm) is None:
            return whole_slice_box(volume)
        frame = small_body_frame(volume, tissues)
        assert frame is not None
        return moved_box(find_lung_box(cut_to(volume, frame), margin_mm=margin_mm), frame)
    lungs = find_lungs(tissues)
    seen: BoolArray = np.asarray(lungs.any(axis=0))
    extents = [extent for tissue in tissues if (extent := body_extent(tissue)) is not None]
    if not seen.any() or _hidden_lungs(lungs, extents):
        return body
    return scaled_box(volume, extent_of(seen), _shape(lungs), margin_mm=margin_mm)


def part_slice_of(volume: Volume, region: Region, slice_index: int) -> SliceTissue:
    """Body, air and lung candidates of one slice as it is, by the thresholds of a region; all
    (rows, columns). Air counts as lung where the region found lungs."""
    levels = slice_levels(volume, slice_index)
    rows, columns = levels.shape
    coarse = region.lungs[slice_index].astype(np.uint8)
    lungs = cv2.resize(coarse, (columns, rows), interpolation=cv2.INTER_NEAREST).astype(np.bool_)
    return part_slice(levels > tissue_threshold(region.thresholds[slice_index]), lungs=lungs)


def _shape(tissues: BoolArray) -> tuple[int, int]:
    return int(tissues.shape[1]), int(tissues.shape[2])


def _slice_thresholds(
    levels: Levels, spread: list[int], config: RoiConfig
) -> tuple[tuple[int, ...], ...]:
    if config.scope == "slice":
        return tuple(find_thresholds(picture, config) for picture in levels)
    # Of the slices that the network's box is found on, so that both threshold alike.
    return (find_thresholds(levels[spread], config),) * len(levels)


def _box_of_lungs(volume: Volume, lungs: BoolArray, config: RoiConfig) -> BoundingBox | None:
    seen: BoolArray = np.asarray(lungs.any(axis=0))
    if not seen.any():
        return None
    return scaled_box(volume, extent_of(seen), _shape(lungs), margin_mm=config.margin_mm)


def _with_slices(
    volume: Volume, in_slice: BoundingBox, lung_slices: tuple[int, int] | None, config: RoiConfig
) -> VolumeBox:
    if lung_slices is None:
        return VolumeBox(in_slice, 0, volume.shape[2])
    margin = ceil(config.slice_margin_mm / volume.spacing_mm[2])
    return VolumeBox(
        in_slice, max(0, lung_slices[0] - margin), min(volume.shape[2], lung_slices[1] + margin)
    )


def _spoiling_lung_box(finding: Finding) -> Finding:
    """Lungs that cannot be found give no box around them either."""
    return Finding(finding.text, finding.spoils_box or finding.spoils_slices, finding.spoils_slices)


def _look_around(
    volume: Volume,
    tissues: BoolArray,
    extents: list[Extent | None],
    lungs: BoolArray,
    *,
    found_body: bool,
) -> list[Finding]:
    if is_cut_off(tissues):
        return [
            Finding(
                "The picture cuts the patient off: tissue reaches from its upper to its lower "
                "edge. Nothing can be left out safely, so the whole slice is kept.",
                spoils_box=True,
                spoils_slices=True,
            )
        ]
    if not found_body:
        return [
            Finding(
                "No body was found, so the whole slice is kept.",
                spoils_box=True,
                spoils_slices=True,
            )
        ]
    findings = []
    seen = [(t, e) for t, e in zip(tissues, extents, strict=True) if e is not None]
    with_arms = sum(bool(outer_pieces(t, e, min_fraction=_ARM_FRACTION)) for t, e in seen)
    if with_arms >= max(1.0, _MIN_ARM_SLICES * len(tissues)):
        findings.append(
            Finding(
                f"Arms seem to lie beside the body in {with_arms} slices, and a box may mistake "
                "them for it or leave them out. The whole slice is kept.",
                spoils_box=True,
            )
        )
    hidden = _hidden_lungs(lungs, [e for _, e in seen])
    if hidden:
        findings.append(Finding(hidden, spoils_slices=True))
    if volume.spacing_nominal:
        findings.append(
            Finding("The scan does not give its voxel size: margins in mm are nominal.")
        )
    return findings


def _hidden_lungs(lungs: BoolArray, extents: list[Extent]) -> str:
    """Why lungs found by their air are unreliable; empty where they are reliable."""
    left, top, right, bottom = (int(n) for n in np.median(extents, axis=0))
    areas = lungs.sum(axis=(1, 2))
    if areas.max() < _MIN_LUNG_SHARE * (right - left) * (bottom - top):
        return (
            "The lungs hold hardly any air, or this is not a chest: they cannot be found by their "
            "air, so they are not used for cropping."
        )
    middle = (left + right) // 2
    sides = sorted((int(lungs[:, :, :middle].sum()), int(lungs[:, :, middle:].sum())))
    if sides[0] < _MIN_SIDE_RATIO * sides[1]:
        return (
            "One lung holds hardly any air and cannot be found by it, so the lungs are not used "
            "for cropping."
        )
    return ""


@dataclass(frozen=True)
class Savings:
    """Size and cost of a scan before and after cropping to a region."""

    voxels: tuple[int, int]
    megabytes: tuple[float, float]
    slices: tuple[int, int]
    seconds: tuple[float, float]

    @property
    def kept_share(self) -> float:
        """Voxels kept, of all."""
        return self.voxels[1] / self.voxels[0]


def compute_savings(volume: Volume, box: VolumeBox, *, seconds_per_slice: float) -> Savings:
    """What keeping only `box` saves in voxels, memory and time of the network.

    The network scales every box to its own size: leaving out pixels shows it more detail and
    saves no time, leaving out slices does.
    """
    boxes = (whole_volume_box(volume), box)
    voxels = tuple(part.voxels for part in boxes)
    slices = tuple(part.shape[2] for part in boxes)
    return Savings(
        voxels=voxels,  # type: ignore[arg-type]
        megabytes=tuple(n * volume.array.itemsize / 1e6 for n in voxels),  # type: ignore[arg-type]
        slices=slices,  # type: ignore[arg-type]
        seconds=tuple(n * seconds_per_slice for n in slices),  # type: ignore[arg-type]
    )
