"""Lobes: volume, infection, density and the CT severity score."""

from __future__ import annotations

from collections.abc import Iterator

from core.config import LOBE_LABELS, LobeName
from core.measuring.biomarkers import sources
from core.measuring.biomarkers.config import BiomarkerConfig
from core.measuring.biomarkers.listing.maker import LOBAR, SCORES, MeasurementMaker
from core.measuring.biomarkers.lobar import LobePart
from core.measuring.biomarkers.measurement import SHARE, Measurement
from core.measuring.biomarkers.result import NAN
from core.system import short_percent_text


def lobe_score_rule(config: BiomarkerConfig) -> str:
    """How a lobe is scored 0 to 5, in words. Whole percents, by which the rule was published, leave
    gaps between 25 and 26 % and between 49 and 50 %; here both count as the range between them."""
    clear = short_percent_text(config.affected_share)
    one, two, three, four = (short_percent_text(share) for share in config.lobe_score_shares)
    return (
        f"0 for none (below {clear}), 1 for less than {one}, 2 for {one} to {two}, 3 for more than "
        f"{two} and less than {three}, 4 for {three} to {four}, 5 for more than {four}."
    )


def list_lobar_score(maker: MeasurementMaker) -> Iterator[Measurement]:
    """CT severity score, and that of each lobe."""
    rule = lobe_score_rule(maker.config)
    score = maker.found.lobar_score
    yield maker.make(
        "lobar_score",
        "CT severity score, of 25",
        NAN if score is None else score,
        "",
        f"Sum over the five lobes, each scored by its infected share: {rule} "
        "Lobes are estimated from the shape of the lungs.",
        sources.LOBE_SCORE,
        SCORES,
        by_lobe=True,
    )
    for name, label in LOBE_LABELS.items():
        part = maker.found.lobes.get(name, LobePart())
        yield maker.make(
            f"lobe_score_{name}",
            f"Score of the {label[:1].lower()}{label[1:]}, of 5",
            NAN if part.score is None else part.score,
            "",
            f"By the infected share of this lobe: {rule}",
            sources.LOBE_SCORE,
            SCORES,
            by_lobe=True,
        )


def list_lobes(maker: MeasurementMaker) -> Iterator[Measurement]:
    """Volume, infected volume and share, ground glass, consolidation, and what lies near a fissure,
    lobe by lobe."""
    for name, label in LOBE_LABELS.items():
        yield from _list_lobe(maker, name, label)


def _list_lobe(maker: MeasurementMaker, name: LobeName, label: str) -> Iterator[Measurement]:
    part = maker.found.lobes.get(name, LobePart())
    where = f"{label[:1].lower()}{label[1:]}"
    near = f"{maker.config.fissure_mm:g} mm"
    glass = f"{maker.config.ground_glass_from_hu:g}"
    solid = f"{maker.config.consolidation_from_hu:g}"
    infected = "Voxels marked as lung and as infection"
    rows: tuple[tuple[str, str, float, str, str, bool], ...] = (
        ("volume_ml", "volume", part.volume_ml, "ml", "Voxels marked as lung", False),
        ("infected_ml", "infected", part.infected_ml, "ml", infected, False),
        (
            "infected_share",
            "infected share",
            part.infected_share,
            SHARE,
            "Infected lung divided by lung",
            False,
        ),
        (
            "ground_glass_ml",
            "ground glass",
            part.ground_glass_ml,
            "ml",
            f"{infected}, from {glass} to below {solid} HU",
            True,
        ),
        (
            "consolidation_ml",
            "consolidation",
            part.consolidation_ml,
            "ml",
            f"{infected}, from {solid} HU on",
            True,
        ),
        (
            "near_fissure_ml",
            f"infected within {near} of a fissure",
            part.near_fissure_ml,
            "ml",
            f"{infected} within {near} of an estimated fissure (the neighbouring lobe may hold it)",
            False,
        ),
    )
    for key, words, value, unit, rule, by_hu in rows:
        yield maker.make(
            f"{name}_lobe_{key}",
            f"{label}: {words}",
            value,
            unit,
            f"{rule}, in the {where}.",
            sources.LOBE_SHAPE,
            LOBAR,
            by_hu=by_hu,
            by_lobe=True,
        )
