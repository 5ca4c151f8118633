"""Predictions against truth, case by case, by the same steps as a user's scan."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from core.config import CHANNELS, EvaluateConfig
from core.errors import DatasetError, shown_name
from core.evaluation.metrics import Overlap, compute_overlap
from core.evaluation.surface_distance import SurfaceAgreement, compute_surface_agreement
from core.evaluation.training_side import Side, side_of_case
from core.loading import Case, load_case, load_mask
from core.measuring.biomarkers import compute_burden
from core.segmentation import WeightsInfo
from core.system import OnProgress, ignore_progress, no_formula
from core.volume import BoolArray, MaskPair, Study, Volume

FEW_SLICES = 10
"""A scan of at most this many slices is little evidence by itself."""
_FEWEST_FOR_INTERVAL = 3

T = TypeVar("T")

_OVERLAP_NAMES = tuple(field.name for field in fields(Overlap))
_SURFACE_NAMES = tuple(field.name for field in fields(SurfaceAgreement))
_UNDEFINED_OVERLAP = Overlap(*(float("nan") for _ in _OVERLAP_NAMES))
_UNDEFINED_SURFACES = SurfaceAgreement(*(float("nan") for _ in _SURFACE_NAMES))
VALUE_COLUMNS = (
    *(f"{channel}_{name}" for channel in CHANNELS for name in (*_OVERLAP_NAMES, *_SURFACE_NAMES)),
    "infection_fraction_true",
    "infection_fraction_pred",
    "infection_fraction_error",
)
"""What is measured of a case; nan where undefined."""
COLUMNS = (
    "case_id",
    "patient_id",
    "side",
    "slices",
    *VALUE_COLUMNS,
)
"""Of the table of results."""


@dataclass(frozen=True)
class CaseResult:
    """One case: overlap and distance of surfaces by channel, and infected share; nan where
    undefined."""

    case_id: str
    patient_id: str
    side: Side
    slices: int
    lung: Overlap
    infection: Overlap
    lung_surfaces: SurfaceAgreement
    infection_surfaces: SurfaceAgreement
    infection_fraction_true: float
    infection_fraction_pred: float

    @property
    def infection_fraction_error(self) -> float:
        """Predicted less true infected share of the lung."""
        return self.infection_fraction_pred - self.infection_fraction_true

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> CaseResult:
        """The inverse of `to_row`; null stands for undefined."""

        def read(kind: type[T], prefix: str) -> T:
            names = [field.name for field in fields(kind)]  # type: ignore[arg-type]
            return kind(**{name: _known(row[f"{prefix}_{name}"]) for name in names})

        return cls(
            case_id=row["case_id"],
            patient_id=row["patient_id"],
            side=row["side"],
            slices=int(row["slices"]),
            lung=read(Overlap, "lung"),
            infection=read(Overlap, "infection"),
            lung_surfaces=read(SurfaceAgreement, "lung"),
            infection_surfaces=read(SurfaceAgreement, "infection"),
            infection_fraction_true=_known(row["infection_fraction_true"]),
            infection_fraction_pred=_known(row["infection_fraction_pred"]),
        )

    def to_row(self) -> dict[str, Any]:
        """Flat and in the order of the table's columns."""
        row: dict[str, Any] = {
            "case_id": self.case_id,
            "patient_id": self.patient_id,
            "side": self.side,
            "slices": self.slices,
        }
        for channel in CHANNELS:
            found = {
                **asdict(getattr(self, channel)),
                **asdict(getattr(self, f"{channel}_surfaces")),
            }
            row.update({f"{channel}_{name}": value for name, value in found.items()})
        for name in VALUE_COLUMNS[-3:]:
            row[name] = getattr(self, name)
        return row


def _known(value: float | None) -> float:
    return float("nan") if value is None else value


def evaluate_cases(
    cases: Sequence[Case],
    predict: Callable[[Case, Study], MaskPair],
    *,
    info: WeightsInfo | None = None,
    config: EvaluateConfig | None = None,
    window: tuple[float, float] | None = None,
    on_progress: OnProgress = ignore_progress,
) -> tuple[CaseResult, ...]:
    """Compares the prediction for every case with its truth.

    Args:
        cases: with at least one true mask each.
        predict: gives masks on the case's canonical grid.
        info: the weights whose split tells which cases were seen in training.
        config: tolerance of surface Dice; none takes the defaults.
        window: HU of black and white, for scans that are not in HU.

    Raises:
        DatasetError: a case has no truth.
    """
    config = config or EvaluateConfig()
    results = []
    for done, case in enumerate(cases):
        on_progress("comparing cases", done, len(cases))
        study = load_case(case, window=window)
        truth_of(study, case)
        results.append(compare_case(case, study, predict(case, study), info=info, config=config))
    on_progress("comparing cases", len(cases), len(cases))
    return tuple(results)


def compare_case(
    case: Case,
    study: Study,
    predicted: MaskPair,
    *,
    info: WeightsInfo | None = None,
    config: EvaluateConfig | None = None,
) -> CaseResult:
    """One case's prediction against its truth.

    Args:
        study: the case as loaded.
        predicted: on the study's canonical grid.
        info, config: as in `evaluate_cases`.

    Raises:
        DatasetError: the case has no truth.
    """
    config = config or EvaluateConfig()
    volume, truth = study.volume, truth_of(study, case)
    return CaseResult(
        case_id=case.case_id,
        patient_id=case.patient_id,
        side=side_of_case(case, info),
        slices=volume.shape[2],
        lung=_overlap(truth.lung, predicted.lung),
        infection=_overlap(truth.infection, predicted.infection),
        lung_surfaces=_surfaces(truth.lung, predicted.lung, volume, config),
        infection_surfaces=_surfaces(truth.infection, predicted.infection, volume, config),
        infection_fraction_true=compute_burden(truth, volume).infection_fraction,
        infection_fraction_pred=compute_burden(predicted, volume).infection_fraction,
    )


