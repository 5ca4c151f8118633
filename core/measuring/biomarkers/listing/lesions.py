"""Count and sizes of lesions."""

from __future__ import annotations

from collections.abc import Iterator

from core.measuring.biomarkers import sources
from core.measuring.biomarkers.listing.maker import LESIONS, MeasurementMaker
from core.measuring.biomarkers.measurement import Measurement
from core.measuring.biomarkers.result import NAN


def list_lesions(maker: MeasurementMaker) -> Iterator[Measurement]:
    """Count and sizes."""
    lesions, config = maker.found.lesions, maker.config
    small, large = (f"{size:g} ml" for size in config.lesion_sizes_ml)
    least = (
        f"{config.min_lesion_voxels} voxels" if maker.nominal else f"{config.min_lesion_ml:g} ml"
    )
    rule = f"Pieces of infection, joined by faces, edges or corners, of at least {least}"
    yield maker.make(
        "lesion_count",
        "Lesions",
        NAN if lesions is None else lesions.count,
        "",
        f"{rule}.",
        sources.OWN,
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
        yield maker.make(
            key,
            label,
            value,
            unit,
            f"{rule}: {words}.",
            sources.OWN,
            LESIONS,
            lung_needed=False,
            sized=True,
        )
