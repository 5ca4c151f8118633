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


def padding_value(array: Array) -> float | None:
    """The value below -1200 that many voxels share; none where there is no such value.

    Args:
        array: HU, or stored values with their offset, of any type and shape.
    """
    if float(array.min()) >= _PADDING_BELOW_HU:
        return None
    values, counts = np.unique(array[array < _PADDING_BELOW_HU], return_counts=True)
    most = int(np.argmax(counts))
    if counts[most] < max(_FEWEST * array.size, (1 - _BETWEEN) * counts.sum()):
        return None
    return float(values[most])


def fill_padding(array: Array) -> tuple[str, ...]:
    """Sets padding outside the field of view to air, in place; a note where there was any.

    Args:
        array: (a, b, c) HU of any type; writable.
    """
    padding = padding_value(array)
    if padding is None:
        return ()
    outside = array == array.dtype.type(padding)
    share = int(np.count_nonzero(outside)) / array.size
    array[outside] = array.dtype.type(AIR_HU)
    return (
        f"{percent_text(share)} of the voxels hold {number_text(padding, digits=0)} HU, "
        "which no tissue has: they lie outside the field of view and are read as air.",
    )
