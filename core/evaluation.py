"""Predictions against truth, case by case, through the very path that a user's scan takes."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from core.biomarkers import compute_burden
from core.config import CHANNELS
from core.errors import DatasetError, shown_name
from core.loading.kaggle import Case, load_case
from core.loading.masks import load_mask
from core.metrics import Overlap, compute_overlap
from core.progress import OnProgress, ignore_progress
from core.volume import BoolArray, MaskPair, Study
from core.weights import WeightsInfo

Side = Literal["training", "validation", "unseen"]
"""Whether the weights learned from a case, were chosen on it, or never met it."""

_UNDEFINED = Overlap(*(float("nan"),) * 4)
_FIGURES = ("dice", "iou", "precision", "recall")
_OVERLAP_COLUMNS = tuple(f"{channel}_{name}" for channel in CHANNELS for name in _FIGURES)
COLUMNS = (
    "case_id",
    "patient_id",
    "side",
    "slices",
    *_OVERLAP_COLUMNS,
    "infection_fraction_true",
    "infection_fraction_pred",
)
"""Of the table of results."""


@dataclass(frozen=True)
class CaseResult:
    """One case: overlap by channel, nan where undefined, and infected share."""

    case_id: str
    patient_id: str
    side: Side
    slices: int
    lung: Overlap
    infection: Overlap
    infection_fraction_true: float
    infection_fraction_pred: float

    def to_row(self) -> dict[str, Any]:
        """Flat and in the order of the table's columns."""
        row: dict[str, Any] = {
            "case_id": self.case_id,
            "patient_id": self.patient_id,
            "side": self.side,
            "slices": self.slices,
        }
        for channel, overlap in (("lung", self.lung), ("infection", self.infection)):
            row.update({f"{channel}_{name}": getattr(overlap, name) for name in _FIGURES})
        row["infection_fraction_true"] = self.infection_fraction_true
        row["infection_fraction_pred"] = self.infection_fraction_pred
        return row


def side_of_case(case: Case, info: WeightsInfo | None) -> Side:
    """Where the manifest's split puts a case; by patient, so that a sibling scan counts too."""
    if info is None:
        return "unseen"
    split = info.manifest.get("split")
    if case.patient_id in _patients(split, "train"):
        return "training"
    return "validation" if case.patient_id in _patients(split, "validation") else "unseen"


def _patients(split: Any, side: str) -> list[Any]:
    """Of one side of a recorded split; none where a manifest made by hand records none."""
    scans = split.get(side) if isinstance(split, dict) else None
    patients = scans.get("patients") if isinstance(scans, dict) else None
    return patients if isinstance(patients, list) else []


def evaluate_cases(
    cases: Sequence[Case],
    predict: Callable[[Case, Study], MaskPair],
    *,
    info: WeightsInfo | None = None,
    on_progress: OnProgress = ignore_progress,
) -> tuple[CaseResult, ...]:
    """Compares what `predict` says of every case with its truth.

    Args:
        cases: with at least one true mask each.
        predict: gives masks on the case's canonical grid.
        info: the weights whose split tells which cases were seen in training.

    Raises:
        DatasetError: a case has no truth.
    """
    results = []
    for done, case in enumerate(cases):
        on_progress("comparing cases", done, len(cases))
        study = load_case(case)
        if study.truth is None:
            raise DatasetError(
                f"Case {shown_name(case.case_id)} has no truth",
                got="a scan alone",
                expected="a lung or an infection mask beside it",
            )
        predicted = predict(case, study)
        results.append(
            CaseResult(
                case_id=case.case_id,
                patient_id=case.patient_id,
                side=side_of_case(case, info),
                slices=study.volume.shape[2],
                lung=_overlap(study.truth.lung, predicted.lung),
                infection=_overlap(study.truth.infection, predicted.infection),
                infection_fraction_true=compute_burden(
                    study.truth, study.volume
                ).infection_fraction,
                infection_fraction_pred=compute_burden(predicted, study.volume).infection_fraction,
            )
        )
    on_progress("comparing cases", len(cases), len(cases))
    return tuple(results)


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


def mean_figures(results: Sequence[CaseResult]) -> dict[str, float]:
    """Mean over patients, each the mean over their scans; undefined figures are left out."""
    patients: dict[str, list[dict[str, Any]]] = {}
    for result in results:
        patients.setdefault(result.patient_id, []).append(result.to_row())
    return {
        column: _mean([_mean([row[column] for row in rows]) for rows in patients.values()])
        for column in _OVERLAP_COLUMNS
    }


def results_csv(results: Sequence[CaseResult]) -> str:
    """One row a case; undefined figures are empty, and no text can pass for a formula."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=COLUMNS, lineterminator="\n")
    writer.writeheader()
    for result in results:
        writer.writerow({name: _cell(value) for name, value in result.to_row().items()})
    return text.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.5f}"
    # A spreadsheet would run what begins so, and the names of files are anyone's.
    formula = isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r"))
    return f"'{value}" if formula else value


def _overlap(mask_true: BoolArray | None, mask_pred: BoolArray | None) -> Overlap:
    if mask_true is None or mask_pred is None:
        return _UNDEFINED
    return compute_overlap(mask_true, mask_pred)


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else float("nan")
