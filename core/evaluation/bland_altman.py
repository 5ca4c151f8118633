"""Whether two ways of measuring agree (Bland and Altman 1986, doi:10.1016/S0140-6736(86)90837-8).

Each scan's difference is set against its mean. The bias is the mean difference; the limits of
agreement, bias ± 1.96 standard deviations, hold about 95 % of differences where these are
roughly normal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_NORMAL_95 = 1.96


@dataclass(frozen=True, eq=False)
class BlandAltman:
    """Mean and difference of each pair, (n,) each, nan where one is; bias and limits over those
    that are known: nan without any, limits nan with fewer than three."""

    mean: npt.NDArray[np.float64]
    difference: npt.NDArray[np.float64]
    bias: float
    lower: float
    upper: float


def compare_measurements(true: Sequence[float], predicted: Sequence[float]) -> BlandAltman:
    """Prediction against truth, difference = prediction - truth, in the unit of both."""
    first, second = np.asarray(true, np.float64), np.asarray(predicted, np.float64)
    difference = second - first
    known = difference[~np.isnan(difference)]
    bias = float(known.mean()) if len(known) else float("nan")
    # With two pairs the spread says next to nothing.
    reach = _NORMAL_95 * float(known.std(ddof=1)) if len(known) > 2 else float("nan")
    return BlandAltman((first + second) / 2, difference, bias, bias - reach, bias + reach)
