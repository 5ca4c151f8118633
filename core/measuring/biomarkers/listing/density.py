"""Density of lung and infection in HU."""

from __future__ import annotations

from collections.abc import Iterator

from core.measuring.biomarkers import sources
from core.measuring.biomarkers.listing.maker import MeasurementMaker
from core.measuring.biomarkers.measurement import SHARE, Measurement
from core.measuring.biomarkers.result import Density
from core.system import short_text


def list_density(maker: MeasurementMaker) -> Iterator[Measurement]:
    """Mean HU, aeration bands, ground glass and consolidation."""
    found = maker.found
    for name, where, density in (
        ("", "both lungs", found.density),
        ("right_", "right lung", found.right_density),
        ("left_", "left lung", found.left_density),
    ):
        yield maker.make_by_hu(
            f"{name}mean_lung_hu",
            f"Mean density, {where}",
            density.mean_hu,
            "HU",
            f"Mean HU of all voxels marked as lung, {where}, vessels and infection included.",
            sources.PIXELS,
            sided=bool(name),
        )
    yield from _list_bands(maker, found.density)
    yield maker.make_by_hu(
        "mean_infection_hu",
        "Mean density of infected lung",
        found.density.infected_mean_hu,
        "HU",
        "Mean HU of all voxels marked as lung and as infection.",
        sources.PIXELS,
    )


def _list_bands(maker: MeasurementMaker, density: Density) -> Iterator[Measurement]:
    well, poorly, non = (
        short_text(end)
        for end in (
            maker.config.well_aerated_from_hu,
            maker.config.poorly_aerated_from_hu,
            maker.config.non_aerated_from_hu,
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
        yield maker.make_by_hu(
            f"{name}_aerated_share",
            f"{label} lung",
            share,
            SHARE,
            f"Share of all lung voxels {band}.",
            sources.AERATION,
        )
    glass = short_text(maker.config.ground_glass_from_hu)
    solid = short_text(maker.config.consolidation_from_hu)
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
        yield maker.make_by_hu(
            f"{name}_share",
            f"{label}, of infected lung",
            share,
            SHARE,
            f"Share of infected lung voxels {band}.",
            sources.GROUND_GLASS,
        )
