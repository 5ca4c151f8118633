"""Biomarkers and agreement as rows of cells, the same for every form of the report."""

from __future__ import annotations

from dataclasses import dataclass

from core.measuring.biomarkers import Biomarkers, Measurement
from core.output.report.content import Agreement
from core.system import number_text

SIDES = ("Both", "Right", "Left")
_THIRDS = ("upper", "middle", "lower")
_ZONES = {
    "upper": "Upper third",
    "middle": "Middle third",
    "lower": "Lower third",
    "ventral": "Ventral half",
    "dorsal": "Dorsal half",
    "peripheral": "Peripheral",
    "central": "Central",
}


@dataclass(frozen=True)
class Row:
    """A row of a table of both lungs, the right and the left one.

    Attributes:
        explained: the definition of its first measurement.
    """

    label: str
    cells: tuple[str, str, str]
    explained: str


def lung_rows(found: Biomarkers) -> tuple[Row, ...]:
    """Volumes, shares and mean density, of both lungs and of each."""
    return (
        _row(found, "Lung", "lung_volume_ml", "right_lung_volume_ml", "left_lung_volume_ml"),
        _row(
            found,
            "Infected lung",
            "infected_volume_ml",
            "right_infected_volume_ml",
            "left_infected_volume_ml",
        ),
        _row(
            found,
            "Infected share",
            "infected_share",
            "infected_share_right",
            "infected_share_left",
        ),
        _row(found, "Mean density", "mean_lung_hu", "right_mean_lung_hu", "left_mean_lung_hu"),
    )


def zone_rows(found: Biomarkers) -> tuple[Row, ...]:
    """Infected share of every zone; thirds of a lung with their grade."""
    rows = []
    for zone, label in _ZONES.items():
        row = _row(
            found,
            label,
            f"infected_share_{zone}",
            f"infected_share_right_{zone}",
            f"infected_share_left_{zone}",
        )
        if zone in _THIRDS:
            graded = [row.cells[0]]
            for side, cell in zip(("right", "left"), row.cells[1:], strict=True):
                grade = found.measurement(f"zone_score_{side}_{zone}")
                graded.append(f"{cell} ({grade.text})" if grade.defined else cell)
            row = Row(label, (graded[0], graded[1], graded[2]), row.explained)
        rows.append(row)
    return tuple(rows)


def _row(found: Biomarkers, label: str, *keys: str) -> Row:
    both, right, left = (found.measurement(key) for key in keys)
    return Row(label, (both.text, right.text, left.text), both.definition)


def measurements_of(
    found: Biomarkers, group: str, *, without: tuple[str, ...] = ()
) -> list[Measurement]:
    """The measurements under a heading, in order."""
    return [f for f in found.measurements if f.group == group and not f.key.endswith(without)]


def density_measurements(found: Biomarkers) -> list[Measurement]:
    """Bands of HU and the density of infected lung."""
    return measurements_of(found, "Density", without=("mean_lung_hu",))


def lesion_measurements(found: Biomarkers) -> list[Measurement]:
    """Count and sizes of lesions."""
    return measurements_of(found, "Lesions")


def reasons(measurements: list[Measurement]) -> list[str]:
    """Why some are undefined, each reason once."""
    return list(dict.fromkeys(f.reason for f in measurements if not f.defined and f.reason))


_AGREEMENT = {
    "dice": ("Dice", 3),
    "iou": ("IoU", 3),
    "precision": ("Precision", 3),
    "recall": ("Recall", 3),
    "surface_dice": ("Surface Dice, 2 mm", 3),
    "hd95_mm": ("95th percentile distance, mm", 1),
}


def agreement_rows(agreement: Agreement) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Header and rows: one measure of agreement each, a column a channel."""
    header = ("", *(channel.capitalize() for channel in agreement.scores))
    rows: list[tuple[str, ...]] = []
    for key, (label, digits) in _AGREEMENT.items():
        values = [scores.get(key) for scores in agreement.scores.values()]
        if any(value is not None for value in values):
            rows.append((label, *(number_text(value, digits=digits) for value in values)))
    return header, rows
