"""Two scans of one patient: which slices lie at the same height, and what changed."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from core.measuring.biomarkers import (
    Biomarkers,
    Measurement,
    count_by_slice,
    measurement_text,
)
from core.system import (
    THIN_SPACE,
    UNDEFINED_TEXT,
    OnProgress,
    ShouldCancel,
    ignore_progress,
    never_cancel,
    no_formula,
    percent_text,
    raise_if_cancelled,
    signed_text,
    without_nan,
)
from core.volume import AIR_HU, Array, BoolArray, MaskPair, Volume

NAN = float("nan")
_NO_SLICE = -1
_LUNG_SHARE = 0.01
"""Of the largest lung area of a scan: a slice with less is not counted as lung."""

_OTHER_COVERAGE = 0.4
"""Change of lung volume beyond which one scan is taken to show less of the lung."""

NO_TRUE_ZERO = "HU have no true zero, so a change in percent is meaningless."
FROM_NOTHING = "The first value is 0, so a change in percent is not defined."
WORDS = "This value is not a number, so it has no difference."
OTHER_RULE = "The two scans are measured by different rules."


@dataclass(frozen=True, eq=False)
class SliceMatch:
    """For each axial slice of the first scan, the one of the second at the same height in the lung.

    Attributes:
        slices: (n,) index in the second scan; -1 where it does not reach that height.
        scale, offset: what `slices` rounds, `k * scale + offset`.
        by_lung: false where one scan shows no lung and whole scans were laid over each other.
    """

    slices: npt.NDArray[np.int64]
    scale: float
    offset: float
    by_lung: bool


def match_slices(first: BoolArray, second: BoolArray) -> SliceMatch:
    """Matches axial slices by their relative position from the first to the last lung slice.

    Slices with less than a hundredth of a scan's largest lung area do not count as lung. Heights
    above and below the lung are carried on at the same pace. Where a scan shows lung in one slice
    only, slices are taken one for one from there; where it shows none, from the first to the last
    slice of both scans.

    Args:
        first, second: lung masks (i, j, k) on canonical axes, each on its own grid.
    """
    span, other = _lung_span(first), _lung_span(second)
    by_lung = span is not None and other is not None
    if span is None or other is None:
        span, other = ((0, mask.shape[2] - 1) for mask in (first, second))
    (low, high), (other_low, other_high) = span, other
    scale = (
        (other_high - other_low) / (high - low) if high > low and other_high > other_low else 1.0
    )
    offset = other_low - low * scale
    wanted = np.floor(np.arange(first.shape[2]) * scale + offset + 0.5).astype(np.int64)
    wanted[(wanted < 0) | (wanted >= second.shape[2])] = _NO_SLICE
    return SliceMatch(wanted, scale, offset, by_lung)


def _lung_span(lung: BoolArray) -> tuple[int, int] | None:
    areas = count_by_slice(lung)
    held = np.flatnonzero(areas > _LUNG_SHARE * areas.max())
    return (int(held[0]), int(held[-1])) if held.size else None


def resample_matched(
    volume: Volume,
    masks: MaskPair,
    match: SliceMatch,
    *,
    on_progress: OnProgress = ignore_progress,
    should_cancel: ShouldCancel = never_cancel,
) -> tuple[Volume, MaskPair]:
    """The second scan on the matched slices, for looking at beside the first; nothing is measured
    on it. Heights that it does not reach are air.

    Args:
        volume, masks: the second scan on its own grid.
        match: of `match_slices`.

    Raises:
        Cancelled: the person stopped it.
    """
    air = AIR_HU
    if volume.array.dtype == np.uint8:
        air = 0.0
    elif volume.unit != "HU":
        air = float(volume.array.min())
    affine = volume.affine.copy()
    affine[:3, 3] += affine[:3, 2] * match.offset
    affine[:3, 2] *= match.scale

    def take(array: Array, number: int, empty: float) -> Array:
        taken = np.full((*array.shape[:2], len(match.slices)), empty, array.dtype, order="F")
        for k in np.flatnonzero(match.slices != _NO_SLICE):
            raise_if_cancelled(should_cancel, "aligning slices")
            on_progress("aligning slices", number * len(match.slices) + int(k), total)
            taken[:, :, k] = array[:, :, match.slices[k]]
        return taken

    total = 3 * len(match.slices)
    array = take(volume.array, 0, air)
    array.flags.writeable = False
    lung, infection = (
        None if mask is None else take(mask, number, False)
        for number, mask in enumerate((masks.lung, masks.infection), 1)
    )
    return replace(volume, array=array, affine=affine), MaskPair(lung, infection)


@dataclass(frozen=True)
class Change:
    """One measurement of two scans.

    Attributes:
        measurement: of the first scan, with label, rule and source.
        before, after: values of the first and the second scan; nan where undefined.
        absolute: after less before; nan for words and where either is undefined.
        relative: `absolute` divided by the value before; nan also for HU and where that is 0.
        reason: why `absolute` or else `relative` is undefined.
    """

    measurement: Measurement
    before: float | int | str
    after: float | int | str
    absolute: float
    relative: float
    reason: str = ""

    @property
    def before_text(self) -> str:
        """The first value with its unit."""
        return measurement_text(self.before, self.measurement.unit)

    @property
    def after_text(self) -> str:
        """The second value with its unit."""
        return measurement_text(self.after, self.measurement.unit)

    @property
    def absolute_text(self) -> str:
        """The difference with its sign; of words whether they are the same."""
        if isinstance(self.before, str) and isinstance(self.after, str):
            return "same" if self.before == self.after else "changed"
        return measurement_text(self.absolute, self.measurement.unit, signed=True)

    @property
    def relative_text(self) -> str:
        """The difference in percent of the value before."""
        if not math.isfinite(self.relative):
            return UNDEFINED_TEXT
        shown = round(100 * self.relative)
        return f"{signed_text(shown, digits=0) if shown else 0}{THIN_SPACE}%"


def compare_biomarkers(first: Biomarkers, second: Biomarkers) -> tuple[Change, ...]:
    """Every measurement of the first scan beside that of the second, in reading order."""
    later = {measurement.key: measurement for measurement in second.measurements}
    return tuple(
        _change(measurement, later[measurement.key])
        for measurement in first.measurements
        if measurement.key in later
    )


def _change(before: Measurement, after: Measurement) -> Change:
    one, other = before.value, after.value
    reason = before.reason or after.reason
    absolute, relative = NAN, NAN
    if not reason and before.definition != after.definition:
        reason = OTHER_RULE
    elif isinstance(one, str) or isinstance(other, str):
        reason = reason or WORDS
    elif not reason:
        absolute = other - one
        if before.unit == "HU":
            reason = NO_TRUE_ZERO
        elif one == 0:
            reason = FROM_NOTHING
        else:
            relative = absolute / one
    return Change(before, one, other, absolute, relative, reason)


def coverage_note(changes: tuple[Change, ...]) -> str:
    """A sentence where the lung volumes differ more than a patient's do; else nothing."""
    lung = next((c for c in changes if c.measurement.key == "lung_volume_ml"), None)
    if lung is None or not abs(lung.relative) > _OTHER_COVERAGE:
        return ""
    return (
        f"The lung volumes differ by {percent_text(abs(lung.relative), digits=0)}: the scans may "
        "not show the same part of the lung, or a file may not give the true voxel size. "
        "Trust shares more than volumes and counts, and neither where lung is cut off."
    )


def changes_csv(changes: tuple[Change, ...], *, names: tuple[str, str]) -> str:
    """One measurement a line; what is undefined is an empty cell.

    Args:
        names: what the first and the second scan are called; they must be safe to show.
    """
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    columns = ("key", "label", "unit", *map(no_formula, names))
    writer.writerow((*columns, "change", "relative_change", "note", "definition", "source"))
    for change in changes:
        measurement = change.measurement
        values = (change.before, change.after, change.absolute, change.relative)
        writer.writerow(
            (
                measurement.key,
                measurement.label,
                measurement.unit,
                *("" if value != value else value for value in values),  # nan is not itself
                change.reason,
                measurement.definition,
                measurement.source,
            )
        )
    return lines.getvalue()


def changes_json_dict(changes: tuple[Change, ...]) -> dict[str, Any]:
    """By key; what is undefined is null."""
    result: dict[str, Any] = without_nan(
        {
            change.measurement.key: {
                **{
                    name: value
                    for name, value in asdict(change.measurement).items()
                    if name in ("label", "unit", "group", "definition", "source")
                },
                "before": change.before,
                "after": change.after,
                "absolute": change.absolute,
                "relative": change.relative,
                "reason": change.reason,
            }
            for change in changes
        }
    )
    return result
