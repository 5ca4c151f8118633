"""What stored values mean: HU, HU with an offset, or the grey of an export through a window.

Decided from the range, the fractional part and the histogram, and always with the reason,
because half of what people call CT files is no longer in HU.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from core.config import EXCHANGED_NOTE, GREY_WINDOW_HU
from core.errors import LoadError
from core.loading.padding import fill_padding, padding_value
from core.loading.polarity import looks_exchanged
from core.system import number_text, percent_text, short_text
from core.volume import Array, Intensity

Hint = Literal["nifti", "dicom", "pictures"]

STORED_OFFSET = 1024
"""Scanners store CT as unsigned numbers by adding this; the header's intercept takes it off."""

_SAMPLE_VOXELS = 2_000_000
_AIR_BELOW_HU = -400.0
_BELOW_WATER_HU = -100.0
"""A CT header's rescale is believed from here on, even where a small field shows no air."""
_MAX_LABELS = 8
_NOISE_STEP = 1.25
_WHOLE_RANGE_HU = (-1024.0, 3071.0)
"""All that 12 bits hold: what exports without a window stretch to their grey scale."""
_SOFT_TISSUE_HU = (-200.0, 250.0)
_FEWEST_SOFT = 0.02
_ENOUGH_SOFT = 0.1
_MUCH_BONE = 0.1
_MUCH_NEAR_WATER = 0.05


class UnknownScaleError(LoadError):
    """The values may be those of a CT, but not in HU: a person has to say what they stand for."""


@dataclass(frozen=True)
class IntensityFinding:
    """The meaning of an array's values after `shift` has been added to each of them."""

    intensity: Intensity
    shift: int = 0
    warnings: tuple[str, ...] = ()


def grey_intensity(
    low_hu: float = GREY_WINDOW_HU[0],
    high_hu: float = GREY_WINDOW_HU[1],
    grey_max: float = 255.0,
    *,
    reason: str | None = None,
) -> Intensity:
    """Grey 0…`grey_max` taken to stand for `low_hu`…`high_hu` (an assumption, never HU).

    Raises:
        LoadError: the window is empty or upside down.
    """
    if not (np.isfinite([low_hu, high_hu, grey_max]).all() and high_hu > low_hu and grey_max > 0):
        raise LoadError(
            "The window of the grey values cannot be used",
            got=f"black {low_hu:g} HU, white {high_hu:g} HU, largest grey {grey_max:g}",
            expected="black below white and a positive largest grey",
        )
    if reason is None:
        reason = f"black and white are taken as {short_text(low_hu)} and {short_text(high_hu)} HU"
    return Intensity(
        unit="unknown", reason=reason, slope=(high_hu - low_hu) / grey_max, intercept=low_hu
    )


def as_hu(reason: str = "set by hand") -> Intensity:
    """The stored values are HU because a person says so."""
    return Intensity(unit="HU", reason=reason)


def settle_intensity(
    array: Array, *, hint: Hint, window: tuple[float, float] | None = None
) -> tuple[Array, Intensity, tuple[str, ...]]:
    """Finds out what values mean; takes a storage offset off and sets padding outside the field of
    view to air, in place where the type allows.

    Args:
        window: HU of black and white, for a scan that is not in HU; one that is stays so.

    Returns:
        The array (shifted where needed), its meaning, and warnings for the person.
    """
    finding = (
        detect_intensity(array, hint=hint) if window is None else _windowed(array, hint, window)
    )
    if finding.shift:
        if array.dtype == np.uint8:
            array = array.astype(np.int16)
        array += array.dtype.type(finding.shift)
    warnings = finding.warnings
    if finding.intensity.unit == "HU":
        warnings += fill_padding(array)
    return array, finding.intensity, warnings


def grey_ends(array: Array) -> tuple[float, float]:
    """Which values are black and white: 0 and 1 for fractions, 0 and 255 for 8-bit values, else
    the lowest and the highest value."""
    low, high = float(array.min()), float(array.max())
    if low >= 0 and high <= 255:
        return 0.0, 1.0 if array.dtype.kind == "f" and high <= 1 else 255.0
    return low, high


def windowed_intensity(array: Array, low_hu: float, high_hu: float) -> Intensity:
    """The meaning of grey values whose black and white a person has named in HU.

    Black and white are those of `grey_ends`.

    Raises:
        LoadError: the window is empty or upside down.
    """
    low, high = grey_ends(array)
    grey = grey_intensity(low_hu, high_hu, high - low)
    values, hu = (
        f"{short_text(a)} and {short_text(b)}" for a, b in ((low, high), (low_hu, high_hu))
    )
    reason = f"{values} stand for {hu} HU, as given"
    return replace(grey, reason=reason, intercept=low_hu - low * grey.slope)


