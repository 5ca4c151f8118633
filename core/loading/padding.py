"""What a file holds outside the round field that a scanner reconstructs.

Exporters fill it with values that no tissue has, such as -2000 or -3024 HU, and not all say so.
"""

from __future__ import annotations

import numpy as np

from core.system import number_text, percent_text
from core.volume import AIR_HU, Array

_PADDING_BELOW_HU = -1200.0
_FEWEST = 0.002
"""Metal casts single voxels below air; a field of view leaves out corners."""
_BETWEEN = 0.1
"""Of the voxels below air, at most this share may hold another value than the padding."""


def fill_padding(array: Array) -> tuple[str, ...]:
    """Sets padding outside the field of view to air, in place; a note where there was any.

    Args:
        array: (a, b, c) HU of any type; writable.

    Padding is one value below -1200 HU that many voxels share.
    """
    lowest = float(array.min())
    if lowest >= _PADDING_BELOW_HU:
        return ()
    below = array < _PADDING_BELOW_HU
    values, counts = np.unique(array[below], return_counts=True)
    most = int(np.argmax(counts))
    share = int(counts[most]) / array.size
    if share < _FEWEST or counts[most] < (1 - _BETWEEN) * counts.sum():
        return ()
    padding = values[most]
    array[array == padding] = array.dtype.type(AIR_HU)
    return (
        f"{percent_text(share)} of the voxels hold {number_text(float(padding), digits=0)} HU, "
        "which no tissue has: they lie outside the field of view and are read as air.",
    )
