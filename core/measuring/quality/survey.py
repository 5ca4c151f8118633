"""A folder of cases at a glance: for each what was found, and how many slices show no infection."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from core.config import QualityConfig
from core.errors import LungLensError
from core.loading import Case, load_case
from core.measuring.quality.checks import apply_thresholds
from core.measuring.quality.empty import EmptySlices, find_empty_slices
from core.measuring.quality.findings import QualityReport, slices_with_lung
from core.measuring.quality.measures import ScanMeasures, measure_scan
from core.system import OnProgress, ShouldCancel, ignore_progress, never_cancel, raise_if_cancelled
from core.volume import BoolArray, MaskPair, Study

_STAGE = "checking cases"


@dataclass(frozen=True, eq=False)
class SurveyedCase:
    """What was measured of one case; small, so that a whole folder is kept.

    Attributes:
        measures: none where the case could not be opened.
        error: why it could not; empty where it could.
        truth, prediction: none where that side is not known.
        lung: (slices,) where either side marks lung; none where neither knows it.
    """

    case_id: str
    measures: ScanMeasures | None
    error: str = ""
    truth: EmptySlices | None = None
    prediction: EmptySlices | None = None
    lung: BoolArray | None = None

    def report(self, config: QualityConfig) -> QualityReport | None:
        """Its report under these thresholds."""
        if self.measures is None:
            return None
        return apply_thresholds(self.measures, config).trusting_lung(self.lung)

    def to_json_dict(self, config: QualityConfig) -> dict[str, Any]:
        """One row of measurements with the findings."""
        report = self.report(config)
        return {
            "case_id": self.case_id,
            "error": self.error or None,
            "report": None if report is None else report.to_json_dict(),
            "empty_by_truth": None if self.truth is None else self.truth.to_json_dict(),
            "empty_by_prediction": (
                None if self.prediction is None else self.prediction.to_json_dict()
            ),
        }


def survey_cases(
    cases: Sequence[Case],
    *,
    predicted: Callable[[Case, Study], MaskPair | None] | None = None,
    window: tuple[float, float] | None = None,
    on_progress: OnProgress = ignore_progress,
    should_cancel: ShouldCancel = never_cancel,
) -> Iterator[SurveyedCase]:
    """Opens and measures case after case; one scan is in memory at a time.

    A case that cannot be opened is reported in its row, and the others go on.

    Args:
        predicted: gives the masks of a prediction made before, where there is one.
        window: HU of black and white, for scans that are not in HU.

    Raises:
        Cancelled: the person asked to stop.
    """
    for done, case in enumerate(cases):
        on_progress(_STAGE, done, len(cases))
        raise_if_cancelled(should_cancel, _STAGE)
        try:
            study = load_case(case, window=window, should_cancel=should_cancel)
            masks = None if predicted is None else predicted(case, study)
        except LungLensError as error:
            raise_if_cancelled(should_cancel, _STAGE)
            yield SurveyedCase(case.case_id, None, error=str(error))
            continue
        yield SurveyedCase(
            case.case_id,
            measure_scan(study.volume, should_cancel=should_cancel),
            truth=find_empty_slices(study.truth, study.volume),
            prediction=find_empty_slices(masks, study.volume),
            lung=slices_with_lung(study.truth, masks),
        )
    on_progress(_STAGE, len(cases), len(cases))


@dataclass(frozen=True)
class EmptyTotal:
    """Slices without infection over a folder, of those cases where that is known."""

    cases: int
    slices: int
    empty: int


def empty_totals(cases: Sequence[SurveyedCase]) -> dict[str, EmptyTotal]:
    """Slices without infection by truth and by prediction; without a side that no case knows."""
    totals = {
        "truth": total_empty([case.truth for case in cases]),
        "prediction": total_empty([case.prediction for case in cases]),
    }
    return {side: total for side, total in totals.items() if total.cases}


def total_empty(found: Sequence[EmptySlices | None]) -> EmptyTotal:
    """Sums over cases; those that are none are left out."""
    known = [one for one in found if one is not None]
    return EmptyTotal(
        cases=len(known),
        slices=sum(one.slices for one in known),
        empty=sum(one.empty for one in known),
    )
