"""All biomarkers of a scan and its masks, in one pass."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from core.errors import GeometryError
from core.measuring.biomarkers.config import BiomarkerConfig
from core.measuring.biomarkers.lesions import Lesions, measure_lesions
from core.measuring.biomarkers.listing import list_measurements
from core.measuring.biomarkers.lobar import measure_lobes, sides_of_lobes
from core.measuring.biomarkers.regions import (
    DEPTHS,
    HALVES,
    HU_LOW,
    THIRDS,
    Counts,
    RegionCounts,
    count_regions,
    thickness,
)
from core.measuring.biomarkers.result import (
    MISSING_LUNG,
    NAN,
    ZONES,
    Biomarkers,
    Category,
    Density,
    Laterality,
    Part,
)
from core.measuring.biomarkers.sides import SIDES, LungSides, split_lungs
from core.measuring.lobes import Lobes
from core.system import OnProgress, ShouldCancel, ignore_progress, never_cancel
from core.volume import MaskPair, Volume


def compute_biomarkers(
    volume: Volume,
    masks: MaskPair,
    *,
    lobes: Lobes | None = None,
    sides: LungSides | None = None,
    config: BiomarkerConfig | None = None,
    on_progress: OnProgress = ignore_progress,
    should_cancel: ShouldCancel = never_cancel,
) -> Biomarkers:
    """Volumes, shares, zones, density, lesions and scores of a scan.

    Args:
        volume: the scan.
        masks: on its canonical grid; either may be unknown. Infection outside the lung counts as
            a lesion, and in no share.
        lobes: of the lung mask; none says nothing by lobe. Where the lungs touch, they also tell
            right and left.
        sides: of `split_lungs` for this lung mask, where they are known already.
        config: cut-offs; none takes the defaults.
        on_progress: called with "separating the lungs", "measuring the lungs" and
            "counting lesions".

    Raises:
        GeometryError: a mask has not the shape of the scan.
        Cancelled: the person asked to stop.
    """
    config = config or BiomarkerConfig()
    _check_shapes(masks, volume)
    on_progress("separating the lungs", 0, 1)
    if sides is None and masks.lung is not None:
        sides = split_lungs(masks.lung, volume, should_cancel=should_cancel)
    # Where the lungs touch, lobes separate them better.
    touch = sides is not None and sides.way in ("junction", "plane")
    if sides is not None and touch and lobes is not None and lobes.labels is not None:
        sides = sides_of_lobes(lobes.labels, sides)
    counts = None
    if sides is not None:
        counts = count_regions(
            volume,
            sides,
            masks.infection,
            config,
            on_progress=on_progress,
            should_cancel=should_cancel,
        )
    on_progress("counting lesions", 0, 1)
    lesions = None
    if masks.infection is not None:
        lesions = measure_lesions(masks.infection, volume, config, should_cancel=should_cancel)
    on_progress("counting lesions", 1, 1)
    found = _put_together(volume, masks, config, sides, counts, lesions)
    if lobes is not None:
        found = _with_lobes(found, volume, masks, lobes, config)
    return replace(found, measurements=list_measurements(found, volume, masks))


def _check_shapes(masks: MaskPair, volume: Volume) -> None:
    for name, mask in (("lung", masks.lung), ("infection", masks.infection)):
        if mask is not None and mask.shape != volume.shape:
            raise GeometryError(
                f"The {name} mask does not fit its scan",
                got=f"shape {mask.shape}",
                expected=f"{volume.shape}",
            )


def _with_lobes(
    found: Biomarkers, volume: Volume, masks: MaskPair, lobes: Lobes, config: BiomarkerConfig
) -> Biomarkers:
    return replace(
        found,
        lobes=measure_lobes(volume, masks, lobes, config),
        lobes_reason=lobes.reason,
        lobes_note=lobes.note,
        notes=(*found.notes, *filter(None, (lobes.note or lobes.reason,))),
    )


def _put_together(
    volume: Volume,
    masks: MaskPair,
    config: BiomarkerConfig,
    sides: LungSides | None,
    counts: RegionCounts | None,
    lesions: Lesions | None,
) -> Biomarkers:
    # Pictures tell no sides and no order, so only what needs neither is said of them.
    placed = volume.source.format != "pictures"
    maker = _PartMaker(volume, masks, counts)
    both = maker.part()
    right, left, parts = Part(), Part(), {}
    if sides is not None and counts is not None and placed:
        right, left = (maker.part(side=side) for side in range(2))
        parts = _parts(maker, sides)
    zone_scores = {
        f"{side}_{third}": _zone_score(parts[f"{side}_{third}"].infected_share, config)
        for side, third in ZONES
        if np.isfinite(parts.get(f"{side}_{third}", Part()).infected_share)
    }
    densities = [Density(), Density(), Density()]
    if counts is not None and counts.hu is not None:
        known = masks.infection is not None
        densities[0] = _density(counts.hu.sum(axis=0), config, known)
        if placed:
            densities[1:] = [_density(hu, config, known) for hu in counts.hu]
    return Biomarkers(
        both=both,
        right=right,
        left=left,
        parts=parts,
        density=densities[0],
        right_density=densities[1],
        left_density=densities[2],
        lesions=lesions,
        laterality=_laterality(right, left, config) if placed else None,
        zone_scores=zone_scores,
        zone_score=sum(zone_scores.values()) if len(zone_scores) == len(ZONES) else None,
        category=_category(both.infected_share, config),
        split=sides.way if sides is not None and placed else None,
        config=config,
        notes=_notes(volume, sides, placed=placed),
    )


class _PartMaker:
    """Sums of the table of counts as volumes and shares."""

    def __init__(self, volume: Volume, masks: MaskPair, counts: RegionCounts | None) -> None:
        self._voxel_ml = NAN if volume.spacing_nominal else volume.voxel_volume_ml
        self._masks = masks
        self._voxels = None if counts is None else counts.voxels

    def part(self, **where: int) -> Part:
        """Of the voxels with the given side, third, half and depth."""
        if self._masks.lung is None:
            return Part()
        healthy, infected = 0, 0
        if self._voxels is not None:
            index = tuple(
                where.get(axis, slice(None)) for axis in ("side", "third", "half", "depth")
            )
            healthy, infected = self._voxels[index].reshape(-1, 2).sum(axis=0).tolist()
        lung = healthy + infected
        known = self._masks.infection is not None
        return Part(
            volume_ml=lung * self._voxel_ml,
            infected_ml=infected * self._voxel_ml if known else NAN,
            infected_share=infected / lung if known and lung else NAN,
        )


def _parts(maker: _PartMaker, sides: LungSides) -> dict[str, Part]:
    """Zones of each lung and of both; those that a lung is too thin for are undefined."""
    fits = {
        axis: [held[at] >= parts for held in thickness(sides)]
        for axis, at, parts in (("third", 0, 3), ("half", 1, 2))
    }
    parts: dict[str, Part] = {}
    for axis, names in (("third", THIRDS), ("half", HALVES), ("depth", DEPTHS)):
        for number, name in enumerate(names):
            there = fits.get(axis, [True, True])
            for side, side_name in enumerate(SIDES):
                missing = side_name in sides.missing or not there[side]
                wanted = {"side": side, axis: number}
                parts[f"{side_name}_{name}"] = Part() if missing else maker.part(**wanted)
            whole = all(ok or s in sides.missing for ok, s in zip(there, SIDES, strict=True))
            parts[name] = maker.part(**{axis: number}) if whole else Part()
    return parts


def _density(hu: Counts, config: BiomarkerConfig, infection_known: bool) -> Density:
    """Of a histogram (2, n) by infected and whole HU."""
    whole, infected = hu.sum(axis=0), hu[1]
    mean, hyper, well, poorly, non = NAN, NAN, NAN, NAN, NAN
    if whole.any():
        mean = _mean(whole)
        ends = (
            config.well_aerated_from_hu,
            config.poorly_aerated_from_hu,
            config.non_aerated_from_hu,
        )
        hyper, well, poorly, non = _band_shares(whole, ends)
    infected_mean, neither, glass, solid = NAN, NAN, NAN, NAN
    if infection_known and infected.any():
        infected_mean = _mean(infected)
        ends_of_two = (config.ground_glass_from_hu, config.consolidation_from_hu)
        neither, glass, solid = _band_shares(infected, ends_of_two)
    return Density(
        mean_hu=mean,
        infected_mean_hu=infected_mean,
        hyper_aerated=hyper,
        well_aerated=well,
        poorly_aerated=poorly,
        non_aerated=non,
        ground_glass=glass,
        consolidation=solid,
        neither=neither,
    )


def _mean(histogram: Counts) -> float:
    return float((histogram * np.arange(len(histogram))).sum() / histogram.sum()) + HU_LOW


def _band_shares(histogram: Counts, ends: tuple[float, ...]) -> list[float]:
    """Shares below the first end, between ends, and from the last on."""
    places = [max(0, int(np.ceil(end)) - HU_LOW) for end in ends]
    pieces = np.split(histogram, places)
    return [float(piece.sum() / histogram.sum()) for piece in pieces]


def _zone_score(share: float, config: BiomarkerConfig) -> int:
    if share < config.affected_share:
        return 0
    return 1 + sum(share >= end for end in config.score_shares)


def _category(share: float, config: BiomarkerConfig) -> Category | None:
    if not np.isfinite(share):
        return None
    if share < config.affected_share:
        return "CT-0"
    names: tuple[Category, ...] = ("CT-1", "CT-2", "CT-3", "CT-4")
    return names[sum(share >= end for end in config.score_shares)]


def _laterality(right: Part, left: Part, config: BiomarkerConfig) -> Laterality | None:
    shares = (right.infected_share, left.infected_share)
    if not np.isfinite(shares).any():
        return None
    affected = tuple(share >= config.affected_share for share in shares)  # of no lung: false
    names: dict[tuple[bool, ...], Laterality] = {
        (False, False): "none",
        (True, False): "right",
        (False, True): "left",
        (True, True): "both",
    }
    return names[affected]


def _notes(volume: Volume, sides: LungSides | None, *, placed: bool) -> tuple[str, ...]:
    notes = []
    if not placed:
        notes.append(
            "Pictures have neither a known order nor known sides: lungs and zones are not "
            "distinguished."
        )
    elif sides is not None:
        notes += [MISSING_LUNG[side] for side in sides.missing]
        if sides.way == "plane":
            notes.append(
                "The lungs touch so widely that they were cut at the sagittal plane with "
                "the least lung; left and right are less certain."
            )
    if volume.unit != "HU":
        notes.append("The scan's values are not in HU: density is not defined.")
    if volume.spacing_nominal:
        notes.append("The file does not give the voxel size: volumes are not defined, shares are.")
    return tuple(notes)