def _windowed(array: Array, hint: Hint, window: tuple[float, float]) -> IntensityFinding:
    try:
        finding = detect_intensity(array, hint=hint)
    except LoadError:
        if array.min() == array.max():
            raise
    else:
        if finding.intensity.unit == "HU":
            more = "The scan is in HU: the window that was given is not used."
            return replace(finding, warnings=(*finding.warnings, more))
    warnings = _exchanged_warning(array, *grey_ends(array))
    return IntensityFinding(windowed_intensity(array, *window), warnings=warnings)


def detect_intensity(array: Array, *, hint: Hint) -> IntensityFinding:
    """What the values of a finite (a, b, c) array mean.

    Raises:
        UnknownScaleError: the values do not look like chest CT.
        LoadError: the image is constant, inverted or noise, or holds labels.
    """
    low, high = float(array.min()), float(array.max())
    if low == high:
        raise LoadError(
            "The scan holds one value only",
            got=f"{short_text(low)} in every voxel",
            expected="a picture of a chest",
            next_step="check that the right file was exported",
        )
    sample = _sample(array)
    fractional = array.dtype.kind == "f" and bool((np.rint(sample) != sample).any())
    shown = f"values {short_text(low)} to {short_text(high)}"
    if low >= 0:
        _refuse_labels(sample, shown, most=_MAX_LABELS if hint != "pictures" else 2)
    if low <= _AIR_BELOW_HU:
        _refuse_noise(array, shown)
    _refuse_inverted(array, sample, shown)
    if high > 500 and _looks_offset(sample):
        return _offset_finding(shown, low)
    if low <= _AIR_BELOW_HU and _share(sample, -300, 300) >= 0.005:
        source = "the header's rescale and the " if hint == "dicom" else "the "
        return IntensityFinding(Intensity("HU", f"{source}{shown} reach from air to soft tissue"))
    if hint == "dicom" and low <= _BELOW_WATER_HU:
        return IntensityFinding(Intensity("HU", f"the header's rescale gives {shown}"))
    if low >= 0 and high <= 1 and fractional:
        return _grey(array, sample, grey_max=1.0, why=f"{shown} are fractions of a grey scale")
    if low >= 0 and high <= 255:
        return _grey(array, sample, grey_max=255.0, why=f"{shown} are an 8-bit grey scale")
    if low >= 0 and hint == "pictures":
        return _grey(array, sample, grey_max=high, why=f"{shown} are a grey scale without HU")
    raise UnknownScaleError(
        "The scan does not look like CT",
        got=f"{shown} without the peaks of air and soft tissue",
        expected="HU, or an 8-bit grey scale",
        next_step="open a chest CT in HU, or say which HU the lowest and the highest value stand "
        "for (--window)",
    )


