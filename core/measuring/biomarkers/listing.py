"""The biomarkers as figures in reading order, each with its rule and source."""

from __future__ import annotations

import math
from collections.abc import Iterator

from core.measuring.biomarkers import figures as texts
from core.measuring.biomarkers.figures import SHARE, Figure
from core.measuring.biomarkers.result import NAN, ZONES, Biomarkers, Density
from core.measuring.biomarkers.sides import SIDES
from core.volume import MaskPair, Volume

VOLUMES, PLACES, DENSITY, LESIONS, SCORES = (
    "Lungs",
    "Where the infection lies",
    "Density",
    "Lesions",
    "Scores",
)
GROUPS = (VOLUMES, SCORES, PLACES, DENSITY, LESIONS)
"""Headings in reading order."""


def list_figures(found: Biomarkers, volume: Volume, masks: MaskPair) -> tuple[Figure, ...]:
    """Every figure, under the headings of `GROUPS`."""
    listed = _Listing(found, volume, masks)
    return tuple(
        figure
        for part in (listed.lungs, listed.scores, listed.zones, listed.density, listed.lesions)
        for figure in part()
    )


class _Listing:
    """Builds figures, and knows why one is undefined."""

    def __init__(self, found: Biomarkers, volume: Volume, masks: MaskPair) -> None:
        self.found, self.config = found, found.config
        self.nominal, self.hu_known = volume.spacing_nominal, volume.unit == "HU"
        self.pictures = volume.source.format == "pictures"
        self.lung_known = masks.lung is not None
        self.lung_there = masks.lung is not None and bool(masks.lung.any())
        self.infection_known = masks.infection is not None

    def lungs(self) -> Iterator[Figure]:
        """Volumes, and the infected share of both lungs and of each."""
        found = self.found
        both = "both lungs"
        yield self._figure(
            "infected_share",
            "Infected share",
            found.both.infected_share,
            SHARE,
            "Infected lung divided by lung, both lungs together.",
            texts.PIXELS,
            VOLUMES,
        )
        for name, label, part in (
            ("lung", "Lung", found.both),
            ("right_lung", "Right lung", found.right),
            ("left_lung", "Left lung", found.left),
        ):
            which = both if name == "lung" else f"the {label.lower()}, the patient's"
            yield self._figure(
                f"{name}_volume_ml",
                f"{label} volume",
                part.volume_ml,
                "ml",
                f"Voxels marked as lung in {which}, times the volume of a voxel.",
                texts.PIXELS,
                VOLUMES,
                sided=name != "lung",
            )
        for name, label, part in (
            ("infected", "Infected lung", found.both),
            ("right_infected", "Infected, right lung", found.right),
            ("left_infected", "Infected, left lung", found.left),
        ):
            which = both if name == "infected" else f"the {name.split('_')[0]} lung"
            yield self._figure(
                f"{name}_volume_ml",
                label,
                part.infected_ml,
                "ml",
                f"Voxels marked as lung and as infection in {which}, times the volume of a voxel.",
                texts.PIXELS,
                VOLUMES,
                sided=name != "infected",
            )
        for side, part in (("right", found.right), ("left", found.left)):
            yield self._figure(
                f"infected_share_{side}",
                f"Infected share, {side} lung",
                part.infected_share,
                SHARE,
                f"Infected lung divided by lung in the {side} lung.",
                texts.PIXELS,
                VOLUMES,
                sided=True,
            )

    def scores(self) -> Iterator[Figure]:
        """Laterality, MosMed-like category and the zonal score."""
        found, config = self.found, self.config
        clear = _percent(config.affected_share)
        one, two, three = (_percent(share) for share in config.score_shares)
        yield self._figure(
            "laterality",
            "Laterality",
            found.laterality or NAN,
            "",
            f"Which lungs are affected: those with an infected share of at least {clear}.",
            texts.OWN,
            SCORES,
            sided=True,
        )
        yield self._figure(
            "mosmed_category",
            "MosMed-like category",
            found.category or NAN,
            "",
            f"By the infected share of both lungs: CT-0 below {clear}, CT-1 below {one}, CT-2 "
            f"below {two}, CT-3 below {three}, CT-4 from there on; the original is read by eye.",
            texts.MOSMED,
            SCORES,
        )
        rule = (
            f"0 below {clear} infected, 1 below {one}, 2 below {two}, 3 below {three}, 4 from "
            "there on"
        )
        yield self._figure(
            "zonal_score",
            "Zonal severity score, of 24",
            NAN if found.zone_score is None else found.zone_score,
            "",
            f"Sum over six zones, the thirds of each lung, each graded by its infected share: "
            f"{rule}; zones are no lobes, so this is no lobar score.",
            texts.ZONE_SCORE,
            SCORES,
            sided=True,
        )
        for side, third in ZONES:
            yield self._figure(
                f"zone_score_{side}_{third}",
                f"Grade of the {side} {third} zone, of 4",
                found.zone_scores.get(f"{side}_{third}", NAN),
                "",
                f"By the infected share of this zone: {rule}.",
                texts.ZONE_SCORE,
                SCORES,
                sided=True,
            )

    def zones(self) -> Iterator[Figure]:
        """Infected share of thirds, halves, rim and core, of each lung and of both."""
        if self.nominal:
            rim = (
                "less deep below the costal surface than "
                f"{_percent(self.config.peripheral_depth_share)} of the greatest depth in the "
                "axial slice"
            )
        else:
            rim = f"less than {self.config.peripheral_mm:g} mm below the costal surface"
        surface = (
            "that surface is the convex outline around both lungs in each axial slice, which "
            "follows the ribs and passes the mediastinum"
        )
        thirds = (
            "{} third of the lung's volume, its axial slices counted from below, parted between "
            "slices"
        )
        halves = "{} half of the lung's volume, parted by a coronal plane"
        rules = {
            "upper": (thirds.format("upper"), texts.OWN),
            "middle": (thirds.format("middle"), texts.OWN),
            "lower": (thirds.format("lower"), texts.OWN),
            "ventral": (halves.format("front"), texts.OWN),
            "dorsal": (halves.format("back"), texts.OWN),
            "peripheral": (f"lung {rim}; {surface}", texts.PERIPHERAL),
            "central": (f"lung that is not {rim}; {surface}", texts.PERIPHERAL),
        }
        for name, (rule, source) in rules.items():
            for side in ("both", *SIDES):
                key = name if side == "both" else f"{side}_{name}"
                part = self.found.parts.get(key)
                where = "both lungs" if side == "both" else f"{side} lung"
                yield self._figure(
                    f"infected_share_{key}",
                    f"Infected share, {name}, {where}",
                    NAN if part is None else part.infected_share,
                    SHARE,
                    f"Infected lung divided by lung in this zone: {rule}.",
                    source,
                    PLACES,
                    sided=True,
                )

    def density(self) -> Iterator[Figure]:
        """Mean HU, aeration bands, ground glass and consolidation."""
        found = self.found
        for name, where, density in (
            ("", "both lungs", found.density),
            ("right_", "right lung", found.right_density),
            ("left_", "left lung", found.left_density),
        ):
            yield self._hu_figure(
                f"{name}mean_lung_hu",
                f"Mean density, {where}",
                density.mean_hu,
                "HU",
                f"Mean HU of all voxels marked as lung, {where}, vessels and infection included.",
                texts.PIXELS,
                sided=bool(name),
            )
        yield from self._bands(found.density)
        yield self._hu_figure(
            "mean_infection_hu",
            "Mean density of infected lung",
            found.density.infected_mean_hu,
            "HU",
            "Mean HU of all voxels marked as lung and as infection.",
            texts.PIXELS,
        )

    def _bands(self, density: Density) -> Iterator[Figure]:
        well, poorly, non = (
            f"{end:g}"
            for end in (
                self.config.well_aerated_from_hu,
                self.config.poorly_aerated_from_hu,
                self.config.non_aerated_from_hu,
            )
        )
        for name, label, band, share in (
            ("hyper", "Hyper-aerated", f"below {well} HU", density.hyper_aerated),
            ("well", "Well aerated", f"from {well} to below {poorly} HU", density.well_aerated),
            (
                "poorly",
                "Poorly aerated",
                f"from {poorly} to below {non} HU",
                density.poorly_aerated,
            ),
            ("non", "Non-aerated", f"from {non} HU on", density.non_aerated),
        ):
            yield self._hu_figure(
                f"{name}_aerated_share",
                f"{label} lung",
                share,
                SHARE,
                f"Share of all lung voxels {band}.",
                texts.AERATION,
            )
        glass = f"{self.config.ground_glass_from_hu:g}"
        solid = f"{self.config.consolidation_from_hu:g}"
        for name, label, band, share in (
            (
                "ground_glass",
                "Ground glass",
                f"from {glass} to below {solid} HU",
                density.ground_glass,
            ),
            ("consolidation", "Consolidation", f"from {solid} HU on", density.consolidation),
            ("neither", "Below ground glass", f"below {glass} HU", density.neither),
        ):
            yield self._hu_figure(
                f"{name}_share",
                f"{label}, of infected lung",
                share,
                SHARE,
                f"Share of infected lung voxels {band}.",
                texts.GROUND_GLASS,
            )

    def lesions(self) -> Iterator[Figure]:
        """Count and sizes."""
        lesions, config = self.found.lesions, self.config
        small, large = (f"{size:g} ml" for size in config.lesion_sizes_ml)
        least = (
            f"{config.min_lesion_voxels} voxels" if self.nominal else f"{config.min_lesion_ml:g} ml"
        )
        rule = f"Pieces of infection, joined by faces, edges or corners, of at least {least}"
        yield self._figure(
            "lesion_count",
            "Lesions",
            NAN if lesions is None else lesions.count,
            "",
            f"{rule}.",
            texts.OWN,
            LESIONS,
            lung_needed=False,
        )
        sizes = (
            (NAN,) * 5
            if lesions is None
            else (
                lesions.median_ml,
                lesions.largest_ml,
                lesions.small,
                lesions.medium,
                lesions.large,
            )
        )
        for (key, label, unit, words), value in zip(
            (
                ("lesion_median_ml", "Median lesion", "ml", "median volume"),
                ("lesion_largest_ml", "Largest lesion", "ml", "largest volume"),
                ("lesions_small", f"Small lesions, below {small}", "", f"how many below {small}"),
                (
                    "lesions_medium",
                    f"Medium lesions, {small} to below {large}",
                    "",
                    f"how many from {small} to below {large}",
                ),
                ("lesions_large", f"Large lesions, from {large}", "", f"how many from {large} on"),
            ),
            sizes,
            strict=True,
        ):
            yield self._figure(
                key,
                label,
                value,
                unit,
                f"{rule}: {words}.",
                texts.OWN,
                LESIONS,
                lung_needed=False,
                sized=True,
            )

    def _hu_figure(
        self,
        key: str,
        label: str,
        value: float,
        unit: str,
        definition: str,
        source: str,
        *,
        sided: bool = False,
    ) -> Figure:
        return self._figure(
            key, label, value, unit, definition, source, DENSITY, sided=sided, by_hu=True
        )

    def _figure(
        self,
        key: str,
        label: str,
        value: float | int | str,
        unit: str,
        definition: str,
        source: str,
        group: str,
        *,
        sided: bool = False,
        by_hu: bool = False,
        lung_needed: bool = True,
        sized: bool = False,
    ) -> Figure:
        undefined = isinstance(value, float) and not math.isfinite(value)
        reason = ""
        if undefined:
            reason = self._reason(
                unit, sided=sided, by_hu=by_hu, lung_needed=lung_needed, sized=sized
            )
        return Figure(key, label, value, unit, definition, source, group, reason)

    def _reason(
        self, unit: str, *, sided: bool, by_hu: bool, lung_needed: bool, sized: bool
    ) -> str:
        if by_hu and not self.hu_known:
            return texts.NOT_HU
        if self.nominal and (unit == "ml" or sized):
            return texts.NOMINAL
        if lung_needed and not self.lung_known:
            return texts.NO_LUNG_MASK
        if lung_needed and not self.lung_there:
            return texts.NO_LUNG
        if sided and self.pictures:
            return texts.PICTURES
        if not self.infection_known:
            return texts.NO_INFECTION_MASK
        if sided:
            return "There is no such lung, or it is too thin to be parted."
        return texts.NO_INFECTION


def _percent(share: float) -> str:
    return f"{100 * share:.3g}\u00a0%"
