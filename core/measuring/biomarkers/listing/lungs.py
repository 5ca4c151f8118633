"""Volumes of lungs and infection, and the scores made of them."""

from __future__ import annotations

from collections.abc import Iterator

from core.measuring.biomarkers import sources
from core.measuring.biomarkers.listing.maker import SCORES, VOLUMES, MeasurementMaker
from core.measuring.biomarkers.measurement import SHARE, Measurement
from core.measuring.biomarkers.result import NAN, ZONES
from core.system import short_percent_text


def list_lungs(maker: MeasurementMaker) -> Iterator[Measurement]:
    """Volumes, and the infected share of both lungs and of each."""
    found = maker.found
    both = "both lungs"
    yield maker.make(
        "infected_share",
        "Infected share",
        found.both.infected_share,
        SHARE,
        "Infected lung divided by lung, both lungs together.",
        sources.PIXELS,
        VOLUMES,
    )
    for name, label, part in (
        ("lung", "Lung", found.both),
        ("right_lung", "Right lung", found.right),
        ("left_lung", "Left lung", found.left),
    ):
        which = both if name == "lung" else f"the {label.lower()}, the patient's"
        yield maker.make(
            f"{name}_volume_ml",
            f"{label} volume",
            part.volume_ml,
            "ml",
            f"Voxels marked as lung in {which}, times the volume of a voxel.",
            sources.PIXELS,
            VOLUMES,
            sided=name != "lung",
        )
    for name, label, part in (
        ("infected", "Infected lung", found.both),
        ("right_infected", "Infected, right lung", found.right),
        ("left_infected", "Infected, left lung", found.left),
    ):
        which = both if name == "infected" else f"the {name.split('_')[0]} lung"
        yield maker.make(
            f"{name}_volume_ml",
            label,
            part.infected_ml,
            "ml",
            f"Voxels marked as lung and as infection in {which}, times the volume of a voxel.",
            sources.PIXELS,
            VOLUMES,
            sided=name != "infected",
        )
    for side, part in (("right", found.right), ("left", found.left)):
        yield maker.make(
            f"infected_share_{side}",
            f"Infected share, {side} lung",
            part.infected_share,
            SHARE,
            f"Infected lung divided by lung in the {side} lung.",
            sources.PIXELS,
            VOLUMES,
            sided=True,
        )


def list_scores(maker: MeasurementMaker) -> Iterator[Measurement]:
    """Laterality, MosMed-like category and the zonal score."""
    found, config = maker.found, maker.config
    clear = short_percent_text(config.affected_share)
    one, two, three = (short_percent_text(share) for share in config.score_shares)
    yield maker.make(
        "laterality",
        "Laterality",
        found.laterality or NAN,
        "",
        f"Which lungs are affected: those with an infected share of at least {clear}.",
        sources.OWN,
        SCORES,
        sided=True,
    )
    yield maker.make(
        "mosmed_category",
        "MosMed-like category",
        found.category or NAN,
        "",
        f"By the infected share of both lungs: CT-0 below {clear}, CT-1 below {one}, CT-2 "
        f"below {two}, CT-3 below {three}, CT-4 from there on; the original is read by eye.",
        sources.MOSMED,
        SCORES,
    )
    rule = (
        f"0 below {clear} infected, 1 below {one}, 2 below {two}, 3 below {three}, 4 from there on"
    )
    yield maker.make(
        "zonal_score",
        "Zonal severity score, of 24",
        NAN if found.zone_score is None else found.zone_score,
        "",
        f"Sum over six zones, the thirds of each lung, each graded by its infected share: "
        f"{rule}; zones are not lobes, so this is not the lobar score.",
        sources.ZONE_SCORE,
        SCORES,
        sided=True,
    )
    for side, third in ZONES:
        yield maker.make(
            f"zone_score_{side}_{third}",
            f"Grade of the {side} {third} zone, of 4",
            found.zone_scores.get(f"{side}_{third}", NAN),
            "",
            f"By the infected share of this zone: {rule}.",
            sources.ZONE_SCORE,
            SCORES,
            sided=True,
        )