def truth_of(study: Study, case: Case) -> MaskPair:
    """The true masks of a case.

    Raises:
        DatasetError: it has none.
    """
    if study.truth is None:
        raise DatasetError(
            f"Case {shown_name(case.case_id)} has no truth",
            got="a scan alone",
            expected="a lung or an infection mask beside it",
        )
    return study.truth


def load_prediction(folder: Path, case: Case, study: Study) -> MaskPair:
    """Masks that `segment` wrote into `folder/CASE_ID/`.

    Raises:
        DatasetError: there are none for this case.
    """
    below = folder / case.case_id
    paths = {name: below / f"{name}_mask.nii.gz" for name in ("lung", "infection")}
    if not any(path.is_file() for path in paths.values()):
        raise DatasetError(
            f"No prediction for case {shown_name(case.case_id)}",
            got="no mask in the folder of its name",
            expected="CASE_ID/lung_mask.nii.gz and CASE_ID/infection_mask.nii.gz",
            next_step="run 'python -m core segment' with -o FOLDER/CASE_ID for each case",
        )
    masks = {
        name: load_mask(path, study.volume) if path.is_file() else None
        for name, path in paths.items()
    }
    return MaskPair(masks["lung"], masks["infection"])


def mean_values(results: Sequence[CaseResult]) -> dict[str, float]:
    """Mean over patients, each the mean over their scans; undefined values are left out."""
    patients: dict[str, list[dict[str, Any]]] = {}
    for result in results:
        patients.setdefault(result.patient_id, []).append(result.to_row())
    return {
        column: _mean([_mean([row[column] for row in rows]) for rows in patients.values()])
        for column in VALUE_COLUMNS
    }


def bootstrap_intervals(
    results: Sequence[CaseResult], *, seed: int, draws: int = 2000, level: float = 0.95
) -> dict[str, tuple[float, float]]:
    """Percentile bootstrap intervals of `mean_values`: patients are drawn anew, with repetition
    (Efron 1979). (nan, nan) where fewer than three patients have the value.
    """
    patients = sorted({result.patient_id for result in results})
    of_patient = {name: [r for r in results if r.patient_id == name] for name in patients}
    table = np.array(
        [[mean_values(of_patient[name])[column] for column in VALUE_COLUMNS] for name in patients]
    ).reshape(len(patients), len(VALUE_COLUMNS))
    generator = np.random.default_rng(seed)
    outside = (1.0 - level) / 2.0
    intervals = {}
    for column, values in zip(VALUE_COLUMNS, table.T, strict=True):
        known = values[~np.isnan(values)]
        if len(known) < _FEWEST_FOR_INTERVAL:
            intervals[column] = (float("nan"), float("nan"))
            continue
        drawn = known[generator.integers(0, len(known), (draws, len(known)))].mean(axis=1)
        low, high = np.quantile(drawn, (outside, 1.0 - outside))
        intervals[column] = (float(low), float(high))
    return intervals


def paired_differences(
    first: Sequence[CaseResult], second: Sequence[CaseResult]
) -> tuple[CaseResult, ...]:
    """Case by case the values of `second` less those of `first`, for cases that both have.

    Each difference has the shape of a result, so that means and intervals over patients are taken
    as of any other; undefined where either value is. A case that either weights learned from is
    "training", and one that either was chosen on "validation".
    """
    before = {result.case_id: result for result in first}
    differences = []
    for result in second:
        other = before.get(result.case_id)
        if other is None:
            continue
        row, earlier = result.to_row(), other.to_row()
        row.update({name: row[name] - earlier[name] for name in VALUE_COLUMNS})
        sides = (other.side, result.side)
        row["side"] = next((s for s in ("training", "validation") if s in sides), "unseen")
        differences.append(CaseResult.from_row(row))
    return tuple(differences)


def results_csv(results: Sequence[CaseResult]) -> str:
    """One row per case; undefined values are empty, and no text can pass for a formula."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=COLUMNS, lineterminator="\n")
    writer.writeheader()
    for result in results:
        writer.writerow({name: csv_cell(value) for name, value in result.to_row().items()})
    return text.getvalue()


def csv_cell(value: Any) -> Any:
    """A value as a table takes it: five decimals, empty where undefined, never a formula."""
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.5f}"
    return no_formula(value) if isinstance(value, str) else value


def _surfaces(
    mask_true: BoolArray | None,
    mask_pred: BoolArray | None,
    volume: Volume,
    config: EvaluateConfig,
) -> SurfaceAgreement:
    if mask_true is None or mask_pred is None or volume.spacing_nominal:
        return _UNDEFINED_SURFACES
    return compute_surface_agreement(
        mask_true,
        mask_pred,
        spacing_mm=volume.spacing_mm,
        tolerance_mm=config.surface_tolerance_mm,
    )


def _overlap(mask_true: BoolArray | None, mask_pred: BoolArray | None) -> Overlap:
    if mask_true is None or mask_pred is None:
        return _UNDEFINED_OVERLAP
    return compute_overlap(mask_true, mask_pred)


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else float("nan")
