"""The checks: name, measure, threshold and the sentence of a finding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from core.config import QualityConfig
from core.errors import ConfigError
from core.measuring.quality.findings import Finding, Outcome, QualityReport
from core.measuring.quality.measures import ScanMeasures, measure_scan
from core.system import OnProgress, ShouldCancel, ignore_progress, never_cancel, short_percent_text
from core.volume import Volume

Unit = Literal["share", "mm", "pixels", "number"]
Family = Literal["sampling", "values", "content"]
"""How a scan was sampled, whether its values can be trusted, and what it shows."""


def _always(measures: ScanMeasures) -> str:
    return ""


def _spacing_known(measures: ScanMeasures) -> str:
    return "the file does not give the voxel size" if measures.spacing_nominal else ""


def _distance_known(measures: ScanMeasures) -> str:
    return "there is one slice only" if measures.slices < 2 else _spacing_known(measures)


def _steps_known(measures: ScanMeasures) -> str:
    return "" if measures.steps_known else "the file does not give the position of each slice"


def _not_cropped(measures: ScanMeasures) -> str:
    known = bool(np.isfinite(measures.values["not_a_chest"]).all())
    return "" if known else "the pictures are cropped so far that lungs may lie open to the edges"


def _has_slices(least: int) -> Callable[[ScanMeasures], str]:
    def reason(measures: ScanMeasures) -> str:
        return "" if measures.slices >= least else f"there are fewer than {least} slices"

    return reason


@dataclass(frozen=True)
class Check:
    """One check.

    Attributes:
        name: of its measure in `ScanMeasures.values`.
        label: for tables and legends.
        family: what kind of fault it looks for.
        setting: its threshold in `QualityConfig`; one named `min_…` is a lower limit.
        sentence: with {value} and {threshold}, read after "Slice 3: " or "Scan: ".
        help: what is measured and what may cause a finding or a false alarm.
        unit: of value and threshold.
        undefined: why the check does not apply to a scan; empty where it does.
        whole_scan: whether there is one value for all slices.
    """

    name: str
    label: str
    family: Family
    setting: str
    sentence: str
    help: str
    unit: Unit = "share"
    undefined: Callable[[ScanMeasures], str] = _always
    whole_scan: bool = False

    @property
    def is_lower_limit(self) -> bool:
        """Whether values below the threshold are findings, rather than those above."""
        return self.setting.startswith("min_")

    def show(self, value: float) -> str:
        """A value as people read it."""
        if self.unit == "share":
            return short_percent_text(value)
        if self.unit == "mm":
            return f"{value:.3g} mm"
        return f"{value:.0f} pixels" if self.unit == "pixels" else f"{value:.3g}"


CHECKS: tuple[Check, ...] = (
    Check(
        name="not_a_chest",
        label="Not a chest",
        family="content",
        setting="min_paired_lung",
        sentence="no slice shows a body with air on both sides, as lungs give; at best {value} of "
        "the body on the emptier side, less than {threshold}",
        help="Of all slices the largest share of the body that may be lung on the side that has "
        "less of it. A scan in which one lung is filled or missing throughout is found too.",
        undefined=_not_cropped,
        whole_scan=True,
    ),
    Check(
        name="pixel_size",
        label="Coarse pixels",
        family="sampling",
        setting="max_pixel_mm",
        sentence="pixels are {value} wide, more than {threshold}: small vessels and thin "
        "opacities blur away",
        help="The longer side of a pixel, as the file gives it.",
        unit="mm",
        undefined=_spacing_known,
        whole_scan=True,
    ),
    Check(
        name="slice_distance",
        label="Thick steps",
        family="sampling",
        setting="max_slice_distance_mm",
        sentence="slices are {value} apart, more than {threshold}: what lies between is not seen",
        help="Distance between neighbouring slices, as the file gives it.",
        unit="mm",
        undefined=_distance_known,
        whole_scan=True,
    ),
    Check(
        name="field_of_view",
        label="Field of view",
        family="sampling",
        setting="max_outline_on_edge",
        sentence="the picture cuts the body off: {value} of the outline lies on its edge, more "
        "than {threshold}",
        help="Share of the body's outline that lies on the edge of the picture or of its round "
        "field, or share of that edge which tissue fills. Arms and broad shoulders are cut off in "
        "many scans whose lungs are complete.",
    ),
    Check(
        name="body_pixels",
        label="Few pixels",
        family="sampling",
        setting="min_body_pixels",
        sentence="the body is {value} wide, fewer than {threshold}",
        help="Pixels across the body, whatever the size in mm. Slices above the "
        "shoulders show a neck, which is narrow.",
        unit="pixels",
    ),
    Check(
        name="sharpness",
        label="Blurred",
        family="sampling",
        setting="min_sharpness",
        sentence="detail of one pixel is {value} times as strong as detail of two, less than "
        "{threshold}: the picture is blurred or was enlarged",
        help="Finest detail inside the body against detail twice as wide. Sharp kernels give 1.5 "
        "to 2.5, smooth ones about 0.9, pictures enlarged twofold 0.5 and less.",
        unit="number",
    ),
    Check(
        name="gap",
        label="Gap",
        family="sampling",
        setting="max_step_deviation",
        sentence="the step from the slice below is {value} off the usual one, more than "
        "{threshold}: slices are missing or unevenly spaced",
        help="From the position that DICOM gives for each slice. Other files give one distance "
        "for all, which does not show gaps; see Sudden change for those.",
        undefined=_steps_known,
    ),
    Check(
        name="noise",
        label="Noise",
        family="values",
        setting="max_noise",
        sentence="noise is {value} of the step from air to tissue, more than {threshold}",
        help="Fine detail in soft tissue, as a robust standard deviation. One percent is about "
        "10 HU. Sharp kernels are noisier than smooth ones at the same dose.",
    ),
    Check(
        name="unevenness",
        label="Uneven",
        family="values",
        setting="max_unevenness",
        sentence="tissue brightens by {value} of the step from air to tissue from one side to "
        "the other, more than {threshold}",
        help="A plane fitted to the tissue of the slice. Anatomy alone gives up to 15\u2009%.",
    ),
    Check(
        name="stripes",
        label="Stripes",
        family="values",
        setting="max_stripes",
        sentence="rows or columns differ from those beside them by {value} of the step from air "
        "to tissue, more than {threshold}",
        help="How much whole rows or columns of tissue stand out, on average.",
    ),
    Check(
        name="brightness",
        label="Other brightness",
        family="values",
        setting="max_brightness_step",
        sentence="tissue is {value} of the step from air to tissue brighter or darker than in the "
        "slices around, more than {threshold}",
        help="Banding from slice to slice: the middle value of tissue against that of up to five "
        "slices on either side.",
        undefined=_has_slices(3),
    ),
    Check(
        name="saturation",
        label="Saturated",
        family="values",
        setting="max_saturation",
        sentence="{value} of the body is at the lowest or highest grey, more than {threshold}",
        help="Detail there is lost. Bone alone is a few percent where a lung window was exported.",
    ),
    Check(
        name="inverted",
        label="Inverted",
        family="values",
        setting="max_surroundings",
        sentence="surroundings are bright ({value} of tissue, more than {threshold}) and lungs "
        "are brighter than the body: greys are inverted",
        help="Brightness along the edges of a slice where bright lungs lie in a dark body. A "
        "picture cropped to the chest has bright edges too, but dark lungs, and passes; "
        "whether such a picture is inverted is not seen.",
    ),
    Check(
        name="marks",
        label="Marks",
        family="content",
        setting="max_marks",
        sentence="{value} white, sharp pieces lie beside the body, more than {threshold}, as "
        "letters burnt into the picture do",
        help="Small white pieces without any grey around them. Marks on the body itself are not "
        "looked for, because vessels and bones resemble them.",
        unit="number",
    ),
    Check(
        name="duplicate",
        label="Repeated",
        family="content",
        setting="min_difference",
        sentence="the picture differs from the slice below by {value} of the usual, less than "
        "{threshold}: a slice was repeated",
        help="Mean difference from the slice below, over what is usual in the scan.",
        undefined=_has_slices(2),
    ),
    Check(
        name="moved",
        label="Moved",
        family="content",
        setting="max_there_and_back",
        sentence="the body changes by {value} more towards this slice than past it, more than "
        "{threshold}: it moved, or is out of place",
        help="A slice out of line differs from both its neighbours, while these are alike.",
        undefined=_has_slices(3),
    ),
    Check(
        name="jump",
        label="Sudden change",
        family="content",
        setting="max_jump",
        sentence="{value} more of the body changes from the slice below than is usual there, more "
        "than {threshold}: the patient moved, or slices are missing or in another order",
        help="Needs no positions, so it works for any file; small gaps stay below it.",
        undefined=_has_slices(6),
    ),
    Check(
        name="no_lung",
        label="No lung",
        family="content",
        setting="min_lung",
        sentence="{value} of the body may be lung, less than {threshold}",
        help="Air enclosed by the body that is connected from slice to slice. The slices below "
        "and above the lungs of any full scan are found, and lungs filled by disease. Not defined "
        "where a picture is cropped so far that lungs may lie open to its edges.",
    ),
)


def check_named(name: str) -> Check:
    """The check of a finding.

    Raises:
        ConfigError: there is none of that name.
    """
    for check in CHECKS:
        if check.name == name:
            return check
    raise ConfigError(
        "There is no such check", got=repr(name), expected=", ".join(c.name for c in CHECKS)
    )


def apply_thresholds(measures: ScanMeasures, config: QualityConfig) -> QualityReport:
    """Compares what was measured with the thresholds; quick, so that they can be moved at will."""
    outcomes = tuple(_outcome(check, measures, config) for check in CHECKS)
    return QualityReport(slices=measures.slices, outcomes=outcomes)


def check_scan(
    volume: Volume,
    config: QualityConfig | None = None,
    *,
    on_progress: OnProgress = ignore_progress,
    should_cancel: ShouldCancel = never_cancel,
) -> QualityReport:
    """Measures a scan and compares it with the thresholds.

    Raises:
        Cancelled: the person asked to stop.
    """
    measures = measure_scan(volume, on_progress=on_progress, should_cancel=should_cancel)
    return apply_thresholds(measures, config or QualityConfig())


def _outcome(check: Check, measures: ScanMeasures, config: QualityConfig) -> Outcome:
    values = measures.values[check.name]
    threshold = float(getattr(config, check.setting))
    undefined = check.undefined(measures)
    # nan compares false with anything: what is not defined is never flagged.
    flagged = values < threshold if check.is_lower_limit else values > threshold
    if undefined:
        flagged = np.zeros_like(flagged)
    return Outcome(
        check=check.name,
        threshold=threshold,
        values=values,
        flagged=flagged,
        undefined=undefined,
        findings=tuple(
            _finding(check, float(values[k]), threshold, None if check.whole_scan else int(k))
            for k in np.flatnonzero(flagged)
        ),
    )


def _finding(check: Check, value: float, threshold: float, slice_index: int | None) -> Finding:
    text = check.sentence.format(value=check.show(value), threshold=check.show(threshold))
    where = "Scan" if slice_index is None else f"Slice {slice_index + 1}"
    return Finding(check.name, value, threshold, slice_index, f"{where}: {text}.")