def _sample(array: Array) -> Array:
    """About two million voxels, spread over the slices."""
    step = max(1, round((array.size / _SAMPLE_VOXELS) ** (1 / 3)))
    return array[::step, ::step, :: min(step, max(1, array.shape[2] // 8))]


def _share(sample: Array, low: float, high: float) -> float:
    """Share of voxels in [low, high]."""
    return float(np.count_nonzero((sample >= low) & (sample <= high))) / sample.size


def _refuse_labels(sample: Array, shown: str, *, most: int) -> None:
    levels = np.unique(sample)
    if levels.size <= most:
        raise LoadError(
            "The file holds labels rather than a scan",
            got=f"{levels.size} different values, {shown}",
            expected="the grey values or HU of a CT",
            next_step="open the scan first and this file as its mask",
        )


def _frame_value(sample: Array) -> float:
    """The median along the edges of the slices, which show air, padding or the body's side."""
    edges = [sample[[0, -1]], sample[:, [0, -1]]]
    return float(np.median(np.concatenate([edge.ravel() for edge in edges])))


def _is_inverted(array: Array, sample: Array) -> bool:
    """Whether air and lung are as dense as bone, and soft tissue lies near -40.

    Stored values with their offset are as dense, but what lies near 0 there is air, at 0 to 24.
    """
    if _share(sample, 500, np.inf) < _MUCH_BONE:
        return False
    frame = _frame_value(sample)
    padding = _padding(sample, frame)
    near = sample[(sample > -150) & (sample < 60) & (sample != padding)]
    if near.size < _MUCH_NEAR_WATER * sample.size:
        return False
    if float(np.median(near)) > -15:
        return False
    if 500 < frame < 3500:
        return True
    low, high = np.percentile(sample[sample != padding], [1, 99])
    return looks_exchanged(array, float(low), float(high), padding=padding)


def _padding(sample: Array, frame: float) -> float:
    """What stands for no measurement: a value below air, or the one that frames the slices if it
    lies near 0; nan where there is neither."""
    below = padding_value(sample)
    if below is not None:
        return below
    is_frame = -150 < frame < 60 and _share(sample, frame, frame) >= _MUCH_NEAR_WATER
    return frame if is_frame else float("nan")


def _refuse_inverted(array: Array, sample: Array, shown: str) -> None:
    """In HU, air and lung fill much of a chest scan, and bone and metal little of it."""
    if _is_inverted(array, sample):
        raise LoadError(
            "The values look inverted",
            got=f"{shown}, {percent_text(_share(sample, 500, np.inf))} of them as dense as bone",
            expected="HU, where air is near −1000 and soft tissue near 40",
            next_step="negate the values, or export the scan again",
        )


def _refuse_noise(array: Array, shown: str) -> None:
    """Neighbouring pixels of any scan are alike; those of random numbers are not."""
    for axis in (0, 1):
        if array.shape[axis] < 3:
            return
        middle = array[:, :, array.shape[2] // 2].astype(np.float64)
        middle = np.moveaxis(middle, axis, 0)
        spread = float(middle.std())
        step = float(np.sqrt(np.mean(np.diff(middle, axis=0) ** 2)))
        # Without any likeness, a step is the square root of two times the spread.
        if spread == 0 or step < _NOISE_STEP * spread:
            return
    raise LoadError(
        "The values look like random noise, not like CT",
        got=f"{shown}, each pixel as far from its neighbour as from any other",
        expected="the picture of a chest",
        next_step="check that the right file was exported",
    )


def _looks_offset(sample: Array) -> bool:
    """True where soft tissue lies near 1024 + 40 rather than near 40.

    In HU a few percent of a chest (compact bone, metal) exceed 700; with the storage offset
    all soft tissue does, packed between fat (about 920) and blood with contrast (about 1250).
    Magnetic resonance has no such narrow peak.
    """
    above = _share(sample, 700, np.inf)
    packed = _share(sample, 850, 1280)
    air = _share(sample, -np.inf, 300)
    return above >= 0.08 and packed >= 0.6 * above and air >= 0.02


def _offset_finding(shown: str, low: float) -> IntensityFinding:
    reason = (
        f"the {shown} have air near 0 and soft tissue near {STORED_OFFSET + 40}, "
        f"so the storage offset of {STORED_OFFSET} was subtracted"
    )
    return IntensityFinding(
        Intensity("HU", reason),
        shift=-STORED_OFFSET,
        warnings=(
            f"The file lacks its rescale intercept; {STORED_OFFSET} was subtracted to get HU. "
            "Where 1000 was added instead, all values are 24 HU too low.",
        ),
    )


def _grey(array: Array, sample: Array, *, grey_max: float, why: str) -> IntensityFinding:
    low_hu, high_hu = GREY_WINDOW_HU
    warnings = _exchanged_warning(array, 0.0, grey_max)
    by_histogram = ""
    if _soft_share(sample, grey_max, GREY_WINDOW_HU) < _FEWEST_SOFT:
        if _soft_share(sample, grey_max, _WHOLE_RANGE_HU) >= _ENOUGH_SOFT:
            low_hu, high_hu = _WHOLE_RANGE_HU
            by_histogram = " by their histogram"
        else:
            warnings += (
                f"With black and white as {number_text(low_hu, digits=0)} and "
                f"{number_text(high_hu, digits=0)} HU, hardly any voxel is as dense as soft "
                "tissue: masks are unreliable until both values are corrected (--window, or on "
                "View).",
            )
    ends = f"{short_text(low_hu)} and {short_text(high_hu)} HU"
    taken = f"black and white are taken as {ends}{by_histogram}"
    return IntensityFinding(
        grey_intensity(low_hu, high_hu, grey_max, reason=f"{why}; {taken}"),
        warnings=(*warnings, f"Not in HU: {taken}, which can be corrected."),
    )


def _exchanged_warning(array: Array, black: float, white: float) -> tuple[str, ...]:
    return (EXCHANGED_NOTE,) if looks_exchanged(array, black, white) else ()


def _soft_share(sample: Array, grey_max: float, window: tuple[float, float]) -> float:
    """Share of voxels as dense as soft tissue where black and white stand for a window, white
    included."""
    low, high = window
    hu = low + sample.astype(np.float32) * np.float32((high - low) / grey_max)
    return _share(hu, *_SOFT_TISSUE_HU)
