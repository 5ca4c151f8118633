"""Infected share of the parts of both lungs."""

from __future__ import annotations

from collections.abc import Iterator

from core.measuring.biomarkers import sources
from core.measuring.biomarkers.listing.maker import PLACES, MeasurementMaker
from core.measuring.biomarkers.measurement import SHARE, Measurement
from core.measuring.biomarkers.result import NAN
from core.measuring.biomarkers.sides import SIDES
from core.system import short_percent_text


def list_places(maker: MeasurementMaker) -> Iterator[Measurement]:
    """Infected share of thirds, halves, rim and core, of each lung and of both."""
    if maker.nominal:
        rim = (
            "less deep below the costal surface than "
            f"{short_percent_text(maker.config.peripheral_depth_share)} of the greatest depth in "
            "the axial slice"
        )
    else:
        rim = f"less than {maker.config.peripheral_mm:g} mm below the costal surface"
    surface = (
        "that surface is the convex outline around both lungs in each axial slice, which "
        "follows the ribs and passes the mediastinum"
    )
    thirds = (
        "{} third of the lung's volume, its axial slices counted from below, divided between slices"
    )
    halves = "{} half of the lung's volume, divided by a coronal plane"
    rules = {
        "upper": (thirds.format("upper"), sources.OWN),
        "middle": (thirds.format("middle"), sources.OWN),
        "lower": (thirds.format("lower"), sources.OWN),
        "ventral": (halves.format("front"), sources.OWN),
        "dorsal": (halves.format("back"), sources.OWN),
        "peripheral": (f"lung {rim}; {surface}", sources.PERIPHERAL),
        "central": (f"lung that is not {rim}; {surface}", sources.PERIPHERAL),
    }
    for name, (rule, source) in rules.items():
        for side in ("both", *SIDES):
            key = name if side == "both" else f"{side}_{name}"
            part = maker.found.parts.get(key)
            where = "both lungs" if side == "both" else f"{side} lung"
            yield maker.make(
                f"infected_share_{key}",
                f"Infected share, {name}, {where}",
                NAN if part is None else part.infected_share,
                SHARE,
                f"Infected lung divided by lung in this zone: {rule}.",
                source,
                PLACES,
                sided=True,
            )
